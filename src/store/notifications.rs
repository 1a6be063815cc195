//! Messages owed: written by whoever decides them, claimed by whoever sends them.

mod ahead;
mod claims;

use std::collections::HashMap;

use sea_orm::{ActiveEnum, ConnectionTrait, DbErr, EntityTrait, QueryResult, Value};
use uuid::Uuid;

use super::rows::{Rows, columns, statement};
use crate::domain::routing::RoutingKey;
use crate::entity::notifications::{Entity, Kind, Model, State};
use crate::jobs::new_id;
use crate::time::Timestamp;
pub use ahead::{Ahead, COUNTED, ahead};
pub use claims::{CLAIM, claim, give_up, mute, release, sent};

/// A message that is owed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owed {
    /// The incident it is about.
    pub incident: Uuid,
    /// What it tells.
    pub kind: Kind,
    /// What tells it from others of its kind.
    pub sequence: i64,
    /// Where it goes.
    pub channels: Vec<String>,
    /// Whether it is not told, because its anomaly is muted.
    pub is_muted: bool,
    /// From when on it may go out.
    pub since: Timestamp,
}

/// What was written of messages that were decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Those that are owed, and were not before.
    pub owed: Vec<Uuid>,
    /// How many are not told, because their anomalies are muted, and were not there before.
    pub muted: u64,
}

/// Owes messages. Of a muted anomaly they are written down as not told, so that none of them is ever
/// owed. What is there already stays as it is.
///
/// # Errors
/// What the database says.
pub async fn owe(
    tx: &impl ConnectionTrait,
    owed: &[Owed],
    now: Timestamp,
) -> Result<Written, DbErr> {
    let each = || {
        owed.iter()
            .flat_map(|owed| owed.channels.iter().map(move |channel| (owed, channel)))
    };
    if each().next().is_none() {
        return Ok(Written::default());
    }
    let state = |is_muted| match is_muted {
        true => State::Muted,
        false => State::Owed,
    };
    let rows = Rows::new()
        .uuid("id", each().map(|_| new_id(now)))
        .uuid("incident_id", each().map(|(owed, _)| owed.incident))
        .text("kind", each().map(|(owed, _)| owed.kind.to_value()))
        .int("sequence", each().map(|(owed, _)| owed.sequence))
        .text("channel", each().map(|(_, channel)| channel.clone()))
        .text(
            "state",
            each().map(|(owed, _)| state(owed.is_muted).to_value()),
        )
        .time("since", each().map(|(owed, _)| owed.since));
    let sql = "INSERT INTO notifications \
                   (id, incident_id, kind, sequence, channel, state, owed_since) \
               SELECT r.id, r.incident_id, r.kind, r.sequence, r.channel, r.state, r.since \
               FROM {rows} WHERE true \
               ON CONFLICT (incident_id, kind, sequence, channel) DO NOTHING \
               RETURNING id, state";
    let sql = rows.statement(tx.get_database_backend(), sql, []);
    let mut written = Written::default();
    for row in tx.query_all_raw(sql).await? {
        match row.try_get("", "state")? {
            State::Muted => written.muted += 1,
            _ => written.owed.push(row.try_get("", "id")?),
        }
    }
    Ok(written)
}

/// A message that there is of an incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExistingMessage {
    /// The incident.
    pub incident: Uuid,
    /// Where it goes.
    pub channel: String,
    /// What it tells.
    pub kind: Kind,
    /// Whether its text is still to be fixed, or that of the digest that tells it: it will say what
    /// holds then.
    pub is_pending: bool,
    /// Whether it went out, by itself or in a digest.
    pub is_out: bool,
}

/// The messages that there are of these incidents, in order. Whoever fixes a text locks the anomaly, so what is
/// pending stays so for as long as it is locked.
///
/// # Errors
/// What the database says.
pub async fn standing(
    tx: &impl ConnectionTrait,
    incidents: &[Uuid],
) -> Result<Vec<ExistingMessage>, DbErr> {
    let rows = Rows::new().uuid("id", incidents.iter().copied());
    let sql = "SELECT n.incident_id, n.channel, n.kind, n.state, d.state AS digest \
               FROM {rows} JOIN notifications n ON n.incident_id = r.id \
               LEFT JOIN notifications d ON d.id = n.digest_id ORDER BY n.id";
    let found = tx
        .query_all_raw(rows.statement(tx.get_database_backend(), sql, []))
        .await?;
    let standing = |row: &QueryResult| {
        let state: State = row.try_get("", "state")?;
        let digest: Option<State> = row.try_get("", "digest")?;
        Ok(ExistingMessage {
            incident: row.try_get("", "incident_id")?,
            channel: row.try_get("", "channel")?,
            kind: row.try_get("", "kind")?,
            is_pending: state == State::Owed
                || (state == State::Digested && digest == Some(State::Owed)),
            is_out: state == State::Sent
                || (state == State::Digested && digest == Some(State::Sent)),
        })
    };
    found.iter().map(standing).collect()
}

