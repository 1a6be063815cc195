//! What operators did.

use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, DbErr,
    EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};
use serde_json::Value as Json;
use uuid::Uuid;

use crate::entity::audit::{ActiveModel, Column, Entity, Model};
use crate::jobs::new_id;
use crate::time::Timestamp;

/// Who does something.
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

/// Something that is done.
#[derive(Clone, Debug)]
pub struct Deed<'a> {
    /// What, for instance `incident.resolve`.
    pub action: &'static str,
    /// To what, for instance an incident's id or a queue's name.
    pub target: &'a str,
    /// What else there is to know. Never a secret.
    pub detail: Json,
}

/// Writes down that `actor` does `deed`: in the transaction that does it, or, where it is done
/// elsewhere than in the database, before it is done.
///
/// # Errors
/// What the database says.
pub async fn record(
    db: &impl ConnectionTrait,
    actor: &Actor,
    deed: Deed<'_>,
    at: Timestamp,
) -> Result<(), DbErr> {
    let clean = |text: &str| text.replace('\0', "\u{fffd}");
    let row = ActiveModel {
        id: Set(new_id(at)),
        at: Set(at),
        actor: Set(clean(&actor.token)),
        operator: Set(actor.operator.as_deref().map(clean)),
        action: Set(deed.action.to_owned()),
        target: Set(clean(deed.target)),
        detail: Set(deed.detail),
        request_id: Set(actor.request_id.as_deref().map(clean)),
    };
    row.insert(db).await.map(drop)
}

/// Which deeds to list. Nothing set: all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// By this token, or by whoever called themselves so.
    pub actor: Option<String>,
    /// Of this kind.
    pub action: Option<String>,
    /// Done to this.
    pub target: Option<String>,
}

/// What was done, newest first; `before` is the id that the last page ended with.
///
/// # Errors
/// What the database says.
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
