//! The heartbeat: Tocsin tells a dead man's service outside that it is well, and only while it is. So a Tocsin that is
//! silent is noticed, whatever part of it is. It is sent from recount: that queue, schedules and workers go on is
//! thereby told, too.

use std::time::Duration;

use tocsin::context::Context;
use tocsin::domain::canary::SCHEDULE;
use tocsin::http_client;
use tocsin::jobs::JobError;
use tocsin::probe::PartState;
use tocsin::store::{canaries, maintenance, marks, outages};

/// The mark that says when the last one was sent.
const MARK: &str = "heartbeat";
/// How long the service may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// A process that takes alerts said so within this.
const PRESENT: Duration = Duration::from_secs(30);
/// Ticks come once a minute, and not to the second.
const EARLY: Duration = Duration::from_secs(10);

/// Sends it if it is due and all is well. Of several workers one does.
///
/// # Errors
/// The store cannot be reached now, or the service did not take it: that is counted, and nothing waits for it.
pub async fn send_heartbeat(context: &Context) -> Result<(), JobError> {
    let heartbeat = &*context.config.heartbeat;
    let Some(url) = &heartbeat.url else {
        return Ok(());
    };
    let db = context.db.write();
    // Read first: what another worker writes meanwhile must not look like a clock that was ahead.
    let last = marks::find(db, MARK).await?.map(|mark| mark.at);
    let now = context.clock.of_store(maintenance::now(db).await?);
    let every = heartbeat.every.0.saturating_sub(EARLY);
    let is_due = last.is_none_or(|last| last > now || now.since(last) >= every);
    if !is_due {
        return Ok(());
    }
    if let Some(why) = unwell(context).await? {
        tracing::warn!("no heartbeat is sent: {why}");
        return Ok(());
    }
    if !marks::claim(db, MARK, last, now).await? {
        return Ok(());
    }
    let not_sent = |why: String| JobError::Retry(format!("the heartbeat was not sent: {why}"));
    let http = http_client::builder().timeout(TIMEOUT).build();
    let http = http.map_err(|error| not_sent(error.to_string()))?;
    // The address is a secret.
    let sent = http.get(url.expose()).send().await;
    let sent = sent.map_err(|error| not_sent(http_client::causes(&error.without_url())))?;
    match sent.status() {
        status if status.is_success() => Ok(()),
        status => Err(not_sent(format!("the service answered {status}"))),
    }
}

/// Why Tocsin is not well, if it is not.
async fn unwell(context: &Context) -> Result<Option<String>, JobError> {
    let found = context.probe.look(&context.stores()).await;
    for (name, state) in [("the database", found.store), ("the queue", found.queue)] {
        match state {
            PartState::Up => {}
            PartState::ReadOnly => return Ok(Some(format!("{name} rejects writes"))),
            PartState::Unreachable => return Ok(Some(format!("{name} does not respond"))),
        }
    }
    if found.standstill.is_some() {
        return Ok(Some("alerts wait, and none is stored".to_owned()));
    }
    if let Some((queue, _)) = context.figures.standing_still().first() {
        return Ok(Some(format!("{queue} jobs wait, and none is done")));
    }
    let db = context.db.read();
    let now = context.clock.of_store(maintenance::now(db).await?);
    let heard = outages::heard_until(db).await?;
    if heard.is_none_or(|heard| now.since(heard) > PRESENT) {
        return Ok(Some("no process takes alerts".to_owned()));
    }
    if context.config.canary.every.is_some() {
        let canary = canaries::newest(db, SCHEDULE).await?;
        let link = canary.and_then(|canary| canary.failed_link);
        if let Some(link) = link {
            return Ok(Some(format!("the last canary failed at {}", link.name())));
        }
    }
    Ok(None)
}
