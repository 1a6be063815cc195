//! What goes wrong with an edit harms nothing, and is made up for.

use std::time::Duration;

use serde_json::json;
use tocsin::config::Span;

use crate::harness::{Harness, alert, firing};
use crate::on_all;

const MINUTE: Duration = Duration::from_secs(60);

impl Harness {
    async fn fire_pods(&self, pods: std::ops::Range<usize>) {
        for pod in pods {
            self.send_and_drain(vec![firing(&format!("pod-{pod}"), self.now())])
                .await;
        }
    }
}

on_all! {
    async fn a_card_that_cannot_be_edited_is_left_and_rises_are_told_all_the_same(on) {
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

    async fn an_edit_that_fails_is_made_up_for_by_the_next_change(on) {
        let h = Harness::start_with(on, |config| {
            config.queues.notify.backoff = Span(Duration::from_millis(10));
            config.queues.notify.max_backoff = Span(Duration::from_millis(10));
        })
        .await;
        h.fire_pods(0..1).await;
        for _ in 0..5 {
            h.telegram.answer_next_edit(500, json!({"ok": false}));
        }
        h.fire_pods(1..2).await;
        assert_eq!(h.telegram.messages()[0].edits, 0, "after five attempts it is left");
        h.telegram.answer_next_edit(403, json!({"ok": false, "description": "Forbidden"}));
        h.fire_pods(2..3).await;
        assert_eq!(h.telegram.messages()[0].edits, 0, "a refusal is not tried again");
        h.fire_pods(3..4).await;
        let card = h.telegram.messages()[0].clone();
        assert_eq!(card.edits, 1);
        assert!(card.shown.contains("4 firings"), "{}", card.shown);
        h.finish().await;
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

    async fn who_dies_between_an_edit_and_its_note_edits_again_and_harms_nothing(on) {
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

    async fn what_waits_for_its_turn_costs_no_attempt(on) {
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
