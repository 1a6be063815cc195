//! The description of the API: the committed one is that of the code, it is whole, and it is served.

use serde_json::{Value, json};
use tocsin::config::Tokens;
use tocsin::sources::SOURCES;
use tocsin::web::description;

use crate::harness::{Harness, On};

fn operations(document: &Value) -> Vec<(String, String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let mut all = Vec::new();
    for (path, item) in paths {
        for (method, operation) in item.as_object().unwrap() {
            all.push((path.clone(), method.clone(), operation));
        }
    }
    all
}

#[test]
fn the_committed_description_is_that_of_the_code() {
    let committed = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
    let committed = std::fs::read_to_string(committed).unwrap_or_default();
    assert!(
        committed == format!("{:#}\n", description()),
        "docs/openapi.json is not what the code says. Update it: \
         cargo run -- openapi > docs/openapi.json"
    );
}

#[test]
fn every_api_operation_is_documented_with_examples_and_errors() {
    let document = description();
    let operations = operations(&document);
    assert!(
        operations.len() >= 25 + SOURCES.len(),
        "{}",
        operations.len()
    );
    let (mut ids, mut lacking) = (Vec::new(), Vec::new());
    for (path, method, operation) in &operations {
        let name = format!("{method} {path}");
        let id = operation["operationId"].as_str().unwrap_or_default();
        ids.push(id);
        let mut must = |is: bool, what: &str| {
            if !is {
                lacking.push(format!("{name} ({id}): {what}"));
            }
        };
        must(operation["summary"].is_string(), "a summary");
        let tags = document["tags"].as_array().unwrap();
        let is_known = tags.iter().any(|tag| tag["name"] == operation["tags"][0]);
        must(is_known, "a tag that is explained");
        must(operation["security"].is_array(), "who may");
        for (content, example) in operation["requestBody"]["content"]
            .as_object()
            .into_iter()
            .flatten()
        {
            must(
                !example["example"].is_null(),
                &format!("an example of {content}"),
            );
        }
        for (status, answer) in operation["responses"].as_object().unwrap() {
            let answer = match answer["$ref"].as_str() {
                Some(to) => document.pointer(to.trim_start_matches('#')).unwrap(),
                None => answer,
            };
            // A source may answer with nothing but its status.
            let content = answer["content"].as_object().into_iter().flatten();
            must(
                answer["headers"]["X-Request-Id"].is_object(),
                "X-Request-Id",
            );
            for (kind, content) in content {
                must(
                    !content["example"].is_null() || id == "describe",
                    &format!("an example of {status}"),
                );
                let is_problem = kind == "application/problem+json";
                must(
                    is_problem != status.starts_with('2'),
                    &format!("{status} as {kind}"),
                );
            }
        }
        let is_api = path.starts_with("/api/");
        must(!is_api || operation["responses"]["401"].is_object(), "401");
        must(!is_api || operation["responses"]["503"].is_object(), "503");
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let parameter = match parameter["$ref"].as_str() {
                Some(to) => document.pointer(to.trim_start_matches('#')).unwrap(),
                None => parameter,
            };
            let of = parameter["name"].as_str().unwrap();
            must(
                parameter["description"].is_string(),
                &format!("what {of} is"),
            );
        }
    }
    assert!(lacking.is_empty(), "{}", lacking.join("\n"));
    ids.sort_unstable();
    let all = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), all, "two operations have one id");
}

/// Why an example is not what the description says that it is.
fn misfit(document: &Value, schema: &Value, example: &Value) -> Option<String> {
    let whole = json!({"components": document["components"], "allOf": [schema]});
    let validator = jsonschema::draft202012::new(&whole).unwrap();
    let errors = validator.iter_errors(example);
    let errors: Vec<String> = errors
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    (!errors.is_empty()).then(|| errors.join("; "))
}

