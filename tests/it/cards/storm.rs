//! Storms: many messages in few, and none is lost.

use std::time::Duration;

use serde_json::json;
use tocsin::config::Span;

use crate::harness::{Harness, alert, firing, levels_by_counts};
use crate::on_all;
use crate::process::PATIENCE;

const MINUTE: Duration = Duration::from_secs(60);

const TOLD_TWICE_OR_NEVER: &str = "SELECT count(*) FROM incidents i WHERE 1 <> ( \
    SELECT count(*) FROM notifications n WHERE n.incident_id = i.id AND n.kind = 'opened' \
        AND (n.state = 'sent' OR (n.state = 'digested' AND EXISTS ( \
            SELECT 1 FROM notifications d WHERE d.id = n.digest_id AND d.state = 'sent'))))";

impl Harness {
    async fn in_storms(on: crate::harness::On) -> Self {
        Self::start_with(on, |config| {
            config.telegram.storm_above = 20;
            config.telegram.digest_every = Span::secs(2);
            config.public_url = Some("https://tocsin.example/".to_owned());
            config.escalation.rules = levels_by_counts();
        })
        .await
    }
}

on_all! {
    async fn a_storm_of_500_incidents_sends_few_messages_and_announces_its_end(on) {
        let h = Harness::in_storms(on).await;
        let worst = (0..10).map(|pod| alert("Worst", &format!("pod-{pod}"), h.now()));
        let many = (0..499).map(|n| alert(&format!("A{n:03}"), "a", h.now()));
        h.send_and_drain(worst.chain(many).collect()).await;
        assert_eq!(h.sql("SELECT count(*) FROM incidents").await, 500);
        let told = h.telegram.messages();
        let digests: Vec<_> = told.iter().filter(|m| m.text.contains("in one digest")).collect();
        let few = told.len();
        assert!((1..=5).contains(&digests.len()) && few <= 25, "{few}: {told:#?}");
        assert_eq!(h.sql(TOLD_TWICE_OR_NEVER).await, 0);
        let last = &told[few - 1].text;
        assert!(last.contains("The storm is over"), "{last}");
        let link = "<a href=\"https://tocsin.example/incidents\">";
        assert!(digests[0].text.contains(link), "{}", digests[0].text);
        let of_worst = told.iter().filter(|m| m.text.contains("Worst")).count();
        assert!(of_worst >= 1, "the worst is named: {told:#?}");
        // Later, messages come one by one again.
        h.advance(2 * MINUTE);
        h.send_and_drain(vec![firing("later", h.now())]).await;
        let told = h.telegram.messages();
        assert_eq!(told.len(), few + 1, "{told:#?}");
        assert!(told[few].text.contains("CrashLooping"), "{}", told[few].text);
        assert_eq!(h.sql("SELECT count(*) FROM channels WHERE storm_since IS NOT NULL").await, 0);
        h.finish().await;
    }

    async fn a_digest_names_the_most_severe_first(on) {
        let h = Harness::in_storms(on).await;
        let store = h.context.queues.store().clone();
        store.set_paused("notify", true).await.unwrap();
        let of_severity = |name: &str, severity: &str| {
            let mut alert = alert(name, "a", h.now());
            alert["labels"]["severity"] = json!(severity);
            alert
        };
        let mut alerts: Vec<_> = (0..40).map(|n| of_severity(&format!("A{n}"), "warning")).collect();
        alerts.extend([of_severity("Odd", "beige"), of_severity("Zone", "P1")]);
        h.send(alerts).await;
        let began = std::time::Instant::now();
        while h.sql("SELECT count(*) FROM notifications").await < 42 {
            assert!(began.elapsed() < PATIENCE, "they are not owed");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        store.set_paused("notify", false).await.unwrap();
        h.drain().await;
        let told = h.telegram.messages();
        let lines: Vec<&str> = told[0].text.lines().skip_while(|line| *line != "Worst anomalies:").collect();
        assert!(lines[1].starts_with("<b>Zone</b> · ") && lines[1].contains(" · critical"), "{lines:?}");
        assert!(lines[2].contains(" · warning"), "{lines:?}");
        assert!(!told[0].text.contains("Odd"), "{lines:?}");
        h.finish().await;
    }

    async fn a_refused_digest_can_be_replayed_with_all_its_messages(on) {
        let mut h = Harness::in_storms(on).await;
        let store = h.context.queues.store().clone();
        store.set_paused("notify", true).await.unwrap();
        let alerts = (0..40).map(|n| alert(&format!("A{n}"), "a", h.now())).collect();
        h.send(alerts).await;
        while h.sql("SELECT count(*) FROM notifications").await < 40 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let blocked = json!({"ok": false, "error_code": 403, "description": "Forbidden: bot was kicked"});
        h.telegram.answer_next(403, blocked);
        store.set_paused("notify", false).await.unwrap();
        h.drain().await;
        let told = h.telegram.messages();
        assert_eq!(told.len(), 1, "only the end of the storm: {told:#?}");
        let given_up = "SELECT count(*) FROM notifications WHERE state = 'given up'";
        assert_eq!(h.sql(given_up).await, 41);
        let dead = h.get("/api/v1/dead-letters?queue=notify").await["items"][0]["id"].clone();
        let path = format!("/api/v1/dead-letters/{}/replay", dead.as_str().unwrap());
        assert_eq!(h.post(&path, json!({})).await.0, 200);
        h.drain().await;
        let told = h.telegram.messages();
        assert_eq!(told.len(), 2, "{told:#?}");
        assert!(told[1].text.contains("40 incidents in one digest"), "{}", told[1].text);
        assert_eq!(h.sql(TOLD_TWICE_OR_NEVER).await, 0);
        h.finish_with_dead_letters().await;
    }

    async fn a_permanent_fix_rise_of_a_muted_anomaly_is_in_the_digest(on) {
        let h = Harness::in_storms(on).await;
        h.send_and_drain(vec![alert("Worst", "a", h.now())]).await;
        let key = h.sql_text("SELECT key FROM anomalies").await;
        h.post(&format!("/api/v1/anomalies/{key}/mute"), json!({"for": "4h"})).await;
        h.drain().await;
        h.pause("notify", true).await;
        let worst = (0..10).map(|pod| alert("Worst", &format!("pod-{pod}"), h.now()));
        let many = (0..30).map(|n| alert(&format!("A{n:02}"), "a", h.now()));
        h.send(worst.chain(many).collect()).await;
        let owed = "SELECT count(*) FROM notifications WHERE state = 'owed' AND kind = ";
        h.until(&format!("{owed} 'opened'"), 30).await;
        h.until(&format!("{owed} 'escalated'"), 1).await;
        h.pause("notify", false).await;
        h.drain().await;
        let risen = "SELECT count(*) FROM notifications WHERE kind = 'escalated' AND state = 'digested'";
        assert_eq!(h.sql(risen).await, 1);
        let told = h.telegram.taken();
        let digest = told.iter().find(|text| text.contains("in one digest")).unwrap();
        assert!(digest.contains("<b>Worst</b>") && digest.contains("NEEDS PERMANENT FIX"), "{digest}");
        h.finish().await;
    }

    async fn the_topics_of_a_chat_are_in_one_storm(on) {
        let h = Harness::start_with(on, |config| {
            config.telegram.storm_above = 20;
            config.telegram.digest_every = Span::secs(2);
            let topic = |n: u8| json!({"alert_name": format!("T{n}*"), "to": format!("telegram:-100/{n}")});
            config.routes = serde_json::from_value(json!([topic(1), topic(2)])).unwrap();
        })
        .await;
        h.pause("notify", true).await;
        let alerts = (0..30).map(|n| alert(&format!("T{}-{n}", n % 2 + 1), "a", h.now()));
        h.send(alerts.collect()).await;
        h.until("SELECT count(*) FROM notifications", 30).await;
        h.pause("notify", false).await;
        h.drain().await;
        let told = h.telegram.messages();
        for topic in [1, 2] {
            let of_topic = told.iter().filter(|m| m.topic == Some(topic));
            let digests = of_topic.filter(|m| m.text.contains("15 incidents in one digest"));
            assert_eq!(digests.count(), 1, "{told:#?}");
        }
        assert_eq!(h.sql(TOLD_TWICE_OR_NEVER).await, 0);
        h.finish().await;
    }

    async fn a_slow_backlog_is_sent_in_digests(on) {
        let h = Harness::start_with(on, |config| {
            config.telegram.storm_above = 4;
            config.telegram.digest_every = Span::secs(2);
            config.telegram.chat_per_second = 1;
        })
        .await;
        h.pause("notify", true).await;
        let alerts = (0..12).map(|n| alert(&format!("A{n:02}"), "a", h.now()));
        h.send(alerts.collect()).await;
        h.until("SELECT count(*) FROM notifications", 12).await;
        // None of them became pending within a minute.
        h.advance(2 * MINUTE);
        h.pause("notify", false).await;
        h.drain().await;
        let told = h.telegram.taken();
        assert!(told.len() < 10, "{told:#?}");
        assert!(told.iter().any(|text| text.contains("in one digest")), "{told:#?}");
        assert_eq!(h.sql(TOLD_TWICE_OR_NEVER).await, 0);
        h.finish().await;
    }

    async fn a_digest_whose_job_was_lost_is_sent_by_recount(on) {
        let h = Harness::in_storms(on).await;
        let store = h.context.queues.store();
        let alerts = (0..40).map(|n| alert(&format!("A{n}"), "a", h.now())).collect();
        h.send(alerts).await;
        let gathered = "SELECT count(*) FROM notifications WHERE state = 'digested'";
        while h.sql(gathered).await < 20 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        store.set_paused("notify", true).await.unwrap();
        h.lose("notify").await;
        store.set_paused("notify", false).await.unwrap();
        h.drain().await;
        h.advance(2 * MINUTE);
        h.recount().await;
        assert_eq!(h.sql(TOLD_TWICE_OR_NEVER).await, 0);
        assert!(h.telegram.messages().len() <= 25);
        h.finish().await;
    }

    async fn a_rise_after_a_digest_has_a_message_of_its_own(on) {
        let h = Harness::in_storms(on).await;
        let store = h.context.queues.store();
        store.set_paused("notify", true).await.unwrap();
        let alerts = (0..40).map(|n| alert(&format!("A{n}"), "a", h.now())).collect();
        h.send(alerts).await;
        while h.sql("SELECT count(*) FROM notifications").await < 40 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        store.set_paused("notify", false).await.unwrap();
        h.drain().await;
        let before = h.telegram.messages().len();
        h.advance(2 * MINUTE);
        let rise = (0..4).map(|pod| alert("A7", &format!("pod-{pod}"), h.now())).collect();
        h.send_and_drain(rise).await;
        let told = h.telegram.messages();
        assert_eq!(told.len(), before + 1, "{told:#?}");
        let message = &told[before];
        assert!(message.text.contains("Escalated") && message.text.contains("A7"), "{}", message.text);
        assert_eq!(message.reply_to, None, "there is no card to answer");
        h.finish().await;
    }

    async fn a_crash_between_a_digest_and_its_record_sends_the_same_digest_again(on) {
        let h = Harness::in_storms(on).await;
        let alerts = (0..40).map(|n| alert(&format!("A{n}"), "a", h.now())).collect();
        h.send_and_drain(alerts).await;
        let before = h.telegram.taken();
        let first = before.iter().position(|text| text.contains("in one digest")).unwrap();
        h.execute("UPDATE notifications SET state = 'sending', claimed_until = 1, sent_at = NULL \
                       WHERE kind = 'digest' AND sequence = 1").await;
        h.advance(2 * MINUTE);
        h.recount().await;
        let after = h.telegram.taken();
        assert_eq!(after.len(), before.len() + 1, "{after:#?}");
        assert_eq!(after.last(), before.get(first), "the text was fixed");
        assert_eq!(h.sql(TOLD_TWICE_OR_NEVER).await, 0);
        h.finish().await;
    }

    async fn a_storm_whose_digest_was_given_up_begins_another(on) {
        let h = Harness::in_storms(on).await;
        let alerts = (0..40).map(|n| alert(&format!("A{n}"), "a", h.now())).collect();
        h.send_and_drain(alerts).await;
        h.execute("UPDATE channels SET storm_since = 1, digest_id = (SELECT id FROM notifications \
                       WHERE kind = 'digest' ORDER BY sequence LIMIT 1) \
                   WHERE channel = 'telegram:-100'").await;
        h.advance(2 * MINUTE);
        h.send_and_drain(vec![firing("later", h.now())]).await;
        assert_eq!(h.sql(TOLD_TWICE_OR_NEVER).await, 0);
        let last = h.telegram.taken().pop().unwrap();
        assert!(last.contains("CrashLooping") && last.contains("The storm is over"), "{last}");
        h.finish().await;
    }
}
