//! Keeps the store's clock: looks at it all the time, and has put right what it left behind where it was
//! ahead. Every process that works does so; two at once do no harm.

use std::sync::Arc;
use std::time::Duration;

use sea_orm::DbErr;
use tocsin::context::Context;
use tocsin::counter::CounterError;
use tocsin::store::clock::{Noticed, keep};
use tokio_util::sync::CancellationToken;

/// How often the clock is read.
const LOOK: Duration = Duration::from_secs(5);

/// Why the clock could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// The database does not answer, or refuses.
    #[error(transparent)]
    Store(#[from] DbErr),
    /// The counter does not answer.
    #[error(transparent)]
    Counter(#[from] CounterError),
}

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
    let counter = Arc::clone(&context.counter);
    let noticed = keep(&context.db, &context.clock, &move |tx, keys| {
        let counter = Arc::clone(&counter);
        Box::pin(async move { Ok::<_, KeepError>(counter.forget_within(tx, keys).await?) })
    })
    .await?;
    match noticed {
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