/// What decides where messages about these incidents go, under their anomalies' locks.
///
/// # Errors
/// What the database says.
pub async fn facts(
    tx: &impl ConnectionTrait,
    incidents: &[Uuid],
) -> Result<HashMap<Uuid, RoutingKey>, DbErr> {
    if incidents.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = Rows::new().uuid("id", incidents.iter().copied());
    let sql = "SELECT i.id, i.severity, a.alert_name, a.service, a.namespace, a.level \
               FROM {rows} JOIN incidents i ON i.id = r.id JOIN anomalies a ON a.key = i.anomaly_key";
    let found = tx
        .query_all_raw(rows.statement(tx.get_database_backend(), sql, []))
        .await?;
    let facts = |row: &QueryResult| {
        let facts = RoutingKey {
            severity: row.try_get("", "severity")?,
            alert_name: row.try_get("", "alert_name")?,
            service: row.try_get("", "service")?,
            namespace: row.try_get("", "namespace")?,
            level: row.try_get("", "level")?,
        };
        Ok((row.try_get("", "id")?, facts))
    };
    found.iter().map(facts).collect()
}

/// A message that is still owed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StillOwed {
    /// Its id.
    pub id: Uuid,
    /// Its incident.
    pub incident: Uuid,
    /// From when on it may go out.
    pub owed_since: Timestamp,
    /// When it was looked at, by the store's clock.
    pub now: Timestamp,
}

/// The messages of these incidents that are still owed.
///
/// # Errors
/// What the database says.
pub async fn owed(db: &impl ConnectionTrait, incidents: &[Uuid]) -> Result<Vec<StillOwed>, DbErr> {
    let rows = Rows::new().uuid("id", incidents.iter().copied());
    let sql = "SELECT n.id, n.incident_id, n.owed_since, {now} AS now \
               FROM {rows} JOIN notifications n ON n.incident_id = r.id \
               WHERE n.state IN ('owed', 'sending') ORDER BY n.id";
    let found = db
        .query_all_raw(rows.statement(db.get_database_backend(), sql, []))
        .await?;
    let owed = |row: &QueryResult| {
        Ok(StillOwed {
            id: row.try_get("", "id")?,
            incident: row.try_get("", "incident_id")?,
            owed_since: Timestamp(row.try_get("", "owed_since")?),
            now: Timestamp(row.try_get("", "now")?),
        })
    };
    found.iter().map(owed).collect()
}

/// Messages that have been owed since before `moment`, those that wait longest first.
///
/// # Errors
/// What the database says.
pub async fn overdue(
    db: &impl ConnectionTrait,
    moment: Timestamp,
    limit: u64,
) -> Result<Vec<Uuid>, DbErr> {
    // States as they are written in the index: SQLite does not use it for states that are values.
    let sql = "SELECT id FROM notifications \
               WHERE state IN ('owed', 'sending') AND owed_since < $1 ORDER BY owed_since LIMIT $2";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let values = [Value::from(moment.0), limit.into()];
    let rows = db
        .query_all_raw(statement(db.get_database_backend(), sql, values))
        .await?;
    rows.iter().map(|row| row.try_get("", "id")).collect()
}

/// Reads one row and keeps others from claiming it until this transaction ends.
///
/// # Errors
/// What the database says.
pub async fn lock(tx: &impl ConnectionTrait, id: Uuid) -> Result<Option<Model>, DbErr> {
    let columns = columns::<Entity>("notifications");
    let sql = format!("SELECT {columns} FROM notifications WHERE id = $1 {{lock}}");
    let sql = statement(tx.get_database_backend(), &sql, [Value::from(id)]);
    Entity::find().from_raw_sql(sql).one(tx).await
}

/// Reads one row.
///
/// # Errors
/// What the database says.
pub async fn find(db: &impl ConnectionTrait, id: Uuid) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(id).one(db).await
}
