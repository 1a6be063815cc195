//! Button presses, and replies to cards: one of all processes polls Telegram for them and does their operations; where a
//! webhook is configured, it is registered instead.
//!
//! A lease in the store decides which process polls: it is held for [`presses::LEASE`], and renewed while
//! Telegram is waited for. A press is recorded after its operation: after a crash in between, the next
//! poller gets it again and finds it done.

mod backoff;

use std::time::Duration;

use sea_orm::DbErr;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Bot, CardReply, Class, Query, TelegramError, Update, note, press, show};
use crate::config::Updates;
use crate::context::Context;
use crate::operations::press::PressError;
use crate::store::error::{Cause, cause};
use crate::store::presses;
use backoff::Backoff;

/// How often the leader renews its lease, and the others check for it.
const LEADER_CHECK: Duration = Duration::from_secs(5);
/// From one poll that brings nothing to the next, at least.
const EMPTY: Duration = Duration::from_secs(1);
/// How often the webhook is registered with Telegram.
const ANNOUNCED: Duration = Duration::from_secs(120);
/// How long answers that are on their way may still take when the process stops.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The outcome of one poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Poll {
    /// The number of presses and replies that were handled.
    Done(usize),
    /// Another process asks.
    Elsewhere,
}

/// Why a poll failed. It is tried again.
#[derive(Debug, thiserror::Error)]
pub enum PollError {
    /// Telegram.
    #[error(transparent)]
    Telegram(#[from] TelegramError),
    /// The store.
    #[error("the store: {0}")]
    Store(#[from] DbErr),
    /// The queue, among other things.
    #[error(transparent)]
    CallbackData(#[from] PressError),
}

/// Polls for presses, if no other process does.
pub struct Poller {
    context: Context,
    bot: Bot,
    holder: Uuid,
    /// Whether presses wait to be asked for: no webhook is set.
    is_ready: bool,
    answers: JoinSet<()>,
}

/// Until `stop`, whatever happens.
pub async fn run(context: Context, stop: CancellationToken) {
    let bot = match Bot::of(&context.config) {
        Ok(Some(bot)) => bot,
        Ok(None) => return,
        Err(error) => {
            tracing::error!("cannot poll Telegram for button presses: {error}");
            return;
        }
    };
    match context.config.telegram.updates {
        Updates::Poll => Box::pin(Poller::new(&context, bot).run(&stop)).await,
        Updates::Webhook => announce(&context, &bot, &stop).await,
        Updates::Off => {}
    }
}

impl Poller {
    /// One that has not begun.
    #[must_use]
    pub fn new(context: &Context, bot: Bot) -> Self {
        Self {
            context: context.clone(),
            bot,
            holder: Uuid::now_v7(),
            is_ready: false,
            answers: JoinSet::new(),
        }
    }

    async fn run(mut self, stop: &CancellationToken) {
        let mut backoff = Backoff::default();
        loop {
            let began = Instant::now();
            let poll = tokio::select! {
                poll = self.poll() => poll,
                () = stop.cancelled() => break,
            };
            let wait = match poll {
                Ok(Poll::Done(done)) => {
                    backoff.over();
                    rest(done, began.elapsed())
                }
                Ok(Poll::Elsewhere) => LEADER_CHECK,
                Err(failure) => backoff.wait(&failure),
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = stop.cancelled() => break,
            }
        }
        self.leave().await;
    }

    /// Takes or keeps the place, waits for presses, and has them done.
    ///
    /// # Errors
    /// See [`PollError`]. What was done until then is remembered.
    pub async fn poll(&mut self) -> Result<Poll, PollError> {
        let (db, name) = (self.context.db.clone(), self.bot.name().to_owned());
        let Some(next) = presses::hold(db.write(), &name, self.holder).await? else {
            self.is_ready = false;
            return Ok(Poll::Elsewhere);
        };
        let kept = keep(self.context.clone(), name, self.holder);
        tokio::select! {
            poll = self.ask(next) => poll,
            () = kept => {
                self.is_ready = false;
                Ok(Poll::Elsewhere)
            }
        }
    }

    async fn ask(&mut self, next: i64) -> Result<Poll, PollError> {
        if !self.is_ready {
            self.bot.delete_webhook().await?;
            self.is_ready = true;
        }
        let answer = self.bot.updates(next).await;
        let refused = answer.as_ref().err().and_then(TelegramError::class);
        if refused == Some(&Class::Conflict) {
            // An operator may have set one since.
            self.is_ready = false;
        }
        let (mut done, mut reached, mut failed) = (0, None, None);
        for update in answer? {
            let (id, taken) = (update.id, Box::pin(self.take(update)).await);
            match taken {
                Ok(is_done) => done += usize::from(is_done),
                Err(failure) => {
                    failed = Some(failure);
                    break;
                }
            }
            // Below what was asked for, its numbers have begun anew: asked for the old one, Telegram
            // would hand the same out for ever.
            reached = reached.max(Some(id.saturating_add(1)));
        }
        if let Some(reached) = reached.filter(|reached| *reached != next) {
            let db = self.context.db.write();
            presses::advance(db, self.bot.name(), self.holder, reached).await?;
        }
        match failed {
            Some(failure) => Err(failure),
            None => Ok(Poll::Done(done)),
        }
    }

    /// One update. What the store will never take is left out, or nothing after it would be done. Returns whether it was
    /// a press or a reply to the bot.
    async fn take(&mut self, update: Update) -> Result<bool, PollError> {
        while self.answers.try_join_next().is_some() {}
        let taken = match (update.query, update.reply) {
            (Some(query), _) => self.take_press(query).await,
            (None, Some(reply)) if reply.is_to(self.bot.name()) => self.take_reply(reply).await,
            (None, _) => return Ok(false),
        };
        match taken {
            Err(PressError::Store(error)) if cause(&error) != Cause::Store => {
                tracing::error!("skipping a button press or a reply: {error}");
            }
            taken => taken?,
        }
        Ok(true)
    }

    async fn take_press(&mut self, query: Query) -> Result<(), PressError> {
        let reply = press(&self.context, &query).await?;
        let bot = self.bot.clone();
        self.answers.spawn(async move {
            let answered = bot.answer(&query.id, &reply.answer).await;
            let shown = match (&reply.keyboard, &query.message) {
                (Some(keyboard), Some(message)) => bot.show(message, keyboard).await,
                _ => Ok(()),
            };
            // It is done all the same, and the card will say so.
            for error in [answered, shown].into_iter().filter_map(Result::err) {
                tracing::debug!("cannot answer a button press: {error}");
            }
        });
        Ok(())
    }

    async fn take_reply(&mut self, reply: CardReply) -> Result<(), PressError> {
        let shown = note(&self.context, self.bot.name(), &reply).await?;
        let (bot, context) = (self.bot.clone(), self.context.clone());
        if let Some(shown) = shown {
            self.answers.spawn(async move {
                if let Err(error) = show(&context, &bot, &reply, &shown).await {
                    tracing::debug!("cannot answer a reply: {error}");
                }
            });
        }
        Ok(())
    }

    /// Waits for the answers that are on their way.
    pub async fn answered(&mut self) {
        while self.answers.join_next().await.is_some() {}
    }

    /// Leaves the place to others at once.
    pub async fn leave(mut self) {
        // Cut, they are only not seen.
        let _ = tokio::time::timeout(LAST_WORDS, self.answered()).await;
        let db = self.context.db.write();
        let left = presses::leave(db, self.bot.name(), self.holder);
        if !matches!(tokio::time::timeout(LAST_WORDS, left).await, Ok(Ok(()))) {
            tracing::debug!(
                "the lease of the Telegram poller expires in {:?}",
                presses::LEASE
            );
        }
    }
}

/// Keeps the place for as long as it can; ends when it is lost.
async fn keep(context: Context, bot: String, holder: Uuid) {
    let mut kept = Instant::now();
    loop {
        tokio::time::sleep(LEADER_CHECK).await;
        match presses::hold(context.db.write(), &bot, holder).await {
            Ok(Some(_)) => kept = Instant::now(),
            Ok(None) => return,
            Err(_) if kept.elapsed() > presses::LEASE => return,
            Err(error) => {
                tracing::debug!("cannot renew the lease of the Telegram poller yet: {error}");
            }
        }
    }
}

/// Has Telegram send presses to us, and says so again and again: a process that asks for presses and is
/// about to be replaced takes the webhook away when it finds it set.
async fn announce(context: &Context, bot: &Bot, stop: &CancellationToken) {
    let (config, mut backoff) = (&context.config, Backoff::default());
    let (Some(public), Some(secret)) = (&config.public_url, &config.telegram.webhook_secret) else {
        tracing::info!("public_url is not set: register Telegram's webhook by hand");
        return;
    };
    let url = format!("{}/api/v1/telegram", public.trim_end_matches('/'));
    loop {
        let wait = match bot.set_webhook(&url, secret.expose()).await {
            Ok(()) => {
                backoff.over();
                ANNOUNCED
            }
            Err(error) => backoff.wait(&error.into()),
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// The pause after a poll that handled `done` presses: a server that answers at once with none is not polled again at
/// once.
fn rest(done: usize, took: Duration) -> Duration {
    match done {
        0 => EMPTY.saturating_sub(took),
        _ => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polls_that_bring_nothing_are_a_second_apart() {
        let ms = Duration::from_millis;
        assert_eq!(rest(0, ms(3)), ms(997));
        assert_eq!(rest(0, ms(25_000)), Duration::ZERO);
        assert_eq!(rest(1, ms(3)), Duration::ZERO);
    }
}
