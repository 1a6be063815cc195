//! Payloads, so that they can be read and edited.

use serde_json::Value;

use crate::entity::dead_letters::Model;
use crate::jobs::rejected;
use crate::sources::draft;
use crate::text::acts_unseen;

/// JSON over several lines, if it is JSON.
pub(super) fn readable(payload: &str) -> String {
    let json: Option<Value> = serde_json::from_str(payload).ok();
    let pretty = json.and_then(|json| serde_json::to_string_pretty(&json).ok());
    pretty.map_or_else(|| payload.to_owned(), |json| escaped(&json))
}

/// The same JSON, in which what acts and is not seen is written so that it can be read, and edited.
fn escaped(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        match acts_unseen(c) && c != '\n' {
            true => escaped.push_str(&format!("\\u{:04x}", u32::from(c))),
            false => escaped.push(c),
        }
    }
    escaped
}

/// Whether what was rejected is an alert that lacks its name.
pub(super) fn lacks_name(letter: &Model) -> bool {
    let Some(draft) = draft(letter) else {
        return false;
    };
    let draft: Value = serde_json::from_str(&draft).unwrap_or_default();
    draft["content"]["alert"]["labels"]["alertname"] == ""
}

/// What was rejected, as the alert that it could be.
pub(super) fn draft(letter: &Model) -> Option<String> {
    rejected(&letter.queue, &letter.payload)?;
    let payload = serde_json::from_slice(&letter.payload).ok()?;
    let draft = draft::of(payload);
    Some(readable(&draft.to_string()))
}
