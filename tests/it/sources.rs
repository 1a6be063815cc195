//! Whom a source lets in, and what it answers: one that is off, a signature, a body of another source, a queue that
//! does not respond in time.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::TransactionTrait as _;
use serde_json::{Value, json};
use tocsin::config::Tokens;
use tocsin::sources::{Answer, SOURCES, Source};
use tocsin::web::{Ingress, Late};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::harness::{Harness, On, answer, serve_ingress_on_free_port};
use crate::on_all;
use crate::recipes::{BEACON, SIGNED};

/// Beacons that do not wait.
const HASTY: Source = Source {
    name: "hasty",
    paths: &["/api/v1/hasty/{name}"],
    answer: Answer {
        within: Some(Duration::from_millis(100)),
        ..BEACON.answer
    },
    ..BEACON
};

/// An ingress that knows beacons.
struct Door {
    url: String,
    late: Late,
    refusals: tocsin::web::Refusals,
    parts: JoinSet<()>,
    stop: CancellationToken,
}

impl Door {
    async fn of(h: &Harness) -> Self {
        let mut ingress = Ingress::new(h.context.clone(), Arc::clone(&h.gate));
        ingress.sources = SOURCES.into_iter().chain([BEACON, HASTY]).collect();
        let (late, refusals) = (ingress.late.clone(), ingress.refusals.clone());
        let (mut parts, stop) = (JoinSet::new(), CancellationToken::new());
        let url = serve_ingress_on_free_port(ingress, &mut parts, &stop).await;
        Self {
            url,
            late,
            refusals,
            parts,
            stop,
        }
    }

    async fn close(self) {
        self.stop.cancel();
        self.parts.join_all().await;
        self.late.finish().await;
        self.refusals.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_off_says_which_setting_turns_it_on() {
    let h = Harness::start_with(On::Sqlite, |config| {
        config.sources.alertmanager.enabled = false;
    })
    .await;
    let (status, told) = h.post("/api/v1/alertmanager", json!({"alerts": []})).await;
    assert_eq!(status, 404, "{told}");
    assert_eq!(told["code"], "source_not_set_up");
    assert_eq!(told["parameter"], "sources.alertmanager.enabled");
    let refused = "tocsin_webhooks_refused_total{source=\"alertmanager\",reason=\"other\"} 1";
    assert!(h.metrics().await.contains(refused));
    h.finish().await;
}

on_all! {
    async fn a_signature_is_required_where_a_source_has_a_secret_and_is_enough(on) {
        let h = Harness::start_with(on, |config| config.webhook_token = Tokens::from("hook")).await;
        let door = Door::of(&h).await;
        let webhook = format!("{}/api/v1/beacon/north", door.url);
        let (body, signature) = SIGNED[0];
        let (_, of_another) = SIGNED[1];
        for (signature, detail) in [
            (None, "missing signature: the header X-Beacon-Signature"),
            (Some(of_another), "wrong signature"),
            (Some("sha256=00"), "wrong signature"),
            (Some(""), "wrong signature"),
        ] {
            let mut sent = h.http.post(&webhook).bearer_auth("hook").body(body);
            if let Some(signature) = signature {
                sent = sent.header("X-Beacon-Signature", signature);
            }
            let (status, told) = answer(sent.send().await.unwrap()).await;
            assert_eq!((status, &told["code"]), (401, &json!("invalid_signature")));
            assert!(told["detail"].as_str().unwrap().starts_with(detail), "{told}");
        }
        // A signature lets nobody in where there is none to give.
        let elsewhere = format!("{}/api/v1/alertmanager", door.url);
        let sent = h.http.post(elsewhere).header("X-Beacon-Signature", signature).body(body);
        assert_eq!(sent.send().await.unwrap().status(), 401);
        let sent = h.http.post(&webhook).header("X-Beacon-Signature", signature).body(body);
        assert_eq!(sent.send().await.unwrap().status(), 202);
        let large = h.http.post(&webhook).body("x".repeat(5 << 20)).send().await.unwrap();
        assert_eq!(large.status(), 413);
        door.close().await;
        h.drain().await;
        let metrics = h.metrics().await;
        for line in [
            "tocsin_auth_failures_total{role=\"webhook\"} 5",
            "tocsin_webhooks_refused_total{source=\"beacon\",reason=\"unauthorized\"} 4",
            "tocsin_webhooks_refused_total{source=\"beacon\",reason=\"too_large\"} 1",
            "tocsin_alerts_received_total{source=\"beacon\"} 1",
        ] {
            assert!(metrics.contains(line), "{line}\n{metrics}");
        }
        assert_eq!(h.incident().await["service"], "north");
        h.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_source_sends_is_refused_with_its_address() {
    let h = Harness::start(On::Sqlite).await;
    let door = Door::of(&h).await;
    let post = async |path: &str, body: &'static str, signature: &str| -> (u16, Value) {
        let sent = h.http.post(format!("{}{path}", door.url)).body(body);
        let sent = sent.header("X-Beacon-Signature", signature);
        answer(sent.send().await.unwrap()).await
    };
    let (body, signature) = SIGNED[0];
    let (status, told) = post("/api/v1/alertmanager", body, signature).await;
    assert_eq!((status, &told["code"]), (400, &json!("wrong_source")));
    assert_eq!(told["value"], "/api/v1/beacon/{name}");
    // What nobody sends is only wrong.
    let of_nobody = h
        .http
        .post(format!("{}/api/v1/alertmanager", door.url))
        .body("{}");
    let (status, told) = answer(of_nobody.send().await.unwrap()).await;
    assert_eq!((status, &told["code"]), (400, &json!("invalid_body")));
    // An address without its name is nobody's.
    let (status, _) = post("/api/v1/beacon", body, signature).await;
    assert_eq!(status, 404);
    let got = h
        .http
        .get(format!("{}/api/v1/beacon/x", door.url))
        .send()
        .await
        .unwrap();
    let (status, told) = answer(got).await;
    assert_eq!(status, 405);
    assert_eq!(
        told["detail"],
        "this is the webhook for Beacons: use POST or PUT"
    );
    door.close().await;
    h.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_that_does_not_wait_is_answered_before_the_queue_and_nothing_is_lost() {
    let h = Harness::start(On::Sqlite).await;
    let door = Door::of(&h).await;
    let webhook = format!("{}/api/v1/hasty/north", door.url);
    let (body, signature) = SIGNED[0];
    // SQLite has one connection that writes.
    let held = h.context.db.write().begin().await.unwrap();
    let sent = h
        .http
        .post(&webhook)
        .header("X-Beacon-Signature", signature)
        .body(body);
    let sent = tokio::time::timeout(Duration::from_secs(5), sent.send()).await;
    assert_eq!(sent.unwrap().unwrap().status(), 202);
    held.rollback().await.unwrap();
    // A process that ends waits for what it answered.
    door.close().await;
    h.drain().await;
    assert_eq!(h.incident().await["source"], "hasty");
    assert!(
        h.metrics()
            .await
            .contains("tocsin_jobs_lost_total{queue=\"ingest\"} 0")
    );
    h.finish().await;
}
