//! Send slots: when a message or an edit may be sent. All processes share the limits of a chat and of the provider
//! through the store. A process that dies with a slot loses that slot and nothing else.

use std::time::Duration;

use sea_orm::DatabaseTransaction;
use tocsin::domain::budget::{Budget, BudgetUse, SendKind};
use tocsin::entity::channels::Model as Channel;
use tocsin::jobs::JobError;
use tocsin::store::channels::{self, chat_of, provider_of};
use tocsin::time::Timestamp;

use super::context::NotifyContext;

/// The longest retry delay. A waiting job would notice neither a corrected clock nor a shorter line.
const LONGEST: Duration = Duration::from_secs(60);

/// The locked rows of a channel, its chat and its provider.
pub(super) struct SendPermit {
    rows: Vec<Channel>,
    channel: String,
    budget: Budget,
    pub(super) now: Timestamp,
}

impl SendPermit {
    /// Locks the rows of the channel. Call it before taking any other lock.
    pub(super) async fn lock(
        ctx: &NotifyContext,
        tx: &DatabaseTransaction,
        channel: &str,
        budget: Budget,
    ) -> Result<Self, JobError> {
        let names = [provider_of(channel), chat_of(channel), channel];
        let (rows, now) = channels::lock(tx, &names).await?;
        Ok(Self {
            rows,
            channel: channel.to_owned(),
            budget,
            now: ctx.context.clock.of_store(now),
        })
    }

    fn row(&self, channel: &str) -> Result<&Channel, JobError> {
        let found = self.rows.iter().find(|row| row.channel == channel);
        found.ok_or_else(|| JobError::Retry(format!("{channel} was not locked")))
    }

    /// The channel's own row.
    pub(super) fn own(&self) -> Result<&Channel, JobError> {
        self.row(&self.channel)
    }

    /// The same after [`SendPermit::take`].
    pub(super) async fn again(&self, tx: &DatabaseTransaction) -> Result<Channel, JobError> {
        let (rows, _) = channels::lock(tx, &[&self.channel]).await?;
        let row = rows.into_iter().next();
        row.ok_or_else(|| JobError::Retry(format!("{} was not locked", self.channel)))
    }

    /// Takes a slot in this transaction. If none is free, the error says how long to wait, with the messages `ahead`
    /// first.
    pub(super) async fn take(
        &self,
        tx: &DatabaseTransaction,
        what: SendKind,
        ahead: i64,
    ) -> Result<(), JobError> {
        let (budget, now) = (self.budget, self.now);
        let chat = chat_of(&self.channel).to_owned();
        let mut bot = self.row(provider_of(&self.channel))?.clone();
        let mut row = self.row(&chat)?.clone();
        if row.paused_until > now {
            let pause = row.paused_until.since(now);
            return Err(self.wait(
                pause,
                what,
                ahead,
                "rate limit of the provider: retry after the time it gave",
            ));
        }
        let taken = BudgetUse {
            second: row.second_tat,
            minute: row.minute_tat,
            edits: row.edit_tat,
            bot: bot.second_tat,
        };
        let taken = match budget.take(taken, what, now) {
            Ok(taken) => taken,
            Err(at) => {
                let why = "rate limit of the channel reached";
                return Err(self.wait(at.since(now), what, ahead, why));
            }
        };
        row.second_tat = taken.second;
        row.minute_tat = taken.minute;
        row.edit_tat = taken.edits;
        bot.second_tat = taken.bot;
        channels::save(tx, &row).await?;
        channels::save(tx, &bot).await?;
        Ok(())
    }

    fn wait(&self, first: Duration, what: SendKind, ahead: i64, why: &str) -> JobError {
        let ahead = u32::try_from(ahead).unwrap_or(0);
        let line = self
            .budget
            .interval(what)
            .saturating_mul(ahead)
            .min(LONGEST);
        JobError::RetryAfter {
            after: first.min(LONGEST) + line,
            why: why.to_owned(),
        }
    }
}
