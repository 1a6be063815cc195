//! Telegram: the Bot API's one client, and the buttons beneath the cards, with which the configured
//! people acknowledge, resolve, mute and record repairs from the chat.
//!
//! ```text
//! notifier ─▶ Bot: sendMessage, editMessageText
//!
//! press ─▶ getUpdates, or POST /api/v1/telegram ─▶ press() ─▶ answer, keyboard
//!                                                    │
//!             one transaction: the press, its operation, the audit entry, the cards to edit
//! ```
//!
//! Telegram sends a press again until it was taken. It is done once: its id is a row, written in the
//! transaction that does what it asks for.

mod answer;
mod client;
mod error;
mod keyboard;
mod methods;
pub mod poller;
mod press;
mod update;

pub use answer::Answer;
pub use client::Bot;
pub use error::{Class, Refusal, TelegramError};
pub use keyboard::of as keyboard;
pub use methods::{Content, NewMessage};
pub use press::{Reply, as_response, press};
pub use update::{Message, Query, Update};
