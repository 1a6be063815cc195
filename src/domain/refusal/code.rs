//! The codes of refusals. They are a part of the API: one that is published keeps its name and meaning.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Declares the codes: name, HTTP status, code, and what it means.
macro_rules! codes {
    ($($name:ident = $status:literal $code:literal $about:literal,)*) => {
        /// What kind of refusal it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
        #[schema(as = ProblemCode)]
        pub enum Code {
            $( #[doc = $about] #[serde(rename = $code)] $name, )*
        }

        impl Code {
            /// All that there are, by status.
            pub const ALL: &[Self] = &[$( Self::$name, )*];

            /// As errors have it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $( Self::$name => $code, )* }
            }

            /// The HTTP status of an error with this code.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $( Self::$name => $status, )* }
            }

            /// What it means, in a sentence.
            #[must_use]
            pub const fn about(self) -> &'static str {
                match self { $( Self::$name => $about, )* }
            }
        }
    };
}

codes! {
    InvalidRequest = 400 "invalid_request" "The request cannot be read.",
    InvalidParameter = 400 "invalid_parameter" "A query parameter has a value that it cannot have, or is unknown (`parameter`, `value`, `limit`).",
    InvalidBody = 400 "invalid_body" "The body is not the JSON that the operation takes (`parameter`: the field).",
    WrongSource = 400 "wrong_source" "A webhook's body is what another source sends (`value`: the path of its webhook).",
    UnreadableBody = 400 "unreadable_body" "The body ended early, or is not compressed as `Content-Encoding` says.",
    InvalidJson = 400 "invalid_json" "The payload is not JSON (`cause`).",
    InvalidValue = 400 "invalid_value" "The database cannot store a value: it is too large, or has NUL in it.",
    InvalidDuration = 400 "invalid_duration" "A duration is not written as `90s`, `10m` or `4h` (`parameter`, `value`).",
    TextTooLong = 400 "text_too_long" "A text has more than `limit` characters, or NUL in it (`parameter`).",
    InvalidIdempotencyKey = 400 "invalid_idempotency_key" "`Idempotency-Key` is not 1 to 255 visible ASCII characters.",
    ActionMissing = 400 "action_missing" "A repair does not say what was done.",
    OutcomeMissing = 400 "outcome_missing" "A repair does not say whether it helped.",
    OperatorMissing = 400 "operator_missing" "A take-over does not say who has the incident from now on.",
    NothingSelected = 400 "nothing_selected" "An operation on many has neither a filter nor `all`.",
    AmbiguousSelection = 400 "ambiguous_selection" "An operation on many has a filter and `all`.",
    MissingToken = 401 "missing_token" "The request has no token.",
    UnknownToken = 401 "unknown_token" "The token, or the secret, is unknown.",
    WrongTokenKind = 401 "wrong_token_kind" "A webhook token at the API, or an API token at a webhook.",
    InvalidSignature = 401 "invalid_signature" "A webhook request is not signed with the source's secret, or was not lately.",
    ReadOnlyToken = 403 "read_only_token" "The token is read-only; the request needs an operator token.",
    ForeignSite = 403 "foreign_site" "Without tokens: the request is from another site's page.",
    UntrustedProxy = 403 "untrusted_proxy" "The request has the header by which a proxy says who somebody is, and is not from that proxy, or the header is not readable.",
    UnknownHost = 403 "unknown_host" "Without tokens: the request came by an unknown host name.",
    NotFound = 404 "not_found" "There is no such `resource`.",
    SourceNotSetUp = 404 "source_not_set_up" "The source of a webhook is off, or is not set up (`parameter`: the setting).",
    MethodNotAllowed = 405 "method_not_allowed" "The address does not take this method.",
    Conflict = 409 "conflict" "The operation is not possible as things are.",
    AlreadyResolved = 409 "already_resolved" "The incident is resolved and cannot be acknowledged.",
    NotAcknowledged = 409 "not_acknowledged" "Only an acknowledged incident can be taken over.",
    TakenOver = 409 "taken_over" "`operator` has the incident now, not who it was to be taken over from: read it again.",
    RepairFinished = 409 "repair_finished" "The repair has finished with another outcome.",
    NotRecommended = 409 "not_recommended" "The action is not recommended for the incident now, or the incident is resolved.",
    NoHook = 409 "no_hook" "No hook runs the action.",
    ExecutionRunning = 409 "execution_running" "An executor still works on the anomaly.",
    ExecutionBudget = 409 "execution_budget" "Executors were asked `limit` times on the anomaly within an hour.",
    NotAsked = 409 "not_asked" "An executor reports of what it was not asked for.",
    MuteEndMissing = 409 "mute_end_missing" "A mute has neither `for` nor `until`.",
    MuteEndAmbiguous = 409 "mute_end_ambiguous" "A mute has `for` and `until`.",
    MuteEndPassed = 409 "mute_end_passed" "The end of a mute is not in the future.",
    MuteTooLong = 409 "mute_too_long" "A mute lasts longer than `limit` days.",
    AlreadyReplayed = 409 "already_replayed" "`operator` replayed the dead letter.",
    ReplayedOtherwise = 409 "replayed_otherwise" "`operator` replayed the dead letter with another payload.",
    AlreadyDiscarded = 409 "already_discarded" "`operator` discarded the dead letter.",
    FailedAgain = 409 "failed_again" "The job failed again since the dead letter was read.",
    QueueGone = 409 "queue_gone" "The `queue` of the dead letter no longer exists.",
    PayloadNotText = 409 "payload_not_text" "The payload is not text: replay it with another one.",
    InvalidPayload = 409 "invalid_payload" "The payload is not a job of its `queue` (`cause`).",
    AlertnameMissing = 409 "alertname_missing" "The payload has no `content.alert.labels.alertname`.",
    PayloadRejected = 409 "payload_rejected" "The new payload still is the rejected data.",
    RejectedAlert = 409 "rejected_alert" "The dead letter is a rejected alert: replay it with another payload, or discard it.",
    RejectedAlerts = 409 "rejected_alerts" "The dead letter is several rejected `alerts`: send them to the webhook again, and discard it.",
    PlaybookInSettings = 409 "playbook_in_settings" "The playbook (`value`) is in the settings, and is changed there.",
    PlaybookChanged = 409 "playbook_changed" "Another version of the playbook came first, by `operator`: read it again.",
    ProposalDecided = 409 "proposal_decided" "`operator` accepted or rejected the proposal before.",
    IdempotencyConflict = 409 "idempotency_conflict" "The `Idempotency-Key` was used with another body.",
    RequestInProgress = 409 "request_in_progress" "The same request is in progress: retry to get its response.",
    Gone = 410 "gone" "The address serves a version that is not supported any more: `detail` has the address to use.",
    BodyTooLarge = 413 "body_too_large" "The body has more than `limit` bytes.",
    TooManyAlerts = 413 "too_many_alerts" "A webhook request has more than `limit` alerts (`alerts`).",
    UnsupportedEncoding = 415 "unsupported_encoding" "The body's compression or character set is unknown (`value`).",
    TooManyAttempts = 429 "too_many_attempts" "Too many wrong tokens from this address; a valid token is accepted.",
    InternalError = 500 "internal_error" "A defect: the server's log has the cause.",
    Unavailable = 503 "unavailable" "The operation is not possible now: retry after `Retry-After`.",
    NotReady = 503 "not_ready" "The process is stopping, or a part of it does not respond.",
    DatabaseUnavailable = 503 "database_unavailable" "The database is unavailable or busy.",
    QueryTimeout = 503 "query_timeout" "A query takes longer than `limits.query`: ask for less.",
    QueueUnavailable = 503 "queue_unavailable" "The queue does not respond, or rejects writes.",
    QueueFull = 503 "queue_full" "The queue is full.",
    CounterUnavailable = 503 "counter_unavailable" "The counter is unavailable.",
    BodyTimeout = 503 "body_timeout" "The body did not arrive in time.",
}

