//! Finding dead letters: pages of them, one, how many.

use sea_orm::sea_query::{Expr, Func, SimpleExpr};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, FromQueryResult, Order,
    PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Select,
};
use serde::Serialize;
use uuid::Uuid;

use super::{DEAD, Filter};
use crate::entity::dead_letters::{Column, Entity, Model};
use crate::store::rows::Rows;
use crate::time::Timestamp;

/// Bytes of payloads that are read at once, and a letter more at most.
const BYTES: i64 = 4 << 20;

/// The position of a letter in the order of death.
pub type Position = (Timestamp, Uuid);

/// A letter without what may be large.
#[derive(Clone, Debug, FromQueryResult, Serialize, utoipa::ToSchema)]
#[schema(as = DeadLetterSummary)]
pub struct Summary {
    /// The job's id.
    pub id: Uuid,
    /// Its queue.
    pub queue: String,
    /// dead, replayed or discarded.
    pub state: String,
    /// Why it died.
    pub reason: String,
    /// Attempts that failed.
    pub attempts: i32,
    /// How often it was replayed.
    pub replay: i32,
    /// The trace it belongs to.
    pub trace_id: Option<String>,
    /// When it was last pushed.
    pub enqueued_at: Timestamp,
    /// When it died.
    pub died_at: Timestamp,
    /// When it was replayed or discarded.
    pub decided_at: Option<Timestamp>,
    /// The operator who decided.
    pub decided_by: Option<String>,
    /// Since when its replay is pending: its job is not enqueued yet.
    pub push_owed_since: Option<Timestamp>,
}

/// What a summary is read from: not what may be large.
const SUMMARY: [Column; 12] = [
    Column::Id,
    Column::Queue,
    Column::State,
    Column::Reason,
    Column::Attempts,
    Column::Replay,
    Column::TraceId,
    Column::EnqueuedAt,
    Column::DiedAt,
    Column::DecidedAt,
    Column::DecidedBy,
    Column::PushOwedSince,
];

impl From<&Model> for Summary {
    fn from(letter: &Model) -> Self {
        Self {
            id: letter.id,
            queue: letter.queue.clone(),
            state: letter.state.clone(),
            reason: letter.reason.clone(),
            attempts: letter.attempts,
            replay: letter.replay,
            trace_id: letter.trace_id.clone(),
            enqueued_at: letter.enqueued_at,
            died_at: letter.died_at,
            decided_at: letter.decided_at,
            decided_by: letter.decided_by.clone(),
            push_owed_since: letter.push_owed_since,
        }
    }
}

fn beyond(position: Option<Position>, order: &Order) -> Condition {
    let Some((at, id)) = position else {
        return Condition::all();
    };
    let (further, same) = match order {
        Order::Asc => (Column::DiedAt.gt(at), Column::Id.gt(id)),
        _ => (Column::DiedAt.lt(at), Column::Id.lt(id)),
    };
    Condition::any()
        .add(further)
        .add(Condition::all().add(Column::DiedAt.eq(at)).add(same))
}

fn page(
    select: Select<Entity>,
    after: Option<Position>,
    order: &Order,
    limit: u64,
) -> Select<Entity> {
    select
        .filter(beyond(after, order))
        .order_by(Column::DiedAt, order.clone())
        .order_by(Column::Id, order.clone())
        .limit(limit)
}

/// Letters, newest death first; `before` is where the last page ended.
pub async fn list(
    db: &impl ConnectionTrait,
    filter: &Filter,
    before: Option<Position>,
    limit: u64,
) -> Result<Vec<Summary>, DbErr> {
    page(filter.select(db), before, &Order::Desc, limit)
        .select_only()
        .columns(SUMMARY)
        .into_model()
        .all(db)
        .await
}

/// Letters whole, newest death first: at most `limit`, and few if they are large.
pub async fn export(
    db: &impl ConnectionTrait,
    filter: &Filter,
    before: Option<Position>,
    limit: u64,
) -> Result<Vec<Model>, DbErr> {
    let positions = positions(db, filter, before, &Order::Desc, limit).await?;
    let ids: Vec<Uuid> = positions.iter().map(|(_, id)| *id).collect();
    let mut letters = load(db, &ids).await?;
    letters.sort_by_key(|letter| std::cmp::Reverse((letter.died_at, letter.id)));
    Ok(letters)
}

