//! What a Prometheus has is compared with what was received, and what is in doubt is left alone.

use std::time::Duration;

use serde_json::{Value, json};
use tocsin::config::{PrometheusServer, Secret, Span};
use tocsin::jobs::Content;
use tocsin::sources::{Delivery, prometheus as direct};
use tocsin::time::Timestamp;
use tocsin_workers::recount;
use wiremock::matchers::{path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{LEASE, MINUTE, OPEN};
use crate::alertmanager::server::posted;
use crate::harness::{Harness, On};

const AFTER: Duration = Duration::from_secs(600);
const HOUR: Duration = Duration::from_secs(3600);
const FIRING: &str = "ALERTS{alertstate=\"firing\"}";

/// The labels of this pod's alert.
fn labels(pod: &str) -> Value {
    posted("CrashLooping", pod, Timestamp(0), Timestamp(0))["labels"].clone()
}

/// What a server says.
#[derive(Clone)]
struct Says<'a> {
    up_for: Duration,
    health: &'a str,
    rule: &'a str,
    /// Labels, and for how long that is so.
    firing: Vec<(Value, Duration)>,
    pending: Vec<Value>,
}

impl Default for Says<'_> {
    fn default() -> Self {
        Self {
            up_for: HOUR * 24,
            health: "ok",
            rule: "CrashLooping",
            firing: Vec::new(),
            pending: Vec::new(),
        }
    }
}

async fn answer(server: &MockServer, at: &str, query: Option<(&str, &str)>, body: Value) {
    let mut mock = Mock::given(path(at));
    if let Some((name, value)) = query {
        mock = mock.and(query_param(name, value));
    }
    let answer = ResponseTemplate::new(200).set_body_json(body);
    mock.respond_with(answer).mount(server).await;
}

impl Says<'_> {
    /// Says so from now on.
    async fn on(&self, server: &MockServer, h: &Harness) {
        server.reset().await;
        let ago = |since: Duration| h.now().before(since).to_rfc3339();
        let data = |data: Value| json!({"status": "success", "data": data});
        let started = data(json!({"startTime": ago(self.up_for)}));
        answer(server, "/api/v1/status/runtimeinfo", None, started).await;
        let rule = json!({"name": self.rule, "type": "alerting", "health": self.health});
        let rules = data(json!({"groups": [{"name": "g", "rules": [rule]}]}));
        answer(server, "/api/v1/rules", None, rules).await;
        let old = self.firing.iter().filter(|(_, since)| *since >= AFTER);
        let old: Value = old.map(|(labels, _)| json!({"metric": labels})).collect();
        let then = data(json!({"result": old}));
        let query = Some(("query", FIRING));
        answer(server, "/api/v1/query", query, then).await;
        answer(server, "/api/v1/query", None, data(json!({"result": []}))).await;
        let firing = self
            .firing
            .iter()
            .map(|(labels, since)| ("firing", labels, *since));
        let pending = self
            .pending
            .iter()
            .map(|labels| ("pending", labels, MINUTE));
        let alerts = firing.chain(pending).map(|(state, labels, since)| {
            json!({"state": state, "labels": labels, "activeAt": ago(since)})
        });
        let alerts = data(json!({"alerts": alerts.collect::<Value>()}));
        answer(server, "/api/v1/alerts", None, alerts).await;
    }
}

/// What an Alertmanager says that runs for so long.
async fn alertmanager_has(
    server: &MockServer,
    h: &Harness,
    up_for: Duration,
    alerts: Value,
    silences: Value,
) {
    server.reset().await;
    let status = json!({"uptime": h.now().before(up_for).to_rfc3339()});
    answer(server, "/api/v2/status", None, status).await;
    answer(server, "/api/v2/silences", None, silences).await;
    answer(server, "/api/v2/alerts", None, alerts).await;
}

async fn compares(prometheus: &MockServer, alertmanager: Option<&MockServer>) -> Harness {
    Harness::start_with(On::Sqlite, |config| {
        config.alertmanager_url = alertmanager.map(|server| Secret::from(&*server.uri()));
        config.limits.alerts = 2;
        config.reconcile.after = Span(AFTER);
        config.reconcile.prometheus = vec![PrometheusServer {
            url: Secret::from(&*prometheus.uri()),
            labels: [("cluster".to_owned(), "c1".to_owned())].into(),
            ..PrometheusServer::default()
        }];
    })
    .await
}

