//! Operations of people, by the API, on a page or with a button.
//!
//! Each operation takes the context, who acts, and its arguments. It begins a transaction, checks, changes,
//! writes the audit entry, commits, and enqueues what follows; then it returns what came of it. Who may act
//! is decided before that, where the request comes in. What the caller makes of the result (JSON, a page, an
//! answer to a press) is the caller's.

pub mod action;
pub mod analysis;
pub mod canary;
pub mod dead_letter;
mod error;
pub mod execution;
pub mod fix;
pub mod incident;
pub mod mute;
pub mod notify;
pub mod once;
pub mod own;
pub mod playbook;
pub mod press;
pub mod queue;
pub mod recount;
pub mod repair;
pub mod reply;
pub mod window;

pub use crate::outbox::FollowUp;
pub use error::{Conflict, Invalid, OperationError, Resource};
