//! The checks for drift and for levels that fall wait for nobody, and nobody waits for them.

use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait as _, TransactionTrait as _};
use tocsin::store::incidents;
use tocsin_workers::recount;
use uuid::Uuid;

use crate::harness::{Harness, alert, firing};
use crate::{on_all, on_servers};

const SECOND: Duration = Duration::from_secs(1);

mod people {
    use super::*;

    on_all! {
        async fn slow_page_queries_do_not_delay_ingest(on) {
            let h = Harness::start(on).await;
            let mut held = Vec::new();
            let view = h.context.db.view();
            while let Ok(reader) = tokio::time::timeout(SECOND / 5, view.begin()).await {
                held.push(reader.unwrap());
            }
            assert!(!held.is_empty());
            let began = Instant::now();
            h.send(vec![firing("a", h.now())]).await;
            h.until("SELECT count(*) FROM notifications WHERE state = 'sent'", 1).await;
            recount::decay(&h.context).await.unwrap();
            assert!(began.elapsed() < 5 * SECOND, "it waited for a reader");
            assert_eq!(h.telegram.taken().len(), 1);
            drop(held);
            h.finish().await;
        }
    }
}

on_servers! {
    async fn drift_of_a_locked_anomaly_is_reported(on) {
        let h = Harness::start(on).await;
        h.send_and_drain(vec![firing("a", h.now())]).await;
        h.execute("UPDATE anomalies SET total = total + 3").await;
        let held = h.context.db.begin().await.unwrap();
        held.execute_unprepared("SELECT 1 FROM anomalies FOR UPDATE").await.unwrap();
        let began = Instant::now();
        let told = h.verify(false).await;
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(began.elapsed() < Duration::from_secs(2), "it waited for the lock");
        drop(held);
        h.finish().await;
    }

    async fn recount_waits_for_no_anomaly_that_did_not_change(on) {
        let h = Harness::start(on).await;
        let pods = (0..5).map(|pod| firing(&format!("pod-{pod}"), h.now())).collect();
        h.send_and_drain(pods).await;
        h.advance(Duration::from_secs(3 * 3600));
        h.recount().await;
        let held = h.context.db.begin().await.unwrap();
        held.execute_unprepared("SELECT 1 FROM anomalies FOR UPDATE").await.unwrap();
        h.send_and_drain(vec![alert("Other", "1", h.now())]).await;
        let recounted = tokio::time::timeout(Duration::from_secs(2), recount::decay(&h.context));
        recounted.await.expect("it waited for the lock").unwrap();
        drop(held);
        h.finish().await;
    }

    async fn a_bulk_operation_waiting_for_one_incident_locks_no_other(on) {
        let h = Harness::start(on).await;
        for name in ["A", "B", "C"] {
            h.send_and_drain(vec![alert(name, "1", h.now())]).await;
        }
        let mut ids: Vec<Uuid> = Vec::new();
        for incident in h.incidents().await {
            ids.push(incident["id"].as_str().unwrap().parse().unwrap());
        }
        ids.sort_unstable();
        let held = h.context.db.begin().await.unwrap();
        let hold = async |id: Uuid| {
            let sql = format!("UPDATE incidents SET title = 'held' WHERE id = '{id}'");
            held.execute_unprepared(&sql).await
        };
        hold(ids[1]).await.unwrap();
        let marks = tokio::spawn({
            let (db, ids, now) = (h.context.db.clone(), ids.clone(), h.now());
            async move { incidents::mark_counted(db.write(), &ids.iter().map(|id| (*id, now)).collect()).await }
        });
        h.until_blocked_by(&held).await;
        for id in [ids[0], ids[2]] {
            hold(id).await.expect("it holds what it marked");
        }
        held.commit().await.unwrap();
        let mut marked = marks.await.unwrap().unwrap();
        marked.sort_unstable();
        assert_eq!(marked, ids);
        h.execute("UPDATE incidents SET tier_due_since = NULL").await;
        h.finish().await;
    }
}
