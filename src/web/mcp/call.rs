//! A call of a tool: its arguments become requests to the API, and the answers its result.

use axum::http::request::Parts;
use serde_json::{Map, Value, json};

use super::operation::{Operation, parameter};
use super::schema::{KEY, LIMITS};
use super::tools::{self, Part, Tool};
use super::untrusted::{NOTE, marked};
use super::{Api, ApiRequest, bounds};
use crate::domain::id::ShortId;

/// How often a list that is too large is asked for again, with fewer entries.
const SMALLER: usize = 8;

type Arguments = Map<String, Value>;

/// Calls a tool; returns its result as JSON, or why there is none.
pub(super) async fn call<A: Api>(
    api: &A,
    name: &str,
    mut arguments: Arguments,
    caller: Option<&Parts>,
) -> Result<String, String> {
    let tool = tools::named(name).ok_or_else(|| format!("unknown tool {name:?}"))?;
    if !tool.only_reads() && !api.may_operate(caller) {
        return Err(api.cannot_operate().to_owned());
    }
    arguments.retain(|_, value| !value.is_null());
    check(tool, &arguments)?;
    if let Some(operator) = api.operator()
        && takes(tool, "operator")
    {
        let operator = || Value::from(operator);
        arguments
            .entry("operator".to_owned())
            .or_insert_with(operator);
    }
    let mut result = match limit(tool, &arguments)? {
        Some(limit) => list(api, tool, &mut arguments, limit, caller).await?,
        None => parts(api, tool, &arguments, caller).await?,
    };
    let cut = bounds::fit(&mut result);
    Ok(noted(result, &cut))
}

/// The result as the client gets it: with a note on what is untrusted, and with what was left out.
fn noted(result: Value, cut: &[String]) -> String {
    let mut told = Map::new();
    told.insert("note".to_owned(), NOTE.into());
    if !cut.is_empty() {
        told.insert("cut".to_owned(), json!(cut));
    }
    told.insert("result".to_owned(), result);
    Value::Object(told).to_string()
}

fn names(tool: &Tool) -> impl Iterator<Item = &String> {
    let properties = tool.described().input_schema.get("properties");
    let properties = properties.and_then(Value::as_object);
    properties.into_iter().flat_map(Map::keys)
}

fn takes(tool: &Tool, name: &str) -> bool {
    names(tool).any(|known| known == name)
}

/// Refuses arguments that the tool does not take, and those that it misses.
fn check(tool: &Tool, arguments: &Arguments) -> Result<(), String> {
    let name = &tool.described().name;
    if let Some(unknown) = arguments.keys().find(|given| !takes(tool, given)) {
        let all: Vec<_> = names(tool).map(String::as_str).collect();
        return Err(format!(
            "unknown argument {unknown:?}: {name} takes {}",
            all.join(", ")
        ));
    }
    let id = arguments.get("id").and_then(Value::as_str);
    if let Some(short) = id.filter(|id| ShortId::read(id).is_some()) {
        return Err(format!(
            "{short} is a short ID: list_incidents with q finds the full one"
        ));
    }
    let required = tool.described().input_schema.get("required");
    let required = required.and_then(Value::as_array).into_iter().flatten();
    let mut required = required.filter_map(Value::as_str);
    match required.find(|needed| !arguments.contains_key(*needed)) {
        Some(missing) => Err(format!("missing argument {missing:?} of {name}")),
        None => Ok(()),
    }
}

/// How many entries a list is to have; `None` if the tool gives none.
fn limit(tool: &Tool, arguments: &Arguments) -> Result<Option<u64>, String> {
    if !takes(tool, "limit") {
        return Ok(None);
    }
    let (usual, most) = LIMITS;
    match arguments.get("limit") {
        None => Ok(Some(usual)),
        Some(limit) => match limit.as_u64() {
            Some(limit) if (1..=most).contains(&limit) => Ok(Some(limit)),
            _ => Err(format!("limit must be from 1 to {most}")),
        },
    }
}

/// A page of a list: with fewer entries than are asked for if it would be too large, so that `next_cursor` is right.
async fn list<A: Api>(
    api: &A,
    tool: &Tool,
    arguments: &mut Arguments,
    mut limit: u64,
    caller: Option<&Parts>,
) -> Result<Value, String> {
    for _ in 0..SMALLER {
        arguments.insert("limit".to_owned(), limit.into());
        let found = parts(api, tool, arguments, caller).await?;
        if limit == 1 || bounds::size(&found) <= bounds::BYTES {
            return Ok(found);
        }
        limit = limit.div_ceil(2);
    }
    Err("the entries are too large to be shown: ask for limit 1".to_owned())
}

