//! Who looks for drift, or for levels that fall, waits for nobody, and nobody for them.

use std::time::{Duration, Instant};

use sea_orm::ConnectionTrait as _;
use tocsin_workers::recount;

use crate::harness::{Harness, alert, firing};
use crate::on_servers;

on_servers! {
    async fn drift_is_told_of_an_anomaly_that_somebody_holds(on) {
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
}
