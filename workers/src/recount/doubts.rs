//! Doubts: reopens incidents whose firings were received again soon after they were reported as resolved.

use std::time::{Duration, Instant};

use tocsin::context::Context;
use tocsin::jobs::JobError;
use tocsin::outbox::{Cause, Traces};
use tocsin::store::{doubts, maintenance};

use super::Progress;

/// Incidents in one batch.
const TOGETHER: i64 = 100;
/// How long one pass goes on.
const AT_MOST: Duration = Duration::from_secs(20);

/// Reopens the incidents that are due, and enqueues their messages. The items are the incidents
/// that were due.
///
/// # Errors
/// The store cannot be reached now.
pub async fn settle_doubts(context: &Context) -> Result<Progress, JobError> {
    let policy = context.config.aggregation_policy();
    let now = maintenance::now(context.db.read()).await?;
    let moment = context.clock.of_store(now).before(policy.window);
    let (began, mut progress) = (Instant::now(), Progress::default());
    loop {
        let ids = doubts::overdue(context.db.read(), moment, TOGETHER).await?;
        progress.has_more = !ids.is_empty();
        if !progress.has_more || began.elapsed() > AT_MOST {
            return Ok(progress);
        }
        progress.items += ids.len() as u64;
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
