//! One incident of a locked anomaly: what opens it, what joins it, what opens it again.

use std::time::Duration;

use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Policy, Until};
use crate::domain::alert::Alert;
use crate::domain::episode::AlertDelivery;
use crate::domain::severity;
use crate::time::Timestamp;

/// The status of an incident.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    EnumIter,
    DeriveActiveEnum,
    utoipa::ToSchema,
)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// Nobody took it yet.
    #[sea_orm(string_value = "OPEN")]
    Open,
    /// Nobody took it yet, and its analysis is being made.
    #[sea_orm(string_value = "ANALYZING")]
    Analyzing,
    /// Somebody took it.
    #[sea_orm(string_value = "ACKNOWLEDGED")]
    Acknowledged,
    /// It is over.
    #[sea_orm(string_value = "RESOLVED")]
    Resolved,
}

/// Who resolved an incident.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    EnumIter,
    DeriveActiveEnum,
    utoipa::ToSchema,
)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "snake_case")]
pub enum ResolvedBy {
    /// All its episodes ended.
    #[sea_orm(string_value = "itself")]
    Itself,
    /// Somebody said so.
    #[sea_orm(string_value = "person")]
    Person,
    /// Nobody did: its source no longer sent its firings.
    #[sea_orm(string_value = "unseen")]
    Unseen,
}

/// One incident of a locked anomaly.
#[derive(Clone, Debug)]
pub struct Incident {
    /// Its id.
    pub id: Uuid,
    /// Its anomaly.
    pub anomaly_key: String,
    /// Its number within the anomaly.
    pub number: i64,
    /// Its status.
    pub status: Status,
    /// Where it stood before.
    pub previous_status: Status,
    /// Who resolved it.
    pub resolved_by: Option<ResolvedBy>,
    /// When it was resolved.
    pub resolved_at: Option<Timestamp>,
    /// When it opened.
    pub opened_at: Timestamp,
    /// When its aggregation window began.
    pub window_start: Timestamp,
    /// When an episode last joined it, the first included.
    pub joined_at: Timestamp,
    /// How many episodes it holds.
    pub aggregated_count: i64,
    /// How many of them are open.
    pub open_episodes: i64,
    /// When one of them was last seen firing.
    pub last_firing_at: Timestamp,
    /// The highest severity of its alerts.
    pub severity: String,
    /// How often that rose after it opened.
    pub severity_rises: i64,
    /// Whether somebody took it.
    pub is_acknowledged: bool,
    /// How often it was reopened with a notification.
    pub reopened: i64,
    /// When the earliest end was received after which an episode of it was seen firing, so soon that
    /// this may be late.
    pub doubted_since: Option<Timestamp>,
    /// Since when none of its open episodes was delivered, if that is long.
    pub unheard_since: Option<Timestamp>,
    /// Whether it was delivered again.
    pub is_heard_again: bool,
    /// Each time that this batch opened it again, in order.
    pub undone: Vec<RevertedResolve>,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it was due for a tier already, if it was: later than now while only its figures are to change.
    pub due_at: Option<Timestamp>,
    /// Whether a delivery made it due for a tier.
    pub tier_due: bool,
    /// Whether a delivery changed it.
    pub changed: bool,
    /// The alert that opened it, if it is new.
    pub opening: Option<Box<Opening>>,
}

/// A resolve that did not last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RevertedResolve {
    /// When it was.
    pub resolved_at: Timestamp,
    /// Whose it was.
    pub resolved_by: Option<ResolvedBy>,
    /// When the incident opened again.
    pub reopened_at: Timestamp,
}

/// What a new incident takes from the alert that opens it.
#[derive(Clone, Debug)]
pub struct Opening {
    /// Which source it came from.
    pub source: String,
    /// The alert.
    pub alert: Alert,
}

impl Incident {
    pub(super) fn open(delivery: &AlertDelivery, number: i64, policy: &Policy) -> Self {
        let at = delivery.received_at;
        let status = match policy.analyze {
            true => Status::Analyzing,
            false => Status::Open,
        };
        Self {
            id: crate::ids::new_id(at),
            anomaly_key: delivery.key.clone(),
            number,
            status,
            previous_status: status,
            resolved_by: None,
            resolved_at: None,
            opened_at: at,
            window_start: at,
            joined_at: at,
            aggregated_count: 1,
            open_episodes: 1,
            last_firing_at: at,
            severity: delivery.alert.severity().to_owned(),
            severity_rises: 0,
            is_acknowledged: false,
            reopened: 0,
            doubted_since: None,
            unheard_since: None,
            is_heard_again: false,
            undone: Vec::new(),
            updated_at: at,
            due_at: None,
            tier_due: true,
            changed: true,
            opening: Some(Box::new(Opening {
                source: delivery.source.clone(),
                alert: delivery.alert.clone(),
            })),
        }
    }

    /// Whether it is new and opened to be analyzed.
    #[must_use]
    pub fn is_to_be_analyzed(&self) -> bool {
        self.opening.is_some() && self.previous_status == Status::Analyzing
    }

    pub(super) fn can_be_joined(&self, at: Timestamp, is_flapping: bool, policy: &Policy) -> bool {
        let is_open = policy.until == Until::Resolved && self.status != Status::Resolved;
        let in_time = is_flapping || is_open || at < self.window_start.after(policy.window);
        in_time && self.resolved_by != Some(ResolvedBy::Person)
    }

    /// It is open again at that moment, as if it had not been resolved.
    pub(super) fn reopen_if_resolved(&mut self, at: Timestamp) {
        if self.status == Status::Resolved {
            let resolved_at = self.resolved_at.unwrap_or(at);
            self.undone.push(RevertedResolve {
                resolved_at,
                resolved_by: self.resolved_by,
                // What joins it may have been received before its end was.
                reopened_at: at.max(resolved_at),
            });
            self.status = match self.is_acknowledged {
                true => Status::Acknowledged,
                false => Status::Open,
            };
            self.resolved_by = None;
            self.resolved_at = None;
        }
    }

    /// Reopens a resolved incident of which an episode fires at `at`, and returns whether it did. An incident
    /// that a person resolved stays resolved for `window`, because the sender may not have noticed yet.
    pub(super) fn opens_again(&mut self, at: Timestamp, window: Duration) -> bool {
        let is_in_time = match self.resolved_by {
            Some(ResolvedBy::Person) => self.resolved_at.is_some_and(|r| at > r.after(window)),
            Some(ResolvedBy::Itself | ResolvedBy::Unseen) | None => true,
        };
        if self.status != Status::Resolved || !is_in_time {
            return false;
        }
        self.reopened += 1;
        self.is_acknowledged = false;
        self.reopen_if_resolved(at);
        self.tier_due = true;
        self.touch(at);
        true
    }

    /// An alert of this severity is of it: whether it is worse than those before.
    pub(super) fn is_made_worse_by(&mut self, severity: &str) -> bool {
        let is_worse = severity::is_worse(severity, &self.severity);
        if is_worse {
            severity.clone_into(&mut self.severity);
            self.severity_rises += 1;
        }
        is_worse
    }

    pub(super) fn seen_at(&mut self, at: Timestamp) {
        self.last_firing_at = self.last_firing_at.max(at);
        self.is_heard_again |= self.unheard_since.take().is_some();
        self.touch(at);
    }

    pub(super) fn touch(&mut self, at: Timestamp) {
        self.updated_at = self.updated_at.max(at);
        self.changed = true;
    }
}
