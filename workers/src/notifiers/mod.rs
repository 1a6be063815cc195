//! How people are told. ADD A NOTIFIER HERE: a file with a type that is a [`Notifier`], a line in
//! [`configured`], and the setting that chooses it.

mod address;
mod digest;
pub mod log;
mod markup;
mod message;
pub mod telegram;
#[cfg(test)]
mod tests;
mod text;

use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use tocsin::config::Config;
use tocsin::domain::budget::Budget;
use tocsin::entity::notifications::Kind;
use tocsin::entity::{anomalies, incidents};

pub use digest::Digest;
use log::Log;
use telegram::Telegram;

/// The notifiers that the settings call for. The log is always there, for messages that were owed
/// to it. Which of them new messages go to, `Config::channels` says.
#[must_use]
pub fn configured(config: &Config) -> Vec<Box<dyn Notifier>> {
    let mut notifiers: Vec<Box<dyn Notifier>> = vec![Box::new(Log)];
    if let Some(token) = &config.telegram_token {
        match telegram::Api::new(&config.telegram_api, token.expose()) {
            Ok(api) => {
                let channels = config.all_channels();
                let chats = channels.iter().filter_map(|c| c.strip_prefix("telegram:"));
                for chat in chats {
                    let telegram = Telegram::new(&api, chat, config.budget(chat));
                    notifiers.push(Box::new(telegram));
                }
            }
            Err(error) => tracing::error!("Telegram cannot be used: {error}"),
        }
    }
    notifiers
}

/// What a message is made from.
#[derive(Clone, Debug)]
pub struct Card {
    /// What it tells.
    pub kind: Kind,
    /// The incident it is about, as it stands now.
    pub incident: incidents::Model,
    /// That incident's anomaly, as it stands now.
    pub anomaly: anomalies::Model,
    /// The address of its page, if people can reach the pages.
    pub page: Option<String>,
}

/// A message as it goes out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Post {
    /// Its text, as [`Notifier::render`] made it.
    pub body: String,
    /// The message that it answers, by the provider's id.
    pub reply_to: Option<String>,
    /// Whether it makes no sound.
    pub is_silent: bool,
    /// Buttons beneath it, as Telegram writes them.
    pub reply_markup: Option<Value>,
}

/// What became of an edit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edited {
    /// The message shows it.
    Done,
    /// The message cannot be edited any more, and why.
    Never(String),
}

/// A message that the provider took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// The provider's id for it, where it gives one.
    pub message_id: Option<String>,
}

/// Why a message did not go out. No secret is in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The provider wants no message before this has passed. That is no failed attempt.
    #[error("wait {after:?}: {why}")]
    Wait {
        /// How long, from now.
        after: Duration,
        /// What the provider said.
        why: String,
    },
    /// It may go better later: the provider is down, out of reach or did not answer in time.
    #[error("{0}")]
    Retry(String),
    /// It will never go out as it is: the provider refused it, and says why.
    #[error("{0}")]
    GiveUp(String),
}

/// A way to tell people.
#[async_trait]
pub trait Notifier: Send + Sync {
    /// The channel's name, as the `notifications` rows hold it.
    fn channel(&self) -> &str;

    /// The text for a card, ready for [`send`](Self::send) and within the channel's limits.
    fn render(&self, card: &Card) -> String;

    /// Sends a text that was rendered before, once. Repeating is the caller's.
    async fn send(&self, body: &str) -> Result<Sent, SendError>;

    /// The same, with all that a message may have beside its text, where the provider knows such.
    async fn post(&self, post: &Post) -> Result<Sent, SendError> {
        self.send(&post.body).await
    }

    /// The text of a digest, likewise, where the channel may have storms.
    fn render_digest(&self, _digest: &Digest) -> Option<String> {
        None
    }

    /// How much the provider takes; none if that is not known.
    fn budget(&self) -> Option<Budget> {
        None
    }

    /// Has a message that was sent show another text, once.
    async fn edit(&self, _message_id: &str, _post: &Post) -> Result<Edited, SendError> {
        Ok(Edited::Never("such messages are not edited".to_owned()))
    }
}
