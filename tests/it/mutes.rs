//! Mutes: a muted anomaly is counted, sends nothing, and sends nothing old afterwards.

mod maintenance;
mod page;
mod requests;
mod silences;

use std::time::Duration;

use serde_json::{Value, json};
use tocsin::config::{People, Span};

use crate::harness::{Harness, answer, firing, levels_by_counts, resolved};
use crate::on_all;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

impl Harness {
    /// The key of the one anomaly that there is.
    async fn key(&self) -> String {
        self.sql_text("SELECT key FROM anomalies").await
    }

    async fn mute(&self, body: Value) -> (u16, Value) {
        let key = self.key().await;
        self.post(&format!("/api/v1/anomalies/{key}/mute"), body)
            .await
    }

    async fn unmute(&self) -> (u16, Value) {
        let path = format!("{}/api/v1/anomalies/{}/mute", self.url, self.key().await);
        answer(self.http.delete(path).send().await.unwrap()).await
    }

    /// So many firings that begin and end, a minute and a half apart.
    async fn fire(&self, times: usize) {
        for _ in 0..times {
            let alert = firing("a", self.now());
            self.send_and_drain(vec![alert.clone()]).await;
            self.advance(MINUTE / 2);
            self.send_and_drain(vec![resolved(alert, self.now())]).await;
            self.advance(MINUTE);
        }
    }

    async fn messages(&self, state: &str) -> i64 {
        let count = format!("SELECT count(*) FROM notifications WHERE state = '{state}'");
        self.sql(&count).await
    }

    /// How often the metrics say that a message was suppressed.
    async fn counted_as_muted(&self) -> String {
        let metrics = self.metrics().await;
        let messages = metrics
            .lines()
            .filter(|line| line.starts_with("tocsin_messages_total{"));
        let muted = messages.filter(|line| line.contains("outcome=\"muted\"}"));
        let counted = muted.map(|line| line.rsplit(' ').next().unwrap());
        let counted = counted.map(|n| n.parse::<u64>().unwrap());
        counted.sum::<u64>().to_string()
    }
}

