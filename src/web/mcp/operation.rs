//! The operations of the API as its description has them.

use std::sync::LazyLock;

use axum::http::Method;
use serde_json::Value;

use crate::web::API;
use crate::web::api::openapi::DOCUMENT;

/// The description, as it is read.
static DESCRIPTION: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(&DOCUMENT).unwrap_or_default());

/// An operation of the API.
pub(super) struct Operation {
    pub(super) method: Method,
    /// The template of its path below `/api/v1`, by segments; `{id}` is a parameter.
    pub(super) path: Vec<String>,
    pub(super) query: Vec<String>,
    /// As the description has it.
    pub(super) described: &'static Value,
}

impl Operation {
    /// The parameter in its path: it has one at most.
    pub(super) fn subject(&self) -> Option<&str> {
        self.path.iter().find_map(|part| parameter(part))
    }

    pub(super) fn only_reads(&self) -> bool {
        self.method == Method::GET
    }

    /// The schema of its body.
    pub(super) fn body(&self) -> Option<&'static Value> {
        let schema = self
            .described
            .pointer("/requestBody/content/application~1json/schema");
        schema.map(follow)
    }

    /// The schemas of its answers when it does as asked.
    pub(super) fn answers(&self) -> impl Iterator<Item = &'static Value> {
        let answers = self.described["responses"].as_object();
        let answers = answers.into_iter().flatten();
        answers
            .filter(|(status, _)| status.starts_with('2'))
            .filter_map(|(_, answer)| answer.pointer("/content/application~1json/schema"))
    }
}

/// The name of a segment of a path that is a parameter.
pub(super) fn parameter(segment: &str) -> Option<&str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

/// The operation with this ID.
pub(super) fn operation(id: &str) -> Option<Operation> {
    let paths = DESCRIPTION["paths"].as_object()?;
    let all = paths
        .iter()
        .filter_map(|(path, of)| Some((path, of.as_object()?)));
    let mut all = all.flat_map(|(path, of)| of.iter().map(move |(method, of)| (path, method, of)));
    let (path, method, described) = all.find(|(_, _, of)| of["operationId"] == id)?;
    let names = described["parameters"].as_array().into_iter().flatten();
    let names = names.filter(|parameter| parameter["in"] == "query");
    Some(Operation {
        method: method.to_uppercase().parse().ok()?,
        path: segments(path.strip_prefix(API)?),
        query: names
            .filter_map(|of| of["name"].as_str())
            .map(str::to_owned)
            .collect(),
        described,
    })
}

fn segments(path: &str) -> Vec<String> {
    let parts = path.split('/').filter(|part| !part.is_empty());
    parts.map(str::to_owned).collect()
}

/// What a schema refers to, or itself.
pub(super) fn follow(schema: &'static Value) -> &'static Value {
    let target = schema["$ref"].as_str().and_then(|at| at.strip_prefix('#'));
    target
        .and_then(|at| DESCRIPTION.pointer(at))
        .map_or(schema, follow)
}
