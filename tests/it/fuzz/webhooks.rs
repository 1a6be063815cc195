//! The webhook's door: what is posted is taken or refused, and what was taken ends somewhere.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::response::Response;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree as _;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tocsin::config::{Limits, Span};
use tocsin::context::Context;
use tocsin::jobs::{Content, IngestAlert};
use tocsin::queue::Queues;
use tocsin::queue::about::{WorkerInfo, WorkerStatus};
use tocsin::queue::store::{
    Answer, Capacity, Delivery, Depth, Lease, NewJob, QueueError, QueueStore, Queued, Reclaimed,
    Schedule,
};
use tocsin::time::Timestamp;
use tocsin::web::{Gate, Ingress, router};
use tower::ServiceExt as _;
use uuid::Uuid;

use super::bodies::bodies;
use super::{runner, wait};
use crate::generic::map;
use crate::harness::{Harness, On, Scratch};
use crate::on_all;

/// Small, so that they are met.
const LIMITS: Limits = Limits {
    body: 64 << 10,
    alerts: 20,
    labels: 8,
    label_bytes: 64,
    annotation_bytes: 128,
    connections: 9,
    anonymous: 9,
    query: Span::secs(10),
};

/// Posts without a network.
pub async fn ask(router: &axum::Router, request: Request<Body>) -> (Response<()>, Vec<u8>) {
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    (Response::from_parts(parts, ()), body.to_vec())
}

/// Sources whose bodies are Alertmanager's or like it, or are mapped.
const SOURCES: [&str; 7] = [
    "alertmanager",
    "grafana",
    "signoz",
    "sentry",
    "generic/mapped",
    SNS,
    PROMETHEUS,
];
/// One that is sent the list alone. Its cluster keeps its series apart from Alertmanager's.
const PROMETHEUS: &str = "prometheus/eu/api/v2/alerts";
/// One that is sent a text with JSON in it.
const SNS: &str = "generic/sns";
/// What the figures know them by.
const KINDS: [&str; 5] = ["alertmanager", "grafana", "signoz", "sentry", "generic"];

/// The list of an envelope, if it has one.
#[derive(serde::Deserialize)]
struct Listed {
    alerts: Box<RawValue>,
}

/// Reads Alertmanager's form by a mapping, and the same from Amazon SNS.
fn map_sources(config: &mut tocsin::config::Config) {
    let mapping = r#"
        alerts = "/alerts"
        alert_name = ["/labels/alertname", "/ruleName"]
        service = "/labels/job"
        error_type = "{/labels/reason} of {^/version}"
        status = ["/status", "/state"]
        firing = ["firing", "alerting"]
        resolved = ["resolved", "ok"]
        tests = ["test*"]
        starts_at = "/startsAt"
        ends_at = "/endsAt"
        fingerprint = "/fingerprint"
        severity = "/labels/severity"
        summary = ["/annotations/summary", "/labels"]
        url = "/generatorURL"
        labels = { all = "/labels", first = "/values/0" }
        links = { runbook_url = "/annotations/runbook_url" }
    "#;
    map(config, "mapped", mapping);
    map(
        config,
        "sns",
        &format!("sns = true\ninner = \"/Message\"\n{mapping}"),
    );
}

fn webhook(source: &str, body: Vec<u8>) -> Request<Body> {
    let body = match source {
        SNS => json!({"Type": "Notification", "Message": String::from_utf8_lossy(&body)})
            .to_string()
            .into_bytes(),
        PROMETHEUS => match serde_json::from_slice::<Listed>(&body) {
            Ok(listed) => listed.alerts.get().as_bytes().to_vec(),
            Err(_) => body,
        },
        _ => body,
    };
    let request = Request::post(format!("/api/v1/{source}"));
    request.body(Body::from(body)).unwrap()
}

/// Takes every push; nobody works on it.
#[derive(Default)]
struct Tray {
    pushed: Mutex<Vec<NewJob>>,
}

/// What became of a body: how many alerts are made of it, how many of them are usable; none if it was
/// refused.
async fn post(router: &axum::Router, source: &str, body: Vec<u8>) -> Option<(u64, u64)> {
    let request = webhook(source, body);
    if source == PROMETHEUS {
        return post_list(router, request).await;
    }
    let (response, answer) = ask(router, request).await;
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    let figure = |name: &str| answer[name].as_u64().unwrap();
    match response.status() {
        StatusCode::OK => {
            let some = |name: &str| answer[name].as_u64().unwrap_or_default();
            let (processed, enqueued) = (figure("processed"), figure("enqueued"));
            let alerts = enqueued + figure("rejected");
            assert_eq!(
                processed,
                alerts + some("tests") + some("unused"),
                "{answer}"
            );
            Some((alerts, enqueued))
        }
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE => {
            assert_eq!(
                response.headers()["content-type"],
                "application/problem+json"
            );
            assert_eq!(figure("status"), u64::from(response.status().as_u16()));
            None
        }
        status => panic!("{status}: {answer}"),
    }
}

