//! The verdict on a repair: whether its anomaly stayed quiet. Judged by silence, not by what the reporter says.
//!
//! A repair has its *quiet time* from the moment at which it finished. What was firing then must stop within it,
//! and nothing may begin to fire. What happens first in that time decides: a new firing disproves the repair;
//! another repair before that supersedes it. When neither comes, and the anomaly could have fired, it is verified
//! if nothing fires at the end of the time.
//!
//! A firing began after the repair if its source says so and it was received after it, as with a permanent fix:
//! one that was on its way tells nothing of what the repair was worth.

mod baseline;

use std::time::Duration;

use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::alert::Labels;
use super::stale::{Heard, StaleLimits};
use crate::time::{Timestamp, millis};
pub use baseline::{Baseline, baseline, for_quiet};

/// What silence says of a repair.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    EnumIter,
    DeriveActiveEnum,
    utoipa::ToSchema,
)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The anomaly stayed quiet.
    #[sea_orm(string_value = "verified")]
    Verified,
    /// It fired again, or never stopped.
    #[sea_orm(string_value = "disproved")]
    Disproved,
    /// Another repair came before that could be seen.
    #[sea_orm(string_value = "superseded")]
    Superseded,
    /// The anomaly could not have fired, so its silence says nothing.
    #[sea_orm(string_value = "unknown")]
    Unknown,
}

impl Verdict {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Verified,
        Self::Disproved,
        Self::Superseded,
        Self::Unknown,
    ];

    /// As it is written everywhere.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Disproved => "disproved",
            Self::Superseded => "superseded",
            Self::Unknown => "unknown",
        }
    }
}

/// Why a verdict is as it is.
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
pub enum VerdictReason {
    /// Nothing fired for the quiet time.
    #[sea_orm(string_value = "quiet")]
    Quiet,
    /// A firing began within it.
    #[sea_orm(string_value = "fired_again")]
    FiredAgain,
    /// A firing of before it did not end within it.
    #[sea_orm(string_value = "never_stopped")]
    NeverStopped,
    /// Another repair came within it.
    #[sea_orm(string_value = "another_repair")]
    AnotherRepair,
    /// Its source was silent, or did not send a firing any more that had not ended.
    #[sea_orm(string_value = "source_silent")]
    SourceSilent,
    /// The alert was silenced at its source.
    #[sea_orm(string_value = "silenced")]
    Silenced,
    /// Tocsin was down for longer than a lease.
    #[sea_orm(string_value = "down")]
    Down,
    /// The firings of that time are not kept any more.
    #[sea_orm(string_value = "pruned")]
    Pruned,
}

impl VerdictReason {
    /// Why nothing could be seen, as far as it is one of those.
    #[must_use]
    pub const fn verdict(self) -> Verdict {
        match self {
            Self::Quiet => Verdict::Verified,
            Self::FiredAgain | Self::NeverStopped => Verdict::Disproved,
            Self::AnotherRepair => Verdict::Superseded,
            Self::SourceSilent | Self::Silenced | Self::Down | Self::Pruned => Verdict::Unknown,
        }
    }
}

/// A verdict with its reason, and what it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Why; the verdict follows from it.
    pub reason: VerdictReason,
    /// How long after the repair the last firing of before it ended; zero if none did. Of what was verified.
    pub quiet_after: Option<Duration>,
}

impl Judgement {
    /// The verdict.
    #[must_use]
    pub const fn verdict(&self) -> Verdict {
        self.reason.verdict()
    }

    const fn of(reason: VerdictReason) -> Self {
        Self {
            reason,
            quiet_after: None,
        }
    }
}

/// A firing of the anomaly, as its row has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Firing {
    /// When it began, by its source's clock.
    pub starts_at: Timestamp,
    /// When it was first received.
    pub received_at: Timestamp,
    /// When it ended, by its source's clock.
    pub ended_at: Option<Timestamp>,
    /// Whether it was closed because its source did not send it any more: then its end is not known.
    pub is_lost: bool,
    /// When it was last told of.
    pub heard: Heard,
}

impl Firing {
    /// Whether it began after `moment`, as far as that can be known.
    fn began_after(&self, moment: Timestamp) -> bool {
        self.received_at > moment && self.starts_at > moment
    }

    /// Where it was at `moment`, if it began before.
    fn at(&self, moment: Timestamp, limits: &StaleLimits) -> FiringState {
        match self.ended_at {
            _ if self.is_lost && limits.unseen_at(&self.heard) <= moment => FiringState::Over,
            _ if self.is_lost => FiringState::Lost,
            Some(ended) if ended <= moment => FiringState::Over,
            None if limits.is_unheard(&self.heard, moment) => FiringState::Lost,
            None | Some(_) => FiringState::Fires,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FiringState {
    Fires,
    /// Nobody knows: its source had stopped sending it.
    Lost,
    Over,
}

/// A repair of the anomaly: any, also one that has not finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tried {
    /// Its id.
    pub id: Uuid,
    /// When it began, as far as that was reported.
    pub began_at: Timestamp,
    /// When it finished; when it began, while it has not.
    pub finished_at: Timestamp,
}

impl Tried {
    /// When it came after `other`, by what is known of it: none if it finished before.
    fn came_after(&self, other: &Self) -> Option<Timestamp> {
        let is_later = (self.finished_at, self.id) > (other.finished_at, other.id);
        is_later.then(|| self.began_at.max(other.finished_at))
    }
}

/// From when, and to when.
pub type TimeSpan = (Timestamp, Timestamp);

/// When nothing could have been seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blindness {
    /// When Tocsin was down, from and to.
    pub outages: Vec<TimeSpan>,
    /// When the source of its alert was silent, from and to.
    pub silent: Vec<TimeSpan>,
    /// Whether the alert was silenced at its source.
    pub silenced: bool,
    /// Firings that ended before this may not be kept any more.
    pub pruned_before: Option<Timestamp>,
}

/// What sends alerts and is silent, as far as that is noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SilentSource {
    /// The source, or its kind; empty: any.
    pub source: String,
    /// The labels of the alert that does not come.
    pub labels: Labels,
    /// When it was heard last.
    pub since: Timestamp,
}

