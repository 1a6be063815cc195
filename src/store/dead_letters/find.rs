//! Finding dead letters: pages of them, one, how many.

use sea_orm::sea_query::{Expr, Func, SimpleExpr};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend, DbErr, EntityTrait, ExprTrait as _,
    FromQueryResult, Order, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Select,
};
use serde::Serialize;
use uuid::Uuid;

use super::DEAD;
use crate::entity::dead_letters::{Column, Entity, Model};
use crate::store::lists::contains;
use crate::store::rows::Rows;
use crate::time::Timestamp;

/// Bytes of payloads that are read at once, and a letter more at most.
const BYTES: i64 = 4 << 20;

/// Which dead letters. Nothing set: all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// In this state.
    pub state: Option<String>,
    /// Of this queue.
    pub queue: Option<String>,
    /// With this text in the reason.
    pub reason: Option<String>,
    /// With this text in the payload or the reason.
    pub text: Option<String>,
    /// Died at this moment or later.
    pub since: Option<Timestamp>,
    /// Died at this moment or earlier.
    pub until: Option<Timestamp>,
    /// Not decided on since this moment.
    pub as_of: Option<Timestamp>,
}

impl Filter {
    /// Whether nothing but the state tells letters apart.
    #[must_use]
    pub const fn is_everything(&self) -> bool {
        self.queue.is_none()
            && self.reason.is_none()
            && self.text.is_none()
            && self.since.is_none()
            && self.until.is_none()
    }

    fn condition(&self, backend: DbBackend) -> Condition {
        let undecided = |at: Timestamp| {
            Condition::any()
                .add(Column::DecidedAt.is_null())
                .add(Column::DecidedAt.lt(at))
        };
        let text = |text: &String| {
            Condition::any()
                .add(contains(Column::Reason, text))
                .add(in_payload(backend, text))
        };
        Condition::all()
            .add_option(self.state.as_ref().map(|state| Column::State.eq(state)))
            .add_option(self.queue.as_ref().map(|queue| Column::Queue.eq(queue)))
            .add_option(self.since.map(|at| Column::DiedAt.gte(at)))
            .add_option(self.until.map(|at| Column::DiedAt.lte(at)))
            .add_option(self.as_of.map(undecided))
            .add_option(
                self.reason
                    .as_ref()
                    .map(|text| contains(Column::Reason, text)),
            )
            .add_option(self.text.as_ref().map(text))
    }

    fn select(&self, db: &impl ConnectionTrait) -> Select<Entity> {
        Entity::find().filter(self.condition(db.get_database_backend()))
    }
}

/// Payloads are bytes that need not be text. PostgreSQL writes what is not ASCII as `\ooo`, and so
/// what is looked for is written likewise. Case matters beyond ASCII only.
fn in_payload(backend: DbBackend, text: &str) -> SimpleExpr {
    let text = text.to_ascii_lowercase();
    let payload = Expr::col(Column::Payload);
    let (find, payload, text) = match backend {
        DbBackend::Postgres => {
            let escaped = text.bytes().fold(String::new(), |mut escaped, byte| {
                match byte {
                    b'\\' => escaped.push_str("\\\\"),
                    1..=0x7f => escaped.push(char::from(byte)),
                    _ => escaped.push_str(&format!("\\{byte:03o}")),
                }
                escaped
            });
            let encoded = Func::cust("encode").arg(payload).arg("escape");
            ("strpos", Func::lower(encoded), escaped)
        }
        _ => ("instr", Func::lower(payload.cast_as("text")), text),
    };
    Expr::expr(Func::cust(find).arg(payload).arg(text)).gt(0)
}

/// Where a letter stands in the order of death.
pub type Position = (Timestamp, Uuid);

/// A letter without what may be large.
#[derive(Clone, Debug, FromQueryResult, Serialize)]
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
    /// When somebody replayed or discarded it.
    pub decided_at: Option<Timestamp>,
    /// Who did.
    pub decided_by: Option<String>,
    /// Since when the push of its replay is owed.
    pub push_owed_since: Option<Timestamp>,
}

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
///
/// # Errors
/// What the database says.
pub async fn list(
    db: &impl ConnectionTrait,
    filter: &Filter,
    before: Option<Position>,
    limit: u64,
) -> Result<Vec<Summary>, DbErr> {
    page(filter.select(db), before, &Order::Desc, limit)
        .into_model()
        .all(db)
        .await
}

/// Letters whole, newest death first: at most `limit`, and few if they are large.
///
/// # Errors
/// What the database says.
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
///
/// # Errors
/// What the database says.
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
///
/// # Errors
/// What the database says.
pub async fn find(db: &impl ConnectionTrait, id: Uuid) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(id).one(db).await
}

/// These letters' queues and payloads.
///
/// # Errors
/// What the database says.
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
///
/// # Errors
/// What the database says.
pub async fn count_matching(db: &impl ConnectionTrait, filter: &Filter) -> Result<u64, DbErr> {
    filter.select(db).count(db).await
}

/// How many dead letters of a queue nobody has dealt with.
///
/// # Errors
/// What the database says.
pub async fn count(db: &impl ConnectionTrait, queue: &str) -> Result<u64, DbErr> {
    Entity::find()
        .filter(Column::Queue.eq(queue))
        .filter(Column::State.eq(DEAD))
        .count(db)
        .await
}

/// Of each queue that has any: how many dead letters nobody has dealt with, and when the oldest died.
///
/// # Errors
/// What the database says.
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
