//! Maintenance windows. They are few, and each was made by a person: a pass that decides about messages reads them once,
//! and pages share what one of them read a moment ago.

use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, FromQueryResult,
    IntoActiveModel as _, QueryFilter, QueryOrder, QuerySelect, Value, sea_query::OnConflict,
};
use uuid::Uuid;

use super::rows::{Rows, statement};
use crate::domain::escalation::{Level, LevelState};
use crate::domain::mute::Mute;
use crate::domain::notification::Kind;
use crate::domain::window::Names;
use crate::entity::windows::{self, ActiveModel, Column, Entity, Model};
use crate::time::Timestamp;

/// Windows that are over and still listed, the newest.
const OVER: u64 = 50;

/// The windows that are not over at `now`: those that hold, and those that are planned.
pub async fn ahead(db: &impl ConnectionTrait, now: Timestamp) -> Result<Vec<Model>, DbErr> {
    let is_ahead = Condition::any()
        .add(Column::EndsAt.is_null())
        .add(Column::EndsAt.gt(now));
    Entity::find()
        .filter(Column::EndedAt.is_null())
        .filter(is_ahead)
        .all(db)
        .await
}

/// All windows that are not over at `now`, and the newest that are; newest first.
pub async fn list(db: &impl ConnectionTrait, now: Timestamp) -> Result<Vec<Model>, DbErr> {
    let is_ahead = Condition::all().add(Column::EndedAt.is_null()).add(
        Condition::any()
            .add(Column::EndsAt.is_null())
            .add(Column::EndsAt.gt(now)),
    );
    let newest = Entity::find().order_by_desc(Column::CreatedAt);
    let mut found = newest.clone().filter(is_ahead.clone()).all(db).await?;
    found.extend(newest.filter(is_ahead.not()).limit(OVER).all(db).await?);
    Ok(found)
}

/// The window with this id.
pub async fn find(db: &impl ConnectionTrait, id: Uuid) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(id).one(db).await
}

/// Writes a new window. One that is there already, by its id, is left as it is; returns whether it was written.
pub async fn insert(tx: &impl ConnectionTrait, window: Model) -> Result<bool, DbErr> {
    let new = window.into_active_model();
    let kept = OnConflict::column(Column::Id).do_nothing().to_owned();
    let written = Entity::insert(new).on_conflict(kept);
    Ok(written.exec_without_returning(tx).await? > 0)
}

/// Ends a window that nobody has ended; returns whether it did.
pub async fn end(tx: &impl ConnectionTrait, id: Uuid, now: Timestamp) -> Result<bool, DbErr> {
    let change = ActiveModel {
        ended_at: Set(Some(now)),
        ..Default::default()
    };
    let ended = Entity::update_many()
        .set(change)
        .filter(Column::Id.eq(id))
        .filter(Column::EndedAt.is_null());
    Ok(ended.exec(tx).await?.rows_affected > 0)
}

/// What decides whether a window keeps a message back.
#[derive(Debug, FromQueryResult)]
struct Waiting {
    id: Uuid,
    kind: Kind,
    owed_since: i64,
    service: String,
    namespace: String,
    alert_name: String,
    level: Level,
    risen_at: Option<i64>,
    mute_broken_at: Option<i64>,
    muted_until: Option<i64>,
}

/// Of the messages that are pending for a channel, or are in a digest, those that windows keep back at `now`, as
/// [`Mute::keeps_back`] has it. Where no window holds, nothing is read.
pub(super) async fn kept_back(
    tx: &impl ConnectionTrait,
    of: Messages<'_>,
    windows: &[Model],
    now: Timestamp,
) -> Result<Vec<Uuid>, DbErr> {
    let holds = |one: &Model| one.next(now).is_some_and(|found| found.holds(now));
    if !windows.iter().any(holds) {
        return Ok(Vec::new());
    }
    let (is_meant, value) = match of {
        Messages::PendingFor(channel) => (
            "n.channel = $1 AND n.state IN ('owed', 'sending') AND n.state = 'owed'",
            Value::from(channel),
        ),
        Messages::In(digest) => (
            "n.digest_id = $1 AND n.state = 'digested'",
            Value::from(digest),
        ),
    };
    let sql = format!(
        "SELECT n.id, n.kind, n.owed_since, a.service, a.namespace, a.alert_name, a.level, a.risen_at, \
             a.mute_broken_at, a.muted_until \
         FROM notifications n JOIN incidents i ON i.id = n.incident_id \
         JOIN anomalies a ON a.key = i.anomaly_key WHERE {is_meant}"
    );
    let sql = statement(tx.get_database_backend(), &sql, [value]);
    let found = Waiting::find_by_statement(sql).all(tx).await?;
    let is_kept_back = |one: &Waiting| {
        // Its own mute decides while that holds.
        if one.muted_until.is_some_and(|until| until > now.0) {
            return false;
        }
        let names = Names {
            service: &one.service,
            namespace: &one.namespace,
            alert_name: &one.alert_name,
        };
        let Some((_, found)) = windows::holding(windows, names, now) else {
            return false;
        };
        let mute = Mute {
            since: Some(found.since),
            until: Some(found.until),
            broken_at: one.mute_broken_at.map(Timestamp),
        };
        let level = LevelState {
            level: one.level,
            risen_at: one.risen_at.map(Timestamp),
            ..LevelState::default()
        };
        mute.keeps_back(&level, one.kind, Timestamp(one.owed_since), now)
    };
    let kept = found.iter().filter(|one| is_kept_back(one));
    Ok(kept.map(|one| one.id).collect())
}

/// Which messages are meant.
#[derive(Clone, Copy, Debug)]
pub(super) enum Messages<'a> {
    /// Those that are pending for a channel.
    PendingFor(&'a str),
    /// Those in a digest.
    In(Uuid),
}

/// Takes messages out of a digest, because windows keep them back: they are not sent.
pub(super) async fn suppress(tx: &impl ConnectionTrait, messages: &[Uuid]) -> Result<u64, DbErr> {
    if messages.is_empty() {
        return Ok(0);
    }
    let rows = Rows::new().uuid("id", messages.iter().copied());
    let sql = "UPDATE notifications SET state = 'muted', suppressed_by = 'maintenance', digest_id = NULL \
               FROM {rows} WHERE notifications.id = r.id AND state = 'digested'";
    let sql = rows.statement(tx.get_database_backend(), sql, []);
    Ok(tx.execute_raw(sql).await?.rows_affected())
}
