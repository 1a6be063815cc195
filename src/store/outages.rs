//! When Tocsin was down: nobody who sent an alert then was heard. A process that takes alerts says every few
//! seconds that it is there; who finds that nobody did for long writes down since when.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DbErr, Value};

use super::marks::{self, Mark};
use super::rows::statement;
use super::{Db, maintenance};
use crate::jobs::lease::LEASE;
use crate::time::{Clock, Timestamp};

/// When a process that takes alerts last said that it is there.
const MARK: &str = "ingress";
/// How often one says so.
pub const SAID: Duration = Duration::from_secs(10);

/// Says that a process is there that takes alerts. Returns since when none was, if that was for longer than a
/// lease; of several that come back at once one writes it.
pub async fn say_present(db: &Db, clock: &Clock) -> Result<Option<Duration>, DbErr> {
    let now = clock.of_store(maintenance::now(db.read()).await?);
    let Some(last) = marks::find(db.read(), MARK).await? else {
        let mark = Mark {
            at: now,
            ..Mark::default()
        };
        marks::set(db.write(), MARK, &mark).await?;
        return Ok(None);
    };
    let gone = now.since(last.at);
    let was_down = gone > LEASE + SAID;
    if last.at <= now && gone < SAID {
        return Ok(None);
    }
    let tx = db.begin().await?;
    let sql = "UPDATE marks SET at = $1 WHERE name = $2 AND at = $3";
    let values = [Value::from(now.0), MARK.into(), last.at.0.into()];
    let sql = statement(db.backend(), sql, values);
    let is_first = tx.execute_raw(sql).await?.rows_affected() > 0;
    if is_first && was_down {
        write(&tx, last.at, now).await?;
    }
    tx.commit().await?;
    Ok((is_first && was_down).then_some(gone))
}

/// Until when somebody was there, as far as that is noted; none if nobody ever said so.
pub async fn heard_until(db: &impl ConnectionTrait) -> Result<Option<Timestamp>, DbErr> {
    Ok(marks::find(db, MARK).await?.map(|mark| mark.at))
}

/// When the last time ended that nobody was there, as far as that is noted. A clock that jumps ahead looks like one.
pub async fn last_end(db: &impl ConnectionTrait) -> Result<Option<Timestamp>, DbErr> {
    let sql = "SELECT max(ended_at) AS at FROM outages";
    let sql = statement(db.get_database_backend(), sql, []);
    let row = db.query_one_raw(sql).await?;
    row.map_or(Ok(None), |row| row.try_get("", "at"))
}

async fn write(tx: &impl ConnectionTrait, from: Timestamp, to: Timestamp) -> Result<(), DbErr> {
    let sql = "INSERT INTO outages (began_at, ended_at) VALUES ($1, $2) \
               ON CONFLICT (began_at) DO UPDATE SET ended_at = excluded.ended_at";
    let values = [Value::from(from.0), to.0.into()];
    let sql = statement(tx.get_database_backend(), sql, values);
    tx.execute_raw(sql).await.map(drop)
}
