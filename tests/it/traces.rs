//! One trace from the webhook to the message: carried by the jobs, and exported to a collector.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message as _;
use serde_json::{Value, json};
use tocsin::config::Secret;
use tokio::net::TcpListener;

use crate::harness::{Harness, On, alert, firing};
use crate::on_all;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

impl Harness {
    async fn send_in_trace(&self, alert: Value) {
        let request = self.http.post(format!("{}/api/v1/alertmanager", self.url));
        let request = request.header("traceparent", format!("00-{TRACE}-{PARENT}-01"));
        let answer = request
            .json(&json!({"alerts": [alert]}))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200);
    }
}

on_all! {
    async fn a_job_that_dies_far_from_the_webhook_still_knows_its_trace(on) {
        let mut h = Harness::start(on).await;
        h.telegram.answer_next(500, json!({"ok": false}));
        h.telegram.answer_next(403, json!({"ok": false, "error_code": 403, "description": "Forbidden"}));
        h.send_in_trace(firing("a", h.now())).await;
        h.drain().await;
        let known = format!("SELECT count(*) FROM dead_letters WHERE queue = 'notify' AND trace_id = '{TRACE}'");
        assert_eq!(h.sql(&known).await, 1);
        // One that came without a trace has one of its own.
        h.telegram.answer_next(403, json!({"ok": false, "error_code": 403, "description": "Forbidden"}));
        h.send_and_drain(vec![alert("Other", "b", h.now())]).await;
        let own = format!("SELECT count(*) FROM dead_letters WHERE length(trace_id) = 32 AND trace_id <> '{TRACE}'");
        assert_eq!(h.sql(&own).await, 1);
        h.finish_with_dead_letters().await;
    }
}

/// A stand-in for a collector: takes spans as OTLP sends them, and remembers them.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Span>>>);

impl Collector {
    async fn start(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new()
            .route("/v1/traces", post(take))
            .with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        url
    }
}

async fn take(State(collector): State<Collector>, headers: HeaderMap, body: Bytes) {
    assert_eq!(headers["content-type"], "application/x-protobuf");
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    let spans = request
        .resource_spans
        .into_iter()
        .flat_map(|of| of.scope_spans);
    let mut taken = collector.0.lock().unwrap();
    taken.extend(spans.flat_map(|of| of.spans));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_sees_each_step_under_the_one_before() {
    let collector = Collector::default();
    let url = collector.start().await;
    let h = Harness::start_with(On::Sqlite, |config| {
        config.otlp_endpoint = Some(Secret::from(url.as_str()));
    })
    .await;
    h.send_in_trace(firing("a", h.now())).await;
    h.drain().await;
    h.send_and_drain(vec![alert("Other", "b", h.now())]).await;
    h.get("/healthz").await;
    h.context.tracer.close().await;

    let spans = collector.0.lock().unwrap().clone();
    let of_trace = spans.iter().filter(|span| hex(&span.trace_id) == TRACE);
    let by_name: HashMap<&str, &Span> = of_trace.map(|s| (s.name.as_str(), s)).collect();
    let mut above = PARENT.to_owned();
    for (name, kind) in [
        ("POST /api/v1/alertmanager", SpanKind::Server),
        ("ingest", SpanKind::Consumer),
        ("tier", SpanKind::Consumer),
        ("notify", SpanKind::Consumer),
        ("send", SpanKind::Client),
    ] {
        let span = by_name[name];
        assert_eq!(hex(&span.parent_span_id), above, "{name}");
        assert_eq!(span.kind, kind as i32, "{name}");
        assert!(span.end_time_unix_nano >= span.start_time_unix_nano);
        above = hex(&span.span_id);
    }
    assert_eq!(by_name.len(), 5);
    // The other alert's way is a trace of its own, which begins with us.
    let others: Vec<&Span> = spans
        .iter()
        .filter(|span| hex(&span.trace_id) != TRACE)
        .collect();
    assert_eq!(others.len(), 5, "{others:#?}");
    assert!(
        others
            .iter()
            .all(|span| span.trace_id == others[0].trace_id)
    );
    assert_eq!(
        others
            .iter()
            .filter(|span| span.parent_span_id.is_empty())
            .count(),
        1
    );
    h.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_collector_delays_nothing() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://user:planted@{}", closed.local_addr().unwrap());
    drop(closed);
    let h = Harness::start_with(On::Sqlite, |config| {
        config.otlp_endpoint = Some(Secret::from(url.as_str()));
    })
    .await;
    h.send_and_drain(vec![firing("a", h.now())]).await;
    assert_eq!(h.telegram.taken().len(), 1);
    let began = Instant::now();
    h.context.tracer.close().await;
    assert!(began.elapsed() < Duration::from_secs(10));
    h.finish().await;
}
