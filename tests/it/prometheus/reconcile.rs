//! What a real Prometheus has is compared with what was received.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use tocsin::config::{PrometheusServer, Secret, Span};
use tocsin::prometheus::Prometheus as Handle;
use tocsin_workers::recount;

use super::server::Prometheus;
use super::{LEASE, OPEN};
use crate::harness::{Harness, On};
use crate::process::{PATIENCE, free_port};

/// It evaluates once a second.
const AFTER: Duration = Duration::from_secs(2);

fn server(port: u16) -> PrometheusServer {
    PrometheusServer {
        url: Secret::from(&*format!("http://127.0.0.1:{port}")),
        labels: BTreeMap::from([("cluster".to_owned(), "c1".to_owned())]),
        ..PrometheusServer::default()
    }
}

impl Harness {
    /// Compares until something was taken in or closed; returns how much.
    async fn reconciled(&self) -> u64 {
        let began = std::time::Instant::now();
        loop {
            let done = recount::reconcile(&self.context).await.unwrap();
            self.drain().await;
            if done > 0 {
                return done;
            }
            assert!(began.elapsed() < PATIENCE, "nothing is done");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_real_prometheus_has_and_could_not_send_is_taken_in_and_closed_when_it_is_gone() {
    let port = free_port();
    let mut h = Harness::start_with(On::Sqlite, |config| {
        config.reconcile.after = Span(AFTER);
        config.reconcile.prometheus = vec![server(port)];
    })
    .await;
    // Nobody is where it sends to.
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let mut prometheus = Prometheus::start_at(&h, port, &[&nobody]).await;
    let began = h.now();
    prometheus.fire(true).await;
    assert_eq!(h.reconciled().await, 1);
    assert!(h.now().since(began) >= AFTER, "it just began to fire");
    let taken = format!(
        "SELECT count(*) FROM occurrences WHERE source = 'prometheus' AND ended_at IS NULL AND starts_at >= {} \
         AND occurred_at = starts_at",
        began.0
    );
    assert_eq!(h.sql(&taken).await, 1);
    let incident = h.incident().await;
    assert_eq!(incident["labels"]["cluster"], "c1");
    assert_eq!(
        recount::reconcile(&h.context).await.unwrap(),
        0,
        "it is known"
    );

    // It comes after all, with the labels that are sent, and the start that is: later by the rule's `for`.
    let alert = json!({
        "labels": incident["labels"], "annotations": incident["annotations"],
        "startsAt": began.after(AFTER).to_rfc3339(), "endsAt": h.now().after(LEASE).to_rfc3339(),
    });
    let answer = h.post_direct("/api/v2/alerts", &json!([alert])).await;
    assert_eq!(answer.0, 200);
    h.drain().await;
    assert_eq!(h.sql("SELECT total FROM anomalies").await, 1);

    // Settings that do not name its external labels do nothing, rather than take in and close everything.
    let named = h.context.prometheus.clone();
    let mut unnamed = server(port);
    unnamed.labels.clear();
    h.context.prometheus = [Handle::new(&unnamed).unwrap()].into();
    h.advance(AFTER * 2);
    assert_eq!(recount::reconcile(&h.context).await.unwrap(), 0);
    h.context.prometheus = named;

    // It is stale, and is not closed while it fires there.
    h.advance(Duration::from_secs(50 * 3600));
    h.recount().await;
    let incident = h.incident().await;
    assert_eq!(incident["status"], "OPEN");
    assert!(!incident["unheard_since"].is_null(), "{incident:#}");

    prometheus.fire(false).await;
    assert_eq!(h.reconciled().await, 1);
    assert_eq!(h.sql(OPEN).await, 0);
    let incident = h.incident().await;
    assert_eq!(
        (&incident["status"], &incident["resolved_by"]),
        (&json!("RESOLVED"), &json!("unseen"))
    );
    assert_eq!(h.sql("SELECT total FROM anomalies").await, 1);

    prometheus.stop();
    assert_eq!(recount::reconcile(&h.context).await.unwrap(), 0);
    let metrics = h.metrics().await;
    for line in [
        "reconciled_missed_total 1",
        "reconciled_gone_total 1",
        "prometheus_errors_total 1",
    ] {
        assert!(
            metrics.contains(&format!("tocsin_{line}\n")),
            "{line}: {metrics}"
        );
    }
    h.finish().await;
}
