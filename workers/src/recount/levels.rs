//! Lowers levels that no longer hold, and refreshes counts that have left a window.
//!
//! Each tick checks the few anomalies that may have changed since the last one: those with firings that were counted
//! or left a window, and those whose level depends on age. In addition every anomaly is checked once an hour, in
//! slices, and once after a start, because the settings may have changed. A check takes no locks; only an anomaly that
//! seems wrong is locked, checked again, and written.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use sea_orm::ConnectionTrait;
use tocsin::context::Context;
use tocsin::domain::escalation::{Change, decay as decide};
use tocsin::domain::frequency::{Counts, FrequencyStats, Window};
use tocsin::entity::anomalies::Model as Anomaly;
use tocsin::jobs::JobError;
use tocsin::outbox::{Cause, FollowUp, Traces};
use tocsin::store::marks::{self, Mark};
use tocsin::store::{anomalies, incidents, levels, maintenance, outbox};
use tocsin::time::Timestamp;

use super::Progress;
use crate::tier::assessments;

/// Mark: up to when changes were checked.
pub(super) const MARK: &str = "levels";
/// Mark: how far the hourly check of all anomalies has come.
const SWEEP: &str = "levels, all";
/// The period of that check.
const HOUR: Duration = Duration::from_secs(3600);
/// Anomalies that are checked, and locked, together.
const TOGETHER: usize = 100;
/// Anomalies that one pass of the hourly check reads.
const AT_ONCE: i64 = 20_000;
/// How long a pass checks; the next continues.
const AT_MOST: Duration = Duration::from_secs(25);
/// Timeouts in one pass after which the store counts as unavailable.
const TROUBLES: usize = 3;
/// Greater than every anomaly key: keys are hexadecimal.
const END: &str = "g";

/// Lowers levels that no longer hold, enqueues tiers for levels that are too low, and refreshes counts that have left
/// a window. Continues where the last pass ended. The items are the anomalies
/// that were checked.
///
/// # Errors
/// The store cannot be reached now, or some anomalies could not be read and were skipped; the log names them.
pub async fn decay(context: &Context) -> Result<Progress, JobError> {
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
    pass.look_at_all(&keys, began).await;
    let last = pass.last.clone().unwrap_or_else(|| mark.place.clone());
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
    let mut has_more = !is_done;
    if is_done && knows_changes {
        has_more = !sweep(context, &mut pass, (now, began)).await?;
    }
    // What is in trouble is not asked again at once.
    has_more &= pass.later.is_empty();
    let items = pass.end().await?;
    Ok(Progress { items, has_more })
}

/// Checks the next slice of all anomalies; returns whether it was all of that slice.
async fn sweep(
    context: &Context,
    pass: &mut Pass<'_>,
    (now, began): (Timestamp, Instant),
) -> Result<bool, JobError> {
    let mark = marks::find(context.db.read(), SWEEP).await?;
    let mark = mark.filter(|mark| mark.at <= now).unwrap_or(Mark {
        at: now,
        ..Mark::default()
    });
    let last = slice_end(now.since(mark.at));
    let keys = decaying(context, (&mark.place, &last), now).await?;
    pass.last = None;
    pass.look_at_all(&keys, began).await;
    let is_all = (keys.len() as i64) < AT_ONCE && pass.last.as_ref() == keys.last();
    let next = match keys.last() {
        Some(_) if !is_all => Mark {
            place: pass.last.clone().unwrap_or_else(|| mark.place.clone()),
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
    marks::set(context.db.write(), SWEEP, &next).await?;
    Ok(is_all)
}

/// The key up to which anomalies must be checked by this point of the hour. Keys are hashes, so a fraction of the hour
/// is the same fraction of the keys.
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
    // A little more than the longest window, so that counts that fall to zero are refreshed, too.
    let longest = Window::Month.length() + Duration::from_secs(86_400);
    let db = context.db.read();
    Ok(maintenance::decaying(db, keys, now.before(longest), AT_ONCE).await?)
}

/// One pass over some anomalies. Anomalies that cannot be read are skipped and logged.
struct Pass<'a> {
    context: &'a Context,
    /// The last key of the last batch that was checked.
    last: Option<String>,
    /// Anomalies that timed out, perhaps because of a lock.
    later: Vec<String>,
    troubles: usize,
    passed_over: usize,
    looked_at: u64,
}

impl<'a> Pass<'a> {
    const fn new(context: &'a Context) -> Self {
        Self {
            context,
            last: None,
            later: Vec::new(),
            troubles: 0,
            passed_over: 0,
            looked_at: 0,
        }
    }

    /// Checks these in batches while there is time and the store answers.
    async fn look_at_all(&mut self, keys: &[String], began: Instant) {
        for some in keys.chunks(TOGETHER) {
            if began.elapsed() > AT_MOST || self.troubles >= TROUBLES {
                break;
            }
            self.look_at(some).await;
        }
    }

    async fn look_at(&mut self, keys: &[String]) {
        self.looked_at += keys.len() as u64;
        match look(self.context, keys).await {
            Ok(()) => self.troubles = 0,
            Err(JobError::RetryAfter { .. }) => {
                self.later.extend_from_slice(keys);
                self.troubles += 1;
                return;
            }
            Err(_) => {
                // One by one, so that a bad anomaly does not fail the rest of its batch.
                for key in keys {
                    let one = std::slice::from_ref(key);
                    if let Err(error) = look(self.context, one).await {
                        self.pass_over(one, &error);
                    }
                }
            }
        }
        self.last = keys.last().cloned();
    }

