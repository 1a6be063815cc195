//! The store's clock, where it was ahead and went back. What was put off meanwhile lies too far ahead,
//! and what came in meanwhile is dated later than now, so both are put back by as much as the clock was.
//! Only what depends on the clock of the moment is: budgets, schedules' ticks and sessions are held against
//! now wherever they are read.

mod moments;

use std::time::Duration;

use futures::future::BoxFuture;
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr, Value};

use super::marks::{self, Mark};
use super::rows::{Rows, statement};
use super::{Db, notifications, presses, requests};
use crate::jobs::lease::LEASE;
use crate::store::maintenance;
use crate::time::{Clock, Timestamp, millis};
use moments::MOMENTS;

/// Mark: when the clock was last read.
const MARK: &str = "clock";
/// How often the mark is written, and so how exactly a step back is measured.
const NOTED: Duration = Duration::from_secs(30);
/// After a gap this long, or a step back, nothing that cannot be undone is done for this long: the clock may be years
/// ahead for a moment, and senders may have waited for a process that was down.
const GAP: Duration = Duration::from_secs(3600);
/// When the last gap was noticed.
const GAP_MARK: &str = "clock gap";
/// How long after a step back statements that began before it may still write times that are ahead; until then such
/// times are corrected again and again.
const STRAGGLING: Duration = Duration::from_secs(60);
/// A smaller step back is ignored, because it delays due work by no more than this.
const LEAST: Duration = Duration::from_secs(5);

/// When something happened to an occurrence.
const OCCURRENCES: [&str; 5] = [
    "starts_at",
    "occurred_at",
    "last_seen_at",
    "end_received_at",
    "unleased_at",
];

/// What was noticed about the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noticed {
    /// It was ahead by so much, and is not any more.
    WasAhead(Duration),
    /// It was not read for this time, or went ahead by it.
    Gap(Duration),
}

/// Makes the counter forget what it counted of these anomalies, which the transaction has locked.
pub type Forget<E> = dyn for<'a> Fn(&'a DatabaseTransaction, &'a [String]) -> BoxFuture<'a, Result<(), E>>
    + Send
    + Sync;

/// Notes what time the store says it is, and returns what is odd about that. If its clock went back since it
/// was last noted, puts right what the clock that was ahead left behind.
///
/// Each step may be cut short, be done twice, or by two at once: what has been put right is not ahead any
/// more. The clock is noted last.
///
/// # Errors
/// What could not be put right is for the next call.
pub async fn keep<E: From<DbErr>>(
    db: &Db,
    clock: &Clock,
    forget: &Forget<E>,
) -> Result<Option<Noticed>, E> {
    let now = clock.of_store(maintenance::now(db.read()).await?);
    let gap = marks::find(db.read(), GAP_MARK).await?;
    if let Some(ahead) = gap.and_then(|gap| was_ahead(&gap, now)) {
        let back = PutBack {
            clock,
            ahead,
            which: Which::Stragglers,
        };
        put_back(db, forget, back).await?;
    }
    let last = marks::find(db.read(), MARK).await?.map(|mark| mark.at);
    let is_noted = |last: Timestamp| last <= now && now.since(last) < NOTED;
    if last.is_some_and(is_noted) {
        return Ok(None);
    }
    let noticed = last.and_then(|last| notice(last, now));
    let mark = Mark {
        at: now,
        ..Mark::default()
    };
    if let Some(Noticed::WasAhead(ahead)) = noticed {
        let back = PutBack {
            clock,
            ahead,
            which: Which::All,
        };
        put_back(db, forget, back).await?;
    }
    if let Some(noticed) = noticed {
        let gap = Mark {
            place: noticed.place(),
            ..mark.clone()
        };
        marks::set(db.write(), GAP_MARK, &gap).await?;
    }
    marks::set(db.write(), MARK, &mark).await?;
    Ok(noticed)
}

fn notice(last: Timestamp, now: Timestamp) -> Option<Noticed> {
    let (ahead, gap) = (last.since(now), now.since(last));
    if ahead > LEAST {
        Some(Noticed::WasAhead(ahead))
    } else {
        (gap > GAP).then_some(Noticed::Gap(gap))
    }
}

