//! Parts of the description that many operations share: roles, errors, headers of answers.
//!
//! Most errors follow from what a request is made of: a token can be wrong, a parameter cannot be
//! read, what a path names may not be there. Those are added here, so that none is forgotten; an
//! operation says itself only what is its own, such as a conflict.

use serde_json::{Map, Value, json};
use utoipa::PartialSchema as _;
use utoipa::openapi::schema::ComponentsBuilder;

use crate::domain::refusal::{Code, Facts};
use crate::operations::Conflict;
use crate::web::problem::ErrorResponse;

/// Properties of answers that are not there at times. All others always are.
const AT_TIMES: [(&str, &[&str]); 12] = [
    (
        "DeadLetter",
        &["payload", "payload_text", "payload_base64", "changed"],
    ),
    ("UnreadablePayload", &["payload_text", "payload_base64"]),
    ("Decided", &["matching"]),
    ("Resolved", &["matching"]),
    ("BulkResult", &["matching"]),
    (
        "RepairEntry",
        &[
            "operator",
            "verdict",
            "duration_ms",
            "quiet_after_ms",
            "note",
        ],
    ),
    (
        "MaintenanceMatchers",
        &["service", "namespace", "alert_name"],
    ),
    ("Problem", &["request_id"]),
    ("Counted", &["incidents", "or_more", "spread"]),
    ("Analysis", &["generated", "not_generated"]),
    ("Taken", &["tests", "unused"]),
    (
        "PlaybookDefinition",
        &[
            "name",
            "alert_name",
            "service",
            "namespace",
            "error_type",
            "tier_1",
            "tier_2",
            "tier_3",
            "tier_4",
        ],
    ),
];

/// The errors that several operations have: a name, a status, what it means, and an example with its code.
const ERRORS: [(&str, u16, &str, &str, Code, &str); 8] = [
    (
        "BadRequest",
        400,
        "Bad Request",
        "Bad request: `detail` has the reason",
        Code::InvalidParameter,
        "limit must be from 1 to 200",
    ),
    (
        "Unauthorized",
        401,
        "Unauthorized",
        "Missing or wrong token, or signature",
        Code::MissingToken,
        "missing token: send Authorization: Bearer TOKEN",
    ),
    (
        "Forbidden",
        403,
        "Forbidden",
        "The token is read-only; or no token is set, and the request is from another site's page, or the host is \
         unknown: `detail` says which",
        Code::ReadOnlyToken,
        "this token is read-only; this request needs an operator token (api_token)",
    ),
    (
        "NotFound",
        404,
        "Not Found",
        "Not found",
        Code::NotFound,
        "no incident has this ID: look for it in the list of incidents of every status",
    ),
    (
        "TooLarge",
        413,
        "Payload Too Large",
        "The body is too large",
        Code::BodyTooLarge,
        "the request body is larger than 65536 bytes",
    ),
    (
        "TooMany",
        429,
        "Too Many Requests",
        "Too many wrong tokens from this address; a valid token is accepted at any time",
        Code::TooManyAttempts,
        "too many wrong tokens from your address: wait, then retry (a valid token is accepted at any time)",
    ),
    (
        "Unavailable",
        503,
        "Service Unavailable",
        "The database or the queue is unavailable: retry after `Retry-After`",
        Code::DatabaseUnavailable,
        "the database is unavailable or busy: retry later",
    ),
    (
        "Conflict",
        409,
        "Conflict",
        "A request with this `Idempotency-Key` is in progress, or had another body",
        Code::RequestInProgress,
        "the same request is still in progress: retry to get its response",
    ),
];

