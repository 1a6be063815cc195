//! Buttons beneath the cards on Telegram: whoever is on the list acknowledges, resolves, mutes and
//! records repairs from the chat.
//!
//! ```text
//! press ─▶ getUpdates, or POST /api/v1/telegram ─▶ press() ─▶ answer, keyboard
//!                                                    │
//!             one transaction: the press, its operation, the audit entry, the cards to edit
//! ```
//!
//! Telegram sends a press again until it was taken. It is done once: its id is a row, written in the
//! transaction that does what it asks for.

mod client;
mod keyboard;
pub mod poller;
mod press;
mod update;

pub use client::{Bot, POLL, TelegramError};
pub use keyboard::of as keyboard;
pub use press::{Reply, as_response, press};
pub use update::{Message, Query, Update};