impl SilentSource {
    /// Whether alerts with these labels are its: none of its labels has another value there. Name and severity are those
    /// of the alert that does not come.
    #[must_use]
    pub fn may_send(&self, labels: &serde_json::Value) -> bool {
        let mut own = self.labels.iter();
        own.all(|(name, value)| {
            let is_of_alert = matches!(name, "alertname" | "severity");
            let other = labels.get(name).and_then(|other| other.as_str());
            is_of_alert || other.is_none_or(|other| other == value)
        })
    }
}

/// What is known of the time around a repair.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// The anomaly's firings; at least all that were received up to the end of the quiet time and had not ended
    /// when the repair finished.
    pub firings: &'a [Firing],
    /// Its repairs.
    pub repairs: &'a [Tried],
    /// When nothing could have been seen.
    pub blind: &'a Blindness,
    /// When a source has stopped sending a firing.
    pub limits: &'a StaleLimits,
}

/// Judges a repair whose quiet time is over. From rows alone: judged again, it comes to the same. That it fired again
/// is as certain before the time is over, since what happens first decides.
#[must_use]
pub fn judge(repair: &Tried, quiet: Duration, seen: &Evidence<'_>) -> Judgement {
    let (done, until) = (repair.finished_at, repair.finished_at.after(quiet));
    let again = seen
        .firings
        .iter()
        .filter(|firing| firing.began_after(done));
    let again = again.map(|firing| firing.received_at).min();
    let again = again.filter(|at| *at <= until);
    let others = seen.repairs.iter();
    let next = others.filter_map(|other| other.came_after(repair)).min();
    let next = next.filter(|at| *at <= until);
    match (again, next) {
        (Some(again), next) if next.is_none_or(|next| again <= next) => {
            return Judgement::of(VerdictReason::FiredAgain);
        }
        (_, Some(_)) => return Judgement::of(VerdictReason::AnotherRepair),
        _ => {}
    }
    let of_before = seen.firings.iter();
    let of_before = of_before.filter(|f| f.received_at <= until && !f.began_after(done));
    let open = of_before.filter(|firing| firing.at(done, seen.limits) != FiringState::Over);
    if let Some(reason) = blind(seen.blind, done, until) {
        // What was seen afterwards to go on did not stop in between.
        let seen_again = seen.blind.end(done, until);
        let mut open = open.filter(|firing| firing.at(until, seen.limits) == FiringState::Fires);
        let goes_on = open.any(|f| f.ended_at.is_some() || f.heard.last_seen > seen_again);
        return Judgement::of(match goes_on && reason != VerdictReason::Pruned {
            true => VerdictReason::NeverStopped,
            false => reason,
        });
    }
    let (mut fires, mut is_lost, mut last_end) = (false, false, done);
    for firing in open {
        match firing.at(until, seen.limits) {
            FiringState::Fires => fires = true,
            FiringState::Lost => is_lost = true,
            // It was lost and given up in between.
            FiringState::Over if firing.is_lost => is_lost = true,
            FiringState::Over => last_end = last_end.max(firing.ended_at.unwrap_or(done)),
        }
    }
    match (fires, is_lost) {
        (true, _) => Judgement::of(VerdictReason::NeverStopped),
        (false, true) => Judgement::of(VerdictReason::SourceSilent),
        (false, false) => Judgement {
            reason: VerdictReason::Quiet,
            quiet_after: Some(last_end.since(done)),
        },
    }
}

/// Why nothing could have been seen between these moments, if so.
fn blind(blind: &Blindness, from: Timestamp, to: Timestamp) -> Option<VerdictReason> {
    if blind.pruned_before.is_some_and(|before| before > from) {
        return Some(VerdictReason::Pruned);
    }
    if blind.silenced {
        return Some(VerdictReason::Silenced);
    }
    let lies_in = |span: &TimeSpan| span.0 < to && span.1 > from;
    if blind.outages.iter().any(lies_in) {
        return Some(VerdictReason::Down);
    }
    let is_silent = blind.silent.iter().any(lies_in);
    is_silent.then_some(VerdictReason::SourceSilent)
}

impl Blindness {
    /// From when on it could be seen again, of the time between these moments: its end at the latest.
    fn end(&self, from: Timestamp, to: Timestamp) -> Timestamp {
        if self.silenced {
            return to;
        }
        let spans = self.outages.iter().chain(&self.silent);
        let of_it = spans.filter(|span| span.0 < to && span.1 > from);
        of_it.map(|span| span.1.min(to)).max().unwrap_or(from)
    }
}

/// The quiet time in the store's unit.
#[must_use]
pub fn quiet_ms(quiet: Duration) -> i64 {
    millis(quiet)
}

#[cfg(test)]
mod tests;
