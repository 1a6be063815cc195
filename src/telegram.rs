//! Telegram: the Bot API's one client, and the buttons beneath the cards, with which the configured
//! people acknowledge, resolve, mute and record repairs from the chat; and replies to cards, which become notes.
//!
//! ```text
//! notifier ─▶ Bot: sendMessage, editMessageText
//!
//! press ─▶ getUpdates, or POST /api/v1/telegram ─▶ press() ─▶ answer, keyboard
//! reply ─▶                                      ─▶ note()  ─▶ reaction
//!                                                    │
//!             one transaction: the press, its operation, the audit entry, the cards to edit
//! ```
//!
//! Telegram sends a press, and a reply, again until it was taken. It is done once: its id is a row, written in the
//! transaction that does what it asks for.

mod answer;
mod client;
mod error;
mod keyboard;
mod methods;
pub mod poller;
mod press;
mod reply;
mod update;

pub use answer::Answer;
pub use client::Bot;
pub use error::{Class, Refusal, TelegramError};
pub use keyboard::of as keyboard;
pub use methods::{Content, NewMessage};
pub use press::{Reply, as_response, press};
pub use reply::{Shown, note, show};
pub use update::{CardReply, Message, Query, Update};