/// The answers of the operations that a tool is made of.
async fn parts<A: Api>(
    api: &A,
    tool: &Tool,
    arguments: &Arguments,
    caller: Option<&Parts>,
) -> Result<Value, String> {
    let subject = tool.first().and_then(Operation::subject);
    let subject = subject.and_then(|name| arguments.get(name));
    let mut result = Map::new();
    for (n, (part, operation)) in tool.parts.iter().enumerate() {
        // What further operations take is what they are about.
        let none = Map::new();
        let arguments = if n == 0 { arguments } else { &none };
        let request = request(operation, subject, arguments)?;
        let answer = api.execute(request, caller).await?;
        if !(200..300).contains(&answer.status) {
            return Err(refusal(answer.status, answer.body));
        }
        let shown = marked(shown(part, answer.body));
        if part.field.is_empty() {
            return Ok(shown);
        }
        result.insert(part.field.to_owned(), shown);
    }
    Ok(Value::Object(result))
}

/// The request that executes an operation.
fn request(
    operation: &Operation,
    subject: Option<&Value>,
    arguments: &Arguments,
) -> Result<ApiRequest, String> {
    let mut path = Vec::new();
    for segment in &operation.path {
        path.push(match parameter(segment) {
            Some(name) => of_path(name, subject)?,
            None => segment.clone(),
        });
    }
    let (mut query, mut body, mut key) = (Vec::new(), Map::new(), None);
    for (name, value) in arguments {
        if operation.query.contains(name) {
            query.push((name.clone(), of_query(name, value)?));
        } else if name == KEY {
            key = Some(of_query(name, value)?);
        } else if operation.subject() != Some(name) {
            body.insert(name.clone(), value.clone());
        }
    }
    Ok(ApiRequest {
        method: operation.method.clone(),
        path,
        query,
        body: (!operation.only_reads()).then_some(Value::Object(body)),
        key,
    })
}

/// A value that becomes a segment of a path: it must not change which path it is.
fn of_path(name: &str, value: Option<&Value>) -> Result<String, String> {
    let text = value.and_then(Value::as_str).map(str::trim);
    let text = text.filter(|text| !matches!(*text, "" | "." | ".."));
    text.map(str::to_owned)
        .ok_or_else(|| format!("{name} must be a text that names one"))
}

fn of_query(name: &str, value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
        _ => Err(format!("{name} must be a text, a number, true or false")),
    }
}

/// An answer as the tool shows it: without some fields, and with the newest entries of its lists.
fn shown(part: &Part, mut answer: Value) -> Value {
    leave_out(&mut answer, part.without);
    let fields = answer.as_object_mut().filter(|_| part.newest > 0);
    for (name, value) in fields.into_iter().flatten() {
        let Some(items) = value.as_array_mut() else {
            continue;
        };
        // The one list that begins with the oldest.
        if name == "messages" {
            items.reverse();
        }
        items.truncate(part.newest);
    }
    answer
}

fn leave_out(value: &mut Value, names: &[&str]) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| leave_out(item, names)),
        Value::Object(fields) => {
            fields.retain(|name, _| !names.contains(&name.as_str()));
            fields
                .values_mut()
                .for_each(|field| leave_out(field, names));
        }
        _ => {}
    }
}

