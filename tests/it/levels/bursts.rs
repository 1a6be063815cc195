//! Bursts: a rise just after the opening notifies once, when the burst is over.

use std::ops::Range;
use std::time::Duration;

use serde_json::{Value, json};
use tocsin::config::NotifySettings;
use tocsin::time::Timestamp;

use super::MINUTE;
use crate::harness::{Harness, On, firing, levels_by_counts};
use crate::on_all;

const SECOND: Duration = Duration::from_secs(1);
const WAITING: &str =
    "SELECT count(*) FROM notifications WHERE kind = 'escalated' AND state = 'owed'";

impl Harness {
    /// With the time to settle that holds where nothing is set.
    async fn with_bursts(on: On) -> Self {
        Self::start_with(on, |config| {
            config.notify = NotifySettings::default();
            config.escalation.rules = levels_by_counts();
        })
        .await
    }

    /// Pods that begin to fail; returns when the level is this.
    async fn fail(&self, pods: Range<usize>, level: &str) {
        let alerts = pods.map(|pod| firing(&format!("pod-{pod}"), self.now()));
        self.send(alerts.collect()).await;
        let risen = format!("SELECT count(*) FROM anomalies WHERE level = '{level}'");
        self.until(&risen, 1).await;
    }
}

fn with(severity: &str, pod: &str, since: Timestamp) -> Value {
    let mut alert = firing(pod, since);
    alert["labels"]["severity"] = json!(severity);
    alert
}

