//! Alerts that are expected: where one does not come for twice the time in which it should, its source, or what lies
//! between, is silent. Time in which no process took alerts says nothing, and neither does a clock that jumps: for the
//! processes that take alerts that is such a time, too.

use std::collections::HashSet;
use std::time::Duration;

use sea_orm::ConnectionTrait;
use tocsin::config::Expected;
use tocsin::context::Context;
use tocsin::domain::verdict::SilentSource;
use tocsin::jobs::JobError;
use tocsin::operations::own::{self, OwnAlert, watch_name};
use tocsin::store::watches::{self, Watch};
use tocsin::store::{maintenance, outages};
use tocsin::text::fill;
use tocsin::time::Timestamp;

use super::failed;

/// The name of the alert.
const NAME: &str = "ExpectedAlertMissing";
/// A process that takes alerts said so within this; else nothing is known.
const PRESENT: Duration = Duration::from_secs(30);
/// How often one may be missed: a sender that is busy for a moment is not silent.
const MISSES: u32 = 2;

/// Fires for each that does not come, and ends that for each that came.
///
/// # Errors
/// The store or the queue cannot be reached now.
pub async fn check_expected(context: &Context) -> Result<(), JobError> {
    let db = context.db.read();
    let known = watches::all(db).await?;
    let expected = &context.config.expected;
    let now = context.clock.of_store(maintenance::now(db).await?);
    let names: HashSet<String> = expected.iter().map(|one| watch_name(&one.name())).collect();
    let prefix = watch_name("");
    for gone in known
        .iter()
        .filter(|w| w.name.starts_with(&prefix) && !names.contains(&w.name))
    {
        let name = gone.name[prefix.len()..].to_owned();
        let alert = alert(context, &name, None, Duration::ZERO);
        own::resolve(context, gone, &alert, (Some(now), now))
            .await
            .map_err(failed)?;
        watches::forget(context.db.write(), &gone.name).await?;
    }
    if expected.is_empty() {
        return Ok(());
    }
    for one in expected {
        watches::ensure(context.db.write(), &watch_name(&one.name()), now).await?;
    }
    if !listens(db, now).await? {
        return Ok(());
    }
    let back = outages::last_end(db).await?;
    for one in expected {
        let name = watch_name(&one.name());
        let Some(watch) = known.iter().find(|watch| watch.name == name) else {
            // It is watched from now on.
            continue;
        };
        look(context, one, watch, (back, now)).await?;
    }
    Ok(())
}

/// Whether a process takes alerts.
pub(super) async fn listens(db: &impl ConnectionTrait, now: Timestamp) -> Result<bool, JobError> {
    let heard = outages::heard_until(db).await?;
    Ok(heard.is_some_and(|heard| now.since(heard).max(heard.since(now)) <= PRESENT))
}

async fn look(
    context: &Context,
    one: &Expected,
    watch: &Watch,
    (back, now): (Option<Timestamp>, Timestamp),
) -> Result<(), JobError> {
    let mut alert = alert(context, &one.name(), watch.seen_at, one.every.0);
    match late(watch.seen_at, back, one.every.0 * MISSES, now) {
        Some((heard, since)) => {
            alert.silent = Some(SilentSource {
                source: one.source.clone().unwrap_or_default(),
                labels: one.labels.iter().collect(),
                since: heard,
            });
            own::fire(context, &watch.name, since, &alert, now).await
        }
        None => {
            let heard = watch.seen_at.max(back).unwrap_or(now).min(now);
            own::resolve(context, watch, &alert, (Some(heard), now)).await
        }
    }
    .map_err(failed)
}

/// When it was heard last, as far as it could have been, and since when it is late: that is longer ago than `patience`.
fn late(
    seen: Option<Timestamp>,
    back: Option<Timestamp>,
    patience: Duration,
    now: Timestamp,
) -> Option<(Timestamp, Timestamp)> {
    let heard = seen.max(back)?;
    let due = heard.after(patience);
    (now.since(heard) > patience).then_some((heard, due))
}

fn alert(context: &Context, name: &str, seen: Option<Timestamp>, every: Duration) -> OwnAlert {
    let text = context.config.language.text();
    let seen = seen.map_or_else(|| "–".to_owned(), Timestamp::to_rfc3339);
    let every = context.config.language.age(every);
    let places = [("name", name), ("time", &*seen), ("every", &*every)];
    OwnAlert {
        name: NAME,
        reason: name.to_owned(),
        severity: "critical",
        summary: fill(text.expected_missing, &places),
        description: fill(text.expected_missing_look, &places),
        silent: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_late_after_two_of_its_times_in_which_it_could_have_come() {
        let patience = Duration::from_secs(600);
        let at = |s: i64| Timestamp(s * 1000);
        for (seen, back, now, since) in [
            (Some(0), None, 600, None),
            (Some(0), None, 601, Some(600)),
            // Tocsin was down, or its clock jumped.
            (Some(0), Some(500), 700, None),
            (Some(0), Some(500), 1101, Some(1100)),
            // It was seen in the future.
            (Some(9000), None, 601, None),
            (None, None, 9000, None),
        ] {
            let found = late(seen.map(at), back.map(at), patience, at(now));
            let since = since.map(|since| (at(since - 600), at(since)));
            assert_eq!(found, since, "{seen:?} {back:?} {now}");
        }
    }
}
