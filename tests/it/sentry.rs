//! Sentry: issues and alerts for metrics, signed and not, through its webhook; and comments on them.

mod answered;
mod comments;
pub mod server;

use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use sha2::Sha256;
use tocsin::config::{Secret, Tokens};

use crate::harness::{Harness, On, answer};
use crate::process::PATIENCE;
use crate::{on_all, payload};

const SECRET: &str = "planted-secret-0123456789";
const MINUTE: Duration = Duration::from_secs(60);
pub const CREATED: &str = payload!("sentry_issue_created");
pub const RESOLVED: &str = payload!("sentry_issue_resolved");
const UNRESOLVED: &str = payload!("sentry_issue_unresolved");
const IGNORED: &str = payload!("sentry_issue_ignored");
const ACTIVITY: &str = payload!("sentry_activity_alert_resolved");
const EVENT: &str = payload!("sentry_event_alert");
const CRITICAL: &str = payload!("sentry_metric_alert_critical");
const WARNING: &str = payload!("sentry_metric_alert_warning");
const METRIC_OVER: &str = payload!("sentry_metric_alert_resolved");
const COMMENT: &str = payload!("sentry_comment_created");

/// What Sentry puts into its header.
fn signed(text: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    let bytes = mac.finalize().into_bytes();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The body about another issue.
pub fn of_issue(body: &str, issue: u64) -> String {
    body.replace("9000042", &issue.to_string())
}

impl Harness {
    /// A request as Sentry makes it.
    fn send_sentry(&self, resource: &str, body: &str) -> RequestBuilder {
        let webhook = self.webhook("sentry", body.to_owned());
        webhook
            .header("Content-Type", "application/json")
            .header("Request-ID", uuid::Uuid::now_v7().simple().to_string())
            .header("Sentry-Hook-Resource", resource)
            .header("Sentry-Hook-Timestamp", (self.now().0 / 1000).to_string())
    }

    /// Posts what is taken.
    pub async fn sentry_and_go_on(&self, resource: &str, body: &str) -> Value {
        let sent = self.send_sentry(resource, body);
        let sent = sent
            .header("Sentry-Hook-Signature", signed(body))
            .send()
            .await;
        let (status, taken) = answer(sent.unwrap()).await;
        assert_eq!(status, 200, "{taken}");
        taken
    }

    /// The same, and waits until all that follows is done. The answer does not wait for the queue.
    pub async fn sentry(&self, resource: &str, body: &str) -> Value {
        let (before, began) = (self.ingested().await, Instant::now());
        let taken = self.sentry_and_go_on(resource, body).await;
        let pushed = taken["processed"].as_u64().unwrap() - taken["unused"].as_u64().unwrap_or(0);
        while self.ingested().await < before + pushed {
            assert!(began.elapsed() < PATIENCE, "{taken} is not ingested");
            tokio::task::yield_now().await;
        }
        self.drain().await;
        taken
    }

    /// How many jobs of the ingest queue were done.
    async fn ingested(&self) -> u64 {
        let metrics = self.metrics().await;
        let lines = metrics.lines();
        let jobs = lines.filter(|line| line.starts_with("tocsin_jobs_total{queue=\"ingest\""));
        jobs.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap())
            .sum()
    }

    /// How many firings there are, and how many of them are open.
    async fn firings(&self) -> (i64, i64) {
        let open = "SELECT count(*) FROM occurrences WHERE ended_at IS NULL";
        (
            self.sql("SELECT count(*) FROM occurrences").await,
            self.sql(open).await,
        )
    }
}

