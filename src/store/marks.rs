//! Marks: how far recurring work has come.

use sea_orm::{ConnectionTrait, DbErr, QueryResult, Value};

use super::rows::statement;
use crate::time::Timestamp;

/// How far some work has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// What happened by then is dealt with.
    pub at: Timestamp,
    /// What happened by then is being dealt with, if that was interrupted.
    pub upto: Option<Timestamp>,
    /// The last that was dealt with of it; empty if it is not begun.
    pub place: String,
}

/// The mark of this name.
pub async fn find(db: &impl ConnectionTrait, name: &str) -> Result<Option<Mark>, DbErr> {
    let sql = "SELECT at, upto, place FROM marks WHERE name = $1";
    let sql = statement(db.get_database_backend(), sql, [Value::from(name)]);
    let row = db.query_one_raw(sql).await?;
    row.map(|row| {
        Ok(Mark {
            at: row.try_get("", "at")?,
            upto: row.try_get("", "upto")?,
            place: row.try_get("", "place")?,
        })
    })
    .transpose()
}

/// What every mark says is dealt with, by its name: there are a few.
pub async fn moments(db: &impl ConnectionTrait) -> Result<Vec<(String, Timestamp)>, DbErr> {
    let sql = statement(db.get_database_backend(), "SELECT name, at FROM marks", []);
    let rows = db.query_all_raw(sql).await?;
    let moment = |row: &QueryResult| Ok((row.try_get("", "name")?, row.try_get("", "at")?));
    rows.iter().map(moment).collect()
}

/// Sets the mark of this name.
pub async fn set(db: &impl ConnectionTrait, name: &str, mark: &Mark) -> Result<(), DbErr> {
    let sql = "INSERT INTO marks (name, at, upto, place) VALUES ($1, $2, $3, $4) \
               ON CONFLICT (name) DO UPDATE SET at = excluded.at, upto = excluded.upto, \
                   place = excluded.place";
    let values = [
        Value::from(name),
        mark.at.0.into(),
        mark.upto.map(|upto| upto.0).into(),
        mark.place.clone().into(),
    ];
    db.execute_raw(statement(db.get_database_backend(), sql, values))
        .await
        .map(drop)
}

/// Moves the mark from `last` to `to`, unless somebody else did; of several at once one does.
pub async fn claim(
    db: &impl ConnectionTrait,
    name: &str,
    last: Option<Timestamp>,
    to: Timestamp,
) -> Result<bool, DbErr> {
    let backend = db.get_database_backend();
    let sql = match last {
        None => statement(
            backend,
            "INSERT INTO marks (name, at, place) VALUES ($1, $2, '') ON CONFLICT (name) DO NOTHING",
            [Value::from(name), to.0.into()],
        ),
        Some(last) => statement(
            backend,
            "UPDATE marks SET at = $2 WHERE name = $1 AND at = $3",
            [Value::from(name), to.0.into(), last.0.into()],
        ),
    };
    Ok(db.execute_raw(sql).await?.rows_affected() > 0)
}

/// Forgets the mark of this name: nothing is known to be dealt with.
pub async fn forget(db: &impl ConnectionTrait, name: &str) -> Result<(), DbErr> {
    let sql = statement(
        db.get_database_backend(),
        "DELETE FROM marks WHERE name = $1",
        [Value::from(name)],
    );
    db.execute_raw(sql).await.map(drop)
}
