//! What the API refuses, read back from its own words, so that pages tell it in their reader's.

use super::{Text, fill};

/// In the API's words, with places for what differs, and in the reader's.
const fn known(text: &Text) -> [(&'static str, &'static str); 22] {
    [
        (
            "no page or API resource at this address",
            text.not_found_lead,
        ),
        ("method not allowed at this address", text.refused_method),
        (
            "{value} is not a duration such as 90s, 10m or 4h",
            text.refused_span,
        ),
        (
            "the end of a mute must be in the future",
            text.refused_mute_over,
        ),
        ("a mute can last 30 days at most", text.refused_mute_long),
        (
            "already replayed by {name}, with another payload",
            text.refused_replayed_other,
        ),
        ("already replayed by {name}", text.refused_replayed),
        ("already discarded by {name}", text.refused_discarded),
        (
            "the job failed again since it was last read: read it again",
            text.refused_died_again,
        ),
        ("the payload is not text, {why}", text.refused_binary),
        (
            "the payload is not a valid {queue} job: {why}",
            text.refused_payload,
        ),
        ("JSON: {why}", text.refused_json),
        (
            "content.alert.labels.alertname is missing",
            text.refused_no_name,
        ),
        (
            "content is still the rejected data: {why}",
            text.refused_still_rejected,
        ),
        (
            "a rejected alert is rejected again on replay: {why}",
            text.refused_rejected,
        ),
        (
            "the dead letter holds {n} rejected alerts, and a job takes one: {why}",
            text.refused_rejected_together,
        ),
        (
            "the incident is resolved and cannot be acknowledged",
            text.pressed_too_late,
        ),
        ("action must not be empty", text.refused_no_action),
        (
            "success must say whether the repair helped",
            text.refused_no_outcome,
        ),
        (
            "the same request is still in progress: retry to get its response",
            text.refused_doing,
        ),
        (
            "a text must be at most {n} characters, without NUL",
            text.refused_long,
        ),
        (
            "invalid value for {name} in the address: {value}",
            text.refused_value,
        ),
    ]
}

/// What was refused, in the reader's language; `None` if it is none of what is known.
#[must_use]
pub fn refusal(text: &Text, detail: &str) -> Option<String> {
    // Where in the JSON it is, says nothing about a form.
    let detail = match detail.rsplit_once(" at line ") {
        Some((said, _)) => said,
        None => detail,
    };
    known(text).into_iter().find_map(|(pattern, told)| {
        let places = read(pattern, detail)?;
        Some(fill(told, &places))
    })
}

/// The places of a pattern, as a text fills them; `None` if it is another text.
fn read<'a>(pattern: &'static str, mut text: &'a str) -> Option<Vec<(&'static str, &'a str)>> {
    let mut places = Vec::new();
    let mut parts = pattern.split('{');
    text = text.strip_prefix(parts.next()?)?;
    for part in parts {
        let (place, after) = part.split_once('}')?;
        let end = if after.is_empty() {
            text.len()
        } else {
            text.find(after)?
        };
        let (value, rest) = text.split_at(end);
        places.push((place, value));
        text = rest.strip_prefix(after)?;
    }
    text.is_empty().then_some(places)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::replay::Futile;
    use crate::text::{EN, ZH_TW};

    #[test]
    fn what_is_known_is_told_in_the_reader_s_language() {
        let told = |detail| refusal(&ZH_TW, detail);
        let span = "\"soon\" is not a duration such as 90s, 10m or 4h at line 1 column 9";
        assert!(told(span).unwrap().contains("soon"));
        assert!(told("already discarded by Ann").unwrap().contains("Ann"));
        let other = refusal(&EN, "already replayed by Ann, with another payload").unwrap();
        assert!(
            other.contains("Ann") && other.contains("another"),
            "{other}"
        );
        assert_eq!(told("the end of a mute must be in the futures"), None);
        assert_eq!(told(""), None);
        for futile in [
            Futile::Binary,
            Futile::Rejected,
            Futile::RejectedTogether(3),
        ] {
            assert!(refusal(&ZH_TW, &futile.to_string()).is_some(), "{futile}");
        }
        for (pattern, words) in known(&EN)
            .into_iter()
            .zip(known(&ZH_TW))
            .map(|(a, b)| (a.0, b.1))
        {
            assert!(refusal(&ZH_TW, pattern).is_some(), "{pattern}");
            assert!(words.chars().any(|c| c > '\u{3000}'), "{words}");
        }
    }
}
