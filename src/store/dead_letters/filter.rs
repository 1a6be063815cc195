//! Filters of dead letters, as SQL conditions.

use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, Select,
};

use crate::entity::dead_letters::{Column, Entity};
use crate::store::folded::{contains, contains_in_bytes};
use crate::time::Timestamp;

/// Which dead letters. Nothing set: all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// In this state.
    pub state: Option<String>,
    /// In this queue.
    pub queue: Option<String>,
    /// With this text in the reason.
    pub reason: Option<String>,
    /// With this text in the payload or the reason.
    pub text: Option<String>,
    /// Died at this moment or later.
    pub since: Option<Timestamp>,
    /// Died at this moment or earlier.
    pub until: Option<Timestamp>,
    /// Not decided on since this moment.
    pub as_of: Option<Timestamp>,
}

impl Filter {
    /// Whether it filters by the state alone.
    #[must_use]
    pub const fn is_everything(&self) -> bool {
        self.queue.is_none()
            && self.reason.is_none()
            && self.text.is_none()
            && self.since.is_none()
            && self.until.is_none()
    }

    fn condition(&self, backend: DbBackend) -> Condition {
        let undecided = |at: Timestamp| {
            Condition::any()
                .add(Column::DecidedAt.is_null())
                .add(Column::DecidedAt.lt(at))
        };
        let text = |text: &String| {
            Condition::any()
                .add(contains(Column::Reason, text, backend))
                .add(contains_in_bytes(Column::Payload, text, backend))
        };
        Condition::all()
            .add_option(self.state.as_ref().map(|state| Column::State.eq(state)))
            .add_option(self.queue.as_ref().map(|queue| Column::Queue.eq(queue)))
            .add_option(self.since.map(|at| Column::DiedAt.gte(at)))
            .add_option(self.until.map(|at| Column::DiedAt.lte(at)))
            .add_option(self.as_of.map(undecided))
            .add_option(
                self.reason
                    .as_ref()
                    .map(|text| contains(Column::Reason, text, backend)),
            )
            .add_option(self.text.as_ref().map(text))
    }

    pub(super) fn select(&self, db: &impl ConnectionTrait) -> Select<Entity> {
        Entity::find().filter(self.condition(db.get_database_backend()))
    }
}
