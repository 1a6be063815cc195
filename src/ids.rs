//! Ids: new ones, which sort by time, and those that follow from what they stand for.

use sha2::{Digest as _, Sha256};
use uuid::{Builder, Uuid};

use crate::time::Timestamp;

/// A new id that sorts by `at` (UUIDv7).
#[must_use]
pub fn new_id(at: Timestamp) -> Uuid {
    let ms = u64::try_from(at.0).unwrap_or(0);
    Builder::from_unix_timestamp_millis(ms, &rand::random()).into_uuid()
}

/// The least of the ids that [`new_id`] makes at `at` or later.
#[must_use]
pub fn first_id(at: Timestamp) -> Uuid {
    let ms = u64::try_from(at.0).unwrap_or(0);
    Builder::from_unix_timestamp_millis(ms, &[0; 10]).into_uuid()
}

/// The same ID for the same words, in every process.
#[must_use]
pub fn derived_id(words: &[&str]) -> Uuid {
    let mut hash = Sha256::new();
    for word in words {
        hash.update((word.len() as u64).to_be_bytes());
        hash.update(word.as_bytes());
    }
    let digest = hash.finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    Builder::from_custom_bytes(bytes).into_uuid()
}
