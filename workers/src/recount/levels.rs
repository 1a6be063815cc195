//! Levels that do not hold any more, and figures that slid out of a window.
//!
//! Few anomalies change between two ticks, and those are looked at: what left a window or was counted
//! since the last one, and whose level is by age. Beside that everything is looked at once an hour, in
//! slices, and once after a start, when the settings may be others. Looking locks nothing. Only what
//! looks wrong is locked, looked at again, and written.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use sea_orm::ConnectionTrait;
use tocsin::config::Escalation;
use tocsin::context::Context;
use tocsin::domain::escalation::assess;
use tocsin::domain::frequency::{Counts, FrequencyStats, Window};
use tocsin::entity::anomalies::Model as Anomaly;
use tocsin::jobs::{CalculateTier, JobError};
use tocsin::queue::Push;
use tocsin::store::marks::{self, Mark};
use tocsin::store::{anomalies, cards, incidents, maintenance};
use tocsin::text::Reason;
use tocsin::time::Timestamp;

use crate::tier::lasts;

/// Up to when changes were looked at.
pub(super) const MARK: &str = "levels";
/// How far the hour's look at everything is.
const SWEEP: &str = "levels, all";
/// How long that takes.
const HOUR: Duration = Duration::from_secs(3600);
/// Anomalies that are looked at, and locked, together.
const TOGETHER: usize = 100;
/// Anomalies that one pass looks at of all there are.
const AT_ONCE: i64 = 20_000;
/// How long a pass looks; the rest is for the next.
const AT_MOST: Duration = Duration::from_secs(25);
/// Stores that do not answer so often in one pass are gone.
const TROUBLES: usize = 3;
/// Greater than every key, which are hexadecimal.
const END: &str = "g";

/// Lowers levels that do not hold any more, has those raised that are below what holds, and refreshes
/// figures that have slid out of a window. Goes on where the last pass came to.
///
/// # Errors
/// The store cannot be reached now, or anomalies were passed over that could not be looked at; the log
/// says which.
pub async fn decay(context: &Context) -> Result<(), JobError> {
    let (db, began) = (context.db.read(), Instant::now());
    let now = context.clock.of_store(maintenance::now(db).await?);
    let mark = marks::find(db, MARK).await?.unwrap_or_default();
    let to = mark.upto.unwrap_or(now);
    let knows_changes = mark.at > Timestamp(0);
    let (keys, is_all) = if knows_changes {
        let unit = context.config.counting.unit;
        let changed = maintenance::changed(db, unit, (mark.at, to)).await?;
        let keys = changed.into_iter().filter(|key| *key > mark.place);
        (keys.collect(), true)
    } else {
        let keys = decaying(context, (&mark.place, END), now).await?;
        let is_all = (keys.len() as i64) < AT_ONCE;
        (keys, is_all)
    };
    let mut pass = Pass::new(context);
    for some in keys.chunks(TOGETHER) {
        pass.look_at(some).await?;
        if began.elapsed() > AT_MOST {
            break;
        }
    }
    let last = pass.last.clone().unwrap_or_default();
    let is_done = is_all && keys.last().is_none_or(|key| *key == last);
    let reached = if is_done {
        Mark {
            at: to,
            ..Mark::default()
        }
    } else {
        Mark {
            upto: Some(to),
            place: last,
            ..mark
        }
    };
    marks::set(context.db.write(), MARK, &reached).await?;
    if is_done && knows_changes {
        sweep(context, &mut pass, now).await?;
    }
    pass.end().await
}

/// Looks at the next slice of everything.
async fn sweep(context: &Context, pass: &mut Pass<'_>, now: Timestamp) -> Result<(), JobError> {
    let mark = marks::find(context.db.read(), SWEEP).await?;
    let mark = mark.filter(|mark| mark.at <= now).unwrap_or(Mark {
        at: now,
        ..Mark::default()
    });
    let last = slice_end(now.since(mark.at));
    let keys = decaying(context, (&mark.place, &last), now).await?;
    for some in keys.chunks(TOGETHER) {
        pass.look_at(some).await?;
    }
    let is_all = (keys.len() as i64) < AT_ONCE;
    let next = match keys.last() {
        Some(key) if !is_all => Mark {
            place: key.clone(),
            ..mark
        },
        _ if last == END => Mark {
            at: now,
            ..Mark::default()
        },
        _ => Mark {
            place: last,
            ..mark
        },
    };
    Ok(marks::set(context.db.write(), SWEEP, &next).await?)
}

