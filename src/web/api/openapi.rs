//! The description of the API (OpenAPI 3.1): made of the routes and of the types that they take and
//! answer, completed with what holds for all of them.

mod answers;
mod examples;

use std::borrow::Cow;
use std::sync::LazyLock;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use serde_json::{Map, Value, json};

use crate::jobs::RecordRepair;
use crate::sources::prometheus;
use crate::web::Ingress;

/// The description as it is served and committed.
pub(crate) static DOCUMENT: LazyLock<String> = LazyLock::new(|| format!("{:#}\n", description()));

const ABOUT: &str = "The HTTP interface of Tocsin.\n\n\
    Lists are paged: `limit` is the page size, and `cursor` takes `next_cursor` of the previous page, \
    which is null on the last page. Unknown query parameters and fields are rejected, so that a \
    misspelt filter does not match everything.\n\n\
    Operations are safe to repeat: what is done already stays as it is. In addition, requests of one \
    token with the same `Idempotency-Key` are executed once within 24 hours and get the same \
    response; a failed request is executed again.\n\n\
    Times are RFC 3339 in UTC. All errors are `application/problem+json` (RFC 9457), also those \
    that are not listed, such as 500 (internal error). Every response has an `X-Request-Id`: that of \
    the request, if it had one of up to 128 visible characters.\n\n\
    If tokens are set, a read token allows `GET`, an operator token (`api_token`) everything \
    except webhooks, and a `webhook_token` only those. If none is set, no token is needed, and requests from other sites' pages are \
    rejected.";

/// What the operations are grouped by, in the order in which they are read.
const TAGS: [(&str, &str); 16] = [
    ("webhooks", "Receive alerts and button presses."),
    (
        "incidents",
        "List, show, acknowledge and resolve incidents; record repairs.",
    ),
    (
        "anomalies",
        "List and show anomalies; mute them; mark permanent fixes.",
    ),
    ("repairs", "Repairs, and how effective each action is."),
    (
        "playbooks",
        "What to do about alerts: list, show, set, withdraw and restore; versions and proposals.",
    ),
    (
        "dead letters",
        "Jobs that failed for good: list, replay, discard.",
    ),
    ("queues", "Queue depths and workers; pause and resume."),
    (
        "sources",
        "What sends alerts: addresses, and what was delivered lately.",
    ),
    (
        "maintenance",
        "Maintenance windows: when messages are suppressed, planned ahead.",
    ),
    ("notifications", "Test the channels of notifications."),
    (
        "canaries",
        "Synthetic alerts that prove that alerts become messages, and are not counted.",
    ),
    (
        "trace",
        "The history of an alert, an incident or an anomaly.",
    ),
    ("report", "The report of a period."),
    ("audit", "Audit entries: what operators did."),
    ("recount", "Recount, and the consistency check."),
    (
        "health",
        "Health and metrics of a process, and this description.",
    ),
];