on_all! {
    async fn a_muted_anomaly_sends_nothing_and_counts_everything(on) {
        let h = Harness::start(on).await;
        h.fire(1).await;
        assert_eq!(h.telegram.taken().len(), 1);
        assert_eq!(h.mute(json!({"for": "4h", "why": "a deploy", "operator": "ann"})).await.0, 200);
        // Within the window, then in an incident of their own.
        h.fire(2).await;
        h.advance(10 * MINUTE);
        h.fire(3).await;
        let incidents = h.incidents().await;
        assert_eq!(incidents.len(), 2);
        assert_eq!(incidents[0]["escalation_level"], "ESCALATE");
        assert_eq!(incidents[0]["frequency_stats"]["count_24h"], 6);
        assert_eq!(incidents[0]["tier"], 2);
        assert_eq!(h.telegram.taken().len(), 1, "{:#?}", h.telegram.taken());
        // That the second opened, and that it rose.
        assert_eq!((h.messages("muted").await, h.messages("sent").await), (2, 1));
        assert_eq!(h.counted_as_muted().await, "2");
        let trace = h.get(&format!("/api/v1/trace/{}", incidents[0]["id"].as_str().unwrap())).await;
        assert_eq!(trace["messages"][0]["state"], "muted", "{trace:#}");
        h.recount().await;
        let (status, verified) = h.post("/api/v1/recount/verify", json!({})).await;
        assert_eq!((status, &verified["drifts"]), (200, &json!([])), "{verified}");
        assert_eq!(h.telegram.taken().len(), 1);
        h.finish().await;
    }

    async fn a_rise_to_permanent_fix_breaks_the_mute(on) {
        let h = Harness::start_with(on, |config| config.escalation.rules = levels_by_counts()).await;
        h.fire(1).await;
        h.mute(json!({"for": "24h", "operator": "ann"})).await;
        h.advance(10 * MINUTE);
        h.fire(12).await;
        assert_eq!(h.incidents().await[0]["escalation_level"], "PERMANENT_FIX");
        let told = h.telegram.taken();
        assert_eq!(told.len(), 2, "{told:#?}");
        assert!(told[1].contains("PERMANENT"), "{}", told[1]);
        // It is sent once, and incidents that open at that level are not.
        h.advance(11 * MINUTE);
        h.fire(1).await;
        h.recount().await;
        assert_eq!(h.telegram.taken().len(), 2);
        h.finish().await;
    }

    async fn a_muted_incident_that_rises_at_once_sends_only_the_rise(on) {
        let h = Harness::start_with(on, |config| config.escalation.rules = levels_by_counts()).await;
        h.fire(1).await;
        h.mute(json!({"for": "24h"})).await;
        h.advance(11 * MINUTE);
        let pods = (0..10).map(|pod| firing(&format!("pod-{pod}"), h.now())).collect();
        h.send_and_drain(pods).await;
        let told = h.telegram.headlines();
        assert_eq!(told.len(), 2, "{told:#?}");
        assert!(told[1].contains("Escalated"), "{}", told[1]);
        let opened = "SELECT count(*) FROM notifications WHERE kind = 'opened' AND state = 'muted'";
        assert_eq!(h.sql(opened).await, 1);
        h.finish().await;
    }

    async fn after_a_mute_only_new_incidents_notify(on) {
        let h = Harness::start(on).await;
        h.fire(1).await;
        h.mute(json!({"for": "1h"})).await;
        h.advance(11 * MINUTE);
        h.fire(1).await;
        h.advance(HOUR);
        assert_eq!(h.incidents().await[0]["muted_until"], json!(null));
        h.recount().await;
        // A firing that joins what opened while it was muted sends nothing either.
        assert_eq!(h.telegram.taken().len(), 1);
        h.fire(1).await;
        let told = h.telegram.headlines();
        assert_eq!(told.len(), 2, "{told:#?}");
        assert_eq!(h.incidents().await.len(), 3);
        assert_eq!((h.messages("muted").await, h.messages("sent").await), (1, 2));
        h.finish().await;
    }

    async fn the_same_holds_for_a_mute_that_somebody_ends(on) {
        let h = Harness::start(on).await;
        h.fire(1).await;
        h.mute(json!({"for": "24h"})).await;
        h.advance(11 * MINUTE);
        h.fire(1).await;
        for _ in 0..2 {
            let (status, anomaly) = h.unmute().await;
            assert_eq!((status, &anomaly["muted_until"]), (200, &json!(null)));
        }
        h.recount().await;
        assert_eq!(h.telegram.taken().len(), 1);
        h.advance(11 * MINUTE);
        h.fire(1).await;
        assert_eq!(h.telegram.taken().len(), 2);
        h.finish().await;
    }

    async fn a_message_pending_when_the_mute_begins_is_suppressed(on) {
        let h = Harness::start(on).await;
        let store = h.context.queues.store();
        store.set_paused("notify", true).await.unwrap();
        h.send(vec![firing("a", h.now())]).await;
        while h.messages("owed").await == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        h.mute(json!({"for": "1h"})).await;
        store.set_paused("notify", false).await.unwrap();
        h.drain().await;
        assert_eq!((h.messages("muted").await, h.telegram.taken().len()), (1, 0));
        assert_eq!(h.counted_as_muted().await, "1");
        h.advance(2 * HOUR);
        h.recount().await;
        assert_eq!(h.telegram.taken().len(), 0);
        h.finish().await;
    }

    async fn an_unclaimed_message_is_suppressed_when_the_mute_begins(on) {
        let h = Harness::start_with(on, |config| {
            config.queues.notify.backoff = Span::secs(60);
        })
        .await;
        h.telegram.answer_next(500, json!({"ok": false}));
        h.send(vec![firing("a", h.now())]).await;
        let tried = "SELECT count(*) FROM notifications WHERE state = 'sending' AND claimed_until IS NULL";
        h.until(tried, 1).await;
        h.mute(json!({"for": "1h"})).await;
        h.advance(2 * MINUTE);
        h.drain().await;
        assert_eq!((h.messages("muted").await, h.telegram.taken().len()), (1, 0));
        h.advance(2 * HOUR);
        h.recount().await;
        assert_eq!(h.telegram.taken().len(), 0);
        h.finish().await;
    }

    async fn a_mute_that_ends_by_the_clock_is_taken_off_the_cards(on) {
        let h = Harness::start_with(on, |config| {
            config.telegram.people = People::from_iter([(42, "alice")]);
        })
        .await;
        h.send_and_drain(vec![firing("a", h.now())]).await;
        let before = h.telegram.messages().remove(0);
        h.mute(json!({"for": "1h", "operator": "ann"})).await;
        h.drain().await;
        let card = h.telegram.messages().remove(0);
        assert!(card.shown.contains("uted until") && card.markup != before.markup, "{}", card.shown);
        h.recount().await;
        assert!(h.incident().await["muted_until"].is_string(), "it is not over yet");
        h.advance(2 * HOUR);
        h.recount().await;
        let card = h.telegram.messages().remove(0);
        assert!(!card.shown.contains("uted until"), "{}", card.shown);
        assert_eq!(card.markup, before.markup);
        let key = h.key().await;
        let operations = h.get(&format!("/api/v1/audit?target={key}")).await;
        let operations = operations["items"].as_array().unwrap();
        assert_eq!((operations.len(), &operations[0]["action"]), (1, &json!("anomaly.mute")));
        let page = format!("{}/incidents/{}", h.url, h.incident().await["id"].as_str().unwrap());
        let page = h.http.get(page).send().await.unwrap().text().await.unwrap();
        assert!(page.contains("Muted until"), "the timeline has it: {page}");
        h.finish().await;
    }

    async fn a_rise_pending_when_the_mute_begins_is_sent(on) {
        let h = Harness::start_with(on, |config| config.escalation.rules = levels_by_counts()).await;
        let store = h.context.queues.store();
        store.set_paused("notify", true).await.unwrap();
        let pods = (0..10).map(|pod| firing(&format!("pod-{pod}"), h.now())).collect();
        h.send(pods).await;
        while h.messages("owed").await == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        h.mute(json!({"for": "1h"})).await;
        store.set_paused("notify", false).await.unwrap();
        h.drain().await;
        let told = h.telegram.taken();
        assert_eq!(told.len(), 1, "{told:#?}");
        assert!(told[0].contains("PERMANENT"), "{}", told[0]);
        h.finish().await;
    }

    async fn a_reopening_of_a_muted_anomaly_does_not_notify(on) {
        let h = Harness::start(on).await;
        let alert = firing("a", h.now());
        h.send_and_drain(vec![alert.clone()]).await;
        let incident = h.incident().await;
        let path = format!("/api/v1/incidents/{}/resolve", incident["id"].as_str().unwrap());
        h.post(&path, json!({})).await;
        h.mute(json!({"for": "1h"})).await;
        h.advance(11 * MINUTE);
        h.send_and_drain(vec![alert.clone()]).await;
        let incident = h.incident().await;
        assert_eq!((&incident["status"], &incident["reopened"]), (&json!("OPEN"), &json!(1)));
        assert_eq!((h.telegram.taken().len(), h.messages("muted").await), (1, 1));
        assert_eq!(h.counted_as_muted().await, "1");
        h.advance(2 * HOUR);
        h.send_and_drain(vec![alert]).await;
        h.recount().await;
        assert_eq!(h.telegram.taken().len(), 1);
        h.finish().await;
    }
}