on_all! {
    async fn an_issue_fires_until_it_is_resolved_or_archived_whichever_way_that_is_told(on) {
        let h = Harness::start_with(on, |config| {
            config.sources.sentry.secret = Some(Secret::from(SECRET));
        })
        .await;
        let one = json!({"status": "ok", "processed": 1, "enqueued": 1, "rejected": 0});
        assert_eq!(h.sentry("issue", CREATED).await, one);
        let incident = h.incident().await;
        for (field, expected) in [
            ("source", "sentry"),
            ("alert_name", "SentryIssue"),
            ("service", "checkout"),
            ("error_type", "PaymentDeclined"),
            ("severity", "error"),
            ("title", "PaymentDeclined: card issuer did not answer"),
            ("generator_url", "https://sentry.example.com/organizations/acme/issues/9000042/"),
        ] {
            assert_eq!(incident[field], expected, "{field} in {incident:#}");
        }
        // A replay, and what is told while it fires, are that firing.
        h.sentry("issue", CREATED).await;
        h.sentry("issue", UNRESOLVED).await;
        assert_eq!(h.firings().await, (1, 1));
        // One end, told twice.
        h.sentry("activity_alert", ACTIVITY).await;
        h.sentry("issue", RESOLVED).await;
        assert_eq!(h.firings().await, (1, 0));
        assert_eq!(h.incident().await["resolved_by"], "itself");
        h.advance(20 * MINUTE);
        h.sentry("issue", UNRESOLVED).await;
        assert_eq!(h.firings().await, (2, 1));
        h.sentry("issue", IGNORED).await;
        assert_eq!(h.firings().await, (2, 0));
        let open = "SELECT count(*) FROM incidents WHERE status <> 'RESOLVED'";
        assert_eq!(h.sql(open).await, 0);
        h.finish().await;
    }

    async fn events_metrics_and_what_is_unused_are_what_they_are(on) {
        let h = Harness::start(on).await;
        h.sentry("event_alert", EVENT).await;
        h.sentry("event_alert", EVENT).await;
        let event = h.incident().await;
        assert_eq!((&event["service"], &event["error_type"]), (&json!("front-end"), &json!("ReferenceError")));
        assert_eq!(h.firings().await, (1, 1));
        let of_metric = "SELECT count(*) FROM incidents WHERE title = 'Failed payments' AND severity = ";
        h.sentry("metric_alert", WARNING).await;
        assert_eq!(h.sql(&format!("{of_metric}'warning'")).await, 1);
        h.sentry("metric_alert", CRITICAL).await;
        h.sentry("metric_alert", WARNING).await;
        assert_eq!(h.sql(&format!("{of_metric}'critical'")).await, 1);
        assert_eq!(h.firings().await, (2, 2));
        h.sentry("metric_alert", METRIC_OVER).await;
        assert_eq!(h.firings().await, (2, 1));
        assert_eq!(h.sql("SELECT count(*) FROM anomalies").await, 2);
        let unused = json!({"status": "ok", "processed": 1, "enqueued": 0, "rejected": 0, "unused": 1});
        for (resource, body) in [("comment", COMMENT), ("installation", "{}"), ("error", EVENT), ("issue", &*CREATED.replace("\"created\"", "\"assigned\""))] {
            assert_eq!(h.sentry(resource, body).await, unused, "{resource}");
        }
        let metrics = h.metrics().await;
        for line in [
            "tocsin_alerts_received_total{source=\"sentry\"} 10",
            "tocsin_alerts_total{source=\"sentry\",outcome=\"unused\"} 4",
            "tocsin_alerts_total{source=\"sentry\",outcome=\"counted\"} 2",
        ] {
            assert!(metrics.contains(line), "{line}\n{metrics}");
        }
        h.finish().await;
    }

    async fn a_firing_is_replayed_in_vain_even_when_it_is_over(on) {
        let h = Harness::start(on).await;
        for body in [CREATED, RESOLVED, CREATED, RESOLVED] {
            h.sentry("issue", body).await;
            assert_eq!(h.sql("SELECT count(*) FROM occurrences").await, 1);
        }
        let total = "SELECT CAST(sum(total) AS BIGINT) FROM anomalies";
        assert_eq!(h.sql(total).await, 1);
        h.finish().await;
    }

    async fn what_is_not_signed_is_refused_and_without_a_secret_a_token_is_asked_for(on) {
        let h = Harness::start_with(on, |config| {
            config.webhook_token = Tokens::from("hook");
            config.sources.sentry.secret = Some(Secret::from(SECRET));
        })
        .await;
        for signature in [None, Some(signed("{}")), Some(String::new()), Some("é".to_owned()), Some(signed(CREATED)[1..].to_owned())] {
            let mut sent = h.send_sentry("issue", CREATED).bearer_auth("hook");
            if let Some(signature) = &signature {
                sent = sent.header("Sentry-Hook-Signature", signature.as_bytes());
            }
            let (status, told) = answer(sent.send().await.unwrap()).await;
            assert_eq!((status, &told["code"]), (401, &json!("invalid_signature")), "{signature:?}");
        }
        assert_eq!(h.sql("SELECT count(*) FROM anomalies").await, 0);
        h.sentry("issue", CREATED).await;
        assert_eq!(h.firings().await, (1, 1));
        h.finish().await;

        let h = Harness::start_with(on, |config| config.webhook_token = Tokens::from("hook")).await;
        for (token, expected) in [("", 401), ("wrong", 401), ("hook", 200)] {
            let sent = h.send_sentry("issue", CREATED).bearer_auth(token).send().await.unwrap();
            assert_eq!(sent.status(), expected, "{token}");
        }
        h.finish().await;
    }

    async fn whatever_is_odd_harms_nothing(on) {
        let mut h = Harness::start(on).await;
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let issue = |id: &str, kind: &str| {
            format!(r#"{{"action":"created","x":{deep},"data":{{"issue":{{"id":"{id}","project":{{"slug":"s"}},
                "metadata":{{"type":"{kind}","deep":{deep}}},"title":{deep},"firstSeen":"soon"}}}}}}"#)
        };
        for (id, kind) in [("1", "Nul\\u0000"), ("2", "Half\\ud800"), ("3", "\\udc00Half")] {
            let taken = h.sentry("issue", &issue(id, kind)).await;
            assert_eq!(taken["enqueued"], 1, "{taken}");
        }
        let types = "SELECT count(*) FROM anomalies WHERE service = 's' AND error_type IN ('Nul\u{fffd}', 'Half\u{fffd}', '\u{fffd}Half')";
        assert_eq!(h.sql(types).await, 3);
        for body in [r#"{"action":"created","data":{"issue":{}}}"#, r#"{"action":"created"}"#] {
            assert_eq!(h.sentry("issue", body).await["rejected"], 1, "{body}");
        }
        for body in ["", "[]", "7", &deep, r#"{"action":"#] {
            let sent = h.send_sentry("issue", body).send().await.unwrap();
            assert_eq!(sent.status(), 400, "{body:.40}");
        }
        assert_eq!(h.post_to("sentry", "{}").await.0, 400);
        let large = json!({"action": "created", "padding": "x".repeat(5 << 20)}).to_string();
        assert_eq!(h.send_sentry("issue", &large).send().await.unwrap().status(), 413);
        assert_eq!(h.sql("SELECT count(*) FROM dead_letters").await, 2);
        h.finish_with_dead_letters().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_sentry_sends_elsewhere_is_refused_with_its_address() {
    let h = Harness::start(On::Sqlite).await;
    for source in ["alertmanager", "grafana", "signoz"] {
        let (status, told) = h.post_to(source, CREATED).await;
        assert_eq!(
            (status, &told["value"]),
            (400, &json!("/api/v1/sentry")),
            "{source}"
        );
    }
    let (status, told) = h.post_to("sentry", payload!("grafana_firing")).await;
    assert_eq!((status, &told["value"]), (400, &json!("/api/v1/grafana")));
    h.finish().await;
}
