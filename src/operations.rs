//! What people do, wherever they do it: by the API, on a page, or by a button. Each deed is done and
//! written into the audit in the transaction that it is given; what must follow it is pushed when
//! that is committed.

pub mod incident;
pub mod mute;
pub mod repair;

use sea_orm::DbErr;
use uuid::Uuid;

use crate::cards::push_after_deed;
use crate::context::Context;
use crate::domain::refusal::Refusal;
use crate::store::cards::DueCard;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// There is no such incident.
    #[error("there is no such incident")]
    NoIncident,
    /// There is no such anomaly.
    #[error("there is no such anomaly")]
    NoAnomaly,
    /// It makes no sense.
    #[error("{0}")]
    Senseless(Refusal),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] DbErr),
}

/// What must follow a deed. Whoever dies before leaves it due, and recount pushes it.
#[derive(Clone, Debug, Default)]
pub struct Due {
    /// Cards to edit.
    pub cards: Vec<DueCard>,
    /// Messages to send.
    pub messages: Vec<Uuid>,
    /// Messages that are not told, because their anomalies are muted.
    pub muted: u64,
}

impl Due {
    /// Pushes it, after the commit.
    pub async fn push(&self, context: &Context) {
        context.metrics.count_messages("muted", self.muted);
        push_after_deed(context, &self.cards, &self.messages).await;
    }
}
