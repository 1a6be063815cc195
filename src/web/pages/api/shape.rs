//! Types as people read them.

use maud::{Markup, html};
use serde_json::Value;

use super::{members, prose, resolved, said};
use crate::text::Text;

/// What a value is, in a few words; a type of its own leads to what is said of it.
pub(super) fn kind(schema: &Value) -> Markup {
    if let Some(name) = schema["$ref"].as_str().and_then(|to| to.rsplit('/').next()) {
        return html! { a href=(format!("#type-{name}")) { (name) } };
    }
    for (names, between) in [(["oneOf", "anyOf"], " or "), (["allOf", "allOf"], " and ")] {
        if let Some(parts) = names.iter().find_map(|name| schema[*name].as_array()) {
            return html! {
                @for (n, part) in parts.iter().enumerate() { @if n > 0 { (between) } (kind(part)) }
            };
        }
    }
    if let Some(values) = schema["enum"].as_array() {
        return html! {
            @for (n, value) in values.iter().enumerate() {
                @if n > 0 { ", " } code { (value.as_str().unwrap_or_default()) }
            }
        };
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => vec!["anything"],
    };
    html! {
        @for (n, one) in types.iter().enumerate() {
            @if n > 0 { " or " }
            @match *one {
                "array" => { "list of " (kind(&schema["items"])) }
                "object" if schema["additionalProperties"].is_object() => {
                    "object, each " (kind(&schema["additionalProperties"]))
                }
                one => (one),
            }
        }
        @let limits = limits(schema);
        @if !limits.is_empty() { " (" (limits.join(", ")) ")" }
    }
}

/// What bounds a value.
fn limits(schema: &Value) -> Vec<String> {
    let number = |name: &str| {
        let value = &schema[name];
        value.is_number().then(|| value.to_string())
    };
    let format = said(schema, "/format");
    let mut limits = Vec::new();
    if matches!(format, "uuid" | "date-time") {
        limits.push(format.to_owned());
    }
    match (number("minimum"), number("maximum")) {
        (Some(least), Some(most)) => limits.push(format!("{least} to {most}")),
        (Some(least), None) => limits.push(format!("at least {least}")),
        (None, Some(most)) => limits.push(format!("at most {most}")),
        (None, None) => {}
    }
    limits.extend(number("maxLength").map(|most| format!("at most {most} characters")));
    if !schema["default"].is_null() {
        limits.push(format!("else {}", schema["default"]));
    }
    limits
}

/// The fields of an object, those of the types that it is made of included.
pub(super) fn fields(text: &Text, document: &Value, schema: &Value) -> Markup {
    let mut rows = Vec::new();
    gather(document, schema, &mut rows);
    html! {
        @if !rows.is_empty() {
            div.wide tabindex="0" { table {
                thead { tr {
                    th scope="col" { (text.api_field) }
                    th scope="col" { (text.api_type) }
                    th scope="col" { (text.api_meaning) }
                } }
                tbody {
                    @for (name, field, is_there) in rows {
                        tr {
                            th scope="row" { code { (name) } }
                            td { span lang="en" { (kind(field)) } @if !is_there { (text.optional) } }
                            td lang="en" { (prose(meaning(field))) }
                        }
                    }
                }
            } }
        }
    }
}

/// What is said of a field; of one that may be null, beside what it is else.
fn meaning(field: &Value) -> &str {
    let parts = field["oneOf"].as_array().into_iter().flatten();
    let said = |part: &'_ Value| part["description"].as_str().is_some();
    let described = std::iter::once(field).chain(parts).find(|part| said(part));
    described.map_or("", |part| super::said(part, "/description"))
}

fn gather<'a>(document: &'a Value, schema: &'a Value, rows: &mut Vec<(&'a str, &'a Value, bool)>) {
    let schema = resolved(document, schema);
    for part in ["allOf", "oneOf"]
        .iter()
        .filter_map(|name| schema[*name].as_array())
        .flatten()
    {
        gather(document, part, rows);
    }
    let required = schema["required"].as_array().map_or(&[][..], Vec::as_slice);
    for (name, field) in members(&schema["properties"]) {
        rows.push((name, field, required.iter().any(|known| known == name)));
    }
}
