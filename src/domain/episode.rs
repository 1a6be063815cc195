//! The episode: one uninterrupted firing of one series. What counts as one occurrence.

mod delivery;

use std::time::Duration;

use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

use super::lease::Lease;
use crate::time::Timestamp;
pub use delivery::{AlertDelivery, EARLIEST, series};

/// An episode's id: the milliseconds of its start, so that rows arrive in the order of the index,
/// then a hash of series and start.
#[must_use]
pub fn episode_id(series: i64, starts_at: Timestamp) -> Uuid {
    let mut hash = Sha256::new();
    hash.update(series.to_be_bytes());
    hash.update(starts_at.0.to_be_bytes());
    let digest = hash.finalize();
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&starts_at.0.max(0).to_be_bytes()[2..]);
    bytes[6..].copy_from_slice(&digest[..10]);
    Builder::from_custom_bytes(bytes).into_uuid()
}

/// How it is known that a firing ended.
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
pub enum EndedBy {
    /// Its sender said that it is over, and since when.
    #[sea_orm(string_value = "sender")]
    Sender,
    /// Its sender said that it is over and not since when: it was over when that was received.
    #[sea_orm(string_value = "receipt")]
    Receipt,
    /// A newer episode of its series began.
    #[sea_orm(string_value = "newer")]
    Newer,
    /// Its source no longer sent it: its end is not known.
    #[sea_orm(string_value = "unseen")]
    Unseen,
}

/// An episode's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// When it ended, by the sender's clock.
    pub at: Timestamp,
    /// When its end was last received, by the ingress' clock.
    pub received_at: Timestamp,
    /// How it is known.
    pub by: EndedBy,
}

impl End {
    /// The end was said once more: the earliest that the sender gave is the one.
    pub(super) fn merge(&mut self, other: Self) {
        let was_forgotten = self.by == EndedBy::Unseen;
        self.received_at = match was_forgotten {
            true => other.received_at,
            false => self.received_at.max(other.received_at),
        };
        if other.by == EndedBy::Sender {
            self.at = match was_forgotten {
                true => other.at,
                false => self.at.min(other.at),
            };
        }
        if other.by == EndedBy::Sender || was_forgotten {
            self.by = other.by;
        }
    }
}

/// The id of a new episode of a series, none of whose known ones has it.
#[must_use]
pub fn new_episode_id(
    known: &[Episode],
    series: i64,
    starts_at: Timestamp,
    received_at: Timestamp,
) -> Uuid {
    let id = episode_id(series, starts_at);
    if known.iter().any(|episode| episode.id == id) {
        // One that began later than this, until an earlier start was delivered.
        return episode_id(series ^ received_at.0, starts_at);
    }
    id
}

/// One firing as the database has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Episode {
    /// Its id.
    pub id: Uuid,
    /// The anomaly it belongs to.
    pub anomaly_key: String,
    /// The incident it joined or opened; none if it was over at its first delivery.
    pub incident: Option<Uuid>,
    /// Its series.
    pub series: i64,
    /// When it began, by the sender's clock.
    pub starts_at: Timestamp,
    /// When it ended, by the sender's clock, and how that is known. `None` while it is open.
    pub end: Option<End>,
    /// When it was first received, by the ingress' clock.
    pub occurred_at: Timestamp,
    /// When it was last received, by the ingress' clock.
    pub last_seen_at: Timestamp,
    /// How many deliveries reported it, without those that changed nothing stored.
    pub deliveries: i64,
    /// Until when its sender says that it holds. `None` where it does not say.
    pub lease: Option<Lease>,
}

/// From when to when something fired, as far as its source said.
#[derive(Clone, Copy, Debug)]
struct Span {
    from: Timestamp,
    to: Timestamp,
    /// Whether the sender said so: else what began later than this by more than the skew is another.
    is_end_told: bool,
}

impl Span {
    fn of(delivery: &AlertDelivery, from: Timestamp) -> Self {
        let (to, is_end_told) = match delivery.end() {
            Some((end, by)) => (end, by == EndedBy::Sender),
            None => (delivery.received_at, true),
        };
        Self {
            from,
            to: to.max(from),
            is_end_told,
        }
    }

    fn overlaps(&self, other: &Self, skew: Duration) -> bool {
        let is_later = |a: &Self, b: &Self| b.from > a.from.after(skew);
        let is_another = |a: &Self, b: &Self| !a.is_end_told && is_later(a, b);
        self.from < other.to
            && other.from < self.to
            && !is_another(self, other)
            && !is_another(other, self)
    }
}

