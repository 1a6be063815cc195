//! Who looks for drift waits for nobody, and nobody for them.

use std::time::{Duration, Instant};

use sea_orm::ConnectionTrait as _;

use crate::harness::{Harness, firing};
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
}
