//! A worker holds jobs up to a number of bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::{Errand, HELD, Scene};
use crate::on_both;

const DRAIN: Duration = Duration::from_secs(10);

on_both! {
    async fn jobs_that_are_heavy_are_held_few_at_a_time_and_all_are_run(on) {
        let mut stage = Scene::new(on).await;
        for n in 0..12 {
            // Two of them weigh as much as may be held.
            let padding = "x".repeat(HELD * 6 / 10);
            stage.push_raw(&format!("{{\"n\":{n},\"padding\":\"{padding}\"}}")).await;
        }
        // One that weighs more is run all the same.
        let padding = "x".repeat(HELD * 2);
        stage.push_raw(&format!("{{\"n\":12,\"padding\":\"{padding}\"}}")).await;
        let (running, most, ran) = <(Arc<AtomicUsize>, Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
        let seen = (Arc::clone(&running), Arc::clone(&most), Arc::clone(&ran));
        stage.start(DRAIN, move |_: Errand, _| {
            let (running, most, ran) = seen.clone();
            async move {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                running.fetch_sub(1, Ordering::SeqCst);
                ran.fetch_add(1, Ordering::SeqCst);
                Ok(())
            }
        });
        stage.done().await;
        assert_eq!(ran.load(Ordering::SeqCst), 13);
        assert!(most.load(Ordering::SeqCst) <= 2, "{} at once", most.load(Ordering::SeqCst));
        stage.stop().await;
    }
}