on_all! {
    async fn fifty_pods_in_one_delivery_are_one_message(on) {
        let h = Harness::start_with(on, |config| config.notify = NotifySettings::default()).await;
        let pods = (0..50).map(|pod| firing(&format!("pod-{pod}"), h.now()));
        h.send_and_drain(pods.collect()).await;
        let incident = h.incident().await;
        assert_eq!((&incident["escalation_level"], &incident["tier"]), (&json!("ESCALATE"), &json!(2)));
        assert_eq!(incident["escalation_reason"], "50 firings in 24h in 1 incident (≥ 5)");
        let told = h.telegram.taken();
        assert_eq!(told.len(), 1, "{told:#?}");
        assert!(told[0].contains("50 firings in 1 incident in the last 24 hours"), "{}", told[0]);
        assert!(!told[0].contains("times"), "{}", told[0]);
        h.finish().await;
    }

    async fn a_burst_notifies_at_its_opening_and_once_at_its_end(on) {
        let h = Harness::with_bursts(on).await;
        h.send_and_drain(vec![firing("pod-0", h.now())]).await;
        assert_eq!(h.telegram.taken().len(), 1);
        h.advance(3 * SECOND);
        h.fail(1..5, "ESCALATE").await;
        h.until(WAITING, 1).await;
        h.advance(4 * SECOND);
        h.fail(5..10, "PERMANENT_FIX").await;
        // Neither waits for the other, nor for recount.
        h.until("SELECT count(*) FROM incidents WHERE tier_due_since IS NULL", 1).await;
        assert_eq!(h.sql(WAITING).await, 1);
        let opened = "SELECT opened_at FROM incidents";
        let since = "SELECT owed_since FROM notifications WHERE kind = 'escalated'";
        assert_eq!(h.sql(since).await, h.sql(opened).await + 30_000);
        h.until("SELECT count(*) FROM notifications WHERE edit_due_since IS NOT NULL", 0).await;
        assert!(h.telegram.messages()[0].shown.contains("NEEDS PERMANENT FIX"), "the card shows it");
        assert_eq!(h.telegram.taken().len(), 1);
        h.advance(30 * SECOND);
        h.drain().await;
        let told = h.telegram.headlines();
        assert_eq!(told.len(), 2, "{told:#?}");
        assert!(told[1].contains("Escalated") && told[1].contains("NEEDS PERMANENT FIX"), "{}", told[1]);
        h.finish().await;
    }

    async fn a_message_waiting_for_the_end_of_a_burst_survives_the_loss_of_its_job(on) {
        let h = Harness::with_bursts(on).await;
        h.send_and_drain(vec![firing("pod-0", h.now())]).await;
        h.fail(1..5, "ESCALATE").await;
        h.until(WAITING, 1).await;
        let queued = async || h.context.queues.store().depth("notify").await.unwrap().delayed;
        while queued().await == 0 {
            tokio::time::sleep(SECOND / 200).await;
        }
        h.lose("notify").await;
        h.advance(30 * SECOND + MINUTE + SECOND);
        h.recount().await;
        assert_eq!(h.telegram.taken().len(), 2);
        h.finish().await;
    }

    async fn a_rise_that_ends_before_its_burst_does_not_notify(on) {
        let h = Harness::with_bursts(on).await;
        h.send_and_drain(vec![firing("pod-0", h.now())]).await;
        h.fail(1..5, "ESCALATE").await;
        h.until(WAITING, 1).await;
        h.execute("UPDATE anomalies SET level = 'NONE', reason = NULL").await;
        h.advance(31 * SECOND);
        h.drain().await;
        assert_eq!(h.telegram.taken().len(), 1);
        let outdated = "SELECT count(*) FROM notifications WHERE kind = 'escalated' AND state = 'given up'";
        assert_eq!(h.sql(outdated).await, 1);
        h.finish().await;
    }

    async fn a_rise_to_a_severity_that_the_settings_do_not_name_shows_on_the_card_alone(on) {
        let h = Harness::start_with(on, |config| {
            config.notify.severities = vec!["P1".to_owned()];
        })
        .await;
        h.send_and_drain(vec![with("info", "pod-0", h.now())]).await;
        let worsened = "SELECT count(*) FROM notifications WHERE kind = 'worsened'";
        for (rises, severity) in ["warning", "error"].into_iter().enumerate() {
            h.send_and_drain(vec![with(severity, &format!("pod-{severity}"), h.now())]).await;
            let card = h.telegram.messages()[0].clone();
            assert!(card.shown.contains(&format!("· {severity}")), "{}", card.shown);
            assert!(card.edits > rises && h.telegram.taken().len() == 1, "{severity}: {card:?}");
            assert_eq!(h.incident().await["severity"], severity);
            assert_eq!(h.sql(worsened).await, 0);
        }
        // By another word for it.
        h.send_and_drain(vec![with("critical", "pod-3", h.now())]).await;
        let told = h.telegram.headlines();
        assert!(told.len() == 2 && told[1].contains("critical"), "{told:#?}");
        assert!(h.sql(worsened).await > 0);
        h.finish().await;
    }

    async fn a_higher_severity_in_a_burst_notifies_once_at_its_end(on) {
        let h = Harness::with_bursts(on).await;
        h.send_and_drain(vec![with("warning", "pod-0", h.now())]).await;
        h.advance(3 * SECOND);
        h.send(vec![with("critical", "pod-1", h.now())]).await;
        let worsened = "SELECT count(*) FROM notifications WHERE kind = 'worsened'";
        h.until(worsened, 1).await;
        h.send(vec![with("critical", "pod-2", h.now())]).await;
        h.until("SELECT count(*) FROM occurrences", 3).await;
        h.until("SELECT count(*) FROM incidents WHERE tier_due_since IS NULL", 1).await;
        let since = "SELECT owed_since FROM notifications WHERE kind = 'worsened'";
        assert_eq!(h.sql(since).await, h.sql("SELECT opened_at FROM incidents").await + 30_000);
        assert_eq!(h.telegram.taken().len(), 1);
        h.advance(30 * SECOND);
        h.drain().await;
        assert_eq!(h.sql(worsened).await, 1);
        let told = h.telegram.headlines();
        assert_eq!(told.len(), 2, "{told:#?}");
        assert!(told[1].contains("critical"), "{}", told[1]);
        h.finish().await;
    }

    async fn a_pending_message_includes_the_higher_severity(on) {
        let h = Harness::with_bursts(on).await;
        h.pause("notify", true).await;
        h.send(vec![with("warning", "pod-0", h.now())]).await;
        h.until("SELECT count(*) FROM notifications WHERE state = 'owed'", 1).await;
        h.send(vec![with("critical", "pod-1", h.now())]).await;
        h.until("SELECT count(*) FROM incidents WHERE severity = 'critical'", 1).await;
        h.pause("notify", false).await;
        h.advance(MINUTE);
        h.drain().await;
        let told = h.telegram.headlines();
        assert_eq!(told.len(), 1, "{told:#?}");
        assert!(h.telegram.taken()[0].contains("critical"), "{}", h.telegram.taken()[0]);
        h.finish().await;
    }

    async fn a_rise_long_after_the_opening_notifies_at_once(on) {
        let h = Harness::with_bursts(on).await;
        h.send_and_drain(vec![firing("pod-0", h.now())]).await;
        h.advance(MINUTE);
        h.fail(1..5, "ESCALATE").await;
        h.drain().await;
        assert_eq!(h.telegram.taken().len(), 2);
        h.finish().await;
    }
}
