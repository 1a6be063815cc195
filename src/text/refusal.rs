//! Refusals in the reader's language, by their codes.

use super::{Text, fill};
use crate::domain::refusal::{Code, Refusal};

/// What was refused, in the reader's language; `None` where there is no text of its own for it.
#[must_use]
pub fn refusal(text: &Text, refusal: &Refusal) -> Option<String> {
    let facts = &refusal.facts;
    let quoted = facts.value.as_ref().map(|value| format!("{value:?}"));
    let value = match refusal.code {
        Code::InvalidDuration => quoted.as_deref(),
        _ => facts.value.as_deref(),
    };
    let n = facts.limit.or(facts.alerts).map(|n| n.to_string());
    let name = facts.operator.as_deref().or(facts.parameter.as_deref());
    let places = [
        ("name", name),
        ("value", value),
        ("queue", facts.queue.as_deref()),
        ("why", facts.cause.as_deref()),
        ("n", n.as_deref()),
    ];
    let places: Vec<(&str, &str)> = places
        .into_iter()
        .filter_map(|(place, fact)| Some((place, fact?)))
        .collect();
    let pattern = pattern(text, refusal.code)?;
    // A sentence with a gap says less than the refusal's own.
    let is_known = |place: &str| places.iter().any(|(known, _)| *known == place);
    let is_whole = pattern
        .split('{')
        .skip(1)
        .all(|part| part.split('}').next().is_some_and(is_known));
    is_whole.then(|| fill(pattern, &places))
}

/// The text of a code. Those without one concern programs, or have a page of their own.
const fn pattern(text: &Text, code: Code) -> Option<&'static str> {
    Some(match code {
        Code::MethodNotAllowed => text.refused_method,
        Code::InvalidDuration => text.refused_span,
        Code::InvalidParameter => text.refused_value,
        Code::TextTooLong => text.refused_long,
        Code::InvalidJson => text.refused_json,
        Code::ActionMissing => text.refused_no_action,
        Code::OutcomeMissing => text.refused_no_outcome,
        Code::OperatorMissing => text.refused_no_operator,
        Code::NotFound => text.not_found,
        Code::AlreadyResolved => text.pressed_too_late,
        Code::MuteEndPassed => text.refused_mute_over,
        Code::MuteTooLong => text.refused_mute_long,
        Code::AlreadyReplayed => text.refused_replayed,
        Code::ReplayedOtherwise => text.refused_replayed_other,
        Code::AlreadyDiscarded => text.refused_discarded,
        Code::NotAcknowledged => text.refused_not_acknowledged,
        Code::TakenOver => text.refused_taken_over,
        Code::RepairFinished => text.refused_repair_finished,
        Code::PlaybookInSettings => text.refused_playbook_fixed,
        Code::PlaybookChanged => text.refused_playbook_changed,
        Code::ProposalDecided => text.refused_proposal_decided,
        Code::NotRecommended => text.refused_not_recommended,
        Code::NoHook => text.refused_no_hook,
        Code::ExecutionRunning => text.refused_running,
        Code::ExecutionBudget => text.refused_budget,
        Code::FailedAgain => text.refused_died_again,
        Code::PayloadNotText => text.refused_binary,
        Code::InvalidPayload => text.refused_payload,
        Code::AlertnameMissing => text.refused_no_name,
        Code::PayloadRejected => text.refused_still_rejected,
        Code::RejectedAlert => text.refused_rejected,
        Code::RejectedAlerts => text.refused_rejected_together,
        Code::RequestInProgress => text.refused_doing,
        Code::InvalidRequest
        | Code::InvalidBody
        | Code::NotAsked
        | Code::WrongSource
        | Code::UnreadableBody
        | Code::InvalidValue
        | Code::InvalidIdempotencyKey
        | Code::NothingSelected
        | Code::AmbiguousSelection
        | Code::MissingToken
        | Code::UnknownToken
        | Code::WrongTokenKind
        | Code::InvalidSignature
        | Code::ReadOnlyToken
        | Code::ForeignSite
        | Code::UnknownHost
        | Code::UntrustedProxy
        | Code::SourceNotSetUp
        | Code::Conflict
        | Code::MuteEndMissing
        | Code::MuteEndAmbiguous
        | Code::QueueGone
        | Code::IdempotencyConflict
        | Code::Gone
        | Code::BodyTooLarge
        | Code::TooManyAlerts
        | Code::UnsupportedEncoding
        | Code::TooManyAttempts
        | Code::InternalError
        | Code::Unavailable
        | Code::NotReady
        | Code::DatabaseUnavailable
        | Code::QueryTimeout
        | Code::QueueUnavailable
        | Code::QueueFull
        | Code::CounterUnavailable
        | Code::BodyTimeout => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::{EN, ZH_TW};

    #[test]
    fn a_refusal_is_translated_by_its_code_and_facts() {
        let new = |code| Refusal::new(code, "whatever");
        let table = [
            (
                new(Code::InvalidDuration).value("soon"),
                "\"soon\" is not a duration. Write it as 90m, 2h 30m or 3d.",
                "\"soon\" 不是有效的時間長度，請寫成 90m、2h 30m 或 3d。",
            ),
            (
                new(Code::AlreadyDiscarded).operator("Ann"),
                "Ann has already discarded it.",
                "Ann 已捨棄。",
            ),
            (
                new(Code::ReplayedOtherwise).operator("Ann"),
                "Ann has already replayed it with another payload.",
                "Ann 已改用另一份內容重送。",
            ),
            (
                new(Code::InvalidPayload).queue("ingest").cause("EOF"),
                "The payload is not a valid ingest job: EOF",
                "內容不是有效的 ingest 工作：EOF",
            ),
            (
                new(Code::InvalidParameter).parameter("level").value("x"),
                "Invalid value for level in the address: “x”.",
                "網址中 level 的值無效：「x」。",
            ),
            (
                new(Code::TextTooLong).limit(4096),
                "A text is too long: at most 4096 characters, without NUL.",
                "文字過長：最多 4096 個字元，且不得含 NUL。",
            ),
        ];
        for (refused, english, chinese) in table {
            assert_eq!(refusal(&EN, &refused).as_deref(), Some(english));
            assert_eq!(refusal(&ZH_TW, &refused).as_deref(), Some(chinese));
        }
        // No text is half filled.
        for code in [
            Code::TooManyAlerts,
            Code::InvalidParameter,
            Code::AlreadyReplayed,
        ] {
            assert_eq!(refusal(&EN, &new(code)), None);
        }
    }

    #[test]
    fn every_place_of_a_text_has_a_fact_that_fills_it() {
        for code in Code::ALL {
            for text in [&EN, &ZH_TW] {
                let refused = Refusal::new(*code, "")
                    .operator("<name>")
                    .value("value")
                    .queue("<queue>")
                    .cause("<why>")
                    .limit(7);
                if let (Some(pattern), Some(filled)) =
                    (pattern(text, *code), refusal(text, &refused))
                {
                    let value = match code {
                        Code::InvalidDuration => "\"value\"",
                        _ => "value",
                    };
                    let expected = pattern.replace("{value}", value).replace("{n}", "7");
                    let expected = expected.replace('{', "<").replace('}', ">");
                    assert_eq!(filled, expected, "{}", code.name());
                }
            }
            let in_chinese = pattern(&ZH_TW, *code);
            assert!(in_chinese.is_none_or(|text| text.chars().any(|c| c > '\u{3000}')));
        }
    }
}
