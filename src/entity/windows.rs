//! One maintenance window.

use sea_orm::entity::prelude::*;

use super::anomalies;
use crate::domain::mute::Mute;
use crate::domain::window::{Matchers, Names, Occurrence, Schedule, Weekly};
use crate::time::Timestamp;

/// A maintenance window: the notifications of the anomalies that it names are suppressed while it holds.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, serde::Serialize, utoipa::ToSchema)]
#[sea_orm(table_name = "maintenance_windows")]
#[schema(as = MaintenanceWindow)]
pub struct Model {
    /// Its ID.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Why.
    pub reason: String,
    /// Which anomalies it is about.
    pub matchers: Matchers,
    /// It holds from then on at the earliest.
    pub starts_at: Timestamp,
    /// It does not hold from then on; null if it holds every week without end.
    pub ends_at: Option<Timestamp>,
    /// It holds at these times of every week alone; null if it holds once.
    pub weekly: Option<Weekly>,
    /// Who planned it.
    pub created_by: Option<String>,
    /// When it was planned.
    pub created_at: Timestamp,
    /// When somebody ended it; null if nobody did.
    pub ended_at: Option<Timestamp>,
}

impl Model {
    /// When it holds.
    #[must_use]
    pub const fn schedule(&self) -> Schedule<'_> {
        Schedule {
            starts_at: self.starts_at,
            ends_at: self.ends_at,
            weekly: self.weekly.as_ref(),
        }
    }

    /// When it holds, now or next; `None` if it is over or somebody ended it.
    #[must_use]
    pub fn next(&self, now: Timestamp) -> Option<Occurrence> {
        match self.ended_at {
            Some(_) => None,
            None => self.schedule().next(now),
        }
    }
}

/// Of these windows the one that holds at `now` for an anomaly of these names; of several, the one that ends last, and
/// since when one of them has held: another that joins is no new silence.
#[must_use]
pub fn holding<'a>(
    windows: &'a [Model],
    names: Names<'_>,
    now: Timestamp,
) -> Option<(&'a Model, Occurrence)> {
    let concerned = windows.iter().filter(|one| one.matchers.matches(names));
    let holding = concerned.filter_map(|one| Some((one, one.next(now)?)));
    let holding: Vec<_> = holding.filter(|(_, found)| found.holds(now)).collect();
    let since = holding.iter().map(|(_, found)| found.since).min()?;
    let last = holding.into_iter().max_by_key(|(_, found)| found.until);
    last.map(|(one, found)| (one, Occurrence { since, ..found }))
}

impl anomalies::Model {
    /// What it is called, for matchers.
    #[must_use]
    pub fn names(&self) -> Names<'_> {
        Names {
            service: &self.service,
            namespace: &self.namespace,
            alert_name: &self.alert_name,
        }
    }

    /// The mute that decides at `now`: its own if that holds, else that of a maintenance window, if one does.
    #[must_use]
    pub fn mute_with(&self, windows: &[Model], now: Timestamp) -> Mute {
        let own = self.mute();
        match holding(windows, self.names(), now) {
            Some((_, found)) if !own.holds(now) => Mute {
                since: Some(found.since),
                until: Some(found.until),
                broken_at: own.broken_at,
            },
            _ => own,
        }
    }
}

/// No relation is followed through the entities.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