/// Adds what the operations refer to.
pub(super) fn add_shared(document: &mut Value) {
    let problem = ComponentsBuilder::new()
        .schema_from::<ErrorResponse>()
        .build();
    let problem = serde_json::to_value(problem).unwrap_or_default();
    let components = &mut document["components"];
    components["schemas"]["Problem"] = problem["schemas"]["Problem"].clone();
    components["schemas"]["ProblemCode"] = codes();
    let mut shared = Map::new();
    for (name, status, title, about, code, detail) in ERRORS {
        shared.insert(name.to_owned(), error(status, title, about, (code, detail)));
    }
    components["responses"] = shared.into();
    components["headers"] = json!({
        "RequestId": {
            "description": "Request ID: that of the request, if it had one of up to 128 visible characters",
            "required": true,
            "schema": {"type": "string", "minLength": 1, "maxLength": 128},
        },
        "RetryAfter": {
            "description": "Seconds to wait before a retry",
            "required": true,
            "schema": {"type": "integer", "minimum": 1},
        },
        "WwwAuthenticate": {
            "description": "Accepted authentication schemes",
            "required": true,
            "schema": {"type": "string"},
        },
        "IdempotencyReplayed": {
            "description": "Present if the request was executed before: this is its stored response",
            "required": false,
            "schema": {"type": "string", "enum": ["true"]},
        },
    });
    components["parameters"] = json!({"IdempotencyKey": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "Requests with the same key within 24 hours are executed once and get the same response",
        "required": false,
        "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
        "example": "4f9c2d1e",
    }});
    let bearer = |about: &str| json!({"type": "http", "scheme": "bearer", "description": about});
    components["securitySchemes"] = json!({
        "operate": bearer("An `api_token`: may do everything except send webhooks"),
        "read": bearer("A `read_token`: may read"),
        "webhook": bearer("A `webhook_token`: may send webhooks"),
        "telegram": {
            "type": "apiKey",
            "in": "header",
            "name": "X-Telegram-Bot-Api-Secret-Token",
            "description": "`telegram.webhook_secret`, as registered with Telegram",
        },
        "webhook_basic": {
            "type": "http",
            "scheme": "basic",
            "description": "The same token as the password, with any user name",
        },
    });
}

/// The codes of errors, with a line for each.
fn codes() -> Value {
    let names: Vec<&str> = Code::ALL.iter().map(|code| code.name()).collect();
    let lines = Code::ALL
        .iter()
        .map(|code| format!("- `{}` ({}): {}", code.name(), code.status(), code.about()));
    let lines: Vec<String> = lines.collect();
    let about =
        "What kind of error it is. New versions may add codes: treat an unknown one by its status.";
    json!({
        "type": "string",
        "description": format!("{about}\n\n{}", lines.join("\n")),
        "enum": names,
    })
}

