//! Refusals as data: a stable code, what it names, and a sentence. Pages, buttons and the command line show
//! a refusal by its code in their reader's language; the sentence is for clients that do not know the code.

mod code;
mod value;

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use code::Code;
pub use value::{read, refuse};

/// Why something is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Which kind of refusal it is.
    pub code: Code,
    /// What it names. Boxed, so that results stay small.
    pub facts: Box<Facts>,
    /// Cause and remedy, in English.
    detail: String,
}

/// What a refusal names; each has those that its code lists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Facts {
    /// The query parameter, or the field of the body, that is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameter: Option<String>,
    /// The value that is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The most that is accepted: entries, alerts, bytes, characters or days.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0)]
    pub limit: Option<u64>,
    /// What there is not: `incident`, `anomaly`, `dead_letter`, `queue`, `repair`, `execution`, `canary`, `maintenance`,
    /// `playbook`, `playbook_version`, `proposal`, `trace` or `address`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// Who did it before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operator: Option<String>,
    /// The queue that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// What the parser says, in English.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// How many alerts it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0)]
    pub alerts: Option<u64>,
}

impl Refusal {
    /// A refusal that names nothing yet.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            facts: Box::default(),
            detail: detail.into(),
        }
    }

    /// There is no such thing.
    pub fn not_found(resource: &str, detail: impl Into<String>) -> Self {
        let mut refusal = Self::new(Code::NotFound, detail);
        refusal.facts.resource = Some(resource.to_owned());
        refusal
    }

    /// Names the parameter or the field.
    #[must_use]
    pub fn parameter(mut self, parameter: impl Into<String>) -> Self {
        self.facts.parameter = Some(parameter.into());
        self
    }

    /// Names the value.
    #[must_use]
    pub fn value(mut self, value: impl Into<String>) -> Self {
        self.facts.value = Some(value.into());
        self
    }

    /// Names the most that is accepted.
    #[must_use]
    pub fn limit(mut self, limit: u64) -> Self {
        self.facts.limit = Some(limit);
        self
    }

    /// Names who did it before.
    #[must_use]
    pub fn operator(mut self, operator: impl Into<String>) -> Self {
        self.facts.operator = Some(operator.into());
        self
    }

    /// Names the queue.
    #[must_use]
    pub fn queue(mut self, queue: impl Into<String>) -> Self {
        self.facts.queue = Some(queue.into());
        self
    }

    /// Adds what the parser says.
    #[must_use]
    pub fn cause(mut self, cause: impl Into<String>) -> Self {
        self.facts.cause = Some(cause.into());
        self
    }

    /// Names how many alerts it is about.
    #[must_use]
    pub fn alerts(mut self, alerts: u64) -> Self {
        self.facts.alerts = Some(alerts);
        self
    }

    /// The same in other words.
    #[must_use]
    pub fn saying(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// Cause and remedy, in English.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

/// What is wrong with JSON, without the place in it: a form has no lines that it could mean.
#[must_use]
pub fn cause(error: &serde_json::Error) -> String {
    let mut detail = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    if detail.ends_with(&place) {
        detail.truncate(detail.len() - place.len());
    }
    detail
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_written_where_they_are_named_and_read_again() {
        let refusal = Refusal::new(Code::TextTooLong, "")
            .parameter("why")
            .limit(4096);
        let written = serde_json::to_string(&refusal.facts).unwrap();
        assert_eq!(written, r#"{"parameter":"why","limit":4096}"#);
        let read: Facts = serde_json::from_str(&written).unwrap();
        assert_eq!(&read, refusal.facts.as_ref());
    }

    #[test]
    fn a_cause_has_no_place_in_the_json() {
        let of = |text: &str| cause(&serde_json::from_str::<u8>(text).unwrap_err());
        assert_eq!(of("300"), "invalid value: integer `300`, expected u8");
        assert_eq!(of(""), "EOF while parsing a value");
    }
}
