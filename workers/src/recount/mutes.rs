//! Ends mutes whose time is over.

use tocsin::context::Context;
use tocsin::jobs::JobError;
use tocsin::operations::{OperationError, mute};
use tocsin::store::{maintenance, mutes};

use super::Progress;

/// Mutes that one pass ends.
const AT_ONCE: u64 = 1000;

/// Ends mutes whose time is over, and enqueues edits of their cards. The items are the mutes.
///
/// # Errors
/// The store cannot be reached now.
pub async fn end_mutes(context: &Context) -> Result<Progress, JobError> {
    let db = context.db.read();
    let now = context.clock.of_store(maintenance::now(db).await?);
    let over = mutes::over(db, now, AT_ONCE).await?;
    for key in &over {
        match mute::end(context, key).await {
            Ok(()) => {}
            Err(OperationError::Store(error)) => return Err(error.into()),
            Err(error) => return Err(JobError::Retry(error.to_string())),
        }
    }
    let items = over.len() as u64;
    Ok(Progress {
        items,
        has_more: items == AT_ONCE,
    })
}
