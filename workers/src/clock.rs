//! Keeps the store's clock: looks at it all the time, and has put right what it left behind where it was
//! ahead. Every process that works does so; two at once do no harm.

use std::time::Duration;

use tocsin::context::Context;
use tocsin::store::clock::{KeepError, Noticed, keep};
use tokio_util::sync::CancellationToken;

/// How often it is looked at.
const LOOK: Duration = Duration::from_secs(5);

/// Looks at the clock until `stop`.
pub async fn run(context: Context, stop: CancellationToken) {
    loop {
        if let Err(error) = pass(&context).await {
            tracing::warn!("cannot look at the store's clock, trying again: {error}");
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Looks once, and says what is odd.
///
/// # Errors
/// The store, or the counter, does not answer.
pub async fn pass(context: &Context) -> Result<(), KeepError> {
    match keep(&context.db, &context.clock, &*context.counter).await? {
        None => {}
        Some(Noticed::WasAhead(ahead)) => tracing::warn!(
            ahead_s = ahead.as_secs(),
            "the store's clock went back: what was put off or dated by it is put back by as much, and \
             nothing is pruned or closed as unseen for an hour"
        ),
        Some(Noticed::Gap(gap)) => tracing::warn!(
            gap_s = gap.as_secs(),
            "nothing looked at the store's clock for long, or it went ahead: nothing is pruned or closed as \
             unseen for an hour"
        ),
    }
    Ok(())
}
