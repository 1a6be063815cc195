//! Tallies of each source's deliveries, gathered on their way to the store.

use std::time::Duration;

use sea_orm::DbErr;

use super::write_behind::{Gathered, WriteBehind};
use crate::context::Context;
use crate::sources::WebhookAnswer;
use crate::store::source_tallies::{self, Tally};
use crate::store::{maintenance, watches};
use crate::time::{Clock, Timestamp};

/// The tallies of this process.
#[derive(Clone)]
pub(crate) struct Tallies {
    clock: Clock,
    gathered: WriteBehind<Tally>,
    seen: WriteBehind<ExpectedReceipt>,
}

/// What a delivery says beside what came of it.
pub(super) struct Said {
    /// What is wrong with the last of its alerts that cannot be used.
    pub(super) wrong: Option<String>,
    /// Alerts that the sender left out, as far as that is believed: [`crate::sources::MOST_TRUNCATED`] at most.
    pub(super) truncated: u64,
    /// Alerts that are over.
    pub(super) resolved: u64,
}

/// When an alert that is expected was received last.
#[derive(Clone)]
struct ExpectedReceipt {
    name: String,
    at: Timestamp,
}

impl Gathered for ExpectedReceipt {
    type Key = String;

    const WHAT: &'static str = "when expected alerts were received";
    const GATHER: Duration = Duration::from_secs(5);
    const TOGETHER: usize = usize::MAX;

    fn key(&self) -> Self::Key {
        self.name.clone()
    }

    fn add_older(&mut self, older: Self) {
        self.at = self.at.max(older.at);
    }

    /// No moment is later than now by the store's clock, whatever this computer's says.
    async fn write(context: &Context, some: &[Self]) -> Result<(), DbErr> {
        let now = maintenance::now(context.db.read()).await?;
        let now = context.clock.of_store(now);
        let seen = some.iter().map(|one| (one.name.clone(), one.at.min(now)));
        watches::see(context.db.write(), &seen.collect()).await
    }
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

    async fn write(context: &Context, some: &[Self]) -> Result<(), DbErr> {
        source_tallies::add(context.db.write(), some).await
    }
}

impl Tallies {
    pub(super) fn new(context: &Context) -> Self {
        Self {
            clock: context.clock.clone(),
            gathered: WriteBehind::new(context),
            seen: WriteBehind::new(context),
        }
    }

    /// Notes that a delivery was taken, and what it said.
    pub(super) fn taken(&self, source: &str, taken: &WebhookAnswer, said: Said) {
        let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        self.note(source, |tally, now| {
            tally.alerts = number(taken.enqueued);
            tally.rejected = number(taken.rejected);
            tally.tests = number(taken.tests);
            tally.unused = number(taken.unused);
            tally.delivered_at = Some(now);
            tally.truncated = number(said.truncated);
            tally.resolved = number(said.resolved);
            tally.error = said.wrong.map(|why| (now, why));
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

    /// Notes that an expected alert was received.
    pub(super) fn seen(&self, name: String, at: Timestamp) {
        self.seen.add(ExpectedReceipt { name, at });
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
        tokio::join!(self.gathered.finish(), self.seen.finish());
    }
}
