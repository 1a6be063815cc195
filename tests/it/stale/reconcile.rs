//! Alertmanager's alerts are compared with those received.

use std::time::Duration;

use serde_json::{Value, json};
use tocsin::config::{Secret, Span};
use tocsin_workers::recount;
use wiremock::matchers::{path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::HOUR;
use crate::alertmanager::eventually;
use crate::alertmanager::server::{Alertmanager, Settings, posted};
use crate::harness::{Harness, On, alert, body, firing};

/// Times move by these in a stand-in, and by much less where a real one is asked.
const AFTER: Duration = Duration::from_secs(600);

async fn compares(on: On, url: &str, after: Duration) -> Harness {
    let h = Harness::start_with(on, |config| {
        config.alertmanager_url = Some(Secret::from(url));
        config.reconcile.receiver = Some("tocsin".to_owned());
        config.reconcile.after = Span(after);
    });
    h.await
}

async fn reconcile(h: &Harness) -> u64 {
    let done = recount::reconcile(&h.context).await.unwrap();
    h.drain().await;
    done
}

const OPEN: &str = "SELECT count(*) FROM occurrences WHERE ended_at IS NULL";
const ALL: &str = "SELECT count(*) FROM occurrences";

#[tokio::test(flavor = "multi_thread")]
async fn what_a_real_alertmanager_has_not_delivered_is_taken_in_as_of_its_start() {
    let settings = Settings {
        group_interval: "1h",
        repeat_interval: "1h",
        ..Settings::default()
    };
    let h = compares(On::Sqlite, &settings.url(), Duration::ZERO).await;
    let mut alertmanager = Alertmanager::start(&h, &settings).await;
    let (start, later) = (h.now(), h.now().after(HOUR));
    let of = |pod| posted("CrashLooping", pod, start, later);
    alertmanager.post(&[of("a")]).await;
    eventually(&h, OPEN, 1).await;
    assert_eq!(reconcile(&h).await, 0, "all of it is known");

    // It is of a group that was sent a moment ago, and waits for an hour.
    alertmanager.post(&[of("b")]).await;
    assert_eq!(reconcile(&h).await, 1);
    let taken = format!(
        "SELECT count(*) FROM occurrences WHERE occurred_at = {} AND ended_at IS NULL AND source = 'alertmanager' \
         AND labels LIKE '%\"b\"%'",
        start.0
    );
    assert_eq!((h.sql(OPEN).await, h.sql(&taken).await), (2, 1));
    assert_eq!(reconcile(&h).await, 0);

    // It comes after all.
    let mut delivered = of("b");
    delivered["status"] = json!("firing");
    let known = alertmanager.alerts().await;
    let known = known.iter().find(|alert| alert["labels"]["pod"] == "b");
    delivered["fingerprint"] = known.unwrap()["fingerprint"].clone();
    h.send_and_drain(vec![delivered]).await;
    assert_eq!(h.sql(ALL).await, 2);

    alertmanager.stop();
    assert_eq!(reconcile(&h).await, 0);
    assert_eq!(
        h.sql(OPEN).await,
        2,
        "one that does not answer says nothing"
    );
    h.finish().await;
}

/// An Alertmanager that runs since then, and has these alerts.
async fn stand_in(
    h: &Harness,
    server: &MockServer,
    up_for: Duration,
    alerts: &[(&Value, Duration)],
) {
    server.reset().await;
    let json = |body: Value| ResponseTemplate::new(200).set_body_json(body);
    let status = json!({"uptime": h.now().before(up_for).to_rfc3339()});
    Mock::given(path("/api/v2/status"))
        .respond_with(json(status))
        .mount(server)
        .await;
    let alerts = alerts.iter().map(|(alert, since)| {
        json!({
            "fingerprint": alert["fingerprint"], "labels": alert["labels"],
            "annotations": alert["annotations"], "startsAt": h.now().before(*since).to_rfc3339(),
            "generatorURL": "http://prometheus/graph",
        })
    });
    let alerts = Value::from(alerts.collect::<Vec<_>>());
    let all = Mock::given(path("/api/v2/alerts")).and(query_param("silenced", "true"));
    all.respond_with(json(alerts.clone())).mount(server).await;
    let active = Mock::given(path("/api/v2/alerts")).and(query_param("receiver", "tocsin"));
    active.respond_with(json(alerts)).mount(server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_gone_from_an_alertmanager_that_knows_better_is_closed_and_nothing_else() {
    for on in [On::Sqlite, On::Postgres] {
        let server = MockServer::start().await;
        let h = compares(on, &server.uri(), AFTER).await;
        let since = h.now();
        let [kept, gone, other] = ["a", "b", "c"].map(|pod| firing(pod, since));
        h.send_and_drain(vec![kept.clone(), gone.clone()]).await;
        let of_eu = body(std::slice::from_ref(&other));
        h.post("/api/v1/alertmanager?cluster=eu", of_eu).await;
        h.drain().await;
        assert_eq!(h.sql(OPEN).await, 3);

        // What is ignored when it comes was not missed.
        let watchdog = alert("Watchdog", "a", since);
        let has = [(&kept, HOUR), (&watchdog, HOUR)];
        stand_in(&h, &server, HOUR, &has).await;
        assert_eq!(reconcile(&h).await, 0, "they were received a moment ago");
        h.advance(AFTER + Duration::from_secs(60));
        stand_in(&h, &server, Duration::from_secs(60), &has).await;
        assert_eq!(reconcile(&h).await, 0, "it just started");
        stand_in(&h, &server, HOUR, &has).await;
        assert_eq!(reconcile(&h).await, 1);
        let closed = "SELECT count(*) FROM occurrences WHERE ended_by = 'unseen' AND fingerprint = 'CrashLooping-b'";
        assert_eq!(
            (h.sql(OPEN).await, h.sql(closed).await),
            (2, 1),
            "of another cluster it knows nothing"
        );
        assert_eq!(reconcile(&h).await, 0);

        // It was wrong, or the alert came back with its old start: the next delivery opens it again.
        h.send_and_drain(vec![gone]).await;
        assert_eq!(h.sql(OPEN).await, 3);
        h.finish().await;
    }
}
