//! One signature.

use sea_orm::entity::prelude::*;

use crate::domain::escalation::{Level, LevelState};
use crate::domain::mute::Mute;
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
    /// Since when it flaps: it begins and ends again and again.
    pub flapping_since: Option<Timestamp>,
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
    /// When a rise to `PERMANENT_FIX` was last sent in spite of a mute.
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

    /// The columns that are its level's.
    #[must_use]
    pub fn level_state(&self) -> LevelState {
        LevelState {
            level: self.level,
            level_seq: self.level_seq,
            risen_at: self.risen_at,
            reason: self.reason.clone(),
            falling_since: self.falling_since,
        }
    }

    /// Sets the columns that are its level's.
    pub fn set_level(&mut self, state: LevelState) {
        self.level = state.level;
        self.level_seq = state.level_seq;
        self.risen_at = state.risen_at;
        self.reason = state.reason;
        self.falling_since = state.falling_since;
    }

    /// The columns that are its mute's.
    #[must_use]
    pub const fn mute(&self) -> Mute {
        Mute {
            since: self.muted_since,
            until: self.muted_until,
            broken_at: self.mute_broken_at,
        }
    }

    /// As it is shown at `now`: a mute that is over is none.
    #[must_use]
    pub fn as_of(mut self, now: Timestamp) -> Self {
        if !self.mute().holds(now) {
            self.muted_since = None;
            self.muted_until = None;
            self.muted_by = None;
            self.muted_why = None;
        }
        self
    }
}

impl ActiveModelBehavior for ActiveModel {}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp(1_795_382_909_000);
    const HOUR: Duration = Duration::from_secs(3600);

    /// A muted anomaly.
    fn anomaly() -> Model {
        Model {
            key: "5d41402abc4b2a76b9719d911017c592".to_owned(),
            alert_name: "Test".to_owned(),
            service: String::new(),
            namespace: String::new(),
            error_type: String::new(),
            made_of: None,
            first_seen: None,
            last_seen: None,
            total: 1,
            pruned_total: 0,
            pruned_before: None,
            level: Level::None,
            level_seq: 1,
            risen_at: None,
            reason: None,
            falling_since: None,
            flapping_since: None,
            permanent_fix_at: None,
            permanent_fix_reference: None,
            newest_incident: None,
            newest_number: 1,
            muted_since: Some(NOW.before(HOUR)),
            muted_until: Some(NOW.after(HOUR)),
            muted_by: Some("ann".to_owned()),
            muted_why: Some("known".to_owned()),
            mute_broken_at: None,
        }
    }

    #[test]
    fn a_mute_that_is_over_is_not_shown() {
        let muted = anomaly();
        assert_eq!(muted.clone().as_of(NOW), muted);
        let over = muted.as_of(NOW.after(HOUR));
        assert_eq!(
            (
                over.muted_since,
                over.muted_until,
                over.muted_by,
                over.muted_why
            ),
            (None, None, None, None)
        );
    }
}