impl Noticed {
    /// How it is kept in the mark: how far the clock was ahead, in milliseconds.
    fn place(self) -> String {
        match self {
            Self::WasAhead(ahead) => ahead.as_millis().to_string(),
            Self::Gap(_) => String::new(),
        }
    }
}

/// How far the clock was ahead, if that is over for so short a time that work which began before may still
/// write by it, and so far ahead that it cannot be a deliberate delay.
fn was_ahead(gap: &Mark, now: Timestamp) -> Option<Duration> {
    let ahead = Duration::from_millis(gap.place.parse().ok()?);
    let is_fresh = gap.at <= now && now.since(gap.at) < STRAGGLING;
    (is_fresh && ahead > STRAGGLING).then_some(ahead)
}

/// Whether the clock went on without a gap for long enough that what it says is over is over.
pub async fn is_steady(db: &impl ConnectionTrait, now: Timestamp) -> Result<bool, DbErr> {
    let gap = marks::find(db, GAP_MARK).await?;
    Ok(gap.is_none_or(|gap| gap.at <= now && now.since(gap.at) >= GAP))
}

/// What is put back.
#[derive(Clone, Copy)]
struct PutBack<'a> {
    clock: &'a Clock,
    /// How far it was ahead.
    ahead: Duration,
    which: Which,
}

#[derive(Clone, Copy)]
enum Which {
    /// All that lies ahead of now. What comes in meanwhile is dated a little later than the now that a statement
    /// was given, and is right.
    All,
    /// What lies about as far ahead as the clock was.
    Stragglers,
}

impl PutBack<'_> {
    /// `$1`, `$2` and `$3` of a statement: what the clock says, how far it was ahead, and the moment that
    /// what is put back lies after.
    async fn values(self, db: &impl ConnectionTrait) -> Result<[Value; 3], DbErr> {
        let now = self.clock.of_store(maintenance::now(db).await?);
        let edge = match self.which {
            Which::All => now.after(LEAST),
            Which::Stragglers => now.after(self.ahead).before(STRAGGLING),
        };
        Ok([now.0.into(), millis(self.ahead).into(), edge.0.into()])
    }
}

async fn put_back<E: From<DbErr>>(db: &Db, forget: &Forget<E>, back: PutBack<'_>) -> Result<(), E> {
    let statements = held().into_iter().chain(put_off()).chain(happened());
    for sql in statements {
        let sql = statement(db.backend(), &sql, back.values(db.write()).await?);
        db.write().execute_raw(sql).await?;
    }
    // Nothing that is dealt with up to a moment that is still to come is dealt with until then.
    let marks = "DELETE FROM marks WHERE at > $3 AND $1 > 0 AND $2 > 0 AND name <> 'clock'";
    let sql = statement(db.backend(), marks, back.values(db.write()).await?);
    db.write().execute_raw(sql).await?;
    put_occurrences_back(db, forget, back).await
}

/// Claims that expire at a moment: for no longer than a new one would. Who holds it since the clock is
/// right goes on doing so.
fn held() -> Vec<String> {
    let of = |table: &str, column: &str, longest: Duration| {
        let longest = millis(longest);
        format!(
            "UPDATE {table} SET {column} = $1 + {longest} WHERE {column} > $3 + {longest} AND $2 > 0"
        )
    };
    vec![
        of("jobs", "lease_until", LEASE),
        of("notifications", "claimed_until", notifications::CLAIM),
        of("pollers", "held_until", presses::LEASE),
        of("requests", "claimed_until", requests::CLAIM),
    ]
}

