//! SIGHUP: settings that are read again while the process runs.

use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use tocsin::time::Timestamp;
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::harness::alert;
use crate::process::{PATIENCE, Process, beside_others, folder, free_port, program};

/// Waits until it is so; else says what it came to.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !is_so().await {
        assert!(began.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn receiver() -> MockServer {
    let server = MockServer::start().await;
    let takes = Mock::given(method("POST")).respond_with(ResponseTemplate::new(204));
    takes.mount(&server).await;
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_reloaded_whole_or_not_at_all() {
    let _turn = beside_others().await;
    let (folder, port) = (folder(), free_port());
    let (first, second) = (receiver().await, receiver().await);
    let file = folder.join("tocsin.toml");
    let settings = |route: &str, more: &str| {
        format!(
            "listen = \"127.0.0.1:{port}\"\nroutes = [{{ to = \"{route}\" }}]\n{more}\n\
             [webhooks.first]\nurl = \"{}/planted\"\n[webhooks.second]\nurl = \"{}/planted\"\n",
            first.uri(),
            second.uri()
        )
    };
    std::fs::write(&file, settings("webhook:first", "")).unwrap();
    let mut command = Command::new(program());
    command
        .args(["serve", "--config"])
        .arg(&file)
        .current_dir(folder.path())
        .env_remove("TOCSIN_DATABASE_URL")
        .env_remove("TOCSIN_REDIS_URL");
    let mut server = Process::start("serve", command, folder.join("serve.log")).unwrap();
    let (http, url) = (
        tocsin::tls::client().build().unwrap(),
        format!("http://127.0.0.1:{port}"),
    );
    let is_ready = async || {
        let asked = http.get(format!("{url}/readyz")).send().await;
        asked.is_ok_and(|answer| answer.status().is_success())
    };
    server.ready(is_ready).await.unwrap();
    let metric = async |name: &str| -> f64 {
        let answer = http.get(format!("{url}/metrics")).send().await.unwrap();
        let text = answer.text().await.unwrap();
        let value = text.lines().find_map(|line| line.strip_prefix(name));
        value
            .unwrap_or_else(|| panic!("no {name}"))
            .trim()
            .parse()
            .unwrap()
    };
    let send = async |name: &str| {
        let alerts = json!({"alerts": [alert(name, name, Timestamp::now())]});
        let webhook = http.post(format!("{url}/api/v1/alertmanager"));
        assert_eq!(webhook.json(&alerts).send().await.unwrap().status(), 200);
    };
    let got = async |receiver: &MockServer, name: &str| {
        let requests = receiver.received_requests().await.unwrap();
        let has = |body: &[u8]| String::from_utf8_lossy(body).contains(name);
        requests.iter().any(|request| has(&request.body))
    };
    let successful = "tocsin_config_last_reload_successful ";
    let reloaded_at = "tocsin_config_last_reload_success_timestamp_seconds ";
    assert!((metric(successful).await - 1.0).abs() < 0.1);
    let started_at = metric(reloaded_at).await;
    assert!(started_at > 1_700_000_000.0, "{started_at}");

    send("Before").await;
    until("the first route", async || got(&first, "Before").await).await;

    // Another route, a playbook that the API shows, and an address that needs a restart.
    let more =
        "database_connections = 7\nplaybooks = [{ name = \"reloaded\", tier_1 = \"restart_pod\" }]";
    std::fs::write(&file, settings("webhook:second", more)).unwrap();
    server.signal("HUP").unwrap();
    let is_reloaded = async || {
        let said = server.said();
        said.contains("settings reloaded: routes, playbooks")
    };
    until("the settings are reloaded", is_reloaded).await;
    assert!(
        server
            .said()
            .contains("need a restart: database_connections"),
        "{}",
        server.said()
    );
    send("After").await;
    until("the second route", async || got(&second, "After").await).await;
    assert!(!got(&first, "After").await);
    let playbooks = http.get(format!("{url}/api/v1/playbooks"));
    let playbooks = playbooks.send().await.unwrap().text().await.unwrap();
    assert!(playbooks.contains("reloaded"), "{playbooks}");

    // What is refused changes nothing, though some of it is right.
    std::fs::write(
        &file,
        settings("webhook:first", "telegran_chat = \"planted\""),
    )
    .unwrap();
    server.signal("HUP").unwrap();
    until("a refused reload", async || metric(successful).await < 0.5).await;
    let said = server.said();
    let why = "nothing changed: unknown setting telegran_chat; did you mean telegram_chat?";
    assert!(said.contains(why), "{said}");
    send("Refused").await;
    until("the same route", async || got(&second, "Refused").await).await;
    assert!(!got(&first, "Refused").await);

    // Nor does a file that is gone, or one that is being written: without its settings there would be others, and no token.
    std::fs::rename(&file, folder.join("aside.toml")).unwrap();
    server.signal("HUP").unwrap();
    let is_missed = async || {
        server
            .said()
            .contains("nothing changed: cannot read settings file")
    };
    until("a reload without the file", is_missed).await;
    std::fs::write(&file, "").unwrap();
    server.signal("HUP").unwrap();
    let is_empty = async || server.said().contains("tocsin.toml is empty");
    until("a reload of an empty file", is_empty).await;

    // Put right, and the process stops as it always did.
    std::fs::write(&file, settings("webhook:first", "")).unwrap();
    server.signal("HUP").unwrap();
    until("a reload", async || metric(successful).await > 0.5).await;
    assert!(metric(reloaded_at).await >= started_at);
    send("Again").await;
    until("the first route", async || got(&first, "Again").await).await;
    server.signal("TERM").unwrap();
    assert!(server.ended().await.unwrap().success(), "{}", server.said());
    assert!(!server.said().contains("planted"), "{}", server.said());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_does_not_end_a_process_that_starts() {
    let _turn = beside_others().await;
    let folder = folder();
    // A database that never answers: the process does not get any further.
    let database = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = database.local_addr().unwrap();
    let mut command = Command::new(program());
    command
        .arg("serve")
        .current_dir(folder.path())
        .env("TOCSIN_LISTEN", format!("127.0.0.1:{}", free_port()))
        .env("TOCSIN_DATABASE_URL", format!("postgres://x@{address}/x"))
        .env_remove("TOCSIN_REDIS_URL");
    let mut server = Process::start("serve", command, folder.join("serve.log")).unwrap();
    let came = tokio::task::spawn_blocking(move || database.accept().map(|(stream, _)| stream));
    let _connection = tokio::time::timeout(PATIENCE, came).await.unwrap().unwrap();
    server.signal("HUP").unwrap();
    server.signal("TERM").unwrap();
    let ended = server.ended().await.unwrap();
    assert_eq!(ended.signal(), Some(15), "{ended}: {}", server.said());
}
