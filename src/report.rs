//! The report of a period: what came in, what came of it, what came back, and what helped.

mod found;
mod markdown;
mod period;
pub mod said;
#[cfg(test)]
mod sample;
mod shape;

use sea_orm::DbErr;

pub use self::markdown::{fix_says, markdown};
pub use self::period::{LONGEST, Period, USUAL};
pub use self::shape::*;
use crate::context::Context;
use crate::domain::aggregation::Unit;
use crate::store::source_tallies;
use crate::store::views::report::{self as rows, ByDay, DAY};
use crate::time::Timestamp;

/// Anomalies, fixes and actions that a report lists.
const LISTED: u64 = 10;

/// From when on the rows of each are kept.
fn kept(context: &Context, now: Timestamp) -> [(Figures, Timestamp); 4] {
    let retention = &context.config.retention;
    let alerts = Timestamp((source_tallies::hour(now) - source_tallies::KEPT) * 3_600_000);
    let occurrences = match context.config.counting.unit {
        Unit::Incident => retention.rest.0,
        Unit::Episode | Unit::Delivery => retention.occurrences.0,
    };
    [
        (Figures::Alerts, alerts),
        (Figures::Occurrences, now.before(occurrences)),
        (Figures::Rest, now.before(retention.rest.0)),
        (Figures::DeadLetters, now.before(retention.dead_letters.0)),
    ]
}

/// Makes the report of a period. One aggregated query a figure; two reports at most are made at a time by one
/// process, as searches are.
///
/// # Errors
/// What the database says; it may take at most `limits.query` for each figure.
pub async fn make(context: &Context, period: Period) -> Result<Report, DbErr> {
    let db = context.db.view_for(true).await?;
    let (db, unit, now) = (&*db, context.config.counting.unit, context.clock.now());
    let span = period.span();
    let kept = kept(context, now);
    let has_before = |source: Figures| {
        kept.iter()
            .any(|(of, since)| *of == source && *since <= span.before)
    };
    let compared = |counted: &ByDay, source| Compared {
        count: counted.total(),
        before: has_before(source).then_some(counted.before),
    };

    let alerts = rows::alerts(db, span).await?;
    let occurrences = rows::occurrences(db, unit, span).await?;
    let incidents = rows::incidents(db, span).await?;
    let messages = rows::messages(db, span).await?;
    let returning = rows::returning(db, unit, span, LISTED).await?;
    let (new_anomalies, newest) = rows::new_anomalies(db, span, LISTED).await?;
    let repairs = rows::repairs(db, span, LISTED).await?;
    let failed_fixes = rows::failed_fixes(db, span, LISTED).await?;
    let (acknowledge, resolve) = rows::medians(db, span).await?;
    let dead_letters = rows::dead_letters(db, span).await?;

    let day = |n: usize| Day {
        from: Timestamp(span.from.0 + i64::try_from(n).unwrap_or(0) * DAY),
        alerts: alerts.days[n],
        occurrences: occurrences.days[n],
        incidents: incidents.days[n],
        messages: messages.sent.days[n],
    };
    let is_missing = |(_, since): &(Figures, Timestamp)| *since > span.from;
    let incomplete = |(figures, since)| Incomplete { figures, since };
    Ok(Report {
        from: span.from,
        to: span.to,
        made_at: now,
        unit,
        days: (0..span.days()).map(day).collect(),
        alerts: compared(&alerts, Figures::Alerts),
        occurrences: compared(&occurrences, Figures::Occurrences),
        incidents: compared(&incidents, Figures::Rest),
        messages: compared(&messages.sent, Figures::Rest),
        kept_away: KeptAway {
            digested: messages.digested.total(),
            muted: messages.muted.total(),
            on_card: messages.on_card.total(),
            flapping: messages.flapping.total(),
            failed: messages.failed.total(),
            pending: messages.pending.total(),
        },
        returning: returning
            .into_iter()
            .map(|one| found::returned(one, has_before(Figures::Occurrences)))
            .collect(),
        new_anomalies,
        newest: newest.into_iter().map(NewAnomaly::from).collect(),
        repairs: repairs.into(),
        failed_fixes: failed_fixes.into_iter().map(FailedFix::from).collect(),
        acknowledge: acknowledge.into(),
        resolve: resolve.into(),
        dead_letters: dead_letters.into(),
        incomplete: kept
            .into_iter()
            .filter(is_missing)
            .map(incomplete)
            .collect(),
    })
}
