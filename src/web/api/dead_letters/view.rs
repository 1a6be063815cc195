//! A dead letter as it is answered.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::Value as Json;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::entity::dead_letters::Model;
use crate::store::dead_letters::Summary;

/// A letter with its payload and its failed attempts.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeadLetter)]
pub(in crate::web) struct View {
    #[serde(flatten)]
    letter: Summary,
    /// The payload, if it is JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>)]
    payload: Option<Box<RawValue>>,
    /// Else: what can be read of it, and its bytes.
    #[serde(flatten)]
    bytes: Option<Unreadable>,
    /// Each failed attempt, oldest first.
    #[schema(value_type = Vec<crate::queue::store::FailedAttempt>)]
    errors: Json,
    /// Whether this request did it, where it asked for something to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    changed: Option<bool>,
}

/// Bytes that are no JSON.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UnreadablePayload)]
pub(super) struct Unreadable {
    /// The payload, as far as it is text.
    payload_text: String,
    /// Its bytes.
    payload_base64: String,
}

impl From<Model> for View {
    fn from(letter: Model) -> Self {
        let payload = json(&letter.payload);
        let bytes = payload.is_none().then(|| Unreadable::of(&letter.payload));
        Self {
            letter: Summary::from(&letter),
            payload,
            bytes,
            errors: letter.errors,
            changed: None,
        }
    }
}

impl View {
    /// A letter that a request decided on, or found decided.
    pub(super) fn decided(letter: Model, changed: bool) -> Self {
        Self {
            changed: Some(changed),
            ..Self::from(letter)
        }
    }
}

impl Unreadable {
    fn of(bytes: &[u8]) -> Self {
        Self {
            payload_text: String::from_utf8_lossy(bytes).into_owned(),
            payload_base64: STANDARD.encode(bytes),
        }
    }
}

/// JSON as it stands there, on one line. What is nested so deep that a reader would refuse it is none.
fn json(payload: &[u8]) -> Option<Box<RawValue>> {
    serde_json::from_slice::<Json>(payload).ok()?;
    let text = std::str::from_utf8(payload).ok()?;
    // Only between values: within a text they are escaped.
    RawValue::from_string(text.replace(['\n', '\r'], " ")).ok()
}