/// Adds who may ask for an operation, and what it may answer.
pub(super) fn complete(path: &str, method: &str, operation: &mut Value) {
    let is_webhook = operation.pointer("/tags/0") == Some(&json!("webhooks"));
    let is_api = path.starts_with("/api/") && !is_webhook;
    let takes_body = operation.get("requestBody").is_some();
    let reads_only = method == "get";
    let is_press = path.ends_with("/telegram");
    let does = is_api && !reads_only;
    if is_press {
        operation["security"] = json!([{"telegram": []}]);
    } else if is_webhook {
        operation["security"] = json!([{"webhook": []}, {"webhook_basic": []}]);
    } else if is_api && reads_only {
        operation["security"] = json!([{"read": []}, {"operate": []}]);
    } else if is_api {
        operation["security"] = json!([{"operate": []}]);
    } else {
        operation["security"] = json!([]);
    }
    if does {
        let key = json!({"$ref": "#/components/parameters/IdempotencyKey"});
        match operation
            .get_mut("parameters")
            .and_then(Value::as_array_mut)
        {
            Some(parameters) => parameters.push(key),
            None => operation["parameters"] = json!([key]),
        }
    }
    let can = [
        ("400", "BadRequest", is_api || is_webhook),
        ("401", "Unauthorized", is_api || is_webhook),
        ("403", "Forbidden", is_api || (is_webhook && !is_press)),
        (
            "404",
            "NotFound",
            (is_api && path.contains('{')) || (is_webhook && !is_press),
        ),
        ("409", "Conflict", does),
        ("413", "TooLarge", takes_body || does),
        ("429", "TooMany", is_api),
        ("503", "Unavailable", is_api || is_webhook),
    ];
    let is_take_over = operation["operationId"] == "take_over_incident";
    let answers = &mut operation["responses"];
    for (status, name, _) in can.into_iter().filter(|(.., can)| *can) {
        if answers.get(status).is_none() {
            answers[status] = json!({"$ref": format!("#/components/responses/{name}")});
        }
    }
    for (status, answer) in answers.as_object_mut().into_iter().flatten() {
        if answer.get("$ref").is_some() {
            continue;
        }
        // An operation's own error, of which it says only the meaning.
        let known = ERRORS
            .iter()
            .find(|(_, known, ..)| known.to_string() == *status);
        if let Some((_, number, title, _, code, detail)) = known {
            let mut about = answer["description"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            if does && *number == 409 {
                about.push_str(
                    "; or a request with its `Idempotency-Key` is in progress or had another body",
                );
            }
            *answer = error(*number, title, &about, (*code, detail));
            if is_take_over && *number == 409 {
                let example = &mut answer["content"]["application/problem+json"]["example"];
                example["code"] = json!(Code::TakenOver);
                let by = "kim".to_owned();
                example["operator"] = json!(by);
                example["detail"] = json!(Conflict::TakenOver { by }.to_string());
            }
        } else {
            answer["headers"] = json!({"X-Request-Id": {"$ref": "#/components/headers/RequestId"}});
            if does {
                answer["headers"]["Idempotency-Replayed"] =
                    json!({"$ref": "#/components/headers/IdempotencyReplayed"});
            }
        }
    }
    sort(answers);
}

fn error(status: u16, title: &str, about: &str, (code, detail): (Code, &str)) -> Value {
    let mut headers = json!({"X-Request-Id": {"$ref": "#/components/headers/RequestId"}});
    if matches!(status, 429 | 503) {
        headers["Retry-After"] = json!({"$ref": "#/components/headers/RetryAfter"});
    }
    if status == 401 {
        headers["WWW-Authenticate"] = json!({"$ref": "#/components/headers/WwwAuthenticate"});
    }
    let example = json!({
        "type": "about:blank", "title": title, "status": status, "code": code, "detail": detail,
        "request_id": "019aad2e-6d5e-7000-8000-00000000000a",
    });
    let content = json!({"schema": {"$ref": "#/components/schemas/Problem"}, "example": example});
    json!({
        "description": about,
        "headers": headers,
        "content": {"application/problem+json": content},
    })
}

fn sort(answers: &mut Value) {
    if let Some(answers) = answers.as_object_mut() {
        answers.sort_keys();
    }
}

/// Says of every schema that is answered which properties are always there, null or not.
pub(super) fn require(document: &mut Value) {
    let mut answered = Vec::new();
    let paths = document["paths"].as_object().into_iter().flatten();
    for operation in paths.flat_map(|(_, item)| item.as_object().into_iter().flatten()) {
        references(&operation.1["responses"], &mut answered);
    }
    answered.push("Problem".to_owned());
    let schemas = &mut document["components"]["schemas"];
    let mut done = 0;
    while let Some(name) = answered.get(done).cloned() {
        done += 1;
        let Some(schema) = schemas.get_mut(&name) else {
            continue;
        };
        let at_times = AT_TIMES.iter().find(|(known, _)| *known == name);
        require_in(schema, at_times.map_or(&[], |(_, properties)| properties));
        references(schema, &mut answered);
    }
    let facts = serde_json::to_value(Facts::schema()).unwrap_or_default();
    let named = facts["properties"].as_object().cloned().unwrap_or_default();
    // An error has those that it names.
    if let Some(properties) = schemas["Problem"]["properties"].as_object_mut() {
        properties.extend(named);
    }
}

fn require_in(schema: &mut Value, at_times: &[&str]) {
    let parts = schema.get_mut("allOf").and_then(Value::as_array_mut);
    for part in parts.into_iter().flatten() {
        require_in(part, at_times);
    }
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return;
    };
    let names = properties.keys().map(String::as_str);
    let always: Vec<&str> = names.filter(|name| !at_times.contains(name)).collect();
    schema["required"] = json!(always);
}

/// The names of the schemas that are referred to and not known yet.
fn references(part: &Value, found: &mut Vec<String>) {
    match part {
        Value::Object(object) => {
            if let Some(name) = object
                .get("$ref")
                .and_then(Value::as_str)
                .and_then(|reference| reference.strip_prefix("#/components/schemas/"))
                && !found.iter().any(|known| known == name)
            {
                found.push(name.to_owned());
            }
            for part in object.values() {
                references(part, found);
            }
        }
        Value::Array(parts) => {
            for part in parts {
                references(part, found);
            }
        }
        _ => {}
    }
}
