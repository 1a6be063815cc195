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
            tracing::warn!("cannot read the database's clock, will retry: {error}");
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
            "the database's clock went back: times stored with it are moved back by as much; for an hour \
             nothing is pruned and no incident expires"
        ),
        Some(Noticed::Gap(gap)) => tracing::warn!(
            gap_s = gap.as_secs(),
            "the database's clock went ahead, or was not read for long: for an hour nothing is pruned and no \
             incident expires"
        ),
    }
    Ok(())
}
