//! Explains settings that are unknown or malformed: which one, by the name under which it was set, and what
//! is expected there.

use std::fmt::Write as _;

use figment::Error;
use figment::error::{Actual, Kind};

use super::environment::{self, PREFIX};

/// Settings in bytes, by the last part of their names.
const IN_BYTES: [&str; 4] = ["body", "label_bytes", "annotation_bytes", "in_flight_bytes"];

/// The setting, and what is wrong with it.
pub(super) fn explain(error: Error) -> String {
    let errors = error.into_iter().map(|error| explain_one(&error));
    errors.collect::<Vec<_>>().join("\n")
}

fn explain_one(error: &Error) -> String {
    let key = key(error);
    let last = error.path.last().map_or("", String::as_str);
    let mut message = match &error.kind {
        Kind::UnknownVariant(found, names) => {
            format!("{key} = {found:?}: expected {}", one_of(names))
        }
        Kind::UnknownField(found, names) => {
            let key = if key.is_empty() { found } else { &key };
            let mut message = format!("{key} is not a setting: expected {}", one_of(names));
            if error
                .path
                .first()
                .is_some_and(|section| section == "telegram")
            {
                message.push_str(
                    "; telegram_token, telegram_chat and telegram_api are settings outside of this section",
                );
            }
            message
        }
        kind => {
            let wrong = wrong(kind, last);
            match key.as_str() {
                "" => wrong,
                key => format!("{key}: {wrong}"),
            }
        }
    };
    let source = error.metadata.as_ref().and_then(|of| of.source.as_ref());
    if let Some(source) = source.filter(|source| source.file_path().is_some()) {
        let _ = write!(message, " (in {source})");
    }
    message
}

/// The setting as it was set: `limits.body`, or `TOCSIN_LIMITS__BODY`. Empty where no one setting is wrong.
fn key(error: &Error) -> String {
    let is_variable = error
        .metadata
        .as_ref()
        .is_some_and(|of| of.name == environment::NAME);
    let in_list = |part: &String| part.parse::<usize>().is_ok();
    let at_list = error.path.iter().position(in_list);
    let (names, inside) = error.path.split_at(at_list.unwrap_or(error.path.len()));
    let mut key = match is_variable && !names.is_empty() {
        true => format!("{PREFIX}{}", names.join("__").to_uppercase()),
        false => names.join("."),
    };
    for part in inside {
        let _ = match in_list(part) {
            true => write!(key, "[{part}]"),
            false => write!(key, ".{part}"),
        };
    }
    key
}

fn wrong(kind: &Kind, setting: &str) -> String {
    let (Kind::InvalidType(found, expected) | Kind::InvalidValue(found, expected)) = kind else {
        return kind.to_string();
    };
    let found = match found {
        Actual::Unsigned(number) => number.to_string(),
        Actual::Signed(number) => number.to_string(),
        other => other.to_string(),
    };
    let expected = match expected.as_str() {
        "usize" | "u64" | "u32" | "i64" if IN_BYTES.contains(&setting) => {
            "a number of bytes, such as 4194304"
        }
        "usize" | "u64" | "u32" | "i64" => "a whole number",
        "a boolean" => "true or false",
        name if name.starts_with("struct ") => "a section",
        other => other,
    };
    format!("found {found}, expected {expected}")
}

fn one_of(names: &[&str]) -> String {
    match names {
        [] => "nothing here".to_owned(),
        [one] => (*one).to_owned(),
        [most @ .., last] => format!("{} or {last}", most.join(", ")),
    }
}
