//! What each source delivers, on its way to the store.

use std::time::Duration;

use sea_orm::DbErr;

use super::write_behind::{Gathered, WriteBehind};
use crate::context::Context;
use crate::sources::WebhookAnswer;
use crate::store::Db;
use crate::store::source_tallies::{self, Tally};
use crate::time::{Clock, Timestamp};

/// The tallies of this process.
#[derive(Clone)]
pub(crate) struct Tallies {
    clock: Clock,
    gathered: WriteBehind<Tally>,
}

impl Gathered for Tally {
    /// The source and the hour.
    type Key = (String, i64);

    const WHAT: &'static str = "figures of what the sources delivered";
    const GATHER: Duration = Duration::from_secs(5);
    const TOGETHER: usize = usize::MAX;

    fn key(&self) -> Self::Key {
        (self.source.clone(), self.hour)
    }

    fn add_older(&mut self, older: Self) {
        self.add(&older);
    }

    async fn write(db: &Db, some: &[Self]) -> Result<(), DbErr> {
        source_tallies::add(db.write(), some).await
    }
}

impl Tallies {
    pub(super) fn new(context: &Context) -> Self {
        Self {
            clock: context.clock.clone(),
            gathered: WriteBehind::new(&context.db),
        }
    }

    /// Notes that a delivery was taken, and what was wrong with the alerts of it that cannot be used.
    pub(super) fn taken(&self, source: &str, taken: &WebhookAnswer, wrong: Option<String>) {
        let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        self.note(source, |tally, now| {
            tally.alerts = number(taken.enqueued);
            tally.rejected = number(taken.rejected);
            tally.tests = number(taken.tests);
            tally.unused = number(taken.unused);
            tally.delivered_at = Some(now);
            tally.error = wrong.map(|why| (now, why));
        });
    }

    /// Notes that a delivery was refused.
    pub(super) fn refused(&self, source: &str, why: String) {
        self.note(source, |tally, now| {
            tally.refused = 1;
            tally.error = Some((now, why));
        });
    }

    /// Notes that a sender asked for a URL to be fetched; empty once it was.
    pub(super) fn asked(&self, source: &str, url: String) {
        self.note(source, |tally, now| tally.confirm = Some((now, url)));
    }

    fn note(&self, source: &str, set: impl FnOnce(&mut Tally, Timestamp)) {
        let now = self.clock.now();
        let mut new = Tally {
            source: source.to_owned(),
            hour: source_tallies::hour(now),
            ..Tally::default()
        };
        set(&mut new, now);
        self.gathered.add(new);
    }

    /// The tallies that are not in the store yet.
    pub(crate) fn unwritten(&self) -> Vec<Tally> {
        self.gathered.unwritten()
    }

    /// Writes what is gathered, before the process ends. Nothing may be delivered meanwhile.
    pub(super) async fn finish(&self) {
        self.gathered.finish().await;
    }
}
