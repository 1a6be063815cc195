//! What operators did.

use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, DbErr, EntityTrait,
};
use sea_orm::{QueryFilter, QueryOrder, QuerySelect};
use serde_json::Value as Json;

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

/// Deeds to one target that are looked through at most.
const LOOKED_THROUGH: u64 = 100;

/// The deed that began what lasts: the first `began` done to `target` since the last `ended`.
///
/// # Errors
/// What the database says.
pub async fn beginning(
    db: &impl ConnectionTrait,
    target: &str,
    began: &str,
    ended: &str,
) -> Result<Option<Model>, DbErr> {
    let newest = Entity::find()
        .filter(Column::Target.eq(target))
        .filter(Column::Action.is_in([began, ended]))
        .order_by_desc(Column::Id)
        .limit(LOOKED_THROUGH)
        .all(db)
        .await?;
    Ok(newest
        .into_iter()
        .take_while(|deed| deed.action == began)
        .last())
}
