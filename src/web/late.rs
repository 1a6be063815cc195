//! Deliveries that are answered although the queue has not taken them yet, see
//! [`within`](crate::sources::Answer::within): held in memory, and pushed until it does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, oneshot};
use tokio_util::task::TaskTracker;

use super::{Problem, webhooks};
use crate::context::Context;
use crate::domain::refusal::Code;
use crate::jobs::{IngestAlert, Job as _};
use crate::telemetry::log_throttle::LogThrottle;
use crate::telemetry::metrics::ByQueue;
use crate::telemetry::trace_context::Trace;

/// Bytes of bodies that are held at most.
const HELD: usize = 32 << 20;
/// The least that one counts as, in bytes: what is made of a body is larger than it.
const LEAST: usize = 4 << 10;
/// How long it is waited between two pushes: at first, and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));
/// How long the queue may take nothing until what waits for it is given up.
const GIVE_UP: Duration = Duration::from_secs(15 * 60);
/// How long a process that ends waits for the queue.
const LAST: Duration = Duration::from_secs(2);
/// Minimum time between two warnings about waiting requests.
const SAID: Duration = Duration::from_secs(10);

/// What waits for the queue.
#[derive(Clone)]
pub struct Late(Arc<Inner>);

struct Inner {
    context: Context,
    room: Arc<Semaphore>,
    waiting: TaskTracker,
    said: LogThrottle<()>,
}

/// Alerts that the queue has not taken. Whatever ends it before it has, says that they are lost.
struct UnqueuedAlerts {
    late: Late,
    jobs: Vec<IngestAlert>,
}

impl Late {
    pub(super) fn new(context: &Context) -> Self {
        Self(Arc::new(Inner {
            context: context.clone(),
            room: Arc::new(Semaphore::new(HELD)),
            waiting: TaskTracker::new(),
            said: LogThrottle::new(SAID),
        }))
    }

    /// Pushes the jobs of a body of `bytes`. Waits for `within`, then leaves the push to a background task.
    pub(super) async fn push(
        &self,
        jobs: Vec<IngestAlert>,
        trace: Option<Trace>,
        bytes: usize,
        within: Duration,
    ) -> Result<(), Problem> {
        let size = u32::try_from(bytes.clamp(LEAST, HELD)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.0.room).try_acquire_many_owned(size);
        let room = room.map_err(|_| {
            let full = "the queue does not respond, and too much waits for it: retry later";
            Problem::new(Code::QueueUnavailable, full)
        })?;
        let held = UnqueuedAlerts {
            late: self.clone(),
            jobs,
        };
        let (stored, is_stored) = oneshot::channel();
        self.0.waiting.spawn(async move {
            held.push(trace).await;
            // The caller may have stopped waiting.
            let _ = stored.send(());
            drop(room);
        });
        if tokio::time::timeout(within, is_stored).await.is_err()
            && let Some(more) = self.0.said.says(())
        {
            tracing::warn!(
                more,
                "the queue does not respond in time: deliveries are answered as taken and held in memory until it does"
            );
        }
        Ok(())
    }

    /// Waits for a moment for what still waits, before the process ends. Nothing more may come meanwhile.
    pub async fn finish(&self) {
        self.0.waiting.close();
        if tokio::time::timeout(LAST, self.0.waiting.wait())
            .await
            .is_err()
        {
            let deliveries = self.0.waiting.len();
            tracing::error!(
                deliveries,
                "the queue did not take the last deliveries that were answered: they are lost"
            );
        }
    }
}

impl UnqueuedAlerts {
    /// Pushes until the queue takes it, or does not for too long. What was pushed in vain may have been taken all
    /// the same, and is the same firing then.
    async fn push(mut self, trace: Option<Trace>) {
        let (began, mut pause) = (Instant::now(), PAUSE.0);
        while began.elapsed() < GIVE_UP {
            let Err(problem) = webhooks::push(&self.late.0.context, &self.jobs, trace).await else {
                self.jobs.clear();
                return;
            };
            tracing::debug!("a delivery waits for the queue: {problem:?}");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE.1);
        }
    }
}

impl Drop for UnqueuedAlerts {
    fn drop(&mut self) {
        let alerts = self.jobs.len();
        if alerts > 0 {
            tracing::error!(
                alerts,
                "the queue did not take alerts that were answered as taken: they are lost"
            );
            let queue = IngestAlert::POLICY.queue;
            let lost = &self.late.0.context.metrics.jobs_lost;
            lost.get_or_create(&ByQueue { queue }).inc_by(alerts as u64);
        }
    }
}
