//! A source, a notifier and a job that are here and nowhere else, added as CONTRIBUTING.md says.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use apalis_core::task::data::Data;
use async_trait::async_trait;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tocsin::config::{Config, Secret};
use tocsin::domain::refusal::{Code, Refusal};
use tocsin::domain::routing::{List, Route};
use tocsin::domain::signature::Names;
use tocsin::jobs::{About, Job, JobError, Policy, Schedule, Subject};
use tocsin::queue::consumer::JobHandle;
use tocsin::queue::{Push, schedule};
use tocsin::sources::{
    Admission, Answer, Delivery, Refused, ReportedAlert, SOURCES, Signature, Source, Translated,
    Verb, texts,
};
use tocsin::web::Ingress;
use tocsin_workers::fleet::Worker;
use tocsin_workers::notifiers::{Card, Message, Notifier, SendError, Sent, TestMessage};
use tocsin_workers::workers_with;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use uuid::Uuid;

use crate::harness::{Harness, answer, serve_ingress_on_free_port};
use crate::on_all;

// A source.

/// Beacons: `{"name": …}` while one is lit, signed; `{"ping": true}` once they are set up.
pub const BEACON: Source = Source {
    name: "beacon",
    sender: "Beacons",
    paths: &["/api/v1/beacon/{name}"],
    senders: None,
    methods: &[Verb::Post, Verb::Put],
    schema: || ObjectBuilder::new().schema_type(Type::Object).into(),
    example: r#"{"name":"DiskFull"}"#,
    admission: |_, _| Admission {
        enabled: true,
        signature: Some(Signature {
            secret: &SECRET,
            header: "X-Beacon-Signature",
            prefix: "sha256=",
            time: None,
        }),
    },
    translate: read_beacon,
    looks_like: |delivery| !delivery.header("X-Beacon-Signature").is_empty(),
    answer: Answer {
        give: |taken| (StatusCode::ACCEPTED, taken.processed.to_string()).into_response(),
        ..Answer::COUNTS
    },
    canary: |_| None,
};

/// What beacons sign with.
static SECRET: LazyLock<Secret> = LazyLock::new(|| Secret::from("planted-secret-0123456789"));

/// Signatures of [`BEACON`]'s example, of a ping and of an empty object:
/// `printf '%s' BODY | openssl dgst -sha256 -hmac planted-secret-0123456789`
pub const SIGNED: [(&str, &str); 3] = [
    (
        BEACON.example,
        "sha256=de24952f43114f2ac56a1e37b21d7cdaad2fd34765b205557a6fb6a60c4365b9",
    ),
    (
        r#"{"ping":true}"#,
        "sha256=05e9315192043bc9cc897b6b71622bb3586a53b3688396a08ef58b286369227b",
    ),
    (
        "{}",
        "sha256=0c0335cbb7cc03d003376d5ea7e561cc3a188fe82920e3059e9caaca2e322aee",
    ),
];

fn read_beacon(delivery: &Delivery, config: &Config) -> Result<Translated, Refused> {
    let malformed = |error: serde_json::Error| Refused::Malformed(error.to_string());
    let beacon: Value = serde_json::from_slice(&delivery.body).map_err(malformed)?;
    let Some(name) = beacon["name"].as_str() else {
        let is_ping = u64::from(beacon["ping"] == true);
        return Ok(Translated {
            tests: is_ping,
            unused: 1 - is_ping,
            ..Translated::default()
        });
    };
    let lit = ReportedAlert {
        labels: texts([("alertname", name), ("beacon", &delivery.name)]),
        read_from: Names {
            service: "beacon",
            ..Names::default()
        },
        ..ReportedAlert::default()
    };
    Ok(Translated {
        alerts: vec![lit.into_content(config, &beacon.to_string())],
        ..Translated::default()
    })
}

// A notifier.

/// Hands messages to the test.
struct Pager(UnboundedSender<String>);

#[async_trait]
impl Notifier for Pager {
    fn channel(&self) -> &str {
        "pager"
    }

    fn render(&self, card: &Card) -> String {
        let anomaly = &card.anomaly;
        format!(
            "{} at {} of {}",
            anomaly.alert_name, anomaly.service, card.incident.source
        )
    }

    fn render_test(&self, _: &TestMessage) -> String {
        "a test".to_owned()
    }

    async fn send(&self, message: Message<'_>) -> Result<Sent, SendError> {
        self.0.send(message.body.to_owned()).unwrap();
        Ok(Sent::default())
    }
}

// A job.

/// Says what follows an incident, what is next of a service, and every day what is next of all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Forecast {
    Incident(Uuid),
    Service(String),
    All,
}

mod jobs {
    use super::Forecast;

    tocsin::jobs! {
        /// What incidents come next.
        forecast: Forecast,
    }
}

impl About for Forecast {
    const RUN: Policy = Policy {
        concurrency: 2,
        attempts: 3,
        ..Policy::USUAL
    };

    fn schedules() -> Vec<(Schedule, Self)> {
        vec![(DAILY, Self::All)]
    }

    fn subject(&self) -> Option<Subject> {
        match self {
            Forecast::Incident(id) => Some(Subject::Incident(*id)),
            Forecast::Service(_) | Forecast::All => None,
        }
    }

    fn check(&self) -> Result<(), Refusal> {
        match self {
            Forecast::Service(name) if name.is_empty() => {
                let detail = "the service has no name";
                Err(Refusal::new(Code::InvalidPayload, detail))
            }
            Forecast::Incident(_) | Forecast::Service(_) | Forecast::All => Ok(()),
        }
    }
}

