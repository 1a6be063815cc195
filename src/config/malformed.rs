//! Explains settings that are unknown or malformed: which one, by the name under which it was set, and what
//! is expected there.

use std::fmt::Write as _;

use figment::Error;
use figment::error::{Actual, Kind};

use super::environment::{self, PREFIX};
use super::near::near;

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
        Kind::UnknownField(found, names) => unknown(error, found, names),
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

/// An unknown setting, with the one that was meant, or else with all that can stand there.
fn unknown(error: &Error, found: &str, names: &[&str]) -> String {
    let path = match error.path.is_empty() {
        true => vec![found.to_owned()],
        false => error.path.clone(),
    };
    let unknown = name(error, &path);
    match near(&path, names) {
        Some(meant) => {
            let meant = name(error, &meant);
            format!("unknown setting {unknown}; did you mean {meant}?")
        }
        None => format!("{unknown} is not a setting: expected {}", one_of(names)),
    }
}

/// The setting as it was set: `limits.body`, or `TOCSIN_LIMITS__BODY`. Empty where no one setting is wrong.
fn key(error: &Error) -> String {
    name(error, &error.path)
}

/// A setting as it is written where the error comes from.
fn name(error: &Error, path: &[String]) -> String {
    let is_variable = error
        .metadata
        .as_ref()
        .is_some_and(|of| of.name == environment::NAME);
    let in_list = |part: &String| part.parse::<usize>().is_ok();
    let at_list = path.iter().position(in_list);
    let (names, inside) = path.split_at(at_list.unwrap_or(path.len()));
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
        // It may hold a secret.
        Actual::Str(_) => "a text".to_owned(),
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
