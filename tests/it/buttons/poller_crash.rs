//! The poller dies.

use std::time::Duration;

use sea_orm::ConnectionTrait;
use tocsin::domain::buttons::ButtonAction;
use tocsin::store::rows::statement;
use tocsin::telegram::poller::Poll;

use super::polling::ACKNOWLEDGED;
use super::replies::NOTES;
use super::{ALICE, with_poller};
use crate::on_servers;

on_servers! {
    async fn a_crash_between_an_operation_and_its_offset_keeps_the_operation(on) {
        let (h, mut dies) = with_poller(on).await;
        h.press(ALICE, ButtonAction::Acknowledge).await;
        let lock = async |sql: &str| {
            let tx = h.context.db.begin().await.unwrap();
            let sql = statement(tx.get_database_backend(), sql, []);
            tx.query_all_raw(sql).await.unwrap();
            tx
        };
        // The operation waits until its record cannot be written any more.
        let anomaly = lock("SELECT key FROM anomalies {lock}").await;
        let dying = tokio::spawn(async move { dies.poll().await.is_ok() });
        while h.telegram.presses.asked().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let number = lock("SELECT bot FROM pollers {lock}").await;
        anomaly.rollback().await.unwrap();
        h.until(ACKNOWLEDGED, 1).await;
        // What the server was sent already it would do all the same.
        h.until_blocked_by(&number).await;
        dying.abort();
        let _ = dying.await;
        let end = "SELECT pg_terminate_backend(pid, 60000) FROM (SELECT pid FROM pg_stat_activity \
                   WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid)) OFFSET 0) blocked";
        let end = statement(number.get_database_backend(), end, []);
        assert_eq!(number.query_all_raw(end).await.unwrap().len(), 1);
        number.rollback().await.unwrap();

        h.execute("UPDATE pollers SET held_until = 0").await;
        let mut next = h.poller();
        assert_eq!(next.poll().await.unwrap(), Poll::Done(1));
        assert_eq!(next.poll().await.unwrap(), Poll::Done(0));
        assert_eq!(h.sql(ACKNOWLEDGED).await, 1);
        assert_eq!(h.telegram.presses.asked(), [0, 0, 2]);
        next.answered().await;
        h.finish().await;
    }

    async fn a_process_that_dies_before_a_reply_is_a_note_loses_nothing(on) {
        let (h, mut dies) = with_poller(on).await;
        h.telegram.presses.reply(ALICE, 1, "on it");
        let tx = h.context.db.begin().await.unwrap();
        let sql = statement(h.context.db.backend(), "SELECT key FROM anomalies {lock}", []);
        tx.query_all_raw(sql).await.unwrap();
        let dying = tokio::spawn(async move { dies.poll().await.is_ok() });
        h.until_blocked_by(&tx).await;
        dying.abort();
        let _ = dying.await;
        tx.rollback().await.unwrap();
        h.execute("UPDATE pollers SET held_until = 0").await;
        let mut next = h.poller();
        assert_eq!(next.poll().await.unwrap(), Poll::Done(1));
        next.answered().await;
        assert_eq!(h.sql(NOTES).await, 1);
        assert_eq!(h.audited("incident.note").await.len(), 1);
        h.finish().await;
    }
}
