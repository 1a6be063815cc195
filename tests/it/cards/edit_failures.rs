//! A failed edit harms nothing, and is made up for.

use std::time::Duration;

use serde_json::json;
use tocsin::config::{Config, Span};

use crate::harness::{Harness, alert, firing};
use crate::on_all;
use crate::telegram::Hold;

const MINUTE: Duration = Duration::from_secs(60);

impl Harness {
    async fn fire_pods(&self, pods: std::ops::Range<usize>) {
        for pod in pods {
            self.send_and_drain(vec![firing(&format!("pod-{pod}"), self.now())])
                .await;
        }
    }
}

fn backoff(config: &mut Config, span: Duration) {
    config.queues.notify.backoff = Span(span);
    config.queues.notify.max_backoff = Span(span);
}

on_all! {
    async fn a_card_that_cannot_be_edited_is_left_and_rises_still_notify(on) {
        let h = Harness::start(on).await;
        h.fire_pods(0..1).await;
        let gone = json!({"ok": false, "error_code": 400, "description": "Bad Request: message can't be edited"});
        h.telegram.answer_next_edit(400, gone);
        h.fire_pods(1..6).await;
        let told = h.telegram.messages();
        assert_eq!(told.len(), 2, "{told:#?}");
        assert_eq!((told[0].edits, &told[0].text), (0, &told[0].shown));
        let ended = "SELECT count(*) FROM notifications WHERE edits_ended LIKE '%can''t be edited%'";
        assert_eq!(h.sql(ended).await, 1);
        h.finish().await;
    }

    async fn a_card_that_somebody_deleted_is_left(on) {
        let h = Harness::start(on).await;
        h.fire_pods(0..1).await;
        h.telegram.delete(0);
        h.fire_pods(1..3).await;
        assert_eq!(h.sql("SELECT count(*) FROM notifications WHERE edits_ended IS NOT NULL").await, 1);
        h.finish().await;
    }

    async fn an_edit_that_fails_is_made_up_for_a_minute_later(on) {
        let h = Harness::start_with(on, |config| backoff(config, Duration::from_millis(10))).await;
        h.fire_pods(0..1).await;
        for _ in 0..5 {
            h.telegram.answer_next_edit(500, json!({"ok": false}));
        }
        h.fire_pods(1..2).await;
        assert_eq!(h.telegram.messages()[0].edits, 0, "after five attempts it waits");
        h.recount().await;
        assert_eq!(h.telegram.messages()[0].edits, 0, "for a minute");
        h.advance(2 * MINUTE);
        h.recount().await;
        let card = h.telegram.messages()[0].clone();
        assert_eq!(card.edits, 1);
        assert!(card.shown.contains("2 firings"), "{}", card.shown);
        h.finish().await;
    }

    async fn a_refused_edit_is_repeated_with_the_next_change(on) {
        let h = Harness::start(on).await;
        h.fire_pods(0..1).await;
        let refusal = || json!({"ok": false, "description": "Bad Request: not enough rights"});
        h.telegram.answer_next_edit(400, refusal());
        h.fire_pods(1..2).await;
        h.advance(2 * MINUTE);
        h.recount().await;
        assert_eq!(h.telegram.messages()[0].edits, 0, "a refusal is not tried again");
        // What changes while the refusal is on its way pushes no job: this one is still there.
        h.telegram.answer_next_edit(400, refusal());
        h.telegram.hold(Hold::Answers);
        h.send(vec![firing("pod-2", h.now())]).await;
        h.telegram.arrives(3).await;
        let seen = h.sql("SELECT edit_seq FROM notifications").await;
        h.send(vec![firing("pod-3", h.now())]).await;
        h.until(&format!("SELECT count(*) FROM notifications WHERE edit_seq > {seen}"), 1).await;
        h.telegram.hold(Hold::Nothing);
        h.drain().await;
        let card = h.telegram.messages()[0].clone();
        assert!(card.shown.contains("4 firings"), "{}", card.shown);
        h.finish().await;
    }

    async fn an_edit_whose_answer_was_lost_is_taken_back_where_the_card_is_as_before(on) {
        let h = Harness::start_with(on, |config| backoff(config, Duration::from_secs(1))).await;
        h.fire_pods(0..1).await;
        let path = format!("/api/v1/anomalies/{}/mute", h.sql_text("SELECT key FROM anomalies").await);
        h.telegram.lose_next_edit();
        h.post(&path, json!({"for": "1h"})).await;
        while h.telegram.messages()[0].edits == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        h.http.delete(format!("{}{path}", h.url)).send().await.unwrap();
        h.drain().await;
        let card = h.telegram.messages()[0].clone();
        assert!(!card.shown.contains("uted until"), "{}", card.shown);
        assert_eq!(card.shown, card.text);
        h.finish().await;
    }

    async fn a_worker_paused_during_an_edit_checks_its_claim_again(on) {
        let h = Harness::start(on).await;
        h.fire_pods(0..1).await;
        h.telegram.hold(Hold::Answers);
        h.send(vec![firing("pod-1", h.now())]).await;
        h.telegram.arrives(2).await;
        // Another took it over, and edited it to something else.
        h.execute("UPDATE notifications SET claimed_by = NULL, shown = 'x', shown_seq = edit_seq, \
                       edit_due_since = NULL, claimed_until = NULL").await;
        h.telegram.hold(Hold::Nothing);
        h.drain().await;
        assert_eq!(h.telegram.arrived(), 3, "it is edited once more");
        assert_eq!(h.sql("SELECT edit_seq - shown_seq FROM notifications").await, 0);
        h.finish().await;
    }

    async fn a_message_sent_by_another_worker_stays_sent(on) {
        let mut h = Harness::start(on).await;
        let sent = "UPDATE notifications SET state = 'sent', message_id = '77', sent_at = 1, \
                        claimed_until = NULL, claimed_by = NULL WHERE state = 'sending'";
        let stays = "SELECT count(*) FROM notifications WHERE state = 'sent' AND message_id = '77'";
        for (n, status) in [200, 403].into_iter().enumerate() {
            if status != 200 {
                h.telegram.answer_next(status, json!({"ok": false, "description": "Forbidden"}));
            }
            h.telegram.hold(Hold::Answers);
            h.send(vec![alert(&format!("A{n}"), "a", h.now())]).await;
            h.telegram.arrives(n + 1).await;
            h.execute(sent).await;
            h.telegram.hold(Hold::Nothing);
            h.drain().await;
            assert_eq!(h.sql(stays).await, n as i64 + 1, "{status}");
        }
        h.finish_with_dead_letters().await;
    }

    async fn a_replayed_failed_message_shows_the_current_state(on) {
        let mut h = Harness::start(on).await;
        h.telegram.answer_next(403, json!({"ok": false, "description": "Forbidden: bot was kicked"}));
        h.fire_pods(0..3).await;
        assert_eq!(h.telegram.taken().len(), 0);
        let dead = h.get("/api/v1/dead-letters?queue=notify").await["items"][0]["id"].clone();
        let path = format!("/api/v1/dead-letters/{}/replay", dead.as_str().unwrap());
        assert_eq!(h.post(&path, json!({})).await.0, 200);
        h.drain().await;
        let told = h.telegram.taken();
        assert_eq!(told.len(), 1, "{told:#?}");
        assert!(told[0].contains("3 firings"), "{}", told[0]);
        h.finish_with_dead_letters().await;
    }

    async fn an_edit_waits_as_long_as_telegram_says(on) {
        let h = Harness::start(on).await;
        h.fire_pods(0..1).await;
        let busy = json!({"ok": false, "error_code": 429, "parameters": {"retry_after": 1}});
        h.telegram.answer_next_edit(429, busy);
        h.fire_pods(1..2).await;
        assert_eq!(h.telegram.messages()[0].edits, 1);
        let paused = "SELECT count(*) FROM channels WHERE channel = 'telegram:-100' AND paused_until > 0";
        assert_eq!(h.sql(paused).await, 1, "every process is told of the pause");
        h.finish().await;
    }

    async fn a_crash_between_an_edit_and_its_record_repeats_the_edit_harmlessly(on) {
        let h = Harness::start(on).await;
        h.fire_pods(0..2).await;
        assert_eq!(h.telegram.messages()[0].edits, 1);
        h.execute("UPDATE notifications SET shown_seq = 0, shown = NULL, edit_due_since = 1, \
                       claimed_until = NULL").await;
        h.recount().await;
        assert_eq!(h.telegram.messages()[0].edits, 1, "Telegram saw no change");
        assert_eq!(h.sql("SELECT edit_seq - shown_seq FROM notifications").await, 0);
        assert_eq!(h.telegram.messages().len(), 1);
        h.finish().await;
    }

    async fn an_edit_whose_job_was_lost_is_done_by_recount(on) {
        let h = Harness::start(on).await;
        h.fire_pods(0..1).await;
        let store = h.context.queues.store();
        store.set_paused("notify", true).await.unwrap();
        h.send(vec![firing("pod-1", h.now())]).await;
        while h.sql("SELECT count(*) FROM notifications WHERE edit_due_since IS NOT NULL").await == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let queued = async || {
            let depth = store.depth("notify").await.unwrap();
            depth.ready + depth.delayed
        };
        while queued().await == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        h.lose("notify").await;
        store.set_paused("notify", false).await.unwrap();
        h.drain().await;
        assert_eq!(h.telegram.messages()[0].edits, 0);
        h.advance(2 * MINUTE);
        h.recount().await;
        assert_eq!(h.telegram.messages()[0].edits, 1);
        h.finish().await;
    }

    async fn waiting_for_the_rate_limit_costs_no_attempt(on) {
        let h = Harness::start_with(on, |config| {
            config.telegram.chat_per_second = 3;
            config.queues.notify.attempts = 1;
        })
        .await;
        let alerts = (0..6).map(|n| alert(&format!("A{n}"), "a", h.now())).collect();
        h.send_and_drain(alerts).await;
        assert_eq!(h.telegram.messages().len(), 6);
        assert_eq!(h.sql("SELECT max(attempts) FROM notifications").await, 1);
        h.finish().await;
    }
}
