//! What differs between what SigNoz has and what it should have, in lines for a person.

use serde_json::Value;

/// Of a value so much is shown.
const SHOWN: usize = 60;

/// A line for each part of `ours` that `theirs` has not, or has otherwise. What only `theirs` has is no difference:
/// SigNoz fills in what was left out.
pub(super) fn of(theirs: &Value, ours: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    walk("", theirs, ours, &mut lines);
    lines
}

fn walk(path: &str, theirs: &Value, ours: &Value, lines: &mut Vec<String>) {
    match (theirs, ours) {
        (_, Value::Object(ours)) => {
            for (field, ours) in ours {
                let path = match path {
                    "" => field.clone(),
                    path => format!("{path}.{field}"),
                };
                walk(&path, &theirs[field], ours, lines);
            }
        }
        (Value::Array(theirs), Value::Array(ours)) if theirs.len() == ours.len() => {
            for (i, ours) in ours.iter().enumerate() {
                let name = ours["name"].as_str();
                let same_name = theirs.iter().find(|theirs| match name {
                    Some(name) => theirs["name"] == name,
                    None => false,
                });
                let place = name.map_or_else(|| i.to_string(), str::to_owned);
                let theirs = same_name.unwrap_or(&theirs[i]);
                walk(&format!("{path}[{place}]"), theirs, ours, lines);
            }
        }
        _ if is_same(theirs, ours) => {}
        (Value::String(theirs), Value::String(ours)) => {
            let (theirs, ours) = (theirs.as_str(), ours.as_str());
            let shared = shared(theirs, ours);
            let (theirs, ours) = (from(theirs, shared), from(ours, shared));
            lines.push(format!("{path}: {theirs} -> {ours}"));
        }
        _ => {
            let (theirs, ours) = (shown(theirs), shown(ours));
            lines.push(format!("{path}: {theirs} -> {ours}"));
        }
    }
}

fn is_same(theirs: &Value, ours: &Value) -> bool {
    match (theirs, ours) {
        (Value::Number(theirs), Value::Number(ours)) => theirs.as_f64() == ours.as_f64(),
        (Value::String(theirs), Value::String(ours)) => duration(theirs) == duration(ours),
        _ => theirs == ours,
    }
}

/// A duration as it would be without the zeros that Go writes: `5m` of `5m0s`.
fn duration(text: &str) -> &str {
    let text = match text.strip_suffix("m0s") {
        Some(short) => &text[..=short.len()],
        None => text,
    };
    match text.strip_suffix("h0m") {
        Some(short) => &text[..=short.len()],
        None => text,
    }
}

/// Where to begin to show two texts that begin alike: bytes.
fn shared(theirs: &str, ours: &str) -> usize {
    if theirs.len().max(ours.len()) <= SHOWN {
        return 0;
    }
    let pairs = theirs.char_indices().zip(ours.chars());
    let mut alike = pairs.take_while(|((_, theirs), ours)| theirs == ours);
    alike.by_ref().last().map_or(0, |((at, _), _)| at)
}

fn from(text: &str, start: usize) -> String {
    let before = if start > 0 { "…" } else { "" };
    let rest: String = text[start..].chars().take(SHOWN).collect();
    let after = if rest.len() < text.len() - start {
        "…"
    } else {
        ""
    };
    format!("{before}{:?}{after}", rest)
}

fn shown(value: &Value) -> String {
    let text = match value {
        Value::Null => return "none".to_owned(),
        value => value.to_string(),
    };
    match text.chars().count() > SHOWN {
        true => text.chars().take(SHOWN).chain(['…']).collect(),
        false => text,
    }
}
