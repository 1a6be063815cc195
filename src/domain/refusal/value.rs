//! Values that refuse themselves while they are deserialized. serde carries nothing but text from a value
//! to its reader, so the refusal itself is left beside, for the reader on the same thread.

use std::cell::RefCell;

use serde::de;

use super::Refusal;

thread_local! {
    static LEFT: RefCell<Option<Refusal>> = const { RefCell::new(None) };
}

/// The error of a value that cannot be accepted, for its `Deserialize`.
pub fn refuse<E: de::Error>(refusal: Refusal) -> E {
    let error = E::custom(refusal.detail());
    LEFT.set(Some(refusal));
    error
}

/// Deserializes something, without waiting for anything in between.
///
/// # Errors
/// serde's own error, and the refusal of the value by which it failed, if one refused itself.
pub fn read<T, E>(reader: impl FnOnce() -> Result<T, E>) -> Result<T, (E, Option<Refusal>)> {
    LEFT.take();
    let read = reader();
    let left = LEFT.take();
    read.map_err(|error| (error, left))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Span;
    use crate::domain::refusal::Code;

    #[test]
    fn a_value_s_refusal_reaches_its_reader_and_no_other() {
        let span = |text: &str| read(|| serde_json::from_str::<Span>(text)).map_err(|e| e.1);
        let refused = span("\"soon\"").unwrap_err().unwrap();
        assert_eq!(refused.code, Code::InvalidDuration);
        assert_eq!(refused.facts.value.as_deref(), Some("soon"));
        assert_eq!(span("7").unwrap_err(), None);
        assert!(span("\"7m\"").is_ok());
        // One that was never taken is not given to the next.
        assert!(serde_json::from_str::<Span>("\"soon\"").is_err());
        assert_eq!(span("{").unwrap_err(), None);
    }
}