impl Code {
    /// What is said where nothing but an HTTP status is known.
    #[must_use]
    pub const fn of_status(status: u16) -> Self {
        match status {
            401 => Self::UnknownToken,
            403 => Self::ReadOnlyToken,
            404 => Self::NotFound,
            405 => Self::MethodNotAllowed,
            409 => Self::Conflict,
            410 => Self::Gone,
            413 => Self::BodyTooLarge,
            415 => Self::UnsupportedEncoding,
            429 => Self::TooManyAttempts,
            503 => Self::Unavailable,
            500..=599 => Self::InternalError,
            _ => Self::InvalidRequest,
        }
    }

    /// The code of this name; `None` if this version does not know it.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let mut all = Self::ALL.iter().copied();
        all.find(|code| code.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_snake_case_and_read_as_they_are_written() {
        for code in Code::ALL.iter().copied() {
            let name = code.name();
            assert_eq!(Code::named(name), Some(code), "{name}");
            assert_eq!(serde_json::to_value(code).unwrap(), name);
            assert_eq!(serde_json::from_value::<Code>(name.into()).unwrap(), code);
            let is_snake = name.bytes().all(|b| b == b'_' || b.is_ascii_lowercase());
            assert!(is_snake, "{name}");
            assert!((400..600).contains(&code.status()), "{name}");
            assert!(code.about().ends_with('.'), "{name}");
        }
        assert_eq!(Code::named("from_a_newer_version"), None);
    }

    #[test]
    fn the_documentation_lists_every_code_with_its_status_and_meaning() {
        let page = include_str!("../../../docs/api.md");
        let rows = page.lines().filter(|line| line.starts_with("| `"));
        let rows = rows.filter(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            cells.len() == 5 && cells[2].parse::<u16>().is_ok()
        });
        let expected = Code::ALL.iter().map(|code| {
            format!(
                "| `{}` | {} | {} |",
                code.name(),
                code.status(),
                code.about()
            )
        });
        assert_eq!(rows.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    }
}
