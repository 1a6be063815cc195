//! Replaying and discarding: each letter is decided on once: the first decision wins.

use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, ExprTrait as _, QueryFilter, UpdateMany,
};
use uuid::Uuid;

use super::{DEAD, DISCARDED, REPLAYED};
use crate::entity::dead_letters::{Column, Entity, Model};
use crate::store::audit::Action;
use crate::time::Timestamp;

/// What is to become of a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Its job is pushed again.
    Replay,
    /// It stays dead.
    Discard,
}

impl Decision {
    /// The state that it leads to.
    #[must_use]
    pub const fn state(self) -> &'static str {
        match self {
            Self::Replay => REPLAYED,
            Self::Discard => DISCARDED,
        }
    }

    /// Its name in the audit.
    #[must_use]
    pub const fn action(self) -> Action {
        match self {
            Self::Replay => Action::ReplayDeadLetter,
            Self::Discard => Action::DiscardDeadLetter,
        }
    }
}

/// What else is said with a decision on one letter.
#[derive(Clone, Debug, Default)]
pub struct Edit {
    /// The letter's replays when the operator read it. If the number has changed since, nothing is done.
    pub replay: Option<i32>,
    /// The payload that replaces its own.
    pub payload: Option<Vec<u8>>,
}

/// Decides on one letter, in one statement; `None` if it is not dead (any more), or not as it was
/// read. A replay gets a new number, and its push is pending.
pub async fn decide(
    tx: &impl ConnectionTrait,
    id: Uuid,
    decision: Decision,
    edit: Edit,
    by: &str,
    now: Timestamp,
) -> Result<Option<Model>, DbErr> {
    let mut update = change(decision, by, now).filter(Column::Id.eq(id));
    if let Some(replay) = edit.replay {
        update = update.filter(Column::Replay.eq(replay));
    }
    if let Some(payload) = edit.payload {
        update = update.col_expr(Column::Payload, Expr::value(payload));
    }
    Ok(update.exec_with_returning(tx).await?.pop())
}

/// Decides on those of these letters that are still dead, and returns them. Their rows are locked in
/// one order, so that two who decide on many at once wait for each other and never in a circle.
pub async fn decide_some(
    tx: &impl ConnectionTrait,
    ids: &[Uuid],
    decision: Decision,
    by: &str,
    now: Timestamp,
) -> Result<Vec<Model>, DbErr> {
    let dead: Vec<Uuid> = super::find::lock_dead(tx, ids).await?;
    if dead.is_empty() {
        return Ok(Vec::new());
    }
    let update = change(decision, by, now).filter(Column::Id.is_in(dead));
    update.exec_with_returning(tx).await
}

fn change(decision: Decision, by: &str, now: Timestamp) -> UpdateMany<Entity> {
    let update = Entity::update_many()
        .col_expr(Column::State, Expr::value(decision.state()))
        .col_expr(Column::DecidedAt, Expr::value(now))
        .col_expr(Column::DecidedBy, Expr::value(by.replace('\0', "\u{fffd}")))
        .filter(Column::State.eq(DEAD));
    match decision {
        Decision::Discard => update,
        Decision::Replay => update
            .col_expr(Column::Replay, Expr::col(Column::Replay).add(1))
            .col_expr(Column::PushOwedSince, Expr::value(now))
            .col_expr(Column::EnqueuedAt, Expr::value(now)),
    }
}
