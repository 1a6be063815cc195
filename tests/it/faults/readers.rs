//! Clients that keep their connections busy and do nothing with them.

use std::time::{Duration, Instant};

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use super::health::{Health, Took};
use super::oracle::Scenario;
use super::storm::Storm;
use crate::harness::body;
use crate::proxy::port_of;

const CLIENTS: usize = 170;
/// So many of one address stay that show no token (`limits.anonymous`); the rest is cut off.
const ANONYMOUS: usize = 100;
/// A byte every so often.
const SLOW: Duration = Duration::from_millis(500);
/// Answers that nobody reads, more than what the systems of both sides keep.
const UNREAD: usize = 300;
/// 99 of 100 webhooks are answered within this, in a program without optimisation.
const SOON: Duration = Duration::from_secs(1);
/// How long requests may take when the process stops, and how much longer it may take itself.
const DRAIN: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(7));

const STORM: Storm = Storm {
    anomalies: 40,
    pods: 50,
    together: 10,
    pace: Duration::from_millis(30),
};

scenarios! {
    async fn slow_and_deaf_clients_of_the_pages(on: sqlite; soak fleet) {
        let mut scenario = Scenario::alone(on).await;
        let token = |name: &str| format!("{name}-token-of-this-test");
        scenario.fleet.settings = vec![
            ("TOCSIN_WEBHOOK_TOKEN", token("webhook")),
            ("TOCSIN_API_TOKEN", token("api")),
            ("TOCSIN_QUEUE__DRAIN", format!("{}s", DRAIN.0.as_secs())),
        ];
        let (urls, _) = scenario.start(on, 1).await;
        let health = Health::watch(&urls[0]);
        let style = style(&scenario.fleet.http, &urls[0]).await;
        let mut clients = JoinSet::new();
        for n in 0..CLIENTS {
            let stream = connected(port_of(&urls[0])).await;
            clients.spawn(talk(n, stream, style.clone()));
        }
        let took = sent(&urls[0], &token("webhook")).await;
        took.report("webhooks beside clients that are slow");
        assert!(took.percent(99) < SOON, "p99 {:?}", took.percent(99));
        scenario.verdict(Instant::now(), &STORM.expected()).await;
        let mut cut = 0;
        while clients.try_join_next().is_some() {
            cut += 1;
        }
        // Who asks for health is one of them.
        let beyond = CLIENTS - ANONYMOUS;
        assert!((beyond..beyond + 5).contains(&cut), "{cut} of {CLIENTS} were cut off");
        health.was_always_ready();
        drop(health);

        let stopped = Instant::now();
        scenario.fleet.processes[0].signal("TERM").unwrap();
        let status = scenario.fleet.processes[0].ended().await.unwrap();
        eprintln!("it ended in {:?}", stopped.elapsed());
        assert_eq!(status.code(), Some(0), "{status}");
        assert!(stopped.elapsed() < DRAIN.0 + DRAIN.1, "{:?}", stopped.elapsed());
        clients.shutdown().await;
    }
}

/// A client that has room for little of what it is sent.
async fn connected(port: u16) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let address = ([127, 0, 0, 1], port).into();
    socket.connect(address).await.unwrap()
}

/// Says the head of a request byte by byte, or a form; or asks for many pages and reads none. Until it is cut
/// off.
async fn talk(n: usize, mut stream: TcpStream, style: String) {
    let beginning = match n % 3 {
        0 => "GET /sign-in HTTP/1.1\r\nhost: x\r\nx-slow: ",
        1 => {
            "POST /sign-in HTTP/1.1\r\nhost: x\r\norigin: http://x\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: 4000\r\n\r\ntoken="
        }
        _ => &format!("GET {style} HTTP/1.1\r\nhost: x\r\n\r\n").repeat(UNREAD),
    };
    let _ = stream.write_all(beginning.as_bytes()).await;
    let more: &[u8] = if n % 3 == 2 { b"\r\n" } else { b"a" };
    while stream.write_all(more).await.is_ok() {
        tokio::time::sleep(SLOW).await;
    }
}

/// Where the style sheet is, which is 17 KB.
async fn style(http: &reqwest::Client, url: &str) -> String {
    let page = http.get(format!("{url}/sign-in")).send().await.unwrap();
    let page = page.text().await.unwrap();
    let at = page.find("/assets/page.").unwrap();
    let end = page[at..].find(".css").unwrap() + ".css".len();
    page[at..at + end].to_owned()
}

/// Sends the storm, each request once; returns how long each took, all of which were taken.
async fn sent(url: &str, token: &str) -> Took {
    let bearer = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
    let headers = HeaderMap::from_iter([(AUTHORIZATION, bearer)]);
    let http = tocsin::tls::client().default_headers(headers);
    let http = http.build().unwrap();
    let mut requests = JoinSet::new();
    let mut clock = tokio::time::interval(STORM.pace);
    let alerts: Vec<Value> = STORM.all().collect();
    for alerts in alerts.chunks(STORM.together) {
        clock.tick().await;
        let post = http.post(format!("{url}/api/v1/alertmanager"));
        let (post, began) = (post.json(&body(alerts)), Instant::now());
        requests.spawn(async move {
            let status = post.send().await.map(|answer| answer.status().as_u16());
            (status.ok(), began.elapsed())
        });
    }
    let answers = requests.join_all().await;
    assert!(
        answers.iter().all(|(status, _)| *status == Some(200)),
        "{answers:?}"
    );
    Took::new(answers.into_iter().map(|(_, took)| took).collect())
}
