//! The API, to be read: every operation of its description, with its parameters, examples and answers,
//! and a line for the shell.

mod shape;

use std::sync::LazyLock;

use maud::{Markup, html};
use serde_json::Value;

use super::layout::{self, Frame, Section};
use super::{Fault, Visit};
use crate::ingress::DOCUMENT;
use shape::{fields, kind};

/// The description does not change while the process runs, and neither does what is made of it.
static CONTENT: LazyLock<Markup> =
    LazyLock::new(|| content(&serde_json::from_str(&DOCUMENT).unwrap_or_default()));

pub(super) async fn page(visit: Visit) -> Result<Markup, Fault> {
    let text = visit.text();
    let frame = Frame {
        section: Section::Api,
        title: text.api,
        watch: String::new(),
    };
    let content = html! {
        h1 { (text.api) }
        div.api lang="en" { (*CONTENT) }
    };
    Ok(layout::page(&visit, &frame, &content))
}

/// One operation with its method and its path.
struct Operation<'a> {
    method: &'a str,
    path: &'a str,
    about: &'a Value,
}

fn content(document: &Value) -> Markup {
    let lead = said(document, "/info/description");
    let tags = document["tags"].as_array().map_or(&[][..], Vec::as_slice);
    let operations = operations(document);
    html! {
        @for paragraph in lead.split("\n\n") { p.hint { (prose(paragraph)) } }
        p { "The same for programs: " a href="/openapi.json" { "openapi.json" } " (OpenAPI 3.1). Lines for the shell take:" }
        pre tabindex="0" { "export TOCSIN_URL=http://127.0.0.1:9099 TOCSIN_API_TOKEN=…" }
        @for tag in tags {
            @let name = said(tag, "/name");
            @let id = format!("tag-{}", name.replace(' ', "-"));
            section aria-labelledby=(id) {
                h2 id=(id) { (name) }
                p.hint { (said(tag, "/description")) }
                @for operation in operations.iter().filter(|one| said(one.about, "/tags/0") == name) {
                    (one(document, operation))
                }
            }
        }
        section aria-labelledby="types" {
            h2 #types { "types" }
            @for (name, schema) in members(&document["components"]["schemas"]) {
                details.op id=(format!("type-{name}")) {
                    summary { code { (name) } }
                    @if let Some(about) = schema["description"].as_str() { p { (about) } }
                    p { (kind(schema)) }
                    (fields(document, schema))
                }
            }
        }
    }
}

fn operations(document: &Value) -> Vec<Operation<'_>> {
    let mut all = Vec::new();
    for (path, item) in members(&document["paths"]) {
        all.extend(members(item).map(|(method, about)| Operation {
            method,
            path,
            about,
        }));
    }
    all
}

fn one(document: &Value, operation: &Operation<'_>) -> Markup {
    let about = operation.about;
    let body = json_of(&about["requestBody"]["content"]);
    html! {
        details.op id=(said(about, "/operationId")) {
            summary {
                code { b { (operation.method.to_uppercase()) } " " (operation.path) }
                " " span.does { (said(about, "/summary")) }
            }
            @for paragraph in said(about, "/description").split("\n\n").filter(|text| !text.is_empty()) {
                p { (prose(paragraph)) }
            }
            p.hint { (needed(about)) }
            (parameters(document, about))
            @if let Some(body) = body {
                h3 { "Body" @if about["requestBody"]["required"] != true { " (may be left out)" } }
                @if let Some(about) = body["schema"]["description"].as_str() { p { (about) } }
                (fields(document, &body["schema"]))
            }
            h3 { "For the shell" }
            pre tabindex="0" { (shell(document, operation)) }
            h3 { "Answers" }
            (answers(document, about))
        }
    }
}

/// Whose token it takes.
fn needed(about: &Value) -> &'static str {
    match about
        .pointer("/security/0")
        .map(Value::to_string)
        .as_deref()
    {
        Some(scheme) if scheme.contains("webhook") => "With one of webhook_token, where it is set.",
        Some(scheme) if scheme.contains("read") => {
            "With one of read_token or api_token, where one is set."
        }
        Some(_) => "With one of api_token, where one is set.",
        None => "Without a token.",
    }
}

