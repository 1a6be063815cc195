//! No secret is in anything that the program says or keeps: each one that it is given is planted,
//! everything is made to go well and to go wrong, and all that came of it is searched for them.

mod commands;
mod planted;
mod servers;

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tocsin::time::Timestamp;

use crate::harness::alert;
use crate::process::{PATIENCE, Process, beside_others};
use planted::Leaks;
use servers::{Servers, dump};

/// Asks, with each token there is, and keeps what is answered.
struct Asker {
    http: reqwest::Client,
    base: String,
    /// To operate, to read, for webhooks, and a wrong one.
    tokens: [String; 4],
}

impl Asker {
    async fn ask(&self, found: &mut Leaks, method: Method, path: &str, body: Option<Value>) {
        for (n, token) in self.tokens.iter().enumerate() {
            let mut request = self
                .http
                .request(method.clone(), format!("{}{path}", self.base));
            request = match path.ends_with("alertmanager") && n == 3 {
                true => request.basic_auth("prometheus", Some(token)),
                false => request.bearer_auth(token),
            };
            if let Some(body) = &body {
                request = request.json(body);
            }
            let answer = request.send().await.unwrap();
            let said = format!("{} {:?}", answer.status(), answer.headers());
            let text = answer.text().await.unwrap();
            found.add(
                format!("the answers to {method} {path}"),
                &format!("{said}\n{text}"),
            );
        }
    }

    async fn ready(&self, process: &mut Process) {
        let began = Instant::now();
        loop {
            let answer = self.http.get(format!("{}/readyz", self.base)).send().await;
            if answer.is_ok_and(|answer| answer.status() == 200) {
                return;
            }
            assert!(
                process.is_running(),
                "{} ended: {}",
                process.name(),
                process.said()
            );
            assert!(
                began.elapsed() < PATIENCE,
                "{} is not ready",
                process.name()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_planted_secret_is_in_any_output_or_store() {
    let _turn = beside_others().await;
    let (mut stage, mut found) = (Servers::new().await, Leaks::default());

    // Everything that can be asked, in the right and in the wrong way, with every token.
    let log = stage.folder.join("serve.log");
    let mut server = Process::start("serve", stage.tocsin(&["serve"]), log).unwrap();
    let asker = Asker {
        http: tocsin::tls::client().build().unwrap(),
        base: format!("http://127.0.0.1:{}", stage.port),
        tokens: [
            &stage.planted.operate,
            &stage.planted.read,
            &stage.planted.webhook,
            &stage.planted.wrong,
        ]
        .map(String::clone),
    };
    asker.ready(&mut server).await;
    let post = |path: &'static str, body: Value| (Method::POST, path.to_owned(), Some(body));
    let get = |path: &str| (Method::GET, path.to_owned(), None);
    let alerts: Vec<Value> = ["A", "B", "C", "D", "E"]
        .iter()
        .map(|name| alert(name, "pod", Timestamp::now()))
        .chain([json!(7), json!({"labels": {"job": "nameless"}})])
        .collect();
    let webhook = "/api/v1/alertmanager";
    let mut requests = vec![
        post(webhook, json!({"alerts": alerts})),
        post(webhook, json!({"alerts": "none"})),
    ];
    until("all refuse, and dead letters are there", async || {
        for (method, path, body) in requests.drain(..) {
            asker.ask(&mut found, method, &path, body).await;
        }
        let dead = dump(&stage.scratch.url).await;
        let said = [
            "Bad Request",
            "webhook:ops answered 4",
            "the alert has no alertname",
        ];
        said.iter().all(|said| dead.contains(said))
    })
    .await;
    let list = asker.http.get(format!("{}/api/v1/incidents", asker.base));
    let list = list.bearer_auth(&stage.planted.read).send().await.unwrap();
    let list: Value = serde_json::from_str(&list.text().await.unwrap()).unwrap();
    let incident = &list["items"][0];
    let id = incident["id"].as_str().unwrap();
    let key = incident["anomaly_key"].as_str().unwrap();
    let of_incident = |verb: &str, body| {
        (
            Method::POST,
            format!("/api/v1/incidents/{id}/{verb}"),
            Some(body),
        )
    };
    let fix = format!("/api/v1/anomalies/{key}/permanent-fix");
    for (method, path, body) in [
        get("/metrics"),
        get("/readyz"),
        get("/nowhere"),
        get("/api/v1/incidents"),
        get("/api/v1/incidents?limit=x"),
        get(&format!("/api/v1/incidents/{id}")),
        get(&format!("/api/v1/incidents/{id}/occurrences")),
        of_incident("acknowledge", json!({"operator": "ann"})),
        of_incident("resolve", json!({"nonsense": 1})),
        of_incident("repairs", json!({"action": "restart_pod", "success": true})),
        (
            Method::POST,
            fix.clone(),
            Some(json!({"reference": "PR 7"})),
        ),
        (Method::DELETE, fix, None),
        get("/api/v1/anomalies"),
        get("/api/v1/queues"),
        post("/api/v1/queues/notify/pause", json!({})),
        post("/api/v1/queues/notify/resume", json!({})),
        (
            Method::POST,
            format!("/api/v1/anomalies/{key}/mute"),
            Some(json!({"for": "1h", "why": "a deploy"})),
        ),
        post("/api/v1/notify/test", json!({"channel": "telegram:-100"})),
        post("/api/v1/notify/test", json!({"channel": "webhook:ops"})),
        post("/api/v1/notify/test", json!({"channel": "pagerduty:ops"})),
        post("/api/v1/notify/test", json!({"channel": "discord:ops"})),
        post("/api/v1/notify/test", json!({"channel": "teams:ops"})),
        post("/api/v1/notify/test", json!({"channel": "sentry"})),
        post("/api/v1/sentry", json!({"action": "created"})),
        post(
            "/api/v1/notify/test",
            json!({"channel": "email:oncall@example.org"}),
        ),
        post("/api/v1/telegram", json!({"update_id": 1})),
        get("/api/v1/audit"),
        get("/api/v1/dead-letters"),
    ] {
        asker.ask(&mut found, method, &path, body).await;
    }
    found.add("the rows", &dump(&stage.scratch.url).await);

    // Redis goes away under it.
    stage.redis.kill();
    until("it says that Redis is away", async || {
        server.said().contains("will retry")
    })
    .await;
    asker
        .ask(
            &mut found,
            Method::POST,
            webhook,
            Some(json!({"alerts": [alerts[0]]})),
        )
        .await;
    for (method, path, _) in [get("/readyz"), get("/api/v1/queues"), get("/metrics")] {
        asker.ask(&mut found, method, &path, None).await;
    }
    stage.redis.start_again().await.unwrap();
    server.signal("TERM").unwrap();
    server.ended().await.unwrap();
    let said = server.said();
    for proof in [
        "rejected a wrong token",
        "dropped spans",
        "is now a dead letter",
        "cannot receive button presses",
        "TRACE",
    ] {
        assert!(
            said.contains(proof),
            "{proof:?} is not in the log, which shows little then"
        );
    }
    found.add("the log", &said);

    commands::run(&stage, &mut found);
    found.assert_free_of(&stage.planted);
}
