//! Doubts: reopens incidents whose firings were received again soon after they were reported as resolved.

use tocsin::context::Context;
use tocsin::jobs::JobError;
use tocsin::outbox::{Cause, Traces};
use tocsin::store::{doubts, maintenance};

/// Incidents in one batch.
const TOGETHER: i64 = 100;

/// Reopens the incidents that are due, and enqueues their messages. Returns how many were due.
///
/// # Errors
/// The store cannot be reached now.
pub async fn settle_doubts(context: &Context) -> Result<u64, JobError> {
    let policy = context.config.aggregation_policy();
    let now = maintenance::now(context.db.read()).await?;
    let moment = context.clock.of_store(now).before(policy.window);
    let mut looked_at = 0;
    loop {
        let ids = doubts::overdue(context.db.read(), moment, TOGETHER).await?;
        if ids.is_empty() {
            return Ok(looked_at);
        }
        looked_at += ids.len() as u64;
        let (db, clock) = (&context.db, &context.clock);
        let follow_up = doubts::settle(db, clock, &policy, &context.config, &ids).await?;
        if !follow_up.tiers.is_empty() {
            let incidents = follow_up.tiers.len();
            tracing::info!(incidents, "firings continue after a resolve: reopened them");
        }
        let pushed = follow_up.try_push(context, Cause::Single, Traces::None);
        pushed.await?;
    }
}
