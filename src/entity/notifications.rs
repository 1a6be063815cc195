//! One notification.

use sea_orm::entity::prelude::*;

use crate::domain::notification::{Kind, SuppressedBy};
use crate::time::Timestamp;

/// One notification.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "notifications")]
pub struct Model {
    /// UUIDv7.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The incident it is about; of a playbook's change the proposal that was accepted.
    pub incident_id: Uuid,
    /// Its kind.
    pub kind: Kind,
    /// 0 for `opened`, the level's number for `escalated` and `repeated`, the reopening's for
    /// `reopened`, the severity's rise for `worsened`, the moment for `resolved`, the channel's number for a digest, the moment at which a report was due, the version of
    /// a playbook.
    pub sequence: i64,
    /// Where it goes.
    pub channel: String,
    /// How far it is.
    pub state: State,
    /// Since when it is pending. It is not sent before that.
    pub owed_since: Timestamp,
    /// The text as it was first rendered; every attempt sends the same.
    pub body: Option<String>,
    /// The token of the attempt that sends it.
    pub claimed_by: Option<Uuid>,
    /// When that claim expires.
    pub claimed_until: Option<Timestamp>,
    /// How often it was tried.
    pub attempts: i64,
    /// Why it failed.
    pub error: Option<String>,
    /// The provider's id for it.
    pub message_id: Option<String>,
    /// When the provider took it.
    pub sent_at: Option<Timestamp>,
    /// How many changes of what it shows there were since.
    pub edit_seq: i64,
    /// How many of them it shows.
    pub shown_seq: i64,
    /// Since when it does not show all of them.
    pub edit_due_since: Option<Timestamp>,
    /// The text as it was last edited.
    pub shown: Option<String>,
    /// Why it cannot be edited any more.
    pub edits_ended: Option<String>,
    /// The digest that is sent instead.
    pub digest_id: Option<Uuid>,
    /// Why it is suppressed. Null: its anomaly was muted.
    pub suppressed_by: Option<SuppressedBy>,
    /// The card that its incident continues on, where that says what this one would have said.
    pub card_id: Option<Uuid>,
    /// The number of the incident whose card that is.
    pub card_number: Option<i64>,
    /// Of a card, the incident that went on on it last.
    pub shows_id: Option<Uuid>,
}

/// No relation is followed through the entities.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// How far a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum State {
    /// Not tried yet.
    #[sea_orm(string_value = "owed")]
    Pending,
    /// Its text is fixed, and it may have gone out.
    #[sea_orm(string_value = "sending")]
    Sending,
    /// The provider accepted it.
    #[sea_orm(string_value = "sent")]
    Sent,
    /// It will not go out; the row says why.
    #[sea_orm(string_value = "given up")]
    Failed,
    /// It was sent in a digest.
    #[sea_orm(string_value = "digested")]
    Digested,
    /// It is never sent; the row says why.
    #[sea_orm(string_value = "muted")]
    Suppressed,
}
