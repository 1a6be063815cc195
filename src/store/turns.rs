//! Turns: exclusive leases on recurring work, so that at most one process does it at a time. A turn is a mark: `at` is
//! when the last one began that ended, `upto` until when it is held, and `place` since when and by which job. One whose
//! process died is free when its job is delivered again, or when that time is over.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DbErr, Value};
use uuid::Uuid;

use super::marks;
use super::rows::{Rows, statement};
use crate::time::Timestamp;

/// A turn that is asked for. All moments are by one clock.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    /// The mark's name.
    pub name: &'static str,
    /// When it was asked for: if one began since and ended, this one has nothing to add.
    pub asked_at: Timestamp,
    /// Now.
    pub now: Timestamp,
    /// How long it is held if it does not end.
    pub lasts: Duration,
    /// The job that does it.
    pub job: Uuid,
    /// Whether the job comes again, because who had it let go of it: then a turn that it holds is its own.
    pub is_again: bool,
}

impl Turn {
    /// Since when it is held, and by which job.
    fn place(&self) -> String {
        format!("{} {}", self.now.0, self.job)
    }

    /// What a place is like that this turn may take over; nothing is like an empty pattern but what nobody holds.
    fn own(&self) -> String {
        match self.is_again {
            true => format!("% {}", self.job),
            false => String::new(),
        }
    }
}

/// Whether a turn began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begun {
    /// It did. Call [`end`].
    Now,
    /// One that began since it was asked for has ended.
    Done,
    /// Somebody holds it.
    Held {
        /// Since when.
        since: Timestamp,
        /// Until when, if it does not end.
        until: Timestamp,
    },
}

/// Begins a turn, unless it is held or has nothing to add; of several at once one does. What lies
/// further ahead than a turn lasts is of a clock that was wrong, and does not count; less far, it was at the same time.
pub async fn begin(db: &impl ConnectionTrait, turn: &Turn) -> Result<Begun, DbErr> {
    let sql = "INSERT INTO marks (name, at, upto, place) VALUES ($1, 0, $2, $3) \
               ON CONFLICT (name) DO UPDATE SET upto = excluded.upto, place = excluded.place \
               WHERE (marks.upto IS NULL OR marks.upto <= $4 OR marks.upto > $6 OR marks.place LIKE $7) \
                   AND (marks.at < $5 OR marks.at > $6)";
    let until = turn.now.after(turn.lasts);
    let wrong = until.after(turn.lasts);
    let values = [
        Value::from(turn.name),
        until.0.into(),
        turn.place().into(),
        turn.now.0.into(),
        turn.asked_at.0.into(),
        wrong.0.into(),
        turn.own().into(),
    ];
    let sql = statement(db.get_database_backend(), sql, values);
    if db.execute_raw(sql).await?.rows_affected() > 0 {
        return Ok(Begun::Now);
    }
    let Some(mark) = marks::find(db, turn.name).await? else {
        // It was forgotten since: ask again.
        let (since, until) = (Timestamp(0), turn.now.after(Duration::from_secs(1)));
        return Ok(Begun::Held { since, until });
    };
    if mark.at >= turn.asked_at && mark.at <= wrong {
        return Ok(Begun::Done);
    }
    let since = mark.place.split(' ').next().unwrap_or_default();
    let since = since.parse().map_or(Timestamp(0), Timestamp);
    let until = mark.upto.unwrap_or(turn.now);
    Ok(Begun::Held { since, until })
}

/// Frees turns that are held. Only for a process that runs alone on this database, when it starts: who held them died.
pub async fn free(db: &impl ConnectionTrait, names: &[&str]) -> Result<(), DbErr> {
    let rows = Rows::new().text("name", names.iter().map(|name| (*name).to_owned()));
    let sql = "UPDATE marks SET upto = NULL, place = '' \
               WHERE upto IS NOT NULL AND name IN (SELECT r.name FROM {rows})";
    let sql = rows.statement(db.get_database_backend(), sql, []);
    db.execute_raw(sql).await.map(drop)
}

/// Ends the turn, unless it was held for so long that somebody else has it.
pub async fn end(db: &impl ConnectionTrait, turn: &Turn) -> Result<(), DbErr> {
    let sql = "UPDATE marks SET at = $2, upto = NULL, place = '' \
               WHERE name = $1 AND place = $3 AND upto = $4";
    let values = [
        Value::from(turn.name),
        turn.now.0.into(),
        turn.place().into(),
        turn.now.after(turn.lasts).0.into(),
    ];
    let sql = statement(db.get_database_backend(), sql, values);
    db.execute_raw(sql).await.map(drop)
}