/// What is due at a moment: it is due earlier by as much, and not before now.
fn put_off() -> Vec<String> {
    let due = |column: &str| {
        format!("{column} = CASE WHEN {column} - $2 > $1 THEN {column} - $2 ELSE $1 END")
    };
    let of = |table: &str, column: &str, which: &str| {
        format!(
            "UPDATE {table} SET {} WHERE {column} > $3 {which}",
            due(column)
        )
    };
    vec![
        // A job that was pushed by the clock that was ahead, and was not put off since, says how long it was
        // to wait. One that is in flight may be given back, and waits for its moment then.
        "UPDATE jobs SET run_at = $1 + run_at - enqueued_at, enqueued_at = $1 \
         WHERE enqueued_at > $3 AND NOT put_off AND $2 > 0"
            .to_owned(),
        // One that was pushed since by who took what it is for from a row of before waits for as long as the
        // clock was ahead.
        of(
            "jobs",
            "run_at",
            &format!(
                "AND (put_off OR $2 > {far} AND run_at - enqueued_at > $2 - {far})",
                far = millis(STRAGGLING)
            ),
        ),
        of(
            "notifications",
            "owed_since",
            "AND state IN ('owed', 'sending')",
        ),
        of("notifications", "edit_due_since", ""),
        // An executor has no longer than it would have now.
        "UPDATE executions SET expires_at = expires_at - $2 WHERE wanted_at > $3 AND $1 > 0"
            .to_owned(),
        of("channels", "paused_until", ""),
        // A mute lasts as long as it was meant to.
        "UPDATE anomalies SET muted_since = muted_since - $2, muted_until = muted_until - $2 \
         WHERE muted_since > $3 AND $1 > 0"
            .to_owned(),
        // So does a maintenance window that began when it was made; one that was planned is of its own day.
        "UPDATE maintenance_windows SET starts_at = starts_at - $2, ends_at = ends_at - $2 \
         WHERE starts_at = created_at AND created_at > $3 AND $1 > 0"
            .to_owned(),
    ]
}

/// What happened at a moment: it did earlier by as much, and not after now.
fn happened() -> impl Iterator<Item = String> {
    let not_owed_any_more = format!(
        "UPDATE notifications SET {} WHERE owed_since > $3 AND state NOT IN ('owed', 'sending')",
        earlier("owed_since")
    );
    let tables = MOMENTS.into_iter().map(|(table, columns)| {
        let put_back: Vec<String> = columns.iter().map(|column| earlier(column)).collect();
        let is_ahead: Vec<String> = columns.iter().map(|c| format!("{c} > $3")).collect();
        format!(
            "UPDATE {table} SET {} WHERE {}",
            put_back.join(", "),
            is_ahead.join(" OR ")
        )
    });
    tables.chain([not_owed_any_more])
}

fn earlier(column: &str) -> String {
    format!(
        "{column} = CASE WHEN {column} > $3 THEN CASE WHEN {column} - $2 < $1 THEN {column} - $2 ELSE $1 END \
         ELSE {column} END"
    )
}

/// The same for occurrences, and what was counted of them.
async fn put_occurrences_back<E: From<DbErr>>(
    db: &Db,
    forget: &Forget<E>,
    back: PutBack<'_>,
) -> Result<(), E> {
    let is_ahead = OCCURRENCES
        .map(|column| format!("{column} > $3"))
        .join(" OR ");
    let tx = db.begin().await?;
    let keys = format!(
        "SELECT key FROM anomalies WHERE key IN \
             (SELECT anomaly_key FROM occurrences WHERE {is_ahead}) OR counted_as_of > $3 \
             AND $1 > 0 AND $2 > 0 \
         ORDER BY key {{lock}}"
    );
    let sql = statement(db.backend(), &keys, back.values(&tx).await?);
    let rows = tx.query_all_raw(sql).await?;
    let keys: Result<Vec<String>, DbErr> = rows.iter().map(|row| row.try_get("", "key")).collect();
    let keys = keys?;
    if keys.is_empty() {
        return Ok(());
    }
    let put_back = OCCURRENCES.map(earlier).join(", ");
    // What ended before it began was over when it began.
    let sql = format!("UPDATE occurrences SET {put_back} WHERE {is_ahead}");
    let values = back.values(&tx).await?;
    let changed_at = [values[0].clone()];
    tx.execute_raw(statement(db.backend(), &sql, values.clone()))
        .await?;
    let ends = "UPDATE occurrences SET ended_at = CASE WHEN starts_at > $1 THEN starts_at ELSE $1 END \
                WHERE ended_at > $3 AND $2 > 0";
    tx.execute_raw(statement(db.backend(), ends, values))
        .await?;
    // Recount looks at what changed: what these became while the clock was ahead is refreshed.
    let rows = Rows::new().text("key", keys.iter().cloned());
    let recount = "UPDATE anomalies SET counted_as_of = NULL, changed_at = $1 \
                   WHERE key IN (SELECT r.key FROM {rows})";
    tx.execute_raw(rows.statement(db.backend(), recount, changed_at))
        .await?;
    forget(&tx, &keys).await?;
    tx.commit().await?;
    Ok(())
}

#[cfg(test)]
mod tests;