/// Up to which key everything is to be looked at so long after the hour began: keys are hashes, so a
/// part of the hour is that part of them.
fn slice_end(into: Duration) -> String {
    if into >= HOUR {
        return END.to_owned();
    }
    let part = into.as_secs_f64() / HOUR.as_secs_f64() * 65_536.0;
    format!("{:04x}", part as u32)
}

async fn decaying(
    context: &Context,
    keys: (&str, &str),
    now: Timestamp,
) -> Result<Vec<String>, JobError> {
    // A little more than the longest window: figures that fall to zero are refreshed, too.
    let longest = Window::Month.length() + Duration::from_secs(86_400);
    let db = context.db.read();
    Ok(maintenance::decaying(db, keys, now.before(longest), AT_ONCE).await?)
}

/// One pass over some anomalies. What cannot be looked at is passed over and told.
struct Pass<'a> {
    context: &'a Context,
    /// The last that was looked at.
    last: Option<String>,
    /// Where a store did not answer in time, which a lock may have been in the way of.
    later: Vec<String>,
    troubles: usize,
    passed_over: usize,
}

impl<'a> Pass<'a> {
    const fn new(context: &'a Context) -> Self {
        Self {
            context,
            last: None,
            later: Vec::new(),
            troubles: 0,
            passed_over: 0,
        }
    }

    /// Looks at some.
    ///
    /// # Errors
    /// The store cannot be reached.
    async fn look_at(&mut self, keys: &[String]) -> Result<(), JobError> {
        self.last = keys.last().cloned();
        match look(self.context, keys).await {
            Ok(()) => self.troubles = 0,
            Err(error @ JobError::RetryAfter { .. }) => {
                self.later.extend_from_slice(keys);
                self.troubles += 1;
                if self.troubles >= TROUBLES {
                    return Err(error);
                }
            }
            Err(_) => {
                // Whatever is wrong with one does not harm those that it was taken with.
                for key in keys {
                    let one = std::slice::from_ref(key);
                    if let Err(error) = look(self.context, one).await {
                        self.pass_over(one, &error);
                    }
                }
            }
        }
        Ok(())
    }

    /// Looks once more at what was left for later.
    ///
    /// # Errors
    /// Some were passed over.
    async fn end(mut self) -> Result<(), JobError> {
        for some in std::mem::take(&mut self.later).chunks(TOGETHER) {
            if let Err(error) = look(self.context, some).await {
                self.pass_over(some, &error);
            }
        }
        match self.passed_over {
            0 => Ok(()),
            n => Err(JobError::Retry(format!("{n} anomalies were passed over"))),
        }
    }

    fn pass_over(&mut self, keys: &[String], error: &JobError) {
        self.passed_over += keys.len();
        tracing::error!(anomaly.keys = ?keys, "these were passed over until the hour's look: {error}");
    }
}

/// Looks at some anomalies without a lock; what looks wrong is looked at with one.
async fn look(context: &Context, keys: &[String]) -> Result<(), JobError> {
    let db = context.db.read();
    let now = context.clock.of_store(maintenance::now(db).await?);
    let found = maintenance::anomalies(db, keys, false).await?;
    let keys: Vec<String> = found.iter().map(|anomaly| anomaly.key.clone()).collect();
    let counts = context.counter.counts(&keys, now).await?;
    let judged = judge(context, db, found, &counts, now).await?;
    let stats: Vec<FrequencyStats> = judged.iter().map(|one| one.stats.clone()).collect();
    let mut wrong: BTreeSet<String> = maintenance::stale(db, &stats).await?.into_iter().collect();
    let moved = judged.iter().filter(|one| one.stands != Stands::Rightly);
    wrong.extend(moved.map(|one| one.anomaly.key.clone()));
    if wrong.is_empty() {
        return Ok(());
    }
    set_right(context, &wrong.into_iter().collect::<Vec<_>>()).await
}

