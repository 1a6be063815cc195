//! The subcommand against a stand-in for an instance that counts as a real one would.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use clap::Parser;
use serde_json::{Value, json};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use super::*;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    remote: Remote,
    #[command(flatten)]
    args: SimulateArgs,
}

/// The starts of each series, by anomaly and fingerprint.
type Starts = BTreeMap<[String; 4], HashMap<String, Vec<Timestamp>>>;

/// Counts what it is sent; `forgets` says whether it loses one alert.
#[derive(Clone, Default)]
struct Instance {
    starts: Arc<Mutex<Starts>>,
    forgets: bool,
}

impl Instance {
    async fn start(self) -> MockServer {
        let server = MockServer::start().await;
        let at =
            |verb: &str, to: &str| Mock::given(method(verb)).and(path(format!("/api/v1/{to}")));
        let queues = json!({"items": [{"name": "ingest", "ready": 0}], "next_cursor": null});
        let json = |body| ResponseTemplate::new(200).set_body_json(body);
        at("GET", "queues")
            .respond_with(json(queues))
            .mount(&server)
            .await;
        let incidents = json!({"items": [{"escalation_level": "REPEAT", "tier": 1}]});
        at("GET", "incidents")
            .respond_with(json(incidents))
            .mount(&server)
            .await;
        at("GET", "anomalies")
            .respond_with(Anomalies(self.clone()))
            .mount(&server)
            .await;
        at("POST", "alertmanager")
            .respond_with(self)
            .mount(&server)
            .await;
        server
    }
}

impl Respond for Instance {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let alerts = body["alerts"].as_array().unwrap();
        let mut starts = self.starts.lock().unwrap();
        for alert in alerts
            .iter()
            .skip(usize::from(self.forgets && starts.is_empty()))
        {
            let text = |pointer: &str| alert.pointer(pointer).unwrap().as_str().unwrap().to_owned();
            let labels = ["alertname", "job", "namespace", "reason"];
            let signature = labels.map(|label| text(&format!("/labels/{label}")));
            let series = starts
                .entry(signature)
                .or_default()
                .entry(text("/fingerprint"));
            series
                .or_default()
                .push(Timestamp::parse(&text("/startsAt")).unwrap());
        }
        let count = alerts.len();
        let answer = json!({"status": "ok", "processed": count, "enqueued": count, "rejected": 0});
        ResponseTemplate::new(200).set_body_json(answer)
    }
}

struct Anomalies(Instance);

impl Respond for Anomalies {
    fn respond(&self, _: &Request) -> ResponseTemplate {
        let starts = self.0.starts.lock().unwrap();
        let items: Vec<Value> = starts
            .iter()
            .map(|([alert_name, service, namespace, error_type], series)| {
                json!({
                    "alert_name": alert_name, "service": service, "namespace": namespace,
                    "error_type": error_type, "total": series.len(), "newest_number": 1,
                })
            })
            .collect();
        ResponseTemplate::new(200).set_body_json(json!({"items": items, "next_cursor": null}))
    }
}

async fn simulate(url: &str, more: &[&str]) -> anyhow::Result<()> {
    let quick = [
        "simulate", "--url", url, "--rate", "100000", "--alerts", "300", "--seed", "1",
    ];
    let cli = Cli::try_parse_from(quick.iter().chain(more)).unwrap();
    cli.args.storm(&cli.remote).await
}

#[tokio::test]
async fn a_storm_that_is_counted_as_it_was_sent_is_a_success() {
    let server = Instance::default().start().await;
    simulate(&server.uri(), &[]).await.unwrap();
}

#[tokio::test]
async fn a_storm_of_which_an_episode_is_missing_is_a_failure() {
    let forgetful = Instance {
        forgets: true,
        ..Instance::default()
    };
    let server = forgetful.start().await;
    let error = simulate(&server.uri(), &["--resend", "0", "--resolve", "0"]).await;
    let message = error.unwrap_err().to_string();
    assert_eq!(message, "the counts do not match the alerts that were sent");
}

#[tokio::test]
async fn alerts_that_are_refused_end_the_storm_with_the_reason() {
    let server = MockServer::start().await;
    let none = ResponseTemplate::new(200).set_body_json(json!({"items": []}));
    Mock::given(method("GET"))
        .respond_with(none)
        .mount(&server)
        .await;
    let refusal = json!({"title": "Unauthorized", "detail": "missing token"});
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(401).set_body_json(refusal))
        .mount(&server)
        .await;
    let message = simulate(&server.uri(), &[]).await.unwrap_err().to_string();
    assert!(
        message.starts_with("no alert was accepted: missing token"),
        "{message}"
    );
    assert!(server.received_requests().await.unwrap().len() < 60);
}

#[tokio::test]
async fn another_computer_is_spared_unless_it_is_confirmed() {
    let message = simulate("http://tocsin.example", &[])
        .await
        .unwrap_err()
        .to_string();
    assert!(message.contains("pass --yes"), "{message}");
}

#[test]
fn numbers_out_of_bounds_are_refused() {
    for (option, value) in [
        ("--rate", "0"),
        ("--rate", "NaN"),
        ("--resend", "1.1"),
        ("--resolve", "-0.1"),
        ("--batch", "0"),
        ("--anomalies", "0"),
        ("--duration", "soon"),
    ] {
        let line = ["simulate".to_owned(), format!("{option}={value}")];
        assert!(Cli::try_parse_from(line).is_err(), "{option} {value}");
    }
}

#[test]
fn a_storm_is_as_long_as_its_duration_at_its_rate() {
    let plan = |line: &[&str]| {
        let line = ["simulate"].iter().chain(line);
        Cli::try_parse_from(line).unwrap().args.plan()
    };
    assert_eq!(plan(&[]).alerts, 1500);
    assert_eq!(plan(&["--rate", "200", "--duration", "2m"]).alerts, 24_000);
    assert_eq!(plan(&["--alerts", "7"]).alerts, 7);
}