/// Where the letters of a filter stand, oldest death first: at most `limit`, and few if they are large.
pub async fn matching(
    db: &impl ConnectionTrait,
    filter: &Filter,
    after: Option<Position>,
    limit: u64,
) -> Result<Vec<Position>, DbErr> {
    positions(db, filter, after, &Order::Asc, limit).await
}

async fn positions(
    db: &impl ConnectionTrait,
    filter: &Filter,
    after: Option<Position>,
    order: &Order,
    limit: u64,
) -> Result<Vec<Position>, DbErr> {
    let found: Vec<(Timestamp, Uuid, i32)> = page(filter.select(db), after, order, limit)
        .select_only()
        .columns([Column::DiedAt, Column::Id])
        .expr(bytes())
        .into_tuple()
        .all(db)
        .await?;
    Ok(not_too_large(found, |found| found.2)
        .map(|(at, id, _)| (at, id))
        .collect())
}

pub(super) fn bytes() -> SimpleExpr {
    Func::cust("length").arg(Expr::col(Column::Payload)).into()
}

/// As many of the first as may be read at once.
pub(super) fn not_too_large<T>(
    found: Vec<T>,
    bytes: impl Fn(&T) -> i32,
) -> impl Iterator<Item = T> {
    let mut read = 0;
    found.into_iter().take_while(move |one| {
        let room = read < BYTES;
        read += i64::from(bytes(one));
        room
    })
}

pub(super) async fn load(db: &impl ConnectionTrait, ids: &[Uuid]) -> Result<Vec<Model>, DbErr> {
    let letters = Entity::find().filter(Column::Id.is_in(ids.iter().copied()));
    letters.all(db).await
}

/// One letter.
pub async fn find(db: &impl ConnectionTrait, id: Uuid) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(id).one(db).await
}

/// These letters' queues and payloads.
pub async fn payloads(
    db: &impl ConnectionTrait,
    ids: &[Uuid],
) -> Result<Vec<(Uuid, String, Vec<u8>)>, DbErr> {
    Entity::find()
        .select_only()
        .columns([Column::Id, Column::Queue, Column::Payload])
        .filter(Column::Id.is_in(ids.iter().copied()))
        .into_tuple()
        .all(db)
        .await
}

/// Locks those of these letters that are dead, in the order of their ids.
pub(super) async fn lock_dead(tx: &impl ConnectionTrait, ids: &[Uuid]) -> Result<Vec<Uuid>, DbErr> {
    let sql = "SELECT id FROM dead_letters \
               WHERE state = 'dead' AND id IN (SELECT r.id FROM {rows}) ORDER BY id {lock}";
    let rows = Rows::new().uuid("id", ids.iter().copied());
    let found = tx
        .query_all_raw(rows.statement(tx.get_database_backend(), sql, []))
        .await?;
    found.iter().map(|row| row.try_get("", "id")).collect()
}

/// How many letters a filter finds.
pub async fn count_matching(db: &impl ConnectionTrait, filter: &Filter) -> Result<u64, DbErr> {
    filter.select(db).count(db).await
}

/// How many dead letters of a queue are neither replayed nor discarded.
pub async fn count(db: &impl ConnectionTrait, queue: &str) -> Result<u64, DbErr> {
    Entity::find()
        .filter(Column::Queue.eq(queue))
        .filter(Column::State.eq(DEAD))
        .count(db)
        .await
}

/// Per queue that has any: how many dead letters are neither replayed nor discarded, and when the oldest died.
pub async fn standing(db: &impl ConnectionTrait) -> Result<Vec<(String, i64, Timestamp)>, DbErr> {
    Entity::find()
        .select_only()
        .column(Column::Queue)
        .column_as(Column::Id.count(), "letters")
        .column_as(Column::DiedAt.min(), "oldest")
        .filter(Column::State.eq(DEAD))
        .group_by(Column::Queue)
        .into_tuple()
        .all(db)
        .await
}
