//! Stores that cannot be reached, or whose answers are lost.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tocsin::jobs::JobError;
use tocsin::queue::store::LEASE;

use super::{Errand, Gate, Log, Scene, eventually, until};
use crate::harness::On;
use crate::on_all;

const DRAIN: Duration = Duration::from_secs(10);
const HIDE: &str = "ALTER TABLE dead_letters RENAME TO hidden";
const SHOW: &str = "ALTER TABLE hidden RENAME TO dead_letters";

on_all! {
    async fn a_store_that_fails_ends_no_worker_and_nothing_is_lost_or_out_of_order(on) {
        let mut stage = Scene::new(on).await;
        let log = Log::new();
        let (runs, store) = (log.clone(), Arc::clone(&stage.store));
        stage.store.unreachable.store(4, Ordering::SeqCst);
        stage.push(0..20).await;
        stage.start(DRAIN, move |job: Errand<1>, held| {
            runs.add((job.n, held.lease.delivery));
            if job.n % 6 == 5 {
                store.unreachable.store(4, Ordering::SeqCst);
            }
            async { Ok(()) }
        });
        stage.done().await;
        assert_eq!(log.entries(), (0..20).map(|n| (n, 1)).collect::<Vec<_>>());
        assert_eq!(stage.store_errors(), 16, "each is counted");
        eventually("it is heard of", async || stage.depth().await.workers > 0).await;
        stage.is_the_first_worker().await;
        stage.stop().await;
    }

    async fn a_settlement_whose_answer_is_lost_is_made_once(on) {
        let mut stage = Scene::new(on).await;
        let log = Log::new();
        let runs = log.clone();
        stage.store.settle_unanswered.store(3, Ordering::SeqCst);
        stage.start(DRAIN, move |job: Errand<1>, held| {
            runs.add((job.n, held.failed.len()));
            let fails = held.failed.is_empty();
            async move {
                match fails {
                    true => Err(JobError::Retry("once".to_owned())),
                    false => Ok(()),
                }
            }
        });
        stage.push([1]).await;
        stage.done().await;
        assert_eq!(log.entries(), [(1, 0), (1, 1)]);
        assert_eq!(stage.store_errors(), 3);
        stage.stop().await;
    }

    async fn jobs_whose_fetch_went_unanswered_come_when_their_lease_has_run_out(on) {
        let mut stage = Scene::new(on).await;
        let log = Log::new();
        let runs = log.clone();
        stage.store.fetch_unanswered.store(1, Ordering::SeqCst);
        stage.push(0..3).await;
        stage.start(DRAIN, move |job: Errand, held| {
            runs.add((job.n, held.lease.delivery));
            async { Ok(()) }
        });
        until("a fetch went wrong", || stage.store_errors() == 1).await;
        assert_eq!(stage.depth().await.in_flight, 3);
        stage.advance(LEASE);
        stage.done().await;
        assert_eq!(log.entries(), [(0, 2), (1, 2), (2, 2)]);
        stage.stop().await;
    }

    async fn a_job_stays_queued_while_dead_letters_cannot_be_written(on) {
        let mut stage = Scene::new(on).await;
        let log = Log::new();
        let runs = log.clone();
        stage.sql(HIDE).await;
        stage.start(DRAIN, move |job: Errand, _| {
            runs.add(job.n);
            async { Err(JobError::GiveUp("no".to_owned())) }
        });
        stage.push([1]).await;
        until("burying failed", || stage.store_errors() >= 3).await;
        assert_eq!(stage.depth().await.in_flight, 1, "it is still held");
        stage.sql(SHOW).await;
        stage.done().await;
        assert_eq!(stage.dead().await.len(), 1);
        assert_eq!(log.entries(), [1]);
        stage.stop().await;
    }

    async fn a_dead_letter_whose_job_could_not_be_removed_is_not_run_again(on) {
        let mut stage = Scene::new(on).await;
        let log = Log::new();
        let handler = {
            let runs = log.clone();
            move |job: Errand, _| {
                runs.add(job.n);
                async { Err(JobError::GiveUp("no".to_owned())) }
            }
        };
        stage.store.removal_unreachable.store(u32::MAX, Ordering::SeqCst);
        stage.start(Duration::from_millis(50), handler.clone());
        stage.push([1]).await;
        eventually("it is buried", async || stage.dead().await.len() == 1).await;
        stage.stop().await;

        stage.store.removal_unreachable.store(0, Ordering::SeqCst);
        stage.advance(LEASE);
        stage.start(DRAIN, handler);
        stage.done().await;
        assert_eq!(log.entries(), [1]);
        stage.stop().await;
    }

    async fn a_job_that_comes_again_before_its_answer_is_confirmed_is_still_held(on) {
        let mut stage = Scene::new(on).await;
        let (log, never) = (Log::new(), Gate::default());
        let runs = log.clone();
        stage.store.settle_slow.store(1, Ordering::SeqCst);
        stage.start(Duration::from_millis(50), move |job: Errand<2>, _| {
            let (first, never) = (runs.entries().is_empty(), never.clone());
            runs.add(job.n);
            async move {
                if first {
                    let (after, why) = (Duration::ZERO, "at once".to_owned());
                    return Err(JobError::RetryAfter { after, why });
                }
                never.pass().await;
                Ok(())
            }
        });
        stage.push([1]).await;
        log.has(2).await;
        stage.stop().await;
        let depth = stage.depth().await;
        assert_eq!((depth.ready, depth.in_flight), (1, 0), "what is held is given back");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_for_a_database_that_does_not_answer_costs_no_attempt() {
    let mut stage = Scene::new(On::Fleet).await;
    let log = Log::new();
    let (runs, db) = (log.clone(), stage.context.db.clone());
    stage.start(DRAIN, move |_: Errand<8, 100>, held| {
        let (runs, db) = (runs.clone(), db.clone());
        async move {
            runs.add((held.failed.len(), held.is_redelivery()));
            if !held.is_redelivery() {
                db.close().await.unwrap();
                std::future::pending::<()>().await;
            }
            Ok(())
        }
    });
    stage.push([1]).await;
    stage.done().await;
    assert_eq!(log.entries(), [(0, false), (0, true)]);
    stage.stop().await;
}

#[tokio::test]
async fn waiting_for_the_store_costs_no_attempt() {
    let mut stage = Scene::new(On::Sqlite).await;
    let log = Log::new();
    let runs = log.clone();
    stage.start(DRAIN, move |_: Errand<8, 100>, held| {
        let runs = runs.clone();
        async move {
            runs.add((held.failed.len(), held.is_redelivery()));
            if !held.is_redelivery() {
                held.wait_for_store();
                std::future::pending::<()>().await;
            }
            Ok(())
        }
    });
    stage.push([1]).await;
    stage.done().await;
    assert_eq!(log.entries(), [(0, false), (0, true)]);
    stage.stop().await;
}
