//! Audit entries.

mod action;

use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, DbErr,
    EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};
use serde_json::Value as Json;
use uuid::Uuid;

use crate::entity::audit::{ActiveModel, Column, Entity, Model};
use crate::ids::new_id;
use crate::time::Timestamp;
pub use action::Action;

/// The person or program that does something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actor {
    /// Whose token it is: the role, and the beginning of the token's hash; `anyone` where no token
    /// is asked for.
    pub token: String,
    /// Who it is, by their own account.
    pub operator: Option<String>,
    /// The request that asks for it.
    pub request_id: Option<String>,
}

impl Actor {
    /// Who it is: the operator's name, else the token.
    #[must_use]
    pub fn name(&self) -> &str {
        self.operator.as_deref().unwrap_or(&self.token)
    }
}

/// Something that is done.
#[derive(Clone, Debug)]
pub struct AuditEntry<'a> {
    /// What.
    pub action: Action,
    /// To what, for instance an incident's id or a queue's name.
    pub target: &'a str,
    /// What else there is to know. Never a secret.
    pub detail: Json,
}

/// Writes down that `actor` does `entry`: in the transaction that does it, or, where it is done
/// elsewhere than in the database, before it is done.
pub async fn record(
    db: &impl ConnectionTrait,
    actor: &Actor,
    entry: AuditEntry<'_>,
    at: Timestamp,
) -> Result<(), DbErr> {
    let row = ActiveModel {
        target: Set(clean(entry.target)),
        ..row(actor, entry.action, entry.detail, at)
    };
    row.insert(db).await.map(drop)
}

/// Writes down that `actor` does one thing to many.
pub async fn record_each(
    db: &impl ConnectionTrait,
    actor: &Actor,
    action: Action,
    targets: impl IntoIterator<Item = String>,
    detail: &Json,
    at: Timestamp,
) -> Result<(), DbErr> {
    let rows = targets.into_iter().map(|target| ActiveModel {
        target: Set(clean(&target)),
        ..row(actor, action, detail.clone(), at)
    });
    Entity::insert_many(rows)
        .exec_without_returning(db)
        .await
        .map(drop)
}

fn row(actor: &Actor, action: Action, detail: Json, at: Timestamp) -> ActiveModel {
    ActiveModel {
        id: Set(new_id(at)),
        at: Set(at),
        actor: Set(clean(&actor.token)),
        operator: Set(actor.operator.as_deref().map(clean)),
        action: Set(action.as_str().to_owned()),
        detail: Set(detail),
        request_id: Set(actor.request_id.as_deref().map(clean)),
        ..Default::default()
    }
}

fn clean(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// Whether an operation changed something: one that was too late, or repeated, did not.
#[must_use]
pub fn did_something(entry: &Model) -> bool {
    let says_no = |what: &str| entry.detail[what].as_bool() == Some(false);
    !says_no("possible") && !says_no("changed")
}

/// What was done of this kind to these targets, newest first.
pub async fn done_to(
    db: &impl ConnectionTrait,
    targets: impl IntoIterator<Item = String>,
    action: Action,
    limit: u64,
) -> Result<Vec<Model>, DbErr> {
    Entity::find()
        .filter(Column::Target.is_in(targets))
        .filter(Column::Action.eq(action.as_str()))
        .order_by_desc(Column::Id)
        .limit(limit)
        .all(db)
        .await
}

/// Which entries to list. Nothing set: all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// By this token, or by an operator of this name.
    pub actor: Option<String>,
    /// Of this kind.
    pub action: Option<String>,
    /// Done to this.
    pub target: Option<String>,
}

/// What was done, newest first; `before` is the id that the last page ended with.
pub async fn list(
    db: &impl ConnectionTrait,
    filter: &Filter,
    before: Option<Uuid>,
    limit: u64,
) -> Result<Vec<Model>, DbErr> {
    let by = |actor: &String| {
        let token = Column::Actor.eq(actor);
        Condition::any().add(token).add(Column::Operator.eq(actor))
    };
    let condition = Condition::all()
        .add_option(filter.actor.as_ref().map(by))
        .add_option(
            filter
                .action
                .as_ref()
                .map(|action| Column::Action.eq(action)),
        )
        .add_option(
            filter
                .target
                .as_ref()
                .map(|target| Column::Target.eq(target)),
        )
        .add_option(before.map(|id| Column::Id.lt(id)));
    Entity::find()
        .filter(condition)
        .order_by_desc(Column::Id)
        .limit(limit)
        .all(db)
        .await
}

/// Maximum number of entries of one target that are searched.
const LOOKED_THROUGH: u64 = 100;

/// The entry that began the present state: the first `began` of `target` since the last `ended`.
pub async fn beginning(
    db: &impl ConnectionTrait,
    target: &str,
    began: Action,
    ended: Action,
) -> Result<Option<Model>, DbErr> {
    let newest = Entity::find()
        .filter(Column::Target.eq(target))
        .filter(Column::Action.is_in([began.as_str(), ended.as_str()]))
        .order_by_desc(Column::Id)
        .limit(LOOKED_THROUGH)
        .all(db)
        .await?;
    Ok(newest
        .into_iter()
        .take_while(|entry| entry.action == began.as_str())
        .last())
}
