//! Presence: a process that takes alerts says that it is there, and notes for how long nobody was. What was quiet
//! then tells nothing of repairs. Several processes at once do no harm.

use std::time::Duration;

use sea_orm::DbErr;
use tocsin::context::Context;
use tocsin::store::outages;
use tokio_util::sync::CancellationToken;

/// How often it is looked whether it is to be said again.
const LOOK: Duration = Duration::from_secs(5);

/// Says so until `stop`.
pub async fn run(context: Context, stop: CancellationToken) {
    loop {
        if let Err(error) = pass(&context).await {
            tracing::warn!("cannot note that alerts are taken, will retry: {error}");
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Says so once.
///
/// # Errors
/// The store does not answer.
pub async fn pass(context: &Context) -> Result<(), DbErr> {
    let outage = outages::say_present(&context.db, &context.clock).await?;
    if let Some(outage) = outage {
        tracing::info!(
            outage_s = outage.as_secs(),
            "no process took alerts for a while: repairs that would be judged by that time have no verdict"
        );
    }
    Ok(())
}