fn parameters(document: &Value, about: &Value) -> Markup {
    let all = about["parameters"].as_array().into_iter().flatten();
    let all: Vec<_> = all.map(|one| resolved(document, one)).collect();
    html! {
        @if !all.is_empty() {
            h3 { "Parameters" }
            div.wide tabindex="0" { table {
                thead { tr { th scope="col" { "Name" } th scope="col" { "In" } th scope="col" { "Type" } th scope="col" { "Meaning" } } }
                tbody {
                    @for one in all {
                        tr {
                            th scope="row" { code { (said(one, "/name")) } }
                            td { (said(one, "/in")) }
                            td { (kind(&one["schema"])) }
                            td { (prose(said(one, "/description"))) }
                        }
                    }
                }
            } }
        }
    }
}

fn answers(document: &Value, about: &Value) -> Markup {
    let all =
        members(&about["responses"]).map(|(status, answer)| (status, resolved(document, answer)));
    let all: Vec<_> = all.collect();
    let good = all.iter().find(|(status, _)| status.starts_with('2'));
    let example = good.and_then(|(_, answer)| {
        let (_, content) = members(&answer["content"]).next()?;
        Some((kind(&content["schema"]), &content["example"]))
    });
    html! {
        div.wide tabindex="0" { table {
            thead { tr { th scope="col" { "Status" } th scope="col" { "Meaning" } th scope="col" { "Content" } } }
            tbody {
                @for (status, answer) in &all {
                    tr {
                        th scope="row" { (status) }
                        td { (prose(said(answer, "/description"))) }
                        td { @for (kind, _) in members(&answer["content"]) { code { (kind) } } }
                    }
                }
            }
        } }
        @if let Some((kind, example)) = example {
            p { (kind) }
            @if !example.is_null() { pre tabindex="0" { (pretty(example)) } }
        }
    }
}

/// A line that asks for it, with what the examples hold.
fn shell(document: &Value, operation: &Operation<'_>) -> String {
    let about = operation.about;
    let (mut path, mut query) = (operation.path.to_owned(), Vec::new());
    for one in about["parameters"].as_array().into_iter().flatten() {
        let one = resolved(document, one);
        let name = said(one, "/name");
        let example = match &one["example"] {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            number => number.to_string(),
        };
        match said(one, "/in") {
            "path" => path = path.replace(&format!("{{{name}}}"), &example),
            "query" if !example.is_empty() => query.push(format!("{name}={example}")),
            _ => {}
        }
    }
    if !query.is_empty() {
        path = format!("{path}?{}", query.join("&"));
    }
    let mut line = "curl -s".to_owned();
    if !matches!(operation.method, "get" | "post") {
        line.push_str(&format!(" -X {}", operation.method.to_uppercase()));
    } else if operation.method == "post" && about["requestBody"].is_null() {
        line.push_str(" -X POST");
    }
    match needed(about) {
        text if text.starts_with("Without") => {}
        text if text.contains("webhook") => {
            line.push_str(" -H \"Authorization: Bearer $TOCSIN_WEBHOOK_TOKEN\"");
        }
        _ => line.push_str(" -H \"Authorization: Bearer $TOCSIN_API_TOKEN\""),
    }
    line.push_str(&format!(" \"$TOCSIN_URL{path}\""));
    if let Some(body) = json_of(&about["requestBody"]["content"])
        && !body["example"].is_null()
    {
        let body = body["example"].to_string().replace('\'', "'\\''");
        line.push_str(&format!(" -d '{body}'"));
    }
    line
}

/// Text in which `this` is code.
fn prose(text: &str) -> Markup {
    html! {
        @for (n, part) in text.split('`').enumerate() {
            @if n % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

fn pretty(example: &Value) -> String {
    match example {
        Value::String(text) => text.clone(),
        value => format!("{value:#}"),
    }
}

fn json_of(content: &Value) -> Option<&Value> {
    content.get("application/json")
}

/// What a reference refers to.
fn resolved<'a>(document: &'a Value, part: &'a Value) -> &'a Value {
    let reference = part["$ref"].as_str().and_then(|to| to.strip_prefix('#'));
    reference
        .and_then(|pointer| document.pointer(pointer))
        .unwrap_or(part)
}

fn members(object: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let members = object.as_object().into_iter().flatten();
    members.map(|(name, value)| (name.as_str(), value))
}

fn said<'a>(part: &'a Value, pointer: &str) -> &'a str {
    part.pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_default()
}