async fn reconcile(h: &Harness) -> u64 {
    let done = recount::reconcile(&h.context).await.unwrap();
    h.drain().await;
    done
}

/// With this cluster.
fn of_cluster(cluster: &str, mut labels: Value) -> Value {
    labels["cluster"] = json!(cluster);
    labels
}

/// As it comes.
async fn arrives(h: &Harness, pods: &[&str]) {
    for pod in pods {
        let mut alert = posted("CrashLooping", pod, h.now(), h.now().after(LEASE));
        alert["labels"] = of_cluster("c1", labels(pod));
        h.report(&[alert]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_alertmanager_silences_or_may_silence_is_not_taken_in() {
    let (prometheus, alertmanager) = (MockServer::start().await, MockServer::start().await);
    let h = compares(&prometheus, Some(&alertmanager)).await;
    let fires = |pod: &str, since| Says {
        firing: vec![(labels(pod), since)],
        ..Says::default()
    };
    let (none, c1) = (json!([]), of_cluster("c1", labels("a")));
    let body = json!([{"labels": c1}]).to_string();
    let translated = (direct::SOURCE.translate)(&Delivery::of(body), &h.context.config).unwrap();
    let Content::Alert(alert) = &translated.alerts[0] else {
        panic!("{translated:?}")
    };
    let known = json!([{"labels": c1, "fingerprint": alert.fingerprint}]);
    let otherwise = json!([{"labels": of_cluster("c9", labels("a")), "fingerprint": "x"}]);
    let silence = json!([{
        "id": "s", "status": {"state": "active"}, "startsAt": h.now().before(HOUR).to_rfc3339(),
        "endsAt": h.now().after(HOUR * 24).to_rfc3339(), "matchers": [{"name": "pod", "value": "[ab]", "isRegex": true}],
    }]);
    fires("a", HOUR).on(&prometheus, &h).await;
    assert_eq!(reconcile(&h).await, 0, "Alertmanager does not answer");
    h.advance(AFTER);
    fires("a", HOUR).on(&prometheus, &h).await;
    assert_eq!(reconcile(&h).await, 0, "nor did it ever");
    for (up_for, alerts, silences, why) in [
        (MINUTE, &none, &none, "it just started"),
        (HOUR, &known, &none, "it has it"),
        (HOUR, &otherwise, &none, "it has it with other labels"),
        (HOUR, &none, &silence, "it would silence it"),
    ] {
        alertmanager_has(&alertmanager, &h, up_for, alerts.clone(), silences.clone()).await;
        assert_eq!(reconcile(&h).await, 0, "{why}");
    }

    // It is down. It is not known at once whether it comes back.
    alertmanager.reset().await;
    assert_eq!(reconcile(&h).await, 0);
    h.advance(AFTER + MINUTE);
    fires("c", AFTER + MINUTE * 2).on(&prometheus, &h).await;
    assert_eq!(reconcile(&h).await, 0, "it may have had it");
    fires("b", AFTER).on(&prometheus, &h).await;
    assert_eq!(reconcile(&h).await, 0, "it would have silenced it");
    fires("c", AFTER).on(&prometheus, &h).await;
    assert_eq!(reconcile(&h).await, 1);
    assert_eq!(reconcile(&h).await, 0);

    alertmanager_has(&alertmanager, &h, HOUR, none.clone(), none).await;
    fires("d", HOUR).on(&prometheus, &h).await;
    assert_eq!(reconcile(&h).await, 1, "it never had it");
    assert_eq!(h.sql(OPEN).await, 2);
    h.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_in_ends_when_alertmanager_says_so_however_late() {
    let prometheus = MockServer::start().await;
    let h = compares(&prometheus, None).await;
    let began = h.now().before(HOUR);
    let says = Says {
        firing: vec![(labels("a"), HOUR)],
        ..Says::default()
    };
    says.on(&prometheus, &h).await;
    assert_eq!(reconcile(&h).await, 1);
    let unleased = format!(
        "{OPEN} AND lease_until IS NULL AND occurred_at = starts_at AND last_seen_at > starts_at"
    );
    assert_eq!(h.sql(&unleased).await, 1);
    h.advance(HOUR * 5);
    let fingerprint = h.sql_text("SELECT fingerprint FROM occurrences").await;
    let mut over = posted("CrashLooping", "a", began.after(MINUTE * 5), h.now());
    over["labels"] = of_cluster("c1", labels("a"));
    over["status"] = json!("resolved");
    over["fingerprint"] = json!(fingerprint);
    h.send_and_drain(vec![over]).await;
    assert_eq!(h.sql(OPEN).await, 0);
    assert_eq!(h.sql("SELECT total FROM anomalies").await, 1);
    let lasted = format!(
        "SELECT count(*) FROM occurrences WHERE ended_at >= {}",
        began.after(HOUR * 5).0
    );
    assert_eq!(h.sql(&lasted).await, 1);
    h.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_prometheus_that_may_be_wrong_does_not_have_is_not_closed() {
    let prometheus = MockServer::start().await;
    let h = compares(&prometheus, None).await;
    arrives(&h, &["a", "b", "c", "d"]).await;
    // More than are translated at once.
    let others = ["b", "c", "d"].map(|pod| (labels(pod), HOUR));
    let knows = Says {
        firing: others.to_vec(),
        ..Says::default()
    };
    let with = |labels: Value| Says {
        firing: others.iter().cloned().chain([(labels, HOUR)]).collect(),
        ..knows.clone()
    };
    h.advance(AFTER);
    let mut closed = None;
    for (says, why) in [
        (
            Says {
                health: "unknown",
                ..knows.clone()
            },
            "its rule was not evaluated yet",
        ),
        (knows.clone(), "it just began to answer"),
        (
            Says {
                up_for: MINUTE,
                ..knows.clone()
            },
            "it just started",
        ),
        (
            Says {
                pending: vec![labels("a")],
                ..knows.clone()
            },
            "it is about to fire",
        ),
        (
            Says {
                health: "err",
                ..knows.clone()
            },
            "its rule cannot be evaluated",
        ),
        (
            Says {
                rule: "Other",
                ..knows.clone()
            },
            "none of its rules makes it",
        ),
        (
            with(of_cluster("c2", labels("a"))),
            "it has it with another cluster",
        ),
        (knows.clone(), ""),
    ] {
        h.advance(AFTER);
        says.on(&prometheus, &h).await;
        let done = reconcile(&h).await;
        if why.is_empty() {
            closed = Some(done);
        } else {
            assert_eq!(done, 0, "{why}");
        }
    }
    assert_eq!(closed, Some(1));
    // Until it was not there any more, and not only until it came last.
    let ended = format!(
        "SELECT count(*) FROM occurrences WHERE ended_by = 'unseen' AND ended_at BETWEEN {} AND {}",
        h.now().before(AFTER + MINUTE).0,
        h.now().before(AFTER).0
    );
    assert_eq!((h.sql(&ended).await, h.sql(OPEN).await), (1, 3));
    h.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_firing_expires_only_as_one_that_nobody_can_be_asked_about_while_prometheus_is_in_doubt()
 {
    let prometheus = MockServer::start().await;
    let h = compares(&prometheus, None).await;
    arrives(&h, &["a"]).await;
    // Ten leases are over.
    h.advance(MINUTE * 41);
    for (says, why) in [
        (
            Says {
                pending: vec![labels("a")],
                ..Says::default()
            },
            "it is about to fire",
        ),
        (
            Says {
                health: "unknown",
                ..Says::default()
            },
            "it just started",
        ),
        (
            Says {
                up_for: MINUTE,
                ..Says::default()
            },
            "it just started",
        ),
    ] {
        says.on(&prometheus, &h).await;
        h.recount().await;
        assert_eq!(h.sql(OPEN).await, 1, "{why}");
    }
    Says::default().on(&prometheus, &h).await;
    h.recount().await;
    h.advance(AFTER);
    Says::default().on(&prometheus, &h).await;
    h.recount().await;
    assert_eq!(h.sql(OPEN).await, 0);
    h.finish().await;
}
