//! One batcher takes together the incidents that wait.

use std::collections::{BTreeSet, HashMap};

use tocsin::context::Context;
use tocsin::jobs::JobError;
use tocsin::store::error::STORE_DELAY;
use tocsin::telemetry::task_context;
use tocsin::telemetry::trace_context::Trace;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::{FlapChecks, TierError, pass};

/// The most incidents in one pass.
const TOGETHER: usize = 256;

struct Waiting {
    incident: Uuid,
    trace: Option<Trace>,
    answer: oneshot::Sender<Result<(), JobError>>,
}

/// Collects the handlers' incidents into passes.
#[derive(Clone)]
pub struct TierBatcher {
    pub(super) context: Context,
    queue: mpsc::Sender<Waiting>,
}

impl TierBatcher {
    /// Starts the task that runs the passes. It ends when the last `TierBatcher` is dropped.
    #[must_use]
    pub fn start(context: &Context) -> Self {
        let (queue, waiting) = mpsc::channel(TOGETHER);
        tokio::spawn(work(context.clone(), waiting));
        let context = context.clone();
        Self { context, queue }
    }

    /// Works out one incident, if it is due, together with those that wait as well.
    ///
    /// # Errors
    /// The store cannot be reached now.
    pub async fn calculate(&self, incident: Uuid) -> Result<(), JobError> {
        let ended = || JobError::RetryAfter {
            after: STORE_DELAY,
            why: "the tier batcher has stopped".to_owned(),
        };
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting {
            incident,
            trace: task_context::trace(),
            answer,
        };
        self.queue.send(waiting).await.map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?
    }
}

async fn work(context: Context, mut queue: mpsc::Receiver<Waiting>) {
    let mut waiting = Vec::with_capacity(TOGETHER);
    let mut checks = FlapChecks::default();
    while queue.recv_many(&mut waiting, TOGETHER).await > 0 {
        let ids: BTreeSet<Uuid> = waiting.iter().map(|waiting| waiting.incident).collect();
        let ids: Vec<Uuid> = ids.into_iter().collect();
        let traces = waiting.iter().filter_map(|w| Some((w.incident, w.trace?)));
        let traces: HashMap<Uuid, Trace> = traces.collect();
        match pass(&context, &ids, &traces, &mut checks).await {
            Ok(()) => waiting.drain(..).for_each(|w| w.answer(Ok(()))),
            // One by one, so that a bad incident does not fail the rest of the pass.
            Err(TierError::Internal(error)) if ids.len() > 1 => {
                tracing::warn!(
                    "a batch of tiers failed, retrying the incidents one by one: {error}"
                );
                for w in waiting.drain(..) {
                    let result = pass(&context, &[w.incident], &traces, &mut checks).await;
                    w.answer(result.map_err(JobError::from));
                }
            }
            Err(error) => waiting
                .drain(..)
                .for_each(|w| w.answer(Err(error.clone().into()))),
        }
    }
}

impl Waiting {
    fn answer(self, result: Result<(), JobError>) {
        // Fails if the handler timed out; its job is delivered again.
        let _ = self.answer.send(result);
    }
}
