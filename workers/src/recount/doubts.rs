//! Doubts: opens again what fires on though it was said to be over.

use tocsin::context::Context;
use tocsin::jobs::JobError;
use tocsin::store::{doubts, maintenance};

use super::push_tiers;
use crate::tier::push_owed;

/// Incidents that are looked at together.
const TOGETHER: i64 = 100;

/// Opens what is to be open again, and has it told.
///
/// # Errors
/// The store cannot be reached now.
pub async fn settle_doubts(context: &Context) -> Result<(), JobError> {
    let policy = context.config.aggregation_policy();
    let now = maintenance::now(context.db.read()).await?;
    let moment = context.clock.of_store(now).before(policy.window);
    loop {
        let ids = doubts::overdue(context.db.read(), moment, TOGETHER).await?;
        if ids.is_empty() {
            return Ok(());
        }
        let (db, clock) = (&context.db, &context.clock);
        let settled = doubts::settle(db, clock, &policy, &context.config, &ids).await?;
        if !settled.due.is_empty() {
            let incidents = settled.due.len();
            tracing::info!(incidents, "firings continue after a resolve: reopened them");
        }
        context
            .metrics
            .count_messages("muted", settled.follow_up.muted);
        push_tiers(context, settled.due).await?;
        let messages = settled.follow_up.messages.iter().map(|id| (*id, None));
        push_owed(context, messages).await?;
        tocsin::cards::push_edits(context, &settled.follow_up.cards).await?;
    }
}