    /// Retries the anomalies that timed out.
    ///
    /// # Errors
    /// Some were skipped.
    async fn end(mut self) -> Result<u64, JobError> {
        for some in std::mem::take(&mut self.later).chunks(TOGETHER) {
            if let Err(error) = look(self.context, some).await {
                self.pass_over(some, &error);
            }
        }
        match self.passed_over {
            0 => Ok(self.looked_at),
            n => Err(JobError::Retry(format!("{n} anomalies were skipped"))),
        }
    }

    fn pass_over(&mut self, keys: &[String], error: &JobError) {
        self.passed_over += keys.len();
        tracing::error!(anomaly.keys = ?keys, "skipping these anomalies until the next hourly pass over all levels: {error}");
    }
}

/// Checks some anomalies without locks, and those that seem wrong again under locks.
async fn look(context: &Context, keys: &[String]) -> Result<(), JobError> {
    let db = context.db.read();
    let now = context.clock.of_store(maintenance::now(db).await?);
    let found = maintenance::anomalies(db, keys, false).await?;
    let keys: Vec<String> = found.iter().map(|anomaly| anomaly.key.clone()).collect();
    let counts = context.counter.counts(&keys, now).await?;
    let judged = judge(context, db, found, &counts, now).await?;
    let stats: Vec<FrequencyStats> = judged.iter().map(|one| one.stats.clone()).collect();
    let mut wrong: BTreeSet<String> = maintenance::stale(db, &stats).await?.into_iter().collect();
    let moved = judged.iter().filter(|one| one.change != Change::default());
    wrong.extend(moved.map(|one| one.anomaly.key.clone()));
    if wrong.is_empty() {
        return Ok(());
    }
    set_right(context, &wrong.into_iter().collect::<Vec<_>>()).await
}

/// Corrects some anomalies, in one transaction under their locks.
async fn set_right(context: &Context, keys: &[String]) -> Result<(), JobError> {
    let tx = context.db.begin().await?;
    let found = maintenance::anomalies(&tx, keys, true).await?;
    let now = context.clock.of_store(maintenance::now(&tx).await?);
    let keys: Vec<String> = found.iter().map(|anomaly| anomaly.key.clone()).collect();
    let counts = context.counter.counts_within(&tx, &keys, now).await?;
    let judged = judge(context, &tx, found, &counts, now).await?;

    let changed = judged.iter().filter(|one| one.change.is_written);
    let changed: Vec<&Anomaly> = changed.map(|one| &one.anomaly).collect();
    anomalies::set_levels(&tx, &changed).await?;
    let stats: Vec<FrequencyStats> = judged.iter().map(|one| one.stats.clone()).collect();
    maintenance::refresh_stats(&tx, &stats).await?;
    let turned = judged.iter().filter(|one| one.change.is_due);
    let turned: Vec<_> = turned
        .map(|one| (one.anomaly.key.clone(), one.anomaly.newest_incident))
        .collect();
    // A level that is too low is raised by the tier job, like every rise.
    let due = levels::concerned(&tx, &turned).await?;
    let edits = outbox::mark_edits(&tx, &context.config.messages(), &due, now).await?;
    let due = incidents::mark_due(&tx, &due, now).await?;
    tx.commit().await?;
    // Newest first: the message about a rise is for the newest incident that the tier job finds due.
    let due: BTreeSet<_> = due.into_iter().collect();
    let follow_up = FollowUp {
        tiers: due.into_iter().rev().collect(),
        edits,
        ..FollowUp::default()
    };
    let pushed = follow_up.try_push(context, Cause::Single, Traces::None);
    Ok(pushed.await?)
}

/// An anomaly's level and counts as they should be.
struct Judged {
    anomaly: Anomaly,
    change: Change,
    stats: FrequencyStats,
}

async fn judge(
    context: &Context,
    db: &impl ConnectionTrait,
    anomalies: Vec<Anomaly>,
    counts: &[Counts],
    now: Timestamp,
) -> Result<Vec<Judged>, JobError> {
    let counted: Vec<_> = anomalies.iter().zip(counts.iter().copied()).collect();
    let mut found = assessments(context, db, &counted, now).await?;
    let hysteresis = context.config.escalation.hysteresis;
    let judged = anomalies
        .into_iter()
        .zip(counts)
        .filter_map(|(mut anomaly, counts)| {
            let found = found.remove(&anomaly.key)?;
            let was = anomaly.level;
            let mut state = anomaly.level_state();
            let change = decide(&state, found, hysteresis, now).apply(&mut state);
            anomaly.set_level(state);
            if anomaly.level < was {
                tracing::debug!(
                    anomaly.key,
                    alert.name = anomaly.alert_name,
                    service = anomaly.service,
                    from = %was,
                    to = %anomaly.level,
                    "an anomaly's level fell"
                );
            }
            let seen = (anomaly.first_seen, anomaly.last_seen);
            let stats = FrequencyStats::new(&anomaly.key, counts, seen, anomaly.level);
            Some(Judged {
                anomaly,
                change,
                stats,
            })
        });
    Ok(judged.collect())
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
        assert!(*minutes(59) < *"ffff");
        assert_eq!(minutes(60), END);
        assert_eq!(minutes(6000), END);
        assert!(*END > *"ffffffffffffffffffffffffffffffff");
    }
}
