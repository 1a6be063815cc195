//! Runs workers: each in a task of its own, under a new name at every start, started again if it
//! ever ends, and drained when the process stops.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use apalis::prelude::{Data, WorkerBuilder, WorkerContext, WorkerError};
use tocsin::context::Context;
use tocsin::jobs::{Job, JobError};
use tocsin::queue::about::host;
use tocsin::queue::backend::JobBackend;
use tocsin::queue::consumer::{JobHandle, Parts, Running};
use tocsin::queue::list::{List, ListBackend};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// The pause before a worker that ended is started again.
const RESTART: Duration = Duration::from_secs(1);

type Run = Pin<Box<dyn Future<Output = Result<(), WorkerError>> + Send>>;

/// One worker of the fleet, ready to be started.
pub struct Worker {
    queue: &'static str,
    /// How long one of its jobs may take.
    timeout: Duration,
    start: Box<dyn Fn(String) -> Started + Send + Sync>,
}

struct Started {
    apalis: WorkerContext,
    run: Run,
    running: Running,
}

impl Started {
    fn new(
        apalis: WorkerContext,
        run: impl Future<Output = Result<(), WorkerError>> + Send + 'static,
        running: Running,
    ) -> Self {
        let run = Box::pin(run);
        Self {
            apalis,
            run,
            running,
        }
    }
}

impl Worker {
    /// A worker of `J`'s queue whose handler gets `data`.
    pub fn new<J, D, F, Fut>(context: &Context, data: D, handler: F) -> Self
    where
        J: Job,
        D: Clone + Send + Sync + 'static,
        F: Fn(J, Data<Arc<JobHandle>>, Data<D>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<(), JobError>> + Send + 'static,
    {
        let parts = parts::<J>(context);
        let start = move |name: String, parts: Parts| {
            let apalis = WorkerContext::new(&name);
            let (backend, running) = JobBackend::<J>::start(name, parts);
            let worker = WorkerBuilder::new(apalis.clone())
                .backend(backend)
                .data(data.clone())
                .build(handler.clone());
            Started::new(apalis, worker.run(), running)
        };
        Self::starting(parts, start)
    }

    /// A worker of `J`'s queue whose handler gets lists of jobs, and `data`.
    pub fn of_lists<J, D, F, Fut>(context: &Context, data: D, handler: F) -> Self
    where
        J: Job,
        D: Clone + Send + Sync + 'static,
        F: Fn(List<J>, Data<D>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let parts = parts::<J>(context);
        let start = move |name: String, parts: Parts| {
            let apalis = WorkerContext::new(&name);
            let (backend, running) = ListBackend::<J>::start(name, parts);
            let worker = WorkerBuilder::new(apalis.clone())
                .backend(backend)
                .data(data.clone())
                .build(handler.clone());
            Started::new(apalis, worker.run(), running)
        };
        Self::starting(parts, start)
    }

    fn starting(
        parts: Parts,
        start: impl Fn(String, Parts) -> Started + Send + Sync + 'static,
    ) -> Self {
        Self {
            queue: parts.policy.queue,
            timeout: parts.policy.timeout,
            start: Box::new(move |name| start(name, parts.clone())),
        }
    }

    /// Its queue's name.
    #[must_use]
    pub const fn queue(&self) -> &'static str {
        self.queue
    }

    /// Runs until `ends`; then stops fetching, lets what runs finish, and gives back the rest.
    async fn supervise(self, host: Arc<str>, ends: Ends) {
        while !ends.ends.is_cancelled() {
            let name = format!("{host}-{}-{}", std::process::id(), Uuid::now_v7().simple());
            let Started {
                apalis,
                mut run,
                running,
            } = (self.start)(name);
            tokio::select! {
                ended = &mut run => {
                    tracing::error!(queue = self.queue, "a worker ended unexpectedly, restarting it: {ended:?}");
                    running.finish().await;
                    tokio::time::sleep(RESTART).await;
                }
                () = ends.ends.cancelled() => {
                    running.stop();
                    // Fails only if it is stopping already.
                    let _ = apalis.stop();
                    tokio::select! {
                        _ = &mut run => {}
                        (after, what) = ends.patience(self.timeout) => {
                            tracing::warn!(queue = self.queue, "jobs still run after {after:?} ({what}): releasing them to other workers");
                        }
                    }
                    running.finish().await;
                }
            }
        }
    }
}

fn parts<J: Job>(context: &Context) -> Parts {
    Parts {
        queues: context.queues.clone(),
        db: context.db.clone(),
        clock: context.clock.clone(),
        metrics: context.metrics.clone(),
        progress: context.probe.progress.clone(),
        policy: context.config.policy::<J>(),
        tracer: context.tracer.clone(),
    }
}

/// When workers end, and how long what they do may take then.
#[derive(Clone, Debug)]
pub struct Ends {
    /// They fetch nothing more: others take their place, or the process stops.
    pub ends: CancellationToken,
    /// The process stops, with or after that.
    pub stop: CancellationToken,
    /// How long what runs may take when the process stops.
    pub drain: Duration,
}

impl Ends {
    /// Returns when what runs has had its time: where others take the place of its worker, the whole time of its
    /// queue; where the process stops, `drain`.
    async fn patience(&self, timeout: Duration) -> (Duration, &'static str) {
        let whole = timeout.max(self.drain);
        tokio::select! {
            () = self.stop.cancelled() => {
                tokio::time::sleep(self.drain).await;
                (self.drain, "queue.drain")
            }
            () = tokio::time::sleep(whole) => (whole, "the timeout of the queue"),
        }
    }
}

/// Runs `workers` until `stop`; returns when all of them have drained.
pub async fn run(workers: Vec<Worker>, stop: CancellationToken, drain: Duration) {
    let ends = stop.clone();
    run_until(workers, Ends { ends, stop, drain }).await;
}

/// The same until they end as `ends` says.
pub async fn run_until(workers: Vec<Worker>, ends: Ends) {
    let host: Arc<str> = host().into();
    let mut fleet = JoinSet::new();
    for worker in workers {
        fleet.spawn(worker.supervise(Arc::clone(&host), ends.clone()));
    }
    while let Some(ended) = fleet.join_next().await {
        if let Err(error) = ended {
            tracing::error!("a worker's task panicked: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_runs_has_its_whole_time_at_a_reload_and_less_at_a_stop() {
        let ms = Duration::from_millis;
        let ends = Ends {
            ends: CancellationToken::new(),
            stop: CancellationToken::new(),
            drain: ms(10),
        };
        assert_eq!(ends.patience(ms(30)).await.0, ms(30));
        // The process stops while workers that were replaced still finish.
        let (hour, stops) = (Duration::from_secs(3600), ends.stop.clone());
        let stop = async { stops.cancel() };
        let ((after, _), ()) = tokio::join!(ends.patience(hour), stop);
        assert_eq!(after, ms(10));
    }
}