/// The problem that the API answered with, without what says nothing here.
fn refusal(status: u16, mut problem: Value) -> String {
    if let Some(fields) = problem.as_object_mut() {
        fields.retain(|name, _| !matches!(name.as_str(), "type" | "title"));
        return problem.to_string();
    }
    json!({"status": status, "detail": problem}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::mcp::ApiAnswer;

    /// Remembers nothing and answers each request with what it was.
    struct Echo {
        answer: fn(&ApiRequest) -> ApiAnswer,
        may_operate: bool,
    }

    impl Api for Echo {
        async fn execute(
            &self,
            request: ApiRequest,
            _: Option<&Parts>,
        ) -> Result<ApiAnswer, String> {
            Ok((self.answer)(&request))
        }

        fn may_operate(&self, _: Option<&Parts>) -> bool {
            self.may_operate
        }

        fn cannot_operate(&self) -> &'static str {
            "start it with --operate"
        }

        fn operator(&self) -> Option<&str> {
            Some("kim")
        }
    }

    fn echo(request: &ApiRequest) -> ApiAnswer {
        let asked = format!(
            "{} {:?} {:?} {} {:?}",
            request.method,
            request.path,
            request.query,
            request.body.clone().unwrap_or_default(),
            request.key
        );
        ApiAnswer {
            status: 200,
            body: json!({"said": asked}),
        }
    }

    async fn called(name: &str, arguments: Value) -> Result<Value, String> {
        let api = Echo {
            answer: echo,
            may_operate: true,
        };
        let arguments = arguments.as_object().cloned().unwrap_or_default();
        let told = call(&api, name, arguments, None).await?;
        let told: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(told["note"], NOTE);
        Ok(told["result"].clone())
    }

    #[tokio::test]
    async fn arguments_become_path_query_body_and_header() {
        let listed = called(
            "list_incidents",
            json!({"unresolved": true, "q": "a b", "status": null}),
        );
        assert_eq!(
            listed.await.unwrap()["said"],
            r#"GET ["incidents"] [("unresolved", "true"), ("q", "a b"), ("limit", "20")] null None"#
        );
        let arguments =
            json!({"id": "i", "action": "restart", "success": true, "idempotency_key": "k"});
        assert_eq!(
            called("record_repair", arguments).await.unwrap()["said"],
            r#"POST ["incidents", "i", "repairs"] [] {"action":"restart","success":true,"operator":"kim"} Some("k")"#
        );
        let shown = called("show_incident", json!({"id": "i"})).await.unwrap();
        assert_eq!(
            shown["last_time"]["said"],
            r#"GET ["incidents", "i", "last-time"] [] null None"#
        );
        assert_eq!(
            shown["history"]["said"],
            r#"GET ["trace", "i"] [] null None"#
        );
    }

    #[tokio::test]
    async fn bad_arguments_are_refused_by_name() {
        for (tool, arguments, expected) in [
            ("show_incident", json!({}), "missing argument \"id\""),
            ("show_incident", json!({"id": ""}), "id must be a text"),
            ("show_incident", json!({"id": ".."}), "id must be a text"),
            ("show_incident", json!({"id": 7}), "id must be a text"),
            (
                "show_incident",
                json!({"id": "i", "key": "k"}),
                "unknown argument \"key\": show_incident takes id",
            ),
            ("list_incidents", json!({"limit": 51}), "limit must be"),
            ("list_incidents", json!({"limit": "many"}), "limit must be"),
            ("list_incidents", json!({"q": ["x"]}), "q must be a text"),
            ("drop_database", json!({}), "unknown tool"),
        ] {
            let refused = called(tool, arguments.clone()).await.unwrap_err();
            assert!(
                refused.starts_with(expected),
                "{tool} {arguments}: {refused}"
            );
        }
    }

    #[tokio::test]
    async fn who_may_not_operate_is_refused_before_anything_is_sent() {
        let api = Echo {
            answer: |_| panic!("a request was sent"),
            may_operate: false,
        };
        let arguments = json!({"key": "k", "for": "1h"});
        let arguments = arguments.as_object().cloned().unwrap();
        let refused = call(&api, "mute_anomaly", arguments, None).await;
        assert_eq!(refused.unwrap_err(), "start it with --operate");
    }

    #[tokio::test]
    async fn a_page_that_is_too_large_is_asked_for_again_with_fewer_entries() {
        let page = |request: &ApiRequest| {
            let limit = request.query.iter().find(|(name, _)| name == "limit");
            let n: usize = limit.unwrap().1.parse().unwrap();
            ApiAnswer {
                status: 200,
                body: json!({"items": vec![json!({"title": "t".repeat(9000)}); n], "next_cursor": n.to_string()}),
            }
        };
        let api = Echo {
            answer: page,
            may_operate: false,
        };
        let told = call(&api, "list_incidents", Map::new(), None)
            .await
            .unwrap();
        assert!(told.len() < bounds::BYTES + 1000, "{}", told.len());
        let told: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(told["result"]["items"].as_array().unwrap().len(), 5);
        assert_eq!(told["result"]["next_cursor"], "5");
    }
}
