//! The report of the week: written once it is due, with one message for each channel.

use tocsin::context::Context;
use tocsin::jobs::JobError;
use tocsin::outbox::FollowUp;
use tocsin::report::{self, Period};
use tocsin::store::marks::{self, Mark};
use tocsin::store::{maintenance, reports};

/// The mark that says when it was last looked whether a report is due: one that was due before is written, or was
/// due before anybody asked for reports.
const MARK: &str = "report";

/// Writes the report that is due, if one is, and pushes its messages. Returns how many. It may be done twice or by two
/// at once: a report has one row, and one message for each channel, by the moment at which it is due. Who dies after
/// the commit leaves the messages pending, which are pushed as all that are overdue.
///
/// # Errors
/// The store cannot be reached now.
pub async fn report(context: &Context) -> Result<u64, JobError> {
    let (db, config) = (&context.db, &context.config);
    let last = marks::find(db.read(), MARK).await?;
    let Some(weekly) = config.report.weekly() else {
        // What is due while reports are off is not sent when they are on again.
        if last.is_some() {
            marks::forget(db.write(), MARK).await?;
        }
        return Ok(0);
    };
    let now = context.clock.of_store(maintenance::now(db.read()).await?);
    let mark = Mark {
        at: now,
        ..Mark::default()
    };
    let Some(last) = last else {
        marks::set(db.write(), MARK, &mark).await?;
        return Ok(0);
    };
    let due = weekly.last(now);
    if last.at >= due {
        return Ok(0);
    }
    let period = Period {
        from: weekly.before(due),
        to: due,
    };
    let report = report::make(context, period).await?;
    let content =
        serde_json::to_string(&report).map_err(|error| JobError::Retry(error.to_string()))?;
    let tx = db.begin().await?;
    let channels = config.report_channels();
    let messages = reports::write(&tx, due, &content, &channels, now).await?;
    marks::set(&tx, MARK, &mark).await?;
    tx.commit().await?;
    let written = messages.len() as u64;
    tracing::info!(channels = written, from = %period.from, to = %period.to, "the report of the week is written");
    let follow_up = FollowUp {
        messages,
        ..FollowUp::default()
    };
    follow_up.push(context).await;
    Ok(written)
}