/// The description, as JSON.
#[must_use]
pub fn description() -> Value {
    let routes = crate::web::described().into_openapi();
    let mut document = serde_json::to_value(&routes).unwrap_or_default();
    document["info"] = json!({
        "title": "Tocsin",
        "version": crate::VERSION,
        "description": ABOUT,
        "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
    });
    document["servers"] = json!([{"url": "/"}]);
    let tags = TAGS.map(|(name, about)| json!({"name": name, "description": about}));
    document["tags"] = json!(tags);
    if let Some(paths) = document["paths"].as_object_mut() {
        // It is there to say where Prometheus is to send instead.
        paths.remove(prometheus::VERSION_1);
    }
    answers::add_shared(&mut document);
    for (path, method, operation) in operations(&mut document) {
        without_null(operation);
        without_null_body(operation);
        answers::complete(&path, &method, operation);
        examples::add(operation);
    }
    answers::require(&mut document);
    without_default(&mut document["components"]["schemas"]);
    for report in ["RepairReport", "AlertRepairReport", "RepairFinish"] {
        document["components"]["schemas"][report]["properties"]["duration_ms"]["maximum"] =
            json!(RecordRepair::LONGEST_MS);
    }
    // A repair has an outcome, or has only started.
    for report in ["RepairReport", "AlertRepairReport"] {
        let started = json!({"required": ["started_at"], "not": {"required": ["finished_at"]}});
        document["components"]["schemas"][report]["anyOf"] =
            json!([{"required": ["success"]}, started]);
    }
    // Somebody takes over. Where the token is a person's, it says so by itself.
    let take_over = &mut document["components"]["schemas"]["TakeOver"];
    take_over["required"] = json!(["operator"]);
    take_over["properties"]["operator"] = json!({
        "allOf": [{"$ref": "#/components/schemas/BoundedText"}, {"pattern": "\\S"}],
        "description": take_over["properties"]["operator"]["oneOf"][0]["description"],
    });
    // Which dead letters, and which incidents: a text that is nothing but space selects none.
    let said = || json!({"type": "string", "minLength": 1});
    let ways = ["queue", "reason", "q", "older_than", "younger_than"].map(|name| (name, said()));
    document["components"]["schemas"]["Letters"]["anyOf"] = all_or_some(&ways);
    let ways = [
        (
            "status",
            json!({"enum": ["OPEN", "ANALYZING", "ACKNOWLEDGED"]}),
        ),
        ("level", json!({"type": "string"})),
        ("service", json!({"type": "string"})),
        ("namespace", json!({"type": "string"})),
        ("q", json!({"type": "string", "pattern": "\\S"})),
        ("muted", json!({"type": "boolean"})),
        ("unheard", json!({"type": "boolean"})),
        ("older_than", json!({"type": "string"})),
        ("severity", json!({"type": "string", "pattern": "\\S"})),
    ];
    let incidents = &mut document["components"]["schemas"]["Incidents"];
    incidents["anyOf"] = all_or_some(&ways);
    incidents["properties"]["status"]["enum"] = json!(["OPEN", "ANALYZING", "ACKNOWLEDGED", null]);
    let bulk = &mut document["components"]["schemas"]["BulkOperation"];
    bulk["allOf"] = named_or_selected(&ways);
    bulk["properties"]["status"]["enum"] = json!(["OPEN", "ANALYZING", "ACKNOWLEDGED", null]);
    // A list of one may be that one.
    let definition = &mut document["components"]["schemas"]["PlaybookDefinition"]["properties"];
    for (_, field) in definition.as_object_mut().into_iter().flatten() {
        if field["type"] == "array" {
            let list = json!({"type": "array", "items": {"type": "string"}});
            *field =
                json!({"description": field["description"], "oneOf": [{"type": "string"}, list]});
        }
    }
    // Either of the two.
    let ways =
        ["for", "until"].map(|name| json!({"required": [name], "properties": {name: said()}}));
    document["components"]["schemas"]["Mute"]["oneOf"] = json!(ways);
    in_order(&mut document);
    document
}

/// A request selects by at least one of these, or everything by `all`.
fn all_or_some(filters: &[(&str, Value)]) -> Value {
    let some = |(name, schema): &(&str, Value)| json!({"required": [name], "properties": {*name: schema, "all": {"const": false}}});
    let mut none: serde_json::Map<String, Value> = filters
        .iter()
        .map(|(name, schema)| ((*name).to_owned(), json!({"not": schema})))
        .collect();
    none.insert("all".to_owned(), json!({"const": true}));
    let all = json!({"required": ["all"], "properties": none});
    filters.iter().map(some).chain([all]).collect()
}

