//! The input of a tool, as JSON Schema: the parameters of its operation and the fields of its body, from the
//! description of the API, in the few words of JSON Schema that every client understands.

use serde_json::{Map, Value, json};

use super::operation::{Operation, follow, parameter};

/// Entries of a list where none are asked for, and at most.
pub(super) const LIMITS: (u64, u64) = (20, 50);
/// The argument that becomes the header `Idempotency-Key`.
pub(super) const KEY: &str = "idempotency_key";
/// What is kept of a schema.
const WORDS: [&str; 5] = ["type", "enum", "minimum", "maximum", "default"];
/// Formats that say something to who writes a value.
const FORMATS: [&str; 2] = ["uuid", "date-time"];

/// The schema of the arguments of an operation.
pub(super) fn input(operation: &Operation, takes_key: bool) -> Value {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    let parameters = operation.described["parameters"].as_array();
    for of in parameters.into_iter().flatten() {
        let name = of["name"].as_str().unwrap_or_default();
        let in_path = operation
            .path
            .iter()
            .any(|part| parameter(part) == Some(name));
        if !in_path && of["in"] != "query" {
            continue;
        }
        let mut schema = plain(&of["schema"]);
        describe(&mut schema, &of["description"]);
        if name == "limit" {
            schema["default"] = LIMITS.0.into();
            schema["maximum"] = LIMITS.1.into();
        }
        if of["required"] == true {
            required.push(Value::from(name));
        }
        properties.insert(name.to_owned(), schema);
    }
    if let Some(body) = operation.body() {
        let fields = body["properties"].as_object().into_iter().flatten();
        properties.extend(fields.map(|(name, schema)| (name.clone(), plain(schema))));
        required.extend(body["required"].as_array().into_iter().flatten().cloned());
    }
    if takes_key {
        let about =
            "Calls with the same key are executed once within 24 hours and get the same answer.";
        properties.insert(
            KEY.to_owned(),
            json!({"type": "string", "description": about}),
        );
    }
    json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

/// A schema without references, without null (what has no value is left out), and in few words.
fn plain(schema: &'static Value) -> Value {
    let about = &schema["description"];
    if let Some(ways) = schema["oneOf"].as_array()
        && let Some(one) = ways.iter().find(|way| way["type"] != "null")
    {
        let mut one = plain(one);
        describe(&mut one, about);
        return one;
    }
    let target = follow(schema);
    let mut kept = Map::new();
    for word in WORDS {
        if let Some(value) = target.get(word) {
            kept.insert(word.to_owned(), value.clone());
        }
    }
    if let Some(kinds) = target["type"].as_array() {
        let kind = kinds.iter().find(|kind| **kind != "null");
        kept.insert("type".to_owned(), kind.cloned().unwrap_or_default());
    }
    if let Some(format) = target["format"].as_str()
        && FORMATS.contains(&format)
    {
        kept.insert("format".to_owned(), format.into());
    }
    let mut kept = Value::Object(kept);
    let about = if about.is_null() {
        &target["description"]
    } else {
        about
    };
    describe(&mut kept, about);
    kept
}

/// Adds a description, in one line.
fn describe(schema: &mut Value, about: &Value) {
    if let Some(about) = about.as_str() {
        schema["description"] = about.replace('\n', " ").into();
    }
}
