//! One signature.

use sea_orm::entity::prelude::*;

use crate::domain::escalation::Level;
use crate::domain::reason::LevelReason;
use crate::domain::signature::{OVERFLOW, Signature, SignatureLabelNames};
use crate::time::Timestamp;

/// One signature.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, serde::Serialize, utoipa::ToSchema)]
#[sea_orm(table_name = "anomalies")]
#[schema(as = Anomaly)]
pub struct Model {
    /// The first 16 bytes, in hex, of the signature's hash.
    #[sea_orm(primary_key, auto_increment = false)]
    pub key: String,
    /// The alert's name.
    pub alert_name: String,
    /// The service it is about.
    pub service: String,
    /// The namespace it is in.
    pub namespace: String,
    /// The kind of error.
    pub error_type: String,
    /// Which labels these four were read from, of the alert that was received last.
    pub made_of: Option<SignatureLabelNames>,
    /// When the first of its firings was received.
    pub first_seen: Option<Timestamp>,
    /// When the last of its firings was first received; or the last delivery, where these are
    /// counted.
    pub last_seen: Option<Timestamp>,
    /// Counted in all.
    pub total: i64,
    /// How many of these retention has pruned.
    pub pruned_total: i64,
    /// Rows before this time may have been pruned. Null: none was pruned.
    pub pruned_before: Option<Timestamp>,
    /// Its level.
    pub level: Level,
    /// How often the level rose.
    pub level_seq: i64,
    /// When the level last rose.
    pub risen_at: Option<Timestamp>,
    /// Why the level holds, with the figures that it was last seen to hold with.
    #[schema(value_type = Option<String>)]
    pub reason: Option<LevelReason>,
    /// Since when the rule that the level holds by has not held.
    #[serde(skip)]
    pub falling_since: Option<Timestamp>,
    /// When a permanent fix was applied.
    pub permanent_fix_at: Option<Timestamp>,
    /// Where that fix is described.
    pub permanent_fix_reference: Option<String>,
    /// Its newest incident.
    pub newest_incident: Option<Uuid>,
    /// That incident's number.
    pub newest_number: i64,
    /// Muted since.
    pub muted_since: Option<Timestamp>,
    /// Muted until; in the past: not muted.
    pub muted_until: Option<Timestamp>,
    /// Who muted it.
    pub muted_by: Option<String>,
    /// Why.
    pub muted_why: Option<String>,
    /// When a rise to `PERMANENT_FIX` was last told in spite of a mute.
    #[serde(skip)]
    pub mute_broken_at: Option<Timestamp>,
}

/// No relation is followed through the entities.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl Model {
    /// Whether it counts alerts together that there was no room for as anomalies of their own.
    #[must_use]
    pub fn is_overflow(&self) -> bool {
        self.error_type == OVERFLOW && self.key == Signature::overflow_key(&self.alert_name)
    }
}

impl ActiveModelBehavior for ActiveModel {}
