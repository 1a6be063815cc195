//! Stopping: what runs is finished and settled, the rest is given back.

use std::time::Duration;

use apalis_core::worker::builder::WorkerBuilder;
use apalis_core::worker::context::WorkerContext;
use tocsin::jobs::{Job as _, JobError};
use tocsin::queue::backend::JobBackend;
use tocsin::queue::consumer::{Parts, Running};
use tocsin::queue::store::Capacity;

use super::{ERRANDS, Errand, Gate, Log, Scene, eventually};
use crate::on_all;

const DRAIN: Duration = Duration::from_secs(20);

/// A worker of which the test holds every part.
fn by_hand(
    stage: &Scene,
    log: &Log<u32>,
    gate: &Gate,
) -> (WorkerContext, tokio::task::JoinHandle<()>, Running) {
    let parts = Parts {
        queues: stage.context.queues.clone(),
        db: stage.context.db.clone(),
        clock: stage.context.clock.clone(),
        metrics: stage.context.metrics.clone(),
        progress: stage.context.probe.progress.clone(),
        policy: Errand::<3>::POLICY,
        tracer: tocsin::telemetry::spans::Tracer::default(),
    };
    let apalis = WorkerContext::new("by-hand");
    let (backend, running) = JobBackend::<Errand<3>>::start("by-hand".to_owned(), parts);
    let (log, gate) = (log.clone(), gate.clone());
    let worker =
        WorkerBuilder::new(apalis.clone())
            .backend(backend)
            .build(move |job: Errand<3>| {
                let gate = gate.clone();
                log.add(job.n);
                async move {
                    gate.pass().await;
                    Ok::<(), JobError>(())
                }
            });
    let run = tokio::spawn(async move { worker.run().await.unwrap() });
    (apalis, run, running)
}

on_all! {
    async fn draining_finishes_running_jobs_and_starts_no_new_ones(on) {
        let mut stage = Scene::new(on).await;
        let (log, gate) = (Log::new(), Gate::default());
        let (runs, wait) = (log.clone(), gate.clone());
        stage.start(DRAIN, move |job: Errand, _| {
            let wait = wait.clone();
            runs.add(job.n);
            async move {
                wait.pass().await;
                match job.n {
                    0 => Err(JobError::GiveUp("no".to_owned())),
                    1 => Err(JobError::RetryAfter {
                        after: Duration::from_secs(600),
                        why: "busy".to_owned(),
                    }),
                    _ => Ok(()),
                }
            }
        });
        stage.push(0..3).await;
        log.has(3).await;
        stage.stop.cancel();
        stage.nobody_fetches().await;
        stage.push([3]).await;
        gate.open();
        stage.drained().await;
        assert_eq!(log.entries().len(), 3);
        let depth = stage.depth().await;
        assert_eq!((depth.ready, depth.delayed, depth.in_flight), (1, 1, 0));
        assert_eq!(stage.dead().await.len(), 1);
        let left = stage.store.inner.fetch(ERRANDS, "next", Capacity::jobs(10)).await.unwrap();
        assert_eq!((left[0].payload.as_slice(), left[0].lease.delivery), (&b"{\"n\":3}"[..], 1));
    }

    async fn draining_gives_back_jobs_that_were_fetched_and_not_started(on) {
        let stage = Scene::new(on).await;
        let (log, gate) = (Log::new(), Gate::default());
        let (apalis, run, running) = by_hand(&stage, &log, &gate);
        stage.push([0]).await;
        log.has(1).await;
        // The worker takes nothing more; the fetcher does not know yet.
        apalis.stop().unwrap();
        stage.push([1, 2]).await;
        eventually("all are fetched", async || stage.depth().await.in_flight == 3).await;
        running.stop();
        gate.open();
        run.await.unwrap();
        running.finish().await;
        let depth = stage.depth().await;
        assert_eq!((depth.ready, depth.in_flight), (2, 0));
        assert_eq!(log.entries(), [0]);
        let back = stage.store.inner.fetch(ERRANDS, "next", Capacity::jobs(10)).await.unwrap();
        assert!(back.iter().all(|job| job.lease.delivery == 1), "{back:?}");
    }

    async fn a_handler_that_outlives_the_drain_is_cut_off_and_given_back(on) {
        let mut stage = Scene::new(on).await;
        let (log, gate) = (Log::new(), Gate::default());
        let (runs, never, cut_off) = (log.clone(), gate.clone(), Log::new());
        let cuts = cut_off.clone();
        stage.start(Duration::from_millis(50), move |job: Errand, _| {
            let (never, on_drop) = (never.clone(), OnDrop(cuts.clone(), job.n));
            runs.add(job.n);
            async move {
                let _cut_off = on_drop;
                if job.n == 0 {
                    never.pass().await;
                }
                Ok(())
            }
        });
        stage.push([0]).await;
        log.has(1).await;
        stage.push([1]).await;
        log.has(2).await;
        eventually("the other is settled", async || stage.depth().await.in_flight == 1).await;
        stage.stop().await;
        assert_eq!(cut_off.entries(), [1, 0]);
        let depth = stage.depth().await;
        assert_eq!((depth.ready, depth.delayed, depth.in_flight), (1, 0, 0));
        let back = stage.store.inner.fetch(ERRANDS, "next", Capacity::jobs(10)).await.unwrap();
        assert_eq!((back[0].payload.as_slice(), back[0].lease.delivery), (&b"{\"n\":0}"[..], 1));
    }

    async fn a_worker_that_was_stopped_and_one_that_follows_do_each_job_once(on) {
        let mut stage = Scene::new(on).await;
        let log = Log::new();
        stage.push(0..300).await;
        for at_least in [20, 120, 300] {
            let runs = log.clone();
            stage.start(DRAIN, move |job: Errand, held| {
                assert_eq!(held.lease.delivery, 1);
                runs.add(job.n);
                async { Ok(()) }
            });
            log.has(at_least).await;
            stage.stop().await;
        }
        let mut ran = log.entries();
        ran.sort_unstable();
        assert_eq!(ran, (0..300).collect::<Vec<_>>());
        stage.done().await;
    }
}

/// Writes its number down when it is dropped.
struct OnDrop(Log<u32>, u32);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.add(self.1);
    }
}
