//! Rate limits of a chat and of a bot: Telegram's, spent so that no stretch of time of that length ever holds
//! more.
//!
//! A limit is kept by one moment, the one at which all that was taken will have been paid back
//! (GCRA): a quarter of it may go out at once, the rest is spread over the window.

use std::time::Duration;

use crate::time::{Timestamp, millis};

/// A rate limit (GCRA): a burst, and the interval at which it refills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    interval: i64,
    burst: i64,
}

impl Limit {
    /// At most `most` (at least one) in any `window`.
    #[must_use]
    pub fn per(most: u32, window: Duration) -> Self {
        let (most, window) = (i64::from(most.max(1)), millis(window));
        let burst = (most / 4).max(1);
        let spread = if burst == 1 { most } else { most - burst };
        Self {
            interval: (window + spread - 1) / spread,
            burst,
        }
    }

    /// How far apart two are when the burst is spent.
    #[must_use]
    pub fn interval(self) -> Duration {
        Duration::from_millis(self.interval.unsigned_abs())
    }

    /// Takes one, if there is one: what to remember. Else when there will be. What cannot be remembered of
    /// this limit was remembered by a clock that was ahead, and says nothing.
    fn take(self, tat: Timestamp, now: Timestamp) -> Result<Timestamp, Timestamp> {
        let latest = Timestamp(now.0 + self.burst * self.interval);
        let tat = if tat > latest { now } else { tat };
        let earliest = Timestamp(tat.0 - (self.burst - 1) * self.interval);
        if earliest > now {
            return Err(earliest);
        }
        Ok(Timestamp(tat.max(now).0 + self.interval))
    }
}

/// What is to go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendKind {
    /// A new message.
    Message,
    /// An edit of one.
    Edit,
}

/// What a chat, and the bot that writes to it, may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    second: Limit,
    minute: Limit,
    edits: Limit,
    bot: Limit,
}

/// What was taken of it: for each limit, when that will have been paid back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BudgetUse {
    /// Of the chat's second.
    pub second: Timestamp,
    /// Of the chat's minute.
    pub minute: Timestamp,
    /// Of what edits may take of that.
    pub edits: Timestamp,
    /// Of the bot's second.
    pub bot: Timestamp,
}

impl Budget {
    /// The messages per second and per minute to one chat, and per second by the bot.
    #[must_use]
    pub fn new(chat_second: u32, chat_minute: u32, bot_second: u32) -> Self {
        let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
        Self {
            second: Limit::per(chat_second, second),
            minute: Limit::per(chat_minute, minute),
            edits: Limit::per(chat_minute / 2, minute),
            bot: Limit::per(bot_second, second),
        }
    }

    /// Takes a slot of every limit, or of none: what to remember then, else when to ask again.
    ///
    /// # Errors
    /// There is no slot before that moment.
    pub fn take(
        &self,
        taken: BudgetUse,
        what: SendKind,
        now: Timestamp,
    ) -> Result<BudgetUse, Timestamp> {
        let edits = match what {
            SendKind::Message => Ok(taken.edits),
            SendKind::Edit => self.edits.take(taken.edits, now),
        };
        let slots = [
            self.second.take(taken.second, now),
            self.minute.take(taken.minute, now),
            edits,
            self.bot.take(taken.bot, now),
        ];
        if let Some(earliest) = slots.iter().filter_map(|slot| slot.err()).max() {
            return Err(earliest);
        }
        let [second, minute, edits, bot] = slots.map(Result::unwrap_or_default);
        Ok(BudgetUse {
            second,
            minute,
            edits,
            bot,
        })
    }

    /// How far apart such go out where many wait.
    #[must_use]
    pub fn interval(&self, what: SendKind) -> Duration {
        let chat = self.second.interval().max(self.minute.interval());
        match what {
            SendKind::Message => chat,
            SendKind::Edit => chat.max(self.edits.interval()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sends_are_spread_within_the_limits_of_telegram() {
        let second = Duration::from_secs(1);
        for (most, window, burst, interval) in [
            (1, second, 1, 1000),
            (3, second, 1, 334),
            (20, 60 * second, 5, 4000),
            (10, 60 * second, 2, 7500),
            (30, second, 7, 44),
            (0, second, 1, 1000),
        ] {
            let expected = Limit { interval, burst };
            assert_eq!(Limit::per(most, window), expected, "{most} in {window:?}");
        }
    }

    #[test]
    fn a_group_gets_a_message_a_second_until_its_minute_is_spent() {
        let budget = Budget::new(1, 20, 30);
        let (mut taken, mut now, mut at) = (BudgetUse::default(), Timestamp(1_000_000), Vec::new());
        while at.len() < 8 {
            match budget.take(taken, SendKind::Message, now) {
                Ok(next) => {
                    taken = next;
                    at.push(now.0 - 1_000_000);
                }
                Err(later) => now = later,
            }
        }
        assert_eq!(at, [0, 1000, 2000, 3000, 4000, 5000, 8000, 12_000]);
    }

    #[test]
    fn edits_take_half_of_a_minute_at_most() {
        let budget = Budget::new(100, 20, 100);
        let (mut taken, mut edits) = (BudgetUse::default(), 0);
        for now in (0..60_000).map(Timestamp) {
            if let Ok(next) = budget.take(taken, SendKind::Edit, now) {
                (taken, edits) = (next, edits + 1);
            }
        }
        assert_eq!(edits, 9);
    }

    #[test]
    fn a_budget_stored_by_a_clock_ahead_delays_no_message() {
        let budget = Budget::new(1, 20, 30);
        let now = Timestamp(1_000_000);
        let ahead = now.after(Duration::from_secs(8 * 3600));
        let taken = BudgetUse {
            second: ahead,
            minute: ahead,
            edits: ahead,
            bot: ahead,
        };
        let taken = budget.take(taken, SendKind::Message, now).unwrap();
        assert_eq!(taken.second, now.after(Duration::from_secs(1)));
        assert_eq!(taken.minute, now.after(Duration::from_secs(4)));
        assert_eq!(taken.edits, ahead);
        // From then on it is kept as ever.
        let at = budget.take(taken, SendKind::Message, now).unwrap_err();
        assert_eq!(at, now.after(Duration::from_secs(1)));
    }

    proptest! {
        #[test]
        fn no_window_ever_holds_more(most in 1_u32..60, window in 1_u64..100, gaps in prop::collection::vec(0_i64..20_000, 1..300)) {
            let window = Duration::from_secs(window);
            let limit = Limit::per(most, window);
            let (mut now, mut tat, mut at) = (Timestamp(1_000_000_000), Timestamp::default(), Vec::new());
            for gap in gaps {
                now.0 += gap;
                match limit.take(tat, now) {
                    Ok(next) => {
                        tat = next;
                        at.push(now);
                    }
                    // Sometimes it is asked for again at once, as if there were many.
                    Err(later) if gap % 2 == 0 => {
                        now = later;
                        tat = limit.take(tat, now).unwrap();
                        at.push(now);
                    }
                    Err(_) => {}
                }
            }
            for (n, first) in at.iter().enumerate() {
                let within = at[n..].iter().take_while(|t| t.since(*first) < window).count();
                prop_assert!(within <= most as usize, "{within} of {most} in {window:?}");
            }
        }
    }
}