impl Episode {
    fn span(&self) -> Span {
        let (to, is_end_told) = match self.end {
            Some(end) => (end.at, matches!(end.by, EndedBy::Sender | EndedBy::Unseen)),
            // What its sender says to hold is not interrupted by what it says when it comes back before that.
            None => {
                let leased = self.lease.map_or(self.last_seen_at, |lease| lease.until);
                (leased.max(self.last_seen_at), true)
            }
        };
        Span {
            from: self.starts_at,
            to: to.max(self.starts_at),
            is_end_told,
        }
    }

    /// The next one of its series began at `start`, which is earlier than was known. What was not said to
    /// have gone on until then was over; returns from when on it was, at the earliest.
    pub(super) fn make_room(&mut self, start: Timestamp) -> Timestamp {
        match &mut self.end {
            Some(end) if matches!(end.by, EndedBy::Receipt | EndedBy::Newer) => {
                let start = start.max(Timestamp(self.starts_at.0 + 1));
                end.at = end.at.min(start);
                start
            }
            Some(end) => start.max(end.at),
            None => start.max(self.last_seen_at),
        }
    }

    /// Whether a firing that was received then, after it was said to be over, means that this was
    /// wrong, and not that the firing is late: what its sender forgot was never said to be over.
    pub(super) fn was_ended_wrongly(&self, received_at: Timestamp, window: Duration) -> bool {
        self.end.is_some_and(|end| match end.by {
            EndedBy::Unseen => received_at > end.received_at,
            _ => received_at > end.received_at.after(window),
        })
    }
}

/// Finds the episode among `episodes` (one series, oldest first) that `delivery` belongs to.
///
/// With a start that can be: the one that starts nearest to it, within `skew`, if neither was over
/// before the other began. If a newer one's span overlaps that of the delivery, it is that one: a sender that
/// comes back with its old start means what fires now. If several alerts are of the series, each with a start of its
/// own, and it fits none: the open one. Without: the one that
/// was going on at the time of receipt, else the open one; a `resolved` does not belong to a firing that began
/// after it, but of the newest that was over by then, once more. Last, what was received a little
/// before the others of its episode.
#[must_use]
pub fn find(episodes: &[Episode], delivery: &AlertDelivery, skew: Duration) -> Option<usize> {
    let within = |a: Timestamp, b: Timestamp| (a.0 - b.0).abs() <= crate::time::millis(skew);
    if let Some(start) = delivery.reported_start(skew) {
        let other = Span::of(delivery, start);
        let over = delivery.end().filter(|(_, by)| *by == EndedBy::Sender);
        let was_not_over_by = |began| over.is_none_or(|(end, _)| began <= end.max(start));
        let near = (0..episodes.len())
            .rev()
            .filter(|&i| within(start, episodes[i].starts_at))
            .filter(|&i| episodes[i].end.is_none_or(|end| start <= end.at))
            .filter(|&i| was_not_over_by(episodes[i].starts_at))
            .min_by_key(|&i| (start.0 - episodes[i].starts_at.0).abs());
        let overlapping = episodes
            .iter()
            .rposition(|e| e.span().overlaps(&other, skew));
        return near.max(overlapping).or_else(|| {
            let may_be = |e: &Episode| e.end.is_none() && was_not_over_by(e.starts_at);
            let is_shared = delivery.shares_series();
            is_shared
                .then(|| episodes.iter().rposition(may_be))
                .flatten()
        });
    }
    let at = delivery.received_at;
    let spans = |e: &Episode| e.occurred_at <= at && at <= e.last_seen_at;
    let open = |e: &Episode| e.end.is_none() && (delivery.is_firing() || e.occurred_at <= at);
    let over = |e: &Episode| !delivery.is_firing() && e.last_seen_at <= at;
    // What is open did not end before it was first seen.
    let may_be_over = |e: &Episode| delivery.is_firing() || e.end.is_some();
    let overtaken = |e: &Episode| at < e.occurred_at && within(at, e.occurred_at) && may_be_over(e);
    episodes
        .iter()
        .position(spans)
        .or_else(|| episodes.iter().position(open))
        .or_else(|| episodes.iter().rposition(over))
        .or_else(|| episodes.iter().position(overtaken))
}

#[cfg(test)]
pub(in crate::domain) mod tests;
