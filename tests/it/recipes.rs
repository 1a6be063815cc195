//! A source, a notifier and a job that are here and nowhere else, added as CONTRIBUTING.md says.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use apalis_core::task::data::Data;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tocsin::config::Config;
use tocsin::domain::alert::{Alert, AlertStatus};
use tocsin::domain::refusal::{Code, Refusal};
use tocsin::domain::routing::{List, Route};
use tocsin::jobs::{Content, Job, JobError, Policy};
use tocsin::queue::Push;
use tocsin::queue::consumer::JobHandle;
use tocsin::sources::{Refused, SOURCES, Source, Translated};
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

/// Beacons: `{"name": …}` while one is lit.
const BEACON: Source = Source {
    name: "beacon",
    sender: "Beacons",
    schema: || ObjectBuilder::new().schema_type(Type::Object).into(),
    example: r#"{"name":"DiskFull"}"#,
    translate: read_beacon,
};

fn read_beacon(body: &[u8], _: &Config) -> Result<Translated, Refused> {
    let malformed = |error: serde_json::Error| Refused::Malformed(error.to_string());
    let beacon: Value = serde_json::from_slice(body).map_err(malformed)?;
    let name = beacon["name"].as_str().unwrap_or_default().to_owned();
    let alert = Alert {
        status: AlertStatus::Firing,
        labels: [("alertname".to_owned(), name.clone())].into(),
        annotations: [].into(),
        fingerprint: name,
        starts_at: None,
        ends_at: None,
        generator_url: None,
        identity: None,
    };
    Ok(Translated {
        alerts: vec![Content::Alert(alert)],
        truncated: 0,
        misdated: 0,
        unknown_status: 0,
        cluster: None,
    })
}

// A notifier.

/// Hands messages to whoever listens.
struct Pager(UnboundedSender<String>);

#[async_trait]
impl Notifier for Pager {
    fn channel(&self) -> &str {
        "pager"
    }

    fn render(&self, card: &Card) -> String {
        format!("{} of {}", card.anomaly.alert_name, card.incident.source)
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

/// Looks into an incident, or into all of a service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Analyze {
    Incident(Uuid),
    Service(String),
}

mod jobs {
    use super::Analyze;

    tocsin::jobs! {
        /// What is behind incidents.
        analyze: Analyze { concurrency: 2, attempts: 3 } check super::names_something,
    }
}

fn names_something(job: &Analyze) -> Result<(), Refusal> {
    match job {
        Analyze::Service(name) if name.is_empty() => {
            let detail = "the service has no name";
            Err(Refusal::new(Code::InvalidPayload, detail))
        }
        Analyze::Incident(_) | Analyze::Service(_) => Ok(()),
    }
}

async fn analyze(
    job: Analyze,
    _held: Data<Arc<JobHandle>>,
    analyzed: Data<UnboundedSender<Analyze>>,
) -> Result<(), JobError> {
    analyzed.send(job).unwrap();
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
        let (analyzer, mut analyzed) = mpsc::unbounded_channel();
        let mut workers = workers_with(&h.context, vec![Box::new(Pager(pager))]);
        workers.push(Worker::new(&h.context, analyzer, analyze));
        h.work(workers);
        let mut ingress = Ingress::new(h.context.clone(), Arc::clone(&h.gate));
        ingress.sources = SOURCES.into_iter().chain([BEACON]).collect();
        let (mut parts, stop) = (JoinSet::new(), CancellationToken::new());
        let url = serve_ingress_on_free_port(ingress, &mut parts, &stop).await;

        let webhook = format!("{url}/api/v1/beacon");
        let lit = h.http.post(webhook).body(BEACON.example).send().await.unwrap();
        let expected = json!({"status": "ok", "processed": 1, "enqueued": 1, "rejected": 0});
        assert_eq!(answer(lit).await, (200, expected));
        assert_eq!(next(&mut paged).await, "DiskFull of beacon");
        let incident = h.incident().await["id"].as_str().unwrap().parse().unwrap();
        let jobs = [Analyze::Incident(incident), Analyze::Service("checkout".to_owned())];
        for job in &jobs {
            h.context.queues.push(Push::new(job).after(Duration::from_millis(1))).await.unwrap();
        }
        let done = [next(&mut analyzed).await, next(&mut analyzed).await];
        assert!(jobs.iter().all(|job| done.contains(job)), "{done:?}");

        stop.cancel();
        parts.join_all().await;
        h.finish().await;
    }
}

#[test]
fn a_row_makes_a_job() {
    assert_eq!(jobs::QUEUES, ["analyze"]);
    let expected = Policy {
        queue: "analyze",
        concurrency: 2,
        attempts: 3,
        ..Policy::USUAL
    };
    assert_eq!(Analyze::POLICY, expected);
    assert_eq!(
        jobs::check_payload("analyze", br#"{"service":"a"}"#),
        Ok(())
    );
    for (queue, payload, wrong) in [
        ("analyze", r#"{"service":""}"#, "the service has no name"),
        (
            "analyze",
            r#"{"pod":"a"}"#,
            "the payload is not a valid analyze job",
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