#[test]
fn every_example_is_what_the_description_says() {
    let document = description();
    let resolved = |part: &Value| match part["$ref"].as_str() {
        Some(to) => document
            .pointer(to.trim_start_matches('#'))
            .unwrap()
            .clone(),
        None => part.clone(),
    };
    let (mut seen, mut wrong) = (0, Vec::new());
    for (path, method, operation) in operations(&document) {
        let mut parts = vec![("request".to_owned(), operation["requestBody"].clone())];
        for (status, answer) in operation["responses"].as_object().unwrap() {
            parts.push((status.clone(), resolved(answer)));
        }
        let mut examples: Vec<(String, Value)> = Vec::new();
        for (name, part) in parts {
            for content in part["content"].as_object().into_iter().flatten() {
                examples.push((name.clone(), content.1.clone()));
            }
        }
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let parameter = resolved(parameter);
            examples.push((parameter["name"].to_string(), parameter));
        }
        for (name, part) in examples {
            if part["example"].is_null() {
                continue;
            }
            seen += 1;
            if let Some(why) = misfit(&document, &part["schema"], &part["example"]) {
                wrong.push(format!("{method} {path}, {name}: {why}"));
            }
        }
    }
    assert!(seen > 100, "{seen} examples");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_field_says_what_it_is() {
    let document = description();
    let mut silent = Vec::new();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for (name, schema) in schemas {
        let parts = schema["allOf"].as_array().into_iter().flatten();
        for part in parts.chain([schema]) {
            for (field, about) in part["properties"].as_object().into_iter().flatten() {
                let parts = about["oneOf"].as_array().into_iter().flatten();
                let is_told = parts
                    .chain([about])
                    .any(|part| part["description"].is_string());
                if !is_told {
                    silent.push(format!("{name}.{field}"));
                }
            }
        }
    }
    assert!(silent.is_empty(), "{silent:?}");
}

#[test]
fn lists_are_asked_for_and_answered_alike() {
    let document = description();
    let mut lists = 0;
    for (path, method, operation) in operations(&document) {
        let schema = &operation["responses"]["200"]["content"]["application/json"]["schema"];
        let Some(page) = schema["$ref"].as_str().filter(|name| name.contains("Page")) else {
            continue;
        };
        lists += 1;
        let page = document.pointer(page.trim_start_matches('#')).unwrap();
        let fields = page["properties"].as_object().unwrap().keys();
        let fields: Vec<&str> = fields.map(String::as_str).collect();
        assert_eq!(
            (method.as_str(), fields),
            ("get", vec!["items", "next_cursor"]),
            "{path}"
        );
        let parameters = operation["parameters"].as_array().unwrap().iter();
        let queries: Vec<&Value> = parameters.filter(|one| one["in"] == "query").collect();
        let named = |name: &str| queries.iter().find(|one| one["name"] == name);
        let limit = &named("limit").unwrap()["schema"];
        assert_eq!(
            (&limit["minimum"], &limit["maximum"]),
            (&1.into(), &200.into()),
            "{path}"
        );
        assert!(named("cursor").is_some(), "{path}");
    }
    assert_eq!(lists, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_is_served_without_a_token_and_says_nothing_of_the_instance() {
    let h = Harness::start_with(On::Sqlite, |config| {
        config.api_token = Tokens::from("operate-0123456789");
    })
    .await;
    let answer = h
        .http
        .get(format!("{}/openapi.json", h.url))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.headers()["content-type"], "application/json");
    let document: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert_eq!(document, description());
    h.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_parameter_is_refused_by_every_operation() {
    let h = Harness::start(On::Sqlite).await;
    let document = description();
    for (path, method, operation) in operations(&document) {
        if !path.starts_with("/api/") || operation["tags"][0] == "webhooks" {
            continue;
        }
        let path = path.replace("{id}", "00000000-0000-7000-8000-000000000000");
        let path = path.replace("{key}", "x").replace("{name}", "notify");
        let url = format!("{}{path}?colour=red", h.url);
        let method: reqwest::Method = method.to_uppercase().parse().unwrap();
        let answer = h.http.request(method.clone(), url).send().await.unwrap();
        assert_eq!(answer.status(), 400, "{method} {path}");
    }
    h.finish().await;
}