/// The same of a list, whose sender is told no figures but of what cannot be used.
async fn post_list(router: &axum::Router, request: Request<Body>) -> Option<(u64, u64)> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let alerts = serde_json::from_slice::<Vec<&RawValue>>(&body).map_or(0, |list| list.len());
    let request = Request::from_parts(parts, Body::from(body.clone()));
    let (response, answer) = ask(router, request).await;
    match response.status() {
        StatusCode::OK => {
            assert!(answer.is_empty());
            Some((alerts as u64, alerts as u64))
        }
        StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE => {
            let told: Value = serde_json::from_slice(&answer).unwrap();
            let rejected = told.as_str()?.split(' ').next().unwrap().parse::<u64>();
            Some((alerts as u64, alerts as u64 - rejected.unwrap()))
        }
        status => panic!("{status}: {}", String::from_utf8_lossy(&answer)),
    }
}

/// What is in a job is what a worker reads, within the limits, and nothing that a store refuses. Returns of
/// how many alerts it is, and how many of them can be used.
fn check(job: &NewJob) -> (u64, u64) {
    let read: IngestAlert = serde_json::from_str(&job.payload).unwrap();
    let alert = match &read.content {
        Content::Alert(alert) => alert,
        Content::Rejected { alerts, .. } => return (*alerts, 0),
    };
    assert!(!alert.labels["alertname"].is_empty());
    assert!(!alert.fingerprint.is_empty() && alert.fingerprint.len() <= 128);
    for (texts, bytes) in [
        (&alert.labels, LIMITS.label_bytes),
        (&alert.annotations, LIMITS.annotation_bytes),
    ] {
        assert!(texts.len() <= LIMITS.labels + 1, "{texts:?}");
        for text in texts.iter().flat_map(|(name, value)| [name, value]) {
            assert!(text.len() <= bytes && !text.contains('\0'), "{text:?}");
        }
    }
    assert_eq!(serde_json::to_string(&read).unwrap(), job.payload);
    (1, 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn any_webhook_body_is_accepted_or_refused() {
    let scratch = Scratch::new(On::Sqlite).await;
    let mut config = scratch.config(2);
    config.limits = LIMITS;
    map_sources(&mut config);
    let mut context = Context::open(config).await.unwrap();
    let tray = Arc::new(Tray::default());
    context.queues = Queues::new(Arc::clone(&tray) as _);
    let gate = Arc::new(Gate::default());
    let router = router(&Ingress::new(context, gate));
    let try_one = |(source, body): (&str, Vec<u8>)| {
        let taken = wait(post(&router, source, body));
        // Some sources are answered before all is pushed.
        while taken.is_some_and(|(alerts, _)| alerts > 0) && tray.pushed.lock().unwrap().is_empty()
        {
            wait(tokio::task::yield_now());
        }
        let pushed = std::mem::take(&mut *tray.pushed.lock().unwrap());
        let checked: Vec<(u64, u64)> = pushed.iter().map(check).collect();
        let alerts = checked.iter().map(|(alerts, _)| alerts).sum::<u64>();
        let usable = checked.iter().map(|(_, usable)| usable).sum::<u64>();
        prop_assert_eq!(taken.unwrap_or_default(), (alerts, usable));
        prop_assert!(pushed.len() as u64 <= usable + 1, "one dead letter at most");
        Ok(())
    };
    let sent = (select(&SOURCES[..]), bodies());
    tokio::task::block_in_place(|| runner(3000).run(&sent, try_one).unwrap());
}

on_all! {
    async fn every_accepted_alert_becomes_an_occurrence_or_a_dead_letter(on) {
        const BODIES: usize = 200;
        const USABLE: u64 = 50;
        let mut h = Harness::start_with(on, |config| {
            config.limits = LIMITS;
            map_sources(config);
        })
        .await;
        let ingress = Ingress::new(h.context.clone(), Arc::clone(&h.gate));
        let (router, mut runner) = (router(&ingress), runner(1));
        let (mut processed, mut usable, mut posted, mut listed) = (0, 0, 0, (0, 0));
        // Some histories have little that can be used.
        while posted < BODIES || usable <= USABLE {
            assert!(posted < 10 * BODIES, "{usable} of {processed} alerts could be used");
            let body = bodies().new_tree(&mut runner).unwrap().current();
            let source = SOURCES[posted % SOURCES.len()];
            posted += 1;
            let taken = post(&router, source, body).await.unwrap_or_default();
            if source == PROMETHEUS {
                listed = (listed.0 + taken.0, listed.1 + taken.1);
                continue;
            }
            processed += taken.0;
            usable += taken.1;
        }
        ingress.late.finish().await;
        h.drain().await;
        let metrics = h.metrics().await;
        let is_failed = |line: &str| line.contains("outcome=\"failed\"") && !line.ends_with(" 0");
        assert!(!metrics.lines().any(is_failed), "{metrics}");
        let of = |source: &str, outcome: &str| -> i64 {
            let name = format!("tocsin_alerts_total{{source=\"{source}\",outcome=\"{outcome}");
            let lines = metrics.lines().filter(|line| line.starts_with(&name));
            lines.map(|line| line.rsplit(' ').next().unwrap().parse::<i64>().unwrap()).sum()
        };
        let alerts = |outcome: &str| -> i64 { KINDS.iter().map(|source| of(source, outcome)).sum() };
        let (ignored, rejected) = (alerts("ignored"), alerts("rejected"));
        // Of what is repeated by the minute not all is written: it is known by what became of it alone.
        assert_eq!((of("prometheus", ""), of("prometheus", "rejected")),
                   (listed.0 as i64, (listed.0 - listed.1) as i64));
        let told = "SELECT CAST(COALESCE(sum(deliveries), 0) AS BIGINT) FROM occurrences \
                    WHERE source NOT LIKE 'prometheus%'";
        let told = h.sql(told).await;
        assert_eq!(told + ignored + rejected, processed as i64, "{told} {ignored} {rejected}");
        assert_eq!(rejected, (processed - usable) as i64, "an alert that could be used is dead");
        let dead = h.sql("SELECT count(*) FROM dead_letters").await;
        assert!((1..=posted as i64).contains(&dead), "{dead} dead letters of {posted} requests");
        // Whatever it holds can be looked at.
        for list in ["incidents", "anomalies"] {
            let page = h.get(&format!("/api/v1/{list}?limit=200")).await;
            assert!(!page["items"].as_array().unwrap().is_empty());
        }
        h.finish_with_dead_letters().await;
    }
}

#[async_trait]
impl QueueStore for Tray {
    async fn takes(&self) -> Result<(), QueueError> {
        Ok(())
    }

    async fn push(&self, jobs: &[NewJob]) -> Result<(), QueueError> {
        self.pushed.lock().unwrap().extend(jobs.iter().cloned());
        Ok(())
    }

    async fn fetch(&self, _: &str, _: &str, _: Capacity) -> Result<Vec<Delivery>, QueueError> {
        Ok(Vec::new())
    }

    async fn reclaim(
        &self,
        _: &str,
        _: &str,
        _: Capacity,
        _: bool,
    ) -> Result<Reclaimed, QueueError> {
        Ok(Reclaimed::default())
    }

    async fn settle(&self, _: &str, _: &str, _: &[(Lease, Answer)]) -> Result<(), QueueError> {
        Ok(())
    }

    async fn extend(&self, _: &str, _: &str, _: &[Lease]) -> Result<Vec<Uuid>, QueueError> {
        Ok(Vec::new())
    }

    async fn now(&self) -> Result<Timestamp, QueueError> {
        Ok(Timestamp(0))
    }

    async fn promote(&self, _: &str, _: usize) -> Result<usize, QueueError> {
        Ok(0)
    }

    async fn tick(&self, _: &'static str, _: &[(Schedule, String)]) -> Result<usize, QueueError> {
        Ok(0)
    }

    async fn heartbeat(&self, _: &str, _: &str, _: &WorkerInfo) -> Result<(), QueueError> {
        Ok(())
    }

    async fn leave(&self, _: &str, _: &str) -> Result<(), QueueError> {
        Ok(())
    }

    async fn consumers(&self, _: &str) -> Result<Vec<WorkerStatus>, QueueError> {
        Ok(Vec::new())
    }

    async fn search(&self, _: &str, _: &str, _: usize) -> Result<Vec<Queued>, QueueError> {
        Ok(Vec::new())
    }

    async fn depth(&self, _: &str) -> Result<Depth, QueueError> {
        Ok(Depth::default())
    }

    async fn paused(
        &self,
        _: &[&'static str],
    ) -> Result<Vec<(&'static str, Timestamp)>, QueueError> {
        Ok(Vec::new())
    }

    async fn set_paused(&self, _: &str, _: bool) -> Result<(), QueueError> {
        Ok(())
    }

    async fn pushed(&self, _: &str) {
        std::future::pending::<()>().await;
    }
}
