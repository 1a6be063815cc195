//! What gives no verdict: nobody took alerts, their source was silent, or they were silenced at it.

use std::time::Duration;

use serde_json::{Value, json};
use tocsin::config::{Secret, Span};
use tocsin::time::Timestamp;
use tocsin_workers::presence;
use wiremock::matchers::path;
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{MINUTE, QUIET};
use crate::chain::watchdog;
use crate::harness::{Harness, On, alert, resolved};
use crate::on_all;

impl Harness {
    /// Verdict and reason.
    async fn judged(&self, id: &str) -> (Value, Value) {
        self.recount().await;
        let repair = self.repair(id).await;
        (repair["verdict"].clone(), repair["verdict_reason"].clone())
    }
}

fn unknown(reason: &str) -> (Value, Value) {
    (json!("unknown"), json!(reason))
}

on_all! {
    async fn what_could_not_be_seen_gives_no_verdict(on) {
        let h = Harness::start(on).await;
        presence::pass(&h.context).await.unwrap();
        let firing = alert("Loop", "a", h.now());
        h.send_and_drain(vec![firing.clone(), resolved(firing, h.now())]).await;
        let id = h.repaired("rollback", true).await;
        // Nobody says that alerts are taken: it is not judged until somebody does.
        h.advance(QUIET * 2);
        h.recount().await;
        assert_eq!(h.repair(&id).await["verdict"], Value::Null);
        presence::pass(&h.context).await.unwrap();
        h.recount().await;
        let repair = h.repair(&id).await;
        assert_eq!((&repair["verdict"], &repair["verdict_reason"]), (&json!("unknown"), &json!("down")));
        let worth = h.effectiveness().await;
        let action = &worth["actions"][0];
        assert_eq!((&action["unknown"], &action["verdicts"]), (&json!(1), &json!(0)), "{worth:#}");
        h.finish().await;
    }

    async fn the_silence_of_what_is_silenced_at_its_source_tells_nothing(on) {
        let server = MockServer::start().await;
        let ends_at = tocsin::time::Timestamp::now().after(Duration::from_secs(86_400));
        let silence = json!([{
            "id": "s1", "status": {"state": "active"}, "createdBy": "ann", "comment": "",
            "startsAt": "2020-01-01T00:00:00Z", "endsAt": ends_at,
            "matchers": [{"name": "alertname", "value": "Loop", "isRegex": false, "isEqual": true}],
        }]);
        Mock::given(path("/api/v2/silences"))
            .respond_with(ResponseTemplate::new(200).set_body_json(silence))
            .mount(&server)
            .await;
        let h = Harness::start_with(on, |config| {
            config.alertmanager_url = Some(Secret::from(server.uri().as_str()));
        }).await;
        let id = h.round("rollback", true).await;
        let repair = h.repair(&id).await;
        assert_eq!((&repair["verdict"], &repair["verdict_reason"]), (&json!("unknown"), &json!("silenced")));
        // It fired all the same: that tells something.
        let id = h.round("restart_pod", false).await;
        assert_eq!(h.repair(&id).await["verdict"], "disproved");
        h.finish().await;
    }

    async fn the_silence_of_a_source_that_was_silent_tells_nothing(on) {
        let h = Harness::start_with(on, |config| {
            config.expected = vec![watchdog()];
            config.effectiveness.quiet = Span(5 * MINUTE);
        }).await;
        presence::pass(&h.context).await.unwrap();
        h.expect().await;
        h.send_watchdog().await;
        let fired = async || {
            let firing = alert("Loop", "a", h.now());
            h.send_and_drain(vec![firing.clone(), resolved(firing, h.now())]).await;
        };
        fired().await;
        let id = h.repaired("rollback", true).await;
        // That its source is gone is known only when two of its alerts are missed.
        h.live(7 * MINUTE).await;
        let quiet = (json!("verified"), json!("quiet"));
        assert_eq!(h.judged(&id).await, quiet);
        h.live(5 * MINUTE).await;
        h.expect().await;
        // What was judged meanwhile is judged again a pass later.
        h.live(MINUTE).await;
        h.expect().await;
        assert_eq!(h.judged(&id).await, unknown("source_silent"));
        let key = h.sql_text("SELECT anomaly_key FROM repairs LIMIT 1").await;
        let worth = h.get(&format!("/api/v1/anomalies/{key}/effectiveness")).await;
        let action = &worth["actions"][0];
        assert_eq!((&action["unknown"], &action["verified"]), (&json!(1), &json!(0)), "{worth:#}");
        // It is heard again, and what is repaired from then on is judged.
        h.send_watchdog().await;
        h.expect().await;
        h.live(MINUTE).await;
        fired().await;
        let next = h.repaired("rollback", true).await;
        h.live(7 * MINUTE).await;
        assert_eq!(h.judged(&next).await, quiet);
        assert_eq!(h.judged(&id).await, unknown("source_silent"));
        let (_, page) = h.post("/api/v1/recount/verify", json!({})).await;
        assert_eq!(page["drifted"], json!({}), "{page:#}");
        h.finish().await;
    }
}

#[tokio::test]
async fn what_was_silenced_in_a_part_of_the_quiet_time_tells_nothing() {
    let server = MockServer::start().await;
    let h = Harness::start_with(On::Sqlite, |config| {
        config.alertmanager_url = Some(Secret::from(server.uri().as_str()));
    })
    .await;
    let span = |from: Duration, to: Duration| [h.now().after(from), h.now().after(to)];
    let silence = |state: &str, name: &str, [starts_at, ends_at]: [Timestamp; 2]| {
        json!({
            "id": "s1", "status": {"state": state}, "createdBy": "ann", "comment": "",
            "startsAt": starts_at, "endsAt": ends_at,
            "matchers": [{"name": "alertname", "value": name, "isRegex": false, "isEqual": true}],
        })
    };
    let silences = json!([
        silence("expired", "Loop", span(2 * MINUTE, 10 * MINUTE)),
        silence("active", "Other", span(MINUTE, 2000 * MINUTE)),
        silence("pending", "Loop", span(10 * MINUTE, 2000 * MINUTE)),
        // Withdrawn before it began.
        silence("expired", "Loop", span(100 * MINUTE, 100 * MINUTE)),
    ]);
    Mock::given(path("/api/v2/silences"))
        .respond_with(ResponseTemplate::new(200).set_body_json(silences))
        .mount(&server)
        .await;
    let id = h.round("rollback", true).await;
    assert_eq!(h.judged(&id).await, unknown("silenced"));
    let id = h.round("rollback", true).await;
    assert_eq!(h.judged(&id).await.0, "verified");
    h.finish().await;
}
