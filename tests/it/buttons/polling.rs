//! Polling for presses: by one process of all, whatever goes wrong.

use std::time::{Duration, Instant};

use serde_json::json;
use tocsin::domain::buttons::ButtonAction;
use tocsin::telegram::poller::{self, Poll, PollError};
use tokio_util::sync::CancellationToken;

use super::{ALICE, with_poller};
use crate::on_all;

pub(super) const ACKNOWLEDGED: &str =
    "SELECT count(*) FROM audit WHERE action = 'incident.acknowledge'";

on_all! {
    async fn one_of_two_pollers_polls_until_it_stops(on) {
        let (h, mut first) = with_poller(on).await;
        let mut second = h.poller();
        assert_eq!(first.poll().await.unwrap(), Poll::Done(0));
        h.press(ALICE, ButtonAction::Acknowledge).await;
        assert_eq!(second.poll().await.unwrap(), Poll::Elsewhere);
        assert_eq!(first.poll().await.unwrap(), Poll::Done(1));
        // One that says nothing for too long has lost it.
        h.execute("UPDATE pollers SET held_until = held_until - 20000").await;
        assert_eq!(second.poll().await.unwrap(), Poll::Done(0));
        assert_eq!(first.poll().await.unwrap(), Poll::Elsewhere);
        // One that leaves makes room at once.
        second.leave().await;
        assert_eq!(first.poll().await.unwrap(), Poll::Done(0));
        assert_eq!(h.telegram.presses.asked(), [0, 0, 2, 2]);
        h.finish().await;
    }

    async fn failed_polls_are_retried_and_no_press_is_lost(on) {
        let (h, mut poller) = with_poller(on).await;
        h.press(ALICE, ButtonAction::Acknowledge).await;
        for status in [409, 500, 429, 401, 404] {
            h.telegram.presses.refuse_next(status);
            let failure = poller.poll().await.unwrap_err();
            assert!(matches!(failure, PollError::Telegram(_)), "{status}: {failure}");
            assert!(failure.to_string().contains(&status.to_string()), "{failure}");
        }
        assert_eq!(h.sql(ACKNOWLEDGED).await, 0);
        assert_eq!(poller.poll().await.unwrap(), Poll::Done(1));
        assert_eq!(h.sql(ACKNOWLEDGED).await, 1);
        poller.answered().await;
        h.finish().await;
    }

    async fn presses_are_done_until_the_process_stops(on) {
        let (h, _) = with_poller(on).await;
        let stop = CancellationToken::new();
        let running = tokio::spawn(poller::run(h.context.clone(), stop.clone()));
        h.press(ALICE, ButtonAction::Acknowledge).await;
        h.until(ACKNOWLEDGED, 1).await;
        // It goes on after a failure.
        h.telegram.presses.refuse_next(502);
        h.press(ALICE, ButtonAction::Mute).await;
        h.until("SELECT count(*) FROM audit WHERE action = 'anomaly.mute'", 1).await;
        // What follows a press' commit is pushed after it: a process that stops between the two leaves it to
        // recount, which is not there.
        h.until("SELECT count(*) FROM notifications WHERE edit_due_since IS NOT NULL", 0).await;
        let began = Instant::now();
        stop.cancel();
        running.await.unwrap();
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
        assert_eq!(h.sql("SELECT held_until FROM pollers").await, 0);
        h.finish().await;
    }

    async fn numbers_that_begin_anew_are_followed(on) {
        let (h, mut poller) = with_poller(on).await;
        h.telegram.presses.number_from(1000);
        h.press(ALICE, ButtonAction::Acknowledge).await;
        assert_eq!(poller.poll().await.unwrap(), Poll::Done(1));
        assert_eq!(poller.poll().await.unwrap(), Poll::Done(0));
        h.telegram.presses.number_from(5);
        h.press(ALICE, ButtonAction::Mute).await;
        assert_eq!(poller.poll().await.unwrap(), Poll::Done(1));
        assert_eq!(poller.poll().await.unwrap(), Poll::Done(0));
        poller.leave().await;
        let mut next = h.poller();
        assert_eq!(next.poll().await.unwrap(), Poll::Done(0));
        assert_eq!(h.telegram.presses.asked(), [0, 1001, 1001, 6, 6]);
        h.finish().await;
    }

    async fn the_poller_removes_a_registered_telegram_webhook(on) {
        let (h, mut poller) = with_poller(on).await;
        let url = format!("{}/bot1:token/setWebhook", h.telegram.url);
        h.http.post(url).json(&json!({"url": "https://there"})).send().await.unwrap();
        assert!(h.telegram.presses.webhook().is_some());
        assert_eq!(poller.poll().await.unwrap(), Poll::Done(0));
        assert!(h.telegram.presses.webhook().is_none());
        h.finish().await;
    }
}
