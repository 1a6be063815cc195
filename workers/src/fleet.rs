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
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// The pause before a worker that ended is started again.
const RESTART: Duration = Duration::from_secs(1);

type Run = Pin<Box<dyn Future<Output = Result<(), WorkerError>> + Send>>;

/// One worker of the fleet, ready to be started.
pub struct Worker {
    queue: &'static str,
    start: Box<dyn Fn(String) -> Started + Send + Sync>,
}

struct Started {
    apalis: WorkerContext,
    run: Run,
    running: Running,
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
        let parts = Parts {
            queues: context.queues.clone(),
            db: context.db.clone(),
            clock: context.clock.clone(),
            metrics: context.metrics.clone(),
            progress: context.probe.progress.clone(),
            policy: context.config.policy::<J>(),
            tracer: context.tracer.clone(),
        };
        let start = move |name: String| {
            let apalis = WorkerContext::new(&name);
            let (backend, running) = JobBackend::<J>::start(name, parts.clone());
            let worker = WorkerBuilder::new(apalis.clone())
                .backend(backend)
                .data(data.clone())
                .build(handler.clone());
            Started {
                apalis,
                run: Box::pin(worker.run()),
                running,
            }
        };
        Self {
            queue: J::POLICY.queue,
            start: Box::new(start),
        }
    }

    /// Its queue's name.
    #[must_use]
    pub const fn queue(&self) -> &'static str {
        self.queue
    }

    /// Runs until `stop`; then stops fetching, lets what runs finish for as long as `drain`, and
    /// gives back the rest.
    async fn supervise(self, host: Arc<str>, stop: CancellationToken, drain: Duration) {
        while !stop.is_cancelled() {
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
                () = stop.cancelled() => {
                    running.stop();
                    // Fails only if it is stopping already.
                    let _ = apalis.stop();
                    if tokio::time::timeout(drain, run).await.is_err() {
                        tracing::warn!(queue = self.queue, "jobs still run after {drain:?} (queue.drain): releasing them to other workers");
                    }
                    running.finish().await;
                }
            }
        }
    }
}

/// Runs `workers` until `stop`; returns when all of them have drained.
pub async fn run(workers: Vec<Worker>, stop: CancellationToken, drain: Duration) {
    let host: Arc<str> = host().into();
    let mut fleet = JoinSet::new();
    for worker in workers {
        fleet.spawn(worker.supervise(Arc::clone(&host), stop.clone(), drain));
    }
    while let Some(ended) = fleet.join_next().await {
        if let Err(error) = ended {
            tracing::error!("a worker's task panicked: {error}");
        }
    }
}
