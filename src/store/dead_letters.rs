//! Jobs that failed for good: buried by the consumer, found and decided on by operators.
//!
//! A row is about one job through all its replays. Its `replay` is the number that the job was last
//! replayed under, and its `enqueued_at` when it was last pushed: what is older than either was left
//! over by a process that died, and is neither run nor believed.

mod bury;
mod decide;
mod filter;
mod find;
mod pending;

pub use bury::{Burial, buried, bury};
pub use decide::{Decision, Edit, decide, decide_some};
pub use filter::Filter;
pub use find::{
    Position, Summary, count, count_matching, export, find, list, matching, payloads, standing,
};
pub use pending::{overdue, pushed};

/// The state of a dead letter that was neither replayed nor discarded.
pub const DEAD: &str = "dead";
/// The state of one whose job was pushed again.
pub const REPLAYED: &str = "replayed";
/// The state of one that stays dead.
pub const DISCARDED: &str = "discarded";
/// Every state.
pub const STATES: [&str; 3] = [DEAD, REPLAYED, DISCARDED];

/// Whether the queue can carry these bytes: text without NUL.
#[must_use]
pub fn as_text(payload: &[u8]) -> Option<&str> {
    std::str::from_utf8(payload)
        .ok()
        .filter(|text| !text.contains('\0'))
}
