//! Settings of Telegram: kinds of notification, rate limits, buttons.

use serde::{Deserialize, Serialize};

use super::channels::{self, ChannelKind};
use super::people::{self, People, Updates};
use super::{Config, Secret, Span};
use crate::domain::budget::Budget;
pub use crate::domain::messages::Tell;

/// What is sent to Telegram, how fast, and who may press buttons.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelegramSettings {
    /// Which kinds are messages of their own; cards are edited in any case.
    pub tell: Vec<Tell>,
    /// How long changes gather before a card is edited.
    pub fold: Span,
    /// How long after its last notification an anomaly continues on its card, without a sound. 0: each incident has
    /// a card of its own.
    pub again: Span,
    /// Whether budgets are kept and storms are noticed: no where the server at `telegram_api` sets no
    /// limits.
    pub limits: bool,
    /// With more messages than this pending for a chat within a minute, or waiting for its budget, a digest
    /// replaces them.
    pub storm_above: u32,
    /// How long a digest gathers; the first of a storm does so for a few seconds only.
    pub digest_every: Span,
    /// Messages and edits that one chat gets in a second.
    pub chat_per_second: u32,
    /// That a group or a channel gets in a minute; of these, edits are half at most.
    pub group_per_minute: u32,
    /// That the bot sends in a second, to all chats together.
    pub bot_per_second: u32,
    /// How presses of buttons come here.
    pub updates: Updates,
    /// What Telegram sends with every press, where it sends them here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_secret: Option<Secret>,
    /// The repairs that are offered.
    pub actions: Vec<String>,
    /// Who may press the buttons beneath a card. Empty: cards have none.
    pub people: People,
}

impl Default for TelegramSettings {
    fn default() -> Self {
        Self {
            tell: Tell::USUAL.to_vec(),
            fold: Span::secs(5),
            again: Span::secs(12 * 3600),
            limits: true,
            storm_above: 20,
            digest_every: Span::secs(60),
            chat_per_second: 1,
            group_per_minute: 20,
            bot_per_second: 30,
            updates: Updates::default(),
            webhook_secret: None,
            actions: people::actions(),
            people: People::default(),
        }
    }
}

/// Chats, which a bot writes to.
pub(super) const CHANNEL: ChannelKind = ChannelKind {
    name: "telegram",
    usual: |config| match (&config.telegram_token, &config.telegram_chat) {
        (Some(_), Some(chat)) => vec![format!("telegram:{chat}")],
        _ => Vec::new(),
    },
    check: |config, target| match target {
        None => Err(channels::UNKNOWN.to_owned()),
        Some(_) if config.telegram_token.is_none() => Err("telegram_token is not set".to_owned()),
        Some(chat) => is_chat(chat),
    },
    secrets: &["telegram_token", "telegram__webhook_secret"],
    tell: |config, _| &config.telegram.tell,
    edits: |config| config.telegram_token.is_some(),
    goes_on: true,
    reports: true,
};

impl Config {
    /// How much may go to a chat, which is written as in `telegram_chat`. Ids of groups and of channels
    /// begin with a `-`, a channel's name with an `@`.
    #[must_use]
    pub fn budget(&self, chat: &str) -> Budget {
        let set = &self.telegram;
        let minute = if chat.starts_with(['-', '@']) {
            set.group_per_minute
        } else {
            set.chat_per_second.saturating_mul(60)
        };
        Budget::new(set.chat_per_second, minute, set.bot_per_second)
    }

    /// Whether budgets are kept in this channel, and storms are noticed.
    #[must_use]
    pub fn limits(&self, channel: &str) -> bool {
        self.telegram.limits || !channel.starts_with("telegram:")
    }

    pub(super) fn check_telegram(&self) -> Result<(), String> {
        let set = &self.telegram;
        // An edit may take half of a minute's messages, and that is one at least.
        for (name, value, least) in [
            ("storm_above", set.storm_above, 1),
            ("chat_per_second", set.chat_per_second, 1),
            ("group_per_minute", set.group_per_minute, 2),
            ("bot_per_second", set.bot_per_second, 1),
        ] {
            if value < least {
                return Err(format!("telegram.{name} must be at least {least}"));
            }
        }
        Ok(())
    }
}

/// A chat is an id or the `@name` of a channel, and a topic of it its id and the topic's.
pub(super) fn is_chat(text: &str) -> Result<(), String> {
    let (chat, topic) = match text.split_once('/') {
        Some((chat, topic)) => (chat, Some(topic)),
        None => (text, None),
    };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let is_id = is_number(chat.strip_prefix('-').unwrap_or(chat));
    let is_name = chat.strip_prefix('@').is_some_and(|name| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    });
    if !is_id && !is_name {
        return Err(
            "a chat must be an ID, such as -1001234567890, or the @name of a channel".to_owned(),
        );
    }
    if topic.is_some_and(|topic| !is_number(topic) || topic.len() > 18) {
        return Err("a topic must be a number after the chat, as in -1001234567890/45".to_owned());
    }
    Ok(())
}
