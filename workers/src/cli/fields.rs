//! Reading answers leniently: what is missing, null or new never fails.

use serde_json::Value;
use tocsin::domain::tier::Tier;
use tocsin::text::acts_unseen;
use tocsin::time::Timestamp;

/// Who did something, as an answer names them: where no token is asked for and no name was given, `anyone`.
pub(super) fn operator(name: &str) -> &str {
    match name {
        "" | "anyone" => "an unnamed operator",
        name => name,
    }
}

/// The text at a JSON pointer, without control characters (it may come from anybody who can send
/// an alert); empty if there is none.
pub(super) fn text(value: &Value, pointer: &str) -> String {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .map(plain)
        .unwrap_or_default()
}

/// The level at a JSON pointer as people read it: what is stored as `PERMANENT_FIX` is still to be done.
pub(super) fn level(value: &Value, pointer: &str) -> String {
    match text(value, pointer) {
        level if level == "PERMANENT_FIX" => "NEEDS PERMANENT FIX".to_owned(),
        level => level,
    }
}

/// The whole number at a JSON pointer.
pub(super) fn number(value: &Value, pointer: &str) -> Option<i64> {
    value.pointer(pointer).and_then(Value::as_i64)
}

/// The moment at a JSON pointer.
pub(super) fn time(value: &Value, pointer: &str) -> Option<Timestamp> {
    Timestamp::parse(value.pointer(pointer)?.as_str()?)
}

/// Name and text of each member of the object at a JSON pointer.
pub(super) fn members(value: &Value, pointer: &str) -> Vec<(String, String)> {
    let object = value.pointer(pointer).and_then(Value::as_object);
    object
        .into_iter()
        .flatten()
        .map(|(name, value)| {
            let text = value.as_str().map_or_else(|| value.to_string(), plain);
            (plain(name), text)
        })
        .collect()
}

/// The tier at `/tier`, by number and name; empty while it was not worked out.
pub(super) fn tier(value: &Value) -> String {
    let Some(number) = number(value, "/tier") else {
        return String::new();
    };
    match i32::try_from(number).ok().and_then(Tier::from_number) {
        Some(tier) => format!("{number} {}", tier.name()),
        None => number.to_string(),
    }
}

/// `text`, or a dash where there is none.
pub(super) fn or_dash(text: String) -> String {
    if text.is_empty() {
        "-".to_owned()
    } else {
        text
    }
}

/// Whether a terminal may go on in another line.
const fn breaks_line(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}')
}

pub(super) fn plain(text: &str) -> String {
    text.trim()
        .chars()
        .map(|c| {
            if breaks_line(c) || acts_unseen(c) {
                ' '
            } else {
                c
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn missing_or_mistyped_fields_are_omitted() {
        let value = json!({"title": null, "tier": "x", "opened_at": 5, "labels": []});
        assert_eq!(text(&value, "/title"), "");
        assert_eq!(text(&value, "/nothing/at/all"), "");
        assert_eq!(number(&value, "/tier"), None);
        assert_eq!(time(&value, "/opened_at"), None);
        assert_eq!(members(&value, "/labels"), []);
        assert_eq!(tier(&value), "");
    }

    #[test]
    fn a_tier_is_shown_with_its_name() {
        assert_eq!(tier(&json!({"tier": 3})), "3 root cause");
        assert_eq!(tier(&json!({"tier": 7})), "7");
    }

    #[test]
    fn an_alert_cannot_send_control_sequences_to_the_terminal() {
        let value = json!({"title": "\u{1b}[2Jgone\nsecond line"});
        assert_eq!(text(&value, "/title"), " [2Jgone second line");
    }
}