/// A change of several names them, or selects them by these; a note says something.
fn named_or_selected(filters: &[(&str, Value)]) -> Value {
    let mut named =
        json!({"ids": {"minItems": 1}, "all": {"const": false}, "dry_run": {"const": false}});
    let of_filters = filters.iter().map(|(name, _)| *name);
    for name in of_filters.chain(["as_of", "cursor"]) {
        named[name] = json!({"type": "null"});
    }
    let mut ways = vec![json!({"required": ["ids"], "properties": named})];
    if let Value::Array(mut selected) = all_or_some(filters) {
        for way in &mut selected {
            way["properties"]["ids"] = json!({"maxItems": 0});
        }
        ways.append(&mut selected);
    }
    let noted = json!({"type": "string", "pattern": "\\S"});
    json!([{"anyOf": ways}, {"anyOf": [
        {"properties": {"action": {"enum": ["acknowledge", "resolve", "mute"]}}},
        {"required": ["note"], "properties": {"action": {"const": "note"}, "note": noted}},
    ]}])
}

/// Serves this description.
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "describe",
    tag = "health",
    responses((status = OK, description = "OpenAPI 3.1", body = Object)),
)]
pub(in crate::web) async fn show(State(ingress): State<Ingress>) -> impl IntoResponse {
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (kind, served_below(ingress.context.config.base_path()))
}

/// The description of what is reached below a path; an empty one is none.
fn served_below(base: &str) -> Cow<'static, str> {
    let document = (!base.is_empty()).then(|| serde_json::from_str(&DOCUMENT).ok());
    match document.flatten() {
        None => Cow::Borrowed(DOCUMENT.as_str()),
        Some(document) => {
            let mut document: Value = document;
            document["servers"] = json!([{"url": base}]);
            Cow::Owned(format!("{document:#}\n"))
        }
    }
}

/// Each operation with its path and its method.
fn operations(document: &mut Value) -> Vec<(String, String, &mut Value)> {
    let mut all = Vec::new();
    let paths = document["paths"].as_object_mut();
    for (path, item) in paths.into_iter().flatten() {
        let methods = item.as_object_mut().into_iter().flatten();
        all.extend(methods.map(|(method, operation)| (path.clone(), method.clone(), operation)));
    }
    all
}

/// What is left out of a query is not there; it cannot be null.
fn without_null(operation: &mut Value) {
    let parameters = operation.get_mut("parameters");
    let parameters = parameters.and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten() {
        let Some(schema) = parameter.get_mut("schema") else {
            continue;
        };
        let kinds = schema.get("type").and_then(Value::as_array);
        if let Some([kind, null]) = kinds.map(Vec::as_slice)
            && null == "null"
        {
            schema["type"] = kind.clone();
        }
        let one_of = schema.get("oneOf").and_then(Value::as_array);
        if let Some([null, one]) = one_of.map(Vec::as_slice)
            && null["type"] == "null"
        {
            *schema = one.clone();
        }
    }
}

/// Nor can a body that is left out.
fn without_null_body(operation: &mut Value) {
    let schema = operation.pointer_mut("/requestBody/content/application~1json/schema");
    if let Some(schema) = schema
        && let Some(one) = schema.pointer("/oneOf/0").cloned()
        && schema.pointer("/oneOf/1/type") == Some(&json!("null"))
    {
        *schema = one;
    }
}

/// A field that may be left out is null then: that goes without saying.
fn without_default(part: &mut Value) {
    match part {
        Value::Object(object) => {
            object.retain(|name, value| name != "default" || !value.is_null());
            object.values_mut().for_each(without_default);
        }
        Value::Array(parts) => parts.iter_mut().for_each(without_default),
        _ => {}
    }
}

/// As it is read: first what it is, then the operations, then what these refer to.
fn in_order(document: &mut Value) {
    let Some(given) = document.as_object_mut() else {
        return;
    };
    let mut ordered = Map::new();
    for name in ["openapi", "info", "servers", "tags", "paths", "components"] {
        if let Some(part) = given.remove(name) {
            ordered.insert(name.to_owned(), part);
        }
    }
    ordered.append(given);
    *given = ordered;
}
