//! Recount as the safety net: each part is done whatever becomes of the others, what was lost on the way
//! is found, and nothing is done twice over.

use std::time::Duration;

use serde_json::json;
use tocsin::jobs::Part;

use crate::harness::{Harness, alert, firing};
use crate::on_all;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

impl Harness {
    /// A tick, as it is asked for.
    async fn tick(&self) {
        let (status, answer) = self.post("/api/v1/recount", json!({})).await;
        assert_eq!(status, 202, "{answer}");
        self.drain().await;
    }
}

on_all! {
    async fn recount_goes_on_though_one_anomaly_cannot_be_read(on) {
        let h = Harness::start(on).await;
        let crash = |n: u32| (0..n).map(|pod| firing(&format!("pod-{pod}"), h.now())).collect();
        h.send_and_drain(crash(3)).await;
        h.send_and_drain(vec![alert("Other", "1", h.now())]).await;
        h.tick().await;
        assert_eq!(h.sql("SELECT count(*) FROM anomalies WHERE level = 'REPEAT'").await, 1);

        h.advance(2 * DAY);
        h.tick().await;
        assert_eq!(h.sql("SELECT count(*) FROM anomalies WHERE falling_since IS NOT NULL").await, 1);
        h.advance(6 * MINUTE);
        let now = h.now().0;
        h.execute(&format!("UPDATE anomalies SET level = 'NONSENSE', changed_at = {now} \
            WHERE alert_name = 'Other'")).await;
        let late = h.now().before(10 * MINUTE).0;
        h.execute(&format!("UPDATE incidents SET tier_due_since = {late}, tier = NULL WHERE anomaly_key = \
            (SELECT key FROM anomalies WHERE alert_name = 'CrashLooping')")).await;
        h.tick().await;
        assert_eq!(h.sql("SELECT count(*) FROM anomalies WHERE level = 'REPEAT'").await, 0, "it fell");
        assert_eq!(h.sql("SELECT count(*) FROM incidents WHERE tier IS NULL").await, 0, "it was pushed");
        let failed = "tocsin_recount_failures_total{part=\"levels\"} 1";
        let metrics = h.metrics().await;
        assert!(metrics.contains(failed), "{metrics}");
        // Each part is measured by itself, and the others were done.
        let value = |name: &str, part: &str| {
            let start = format!("tocsin_recount_part_{name}{{part=\"{part}\"}} ");
            let line = metrics.lines().find_map(|line| line.strip_prefix(&*start));
            line.and_then(|value| value.parse::<f64>().ok()).unwrap_or(-1.0)
        };
        assert_eq!(value("items_total", "tiers"), 1.0, "{metrics}");
        assert!(value("items_total", "levels") >= 1.0, "{metrics}");
        for part in Part::ALL {
            let ticks = value("duration_seconds_count", part.name());
            assert_eq!(ticks, value("duration_seconds_count", "tiers"), "{part:?}: {metrics}");
            assert!(ticks >= 2.0, "{part:?}: {metrics}");
            assert!(value("done_timestamp_seconds", part.name()) > 0.0, "{part:?}");
        }

        h.execute("UPDATE anomalies SET level = 'NONE' WHERE alert_name = 'Other'").await;
        h.tick().await;
        assert!(h.metrics().await.contains(failed), "nothing failed again");
        h.finish().await;
    }

    async fn recount_raises_a_level_that_is_too_low_and_notifies(on) {
        let h = Harness::start(on).await;
        h.recount().await;
        let pods = (0..5).map(|pod| firing(&format!("pod-{pod}"), h.now())).collect();
        h.send_and_drain(pods).await;
        // As if the worker had died: nothing is marked, and nothing was raised.
        h.execute("UPDATE anomalies SET level = 'NONE', reason = NULL, level_seq = 0").await;
        h.recount().await;
        let level = "SELECT count(*) FROM anomalies WHERE level = 'ESCALATE'";
        assert_eq!(h.sql(level).await, 1);
        h.finish().await;
    }

    async fn ticks_that_waited_together_are_one(on) {
        let h = Harness::start(on).await;
        h.tick().await;
        h.pause("recount", true).await;
        for _ in 0..3 {
            let (status, _) = h.post("/api/v1/recount", json!({})).await;
            assert_eq!(status, 202);
        }
        h.advance(MINUTE);
        let began = h.now();
        h.pause("recount", false).await;
        h.drain().await;
        let tick = h.sql("SELECT at FROM marks WHERE name = 'tick'").await;
        assert!(tick >= began.0, "the first of them did it");
        h.advance(MINUTE);
        h.pause("recount", true).await;
        let (_, _) = h.post("/api/v1/recount", json!({})).await;
        // Another process did a tick since that was pushed.
        let later = h.now().0;
        h.execute(&format!("UPDATE marks SET at = {later} WHERE name = 'tick'")).await;
        h.pause("recount", false).await;
        h.drain().await;
        assert_eq!(h.sql("SELECT at FROM marks WHERE name = 'tick'").await, later, "it had nothing to add");
        h.finish().await;
    }

    async fn messages_are_kept_as_long_as_their_incident(on) {
        let h = Harness::start_with(on, |config| {
            config.retention.rest = tocsin::config::Span(30 * DAY);
        }).await;
        let firing = firing("pod", h.now());
        h.send_and_drain(vec![firing.clone()]).await;
        h.advance(31 * DAY);
        h.send_and_drain(vec![firing]).await;
        h.recount().await;
        let opened = "SELECT count(*) FROM notifications WHERE kind = 'opened'";
        assert_eq!(h.sql(opened).await, 1, "the incident is there");
        let told = h.telegram.headlines().len();
        h.execute("UPDATE incidents SET tier_due_since = 1").await;
        h.recount().await;
        assert_eq!(h.telegram.headlines().len(), told, "{:?}", h.telegram.headlines());
        h.finish().await;
    }
}