/// Writes what holds of some anomalies, in one transaction under their locks.
async fn set_right(context: &Context, keys: &[String]) -> Result<(), JobError> {
    let tx = context.db.begin().await?;
    let found = maintenance::anomalies(&tx, keys, true).await?;
    let now = context.clock.of_store(maintenance::now(&tx).await?);
    let keys: Vec<String> = found.iter().map(|anomaly| anomaly.key.clone()).collect();
    let counts = context.counter.counts_within(&tx, &keys, now).await?;
    let judged = judge(context, &tx, found, &counts, now).await?;

    let newest = |is: fn(Stands) -> bool| {
        let such = judged.iter().filter(move |one| is(one.stands));
        such.filter_map(|one| one.anomaly.newest_incident)
            .collect::<Vec<_>>()
    };
    let changed = judged.iter().filter(|one| one.stands == Stands::Fallen);
    let changed: Vec<&Anomaly> = changed.map(|one| &one.anomaly).collect();
    anomalies::set_levels(&tx, &changed).await?;
    let stats: Vec<FrequencyStats> = judged.iter().map(|one| one.stats.clone()).collect();
    maintenance::refresh_stats(&tx, &stats).await?;
    let edited = if context.config.edits() {
        cards::mark_edits(&tx, &newest(|stands| stands == Stands::Fallen), now).await?
    } else {
        Vec::new()
    };
    // What is below is raised by its tier, as everything is that rises.
    let due = newest(|stands| stands != Stands::Rightly);
    let due = incidents::mark_due(&tx, &due, now).await?;
    tx.commit().await?;
    let jobs: Vec<_> = due
        .into_iter()
        .map(|incident| CalculateTier { incident })
        .collect();
    context.queues.push_all(jobs.iter().map(Push::new)).await?;
    Ok(tocsin::cards::push_edits(context, &edited).await?)
}

/// How an anomaly's level stands to what holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stands {
    /// It is what holds.
    Rightly,
    /// It was higher, or held by another rule; now it says what holds.
    Fallen,
    /// It is lower: who should have raised it did not.
    Below,
}

struct Judged {
    anomaly: Anomaly,
    stands: Stands,
    stats: FrequencyStats,
}

async fn judge(
    context: &Context,
    db: &impl ConnectionTrait,
    found: Vec<Anomaly>,
    counts: &[Counts],
    now: Timestamp,
) -> Result<Vec<Judged>, JobError> {
    let escalation = &context.config.escalation;
    let keys: Vec<String> = found.iter().map(|anomaly| anomaly.key.clone()).collect();
    let lasting = incidents::lasting(db, &keys, escalation, now).await?;
    let judged = found.into_iter().zip(counts).map(|(mut anomaly, counts)| {
        let since = lasting.get(&anomaly.key).copied();
        let stands = settle(&mut anomaly, counts, since, escalation);
        let seen = (anomaly.first_seen, anomaly.last_seen);
        let stats = FrequencyStats::new(&anomaly.key, counts, seen, anomaly.level);
        Judged {
            anomaly,
            stands,
            stats,
        }
    });
    Ok(judged.collect())
}

/// Has an anomaly's level say what holds, unless that is higher.
fn settle(
    anomaly: &mut Anomaly,
    counts: &Counts,
    lasts_since: Option<Timestamp>,
    escalation: &Escalation,
) -> Stands {
    let why = lasts_since.map(|since| lasts(since, escalation.open_for.0));
    let found = assess(counts, why.as_deref(), &escalation.rules);
    if found.level > anomaly.level {
        return Stands::Below;
    }
    let is_by_the_same = match (anomaly.reason.as_deref(), found.reason.as_deref()) {
        (Some(was), Some(is)) => Reason::read(was).has_rule_of(&Reason::read(is)),
        (was, is) => was == is,
    };
    if found.level == anomaly.level && is_by_the_same {
        return Stands::Rightly;
    }
    if found.level < anomaly.level {
        tracing::debug!(anomaly.key, from = %anomaly.level, to = %found.level, "an anomaly's level falls");
    }
    // A level that holds by another rule than it rose by says so.
    anomaly.level = found.level;
    anomaly.reason = found.reason;
    Stands::Fallen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_looked_at_in_an_hour_slice_by_slice() {
        let minutes = |n: u64| slice_end(Duration::from_secs(n * 60));
        assert_eq!(minutes(0), "0000");
        assert_eq!(minutes(15), "4000");
        assert_eq!(minutes(30), "8000");
        assert!(minutes(59) < "ffff".to_owned());
        assert_eq!(minutes(60), END);
        assert_eq!(minutes(6000), END);
        assert!(*END > *"ffffffffffffffffffffffffffffffff");
    }
}
