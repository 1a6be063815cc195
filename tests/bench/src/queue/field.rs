//! A queue, its producers and its worker, within this process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::bail;
use apalis::prelude::Data;
use serde::{Deserialize, Serialize};
use tocsin::context::Context;
use tocsin::jobs::{About, Job, JobError, Policy, Subject};
use tocsin::queue::Push;
use tocsin::queue::consumer::JobHandle;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::progress::Progress;
use crate::servers::Site;
use tocsin_workers::fleet::{self, Worker};

/// Jobs in one push.
const TOGETHER: u64 = 500;
/// Tasks that push.
const PRODUCERS: usize = 4;
/// How often is looked whether it goes on.
const LOOK: Duration = Duration::from_millis(2);
/// How long nothing may happen.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long the worker may take to stop.
const DRAIN: Duration = Duration::from_secs(5);

/// A job with nothing to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Nothing {
    number: u64,
}

impl About for Nothing {
    fn subject(&self) -> Option<Subject> {
        None
    }
}

impl Job for Nothing {
    const POLICY: Policy = Policy {
        queue: "bench",
        concurrency: 4000,
        in_flight_bytes: 32 << 20,
        attempts: 10,
        backoff: Duration::from_secs(1),
        max_backoff: Duration::from_secs(60),
        timeout: Duration::from_secs(60),
    };
}

async fn handle(
    _: Nothing,
    _: Data<Arc<JobHandle>>,
    handled: Data<Arc<AtomicU64>>,
) -> Result<(), JobError> {
    handled.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

/// The queue and what goes on at it; ends when it is dropped.
pub(crate) struct Field {
    context: Context,
    pushed: Arc<AtomicU64>,
    handled: Arc<AtomicU64>,
    workers: JoinSet<()>,
    stop: CancellationToken,
}

impl Field {
    pub(crate) async fn open(site: &Site) -> anyhow::Result<Self> {
        Ok(Self {
            context: Context::open(site.config()?).await?,
            pushed: Arc::default(),
            handled: Arc::default(),
            workers: JoinSet::new(),
            stop: CancellationToken::new(),
        })
    }

    /// Starts the worker: the same as the fleet's, with a handler that does nothing.
    pub(crate) fn work(&mut self) {
        let worker = Worker::new(&self.context, Arc::clone(&self.handled), handle);
        self.workers
            .spawn(fleet::run(vec![worker], self.stop.clone(), DRAIN));
    }

    /// Pushes so many jobs.
    pub(crate) async fn push(&self, jobs: u64, progress: &Progress) -> anyhow::Result<()> {
        self.produce(progress, move |pushed| (pushed < jobs).then_some(true))
            .await
    }

    /// Pushes until then, and holds on while so many are queued.
    pub(crate) async fn push_until(
        &self,
        until: Instant,
        queued: u64,
        progress: &Progress,
    ) -> anyhow::Result<()> {
        let handled = Arc::clone(&self.handled);
        self.produce(progress, move |pushed| {
            let waiting = pushed.saturating_sub(handled.load(Ordering::Relaxed));
            (Instant::now() < until).then_some(waiting < queued)
        })
        .await
    }

    /// Pushes for as long as `may` says something of the number that was pushed: true for now, false
    /// for later.
    async fn produce(
        &self,
        progress: &Progress,
        may: impl Fn(u64) -> Option<bool> + Clone + Send + Sync + 'static,
    ) -> anyhow::Result<()> {
        let mut producers = JoinSet::new();
        for _ in 0..PRODUCERS {
            let (queues, pushed) = (self.context.queues.clone(), Arc::clone(&self.pushed));
            let may = may.clone();
            producers.spawn(async move {
                loop {
                    let first = pushed.fetch_add(TOGETHER, Ordering::Relaxed);
                    loop {
                        match may(first) {
                            Some(true) => break,
                            Some(false) => tokio::time::sleep(LOOK).await,
                            None => {
                                pushed.fetch_sub(TOGETHER, Ordering::Relaxed);
                                return anyhow::Ok(());
                            }
                        }
                    }
                    let numbers = first..first + TOGETHER;
                    let jobs: Vec<_> = numbers.map(|number| Nothing { number }).collect();
                    queues.push_all(jobs.iter().map(Push::new)).await?;
                }
            });
        }
        while !producers.is_empty() {
            tokio::time::sleep(LOOK).await;
            self.show(progress);
            while let Some(ended) = producers.try_join_next() {
                ended??;
            }
        }
        Ok(())
    }

    /// Waits until all that was pushed is acknowledged, durably; returns how many that were.
    pub(crate) async fn settle(&self, progress: &Progress) -> anyhow::Result<u64> {
        let jobs = self.pushed.load(Ordering::Relaxed);
        let (mut last, mut moved) = (0, Instant::now());
        loop {
            let handled = self.handled.load(Ordering::Relaxed);
            if handled >= jobs {
                let depth = self
                    .context
                    .queues
                    .store()
                    .depth(Nothing::POLICY.queue)
                    .await?;
                if depth.ready + depth.delayed + depth.in_flight == 0 {
                    return Ok(jobs);
                }
            }
            if handled > last {
                (last, moved) = (handled, Instant::now());
            }
            if moved.elapsed() > PATIENCE {
                bail!("no progress for {PATIENCE:?}, at {handled} of {jobs} jobs");
            }
            self.show(progress);
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Stops the worker and closes the store.
    pub(crate) async fn close(mut self) -> anyhow::Result<()> {
        self.stop.cancel();
        while self.workers.join_next().await.is_some() {}
        self.context.db.close().await?;
        Ok(())
    }

    fn show(&self, progress: &Progress) {
        let (pushed, handled) = (
            self.pushed.load(Ordering::Relaxed),
            self.handled.load(Ordering::Relaxed),
        );
        progress.show(&format!("{pushed} pushed, {handled} handled"));
    }
}
