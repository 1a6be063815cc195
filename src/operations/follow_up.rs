//! What must follow the commit of an operation.

use uuid::Uuid;

use crate::cards::push_after_deed;
use crate::context::Context;
use crate::jobs::CalculateTier;
use crate::queue::Push;
use crate::store::cards::DueCard;
use crate::store::notifications::Written;
use crate::telemetry::task_context;

/// What must follow an operation. Its rows say so, too: if the process dies before it is enqueued, or the
/// queue does not take it, recount enqueues it.
#[derive(Clone, Debug, Default)]
pub struct FollowUp {
    /// Incidents to calculate the tier of.
    pub tiers: Vec<Uuid>,
    /// Cards to edit.
    pub edits: Vec<DueCard>,
    /// Messages to send.
    pub messages: Vec<Uuid>,
    /// How many messages are suppressed, because their anomalies are muted.
    pub suppressed: u64,
}

impl FollowUp {
    /// Of messages that were written, and cards that were marked.
    pub(super) fn new(written: Written, edits: Vec<DueCard>) -> Self {
        Self {
            tiers: Vec::new(),
            edits,
            messages: written.owed,
            suppressed: written.muted,
        }
    }

    /// Enqueues it, after the commit. That it cannot be enqueued now is logged, and does not fail the
    /// operation, which is done.
    pub async fn push(&self, context: &Context) {
        context.metrics.count_messages("muted", self.suppressed);
        push_after_deed(context, &self.edits, &self.messages).await;
        let tiers = self.tiers.iter().copied();
        let tiers: Vec<_> = tiers.map(|incident| CalculateTier { incident }).collect();
        let pushes = tiers
            .iter()
            .map(|job| Push::new(job).trace(task_context::trace()));
        if let Err(error) = context.queues.push_all(pushes).await {
            tracing::warn!("enqueueing a tier job failed; recount will retry: {error}");
        }
    }
}
