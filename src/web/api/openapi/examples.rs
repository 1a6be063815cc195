//! Examples: a real request and a real answer of each operation, as a running instance took and gave
//! them.

use std::sync::LazyLock;

use serde_json::{Map, Value};

/// By operation: `parameters` and `request`, where it takes some, and `answer`.
static EXAMPLES: LazyLock<Value> = LazyLock::new(|| {
    // A test looks whether each is there.
    serde_json::from_str(include_str!("examples.json")).unwrap_or_default()
});

/// Adds an operation's examples.
pub(super) fn add(operation: &mut Value) {
    let id = operation.get("operationId").and_then(Value::as_str);
    let Some(example) = id.and_then(|id| EXAMPLES.get(id)) else {
        return;
    };
    let parameters = operation.get_mut("parameters");
    for one in parameters
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        let name = one["name"].as_str().unwrap_or_default();
        if let Some(value) = example["parameters"].get(name).cloned() {
            one["example"] = value;
        }
    }
    if let Some(body) = operation.get_mut("requestBody") {
        fill(&mut body["content"], &example["request"]);
    }
    let answers = operation.get_mut("responses");
    let answers = answers.and_then(Value::as_object_mut);
    for (status, answer) in answers.into_iter().flatten() {
        if status.starts_with('2')
            && let Some(content) = answer.get_mut("content")
        {
            fill_markdown(content, &example["markdown"]);
            fill(content, &example["answer"]);
        }
    }
}

/// What is written for people, where there is an answer for programs beside it.
fn fill_markdown(content: &mut Value, example: &Value) {
    if let Some(content) = content.get_mut("text/markdown") {
        content["example"] = example.clone();
    }
}

/// Where there is none yet: that of a webhook's body is the source's own.
fn fill(content: &mut Value, example: &Value) {
    let content = content.as_object_mut().map(Map::values_mut);
    for content in content.into_iter().flatten() {
        if content.get("example").is_none() && !example.is_null() {
            content["example"] = example.clone();
        }
    }
}