const DAILY: Schedule = Schedule {
    name: "forecast",
    every: Duration::from_secs(24 * 3600),
};

async fn forecast(
    job: Forecast,
    _held: Data<Arc<JobHandle>>,
    forecasts: Data<UnboundedSender<Forecast>>,
) -> Result<(), JobError> {
    forecasts.send(job).unwrap();
    Ok(())
}

/// What was taken next.
async fn next<T>(taken: &mut UnboundedReceiver<T>) -> T {
    let next = tokio::time::timeout(Duration::from_secs(30), taken.recv());
    next.await.unwrap().unwrap()
}

on_all! {
    async fn a_source_a_notifier_and_a_job_that_were_added_do_their_part(on) {
        let mut h = Harness::without_workers(on, |config| {
            let to = List(vec!["pager".to_owned()]);
            config.routes = vec![Route { to, ..Route::default() }];
        })
        .await;
        let (pager, mut paged) = mpsc::unbounded_channel();
        let (forecaster, mut forecasts) = mpsc::unbounded_channel();
        let mut workers = workers_with(&h.context, vec![Box::new(Pager(pager))]);
        workers.push(Worker::new(&h.context, forecaster, forecast));
        h.work(workers);
        let mut ingress = Ingress::new(h.context.clone(), Arc::clone(&h.gate));
        ingress.sources = SOURCES.into_iter().chain([BEACON]).collect();
        let (mut parts, stop) = (JoinSet::new(), CancellationToken::new());
        let url = serve_ingress_on_free_port(ingress, &mut parts, &stop).await;

        let webhook = format!("{url}/api/v1/beacon/north");
        for (body, signature) in SIGNED {
            let sent = h.http.put(&webhook).header("X-Beacon-Signature", signature).body(body);
            let sent = sent.send().await.unwrap();
            assert_eq!(answer(sent).await, (202, json!(1)), "{body}");
        }
        assert_eq!(next(&mut paged).await, "DiskFull at north of beacon");
        let incident = h.incident().await["id"].as_str().unwrap().parse().unwrap();
        let jobs = [Forecast::Incident(incident), Forecast::Service("checkout".to_owned())];
        for job in &jobs {
            h.context.queues.push(Push::new(job).after(Duration::from_millis(1))).await.unwrap();
        }
        let ticks = async || schedule::pass(&h.context.queues, jobs::scheduled()).await.unwrap();
        assert_eq!((ticks().await, ticks().await), (1, 0));
        let done = [next(&mut forecasts).await, next(&mut forecasts).await, next(&mut forecasts).await];
        assert!(jobs.iter().chain([&Forecast::All]).all(|job| done.contains(job)), "{done:?}");

        stop.cancel();
        parts.join_all().await;
        h.finish().await;
    }
}

#[test]
fn a_row_makes_a_job() {
    assert_eq!(jobs::QUEUES, ["forecast"]);
    let expected = Policy {
        queue: "forecast",
        concurrency: 2,
        attempts: 3,
        ..Policy::USUAL
    };
    assert_eq!(Forecast::POLICY, expected);
    assert_eq!(
        jobs::check_payload("forecast", br#"{"service":"a"}"#),
        Ok(())
    );
    for (queue, payload, wrong) in [
        ("forecast", r#"{"service":""}"#, "the service has no name"),
        (
            "forecast",
            r#"{"pod":"a"}"#,
            "the payload is not a valid forecast job",
        ),
        ("ingest", "{}", "the queue ingest no longer exists"),
    ] {
        let refused = jobs::check_payload(queue, payload.as_bytes()).unwrap_err();
        assert!(refused.detail().contains(wrong), "{refused}");
    }
}

/// The edits of each recipe, as CONTRIBUTING.md has them.
fn recipes() -> Vec<(String, Vec<String>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("CONTRIBUTING.md")).unwrap();
    let table = text.split("| what | edits |").nth(1).unwrap();
    let rows = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let recipe = |row: &str| {
        let mut cells = row.trim_matches('|').split(" | ");
        let what = cells.next().unwrap().trim().to_owned();
        let edits = cells
            .next()
            .unwrap()
            .split(';')
            .map(|edit| edit.trim().to_owned());
        (what, edits.collect())
    };
    rows.map(recipe).collect()
}

#[test]
fn a_recipe_is_short_and_its_places_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let recipes = recipes();
    for (what, most) in [
        ("a source", 2),
        ("a notifier", 3),
        ("a job with a queue of its own", 4),
        ("a job on a queue that there is", 2),
        ("a job that the clock pushes", 2),
        ("a page", 3),
    ] {
        let (_, edits) = recipes.iter().find(|(of, _)| of == what).unwrap();
        assert!(edits.len() <= most, "{what}: {edits:?}");
    }
    for (what, edits) in &recipes {
        for (n, edit) in edits.iter().enumerate() {
            assert!(edit.starts_with(&format!("{}. ", n + 1)), "{what}: {edit}");
            let code: Vec<&str> = edit.split('`').skip(1).step_by(2).collect();
            let (paths, names): (Vec<&str>, Vec<&str>) =
                code.into_iter().partition(|code| code.contains('/'));
            let places: HashSet<&Path> = paths.iter().map(Path::new).collect();
            for path in &places {
                assert!(root.join(path).exists(), "{what}: {}", path.display());
            }
            for name in names.iter().filter(|_| !places.is_empty()) {
                let name = name.trim_end_matches('!');
                let is_there = |path: &&Path| {
                    let text = std::fs::read_to_string(root.join(path));
                    text.is_ok_and(|text| text.contains(name))
                };
                assert!(places.iter().any(is_there), "{what}: {name}");
            }
        }
    }
}
