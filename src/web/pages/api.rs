//! The API, to be read: every operation of its description, with its parameters, examples and answers,
//! and a line for the shell.

mod shape;

use std::sync::LazyLock;

use maud::{Markup, html};
use serde_json::Value;

use super::layout::{self, Frame, Section};
use super::{PageError, PageRequest};
use crate::text::{Lang, Text};
use crate::web::DOCUMENT;
use shape::{fields, kind};

/// Not in the navigation: at the foot of every page.
pub(super) const SECTION: Section = Section {
    path: "/api",
    name: |text| text.api,
};

/// The description does not change while the process runs, and neither does what is made of it, in each
/// language.
static CONTENT: LazyLock<[Markup; Lang::ALL.len()]> = LazyLock::new(|| {
    let document = serde_json::from_str(&DOCUMENT).unwrap_or_default();
    Lang::ALL.map(|lang| content(lang.text(), &document))
});

pub(super) async fn page(visit: PageRequest) -> Result<Markup, PageError> {
    let text = visit.text();
    let of_lang = Lang::ALL.iter().zip(&*CONTENT);
    let content = of_lang
        .filter(|(lang, _)| **lang == visit.lang)
        .map(|(_, content)| content)
        .next();
    let frame = Frame {
        section: SECTION,
        title: text.api,
        watch: String::new(),
    };
    let content = html! {
        h1 { (text.api) }
        @if let Some(content) = content { div.api { (content) } }
    };
    Ok(layout::page(&visit, &frame, &content))
}

/// One operation with its method and its path.
struct Operation<'a> {
    method: &'a str,
    path: &'a str,
    about: &'a Value,
}

/// What is said of operations and types is the description's, which is English.
fn content(text: &Text, document: &Value) -> Markup {
    let lead = said(document, "/info/description");
    let tags = document["tags"].as_array().map_or(&[][..], Vec::as_slice);
    let operations = operations(document);
    html! {
        @for paragraph in lead.split("\n\n") { p.hint lang="en" { (prose(paragraph)) } }
        p { (text.api_for_programs) " " a href="/openapi.json" { "openapi.json" } " (OpenAPI 3.1). " (text.api_lines_take) }
        pre tabindex="0" { "export TOCSIN_URL=" span.here { "http://127.0.0.1:9099" } " TOCSIN_API_TOKEN=…" }
        @for tag in tags {
            @let name = said(tag, "/name");
            @let id = format!("tag-{}", name.replace(' ', "-"));
            section aria-labelledby=(id) {
                h2 id=(id) lang="en" { (name) }
                p.hint lang="en" { (said(tag, "/description")) }
                @for operation in operations.iter().filter(|one| said(one.about, "/tags/0") == name) {
                    (one(text, document, operation))
                }
            }
        }
        section aria-labelledby="types" {
            h2 #types { (text.api_types) }
            @for (name, schema) in members(&document["components"]["schemas"]) {
                details.op id=(format!("type-{name}")) {
                    summary { code { (name) } }
                    @if let Some(about) = schema["description"].as_str() { p lang="en" { (about) } }
                    p lang="en" { (kind(schema)) }
                    (fields(text, document, schema))
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

fn one(text: &Text, document: &Value, operation: &Operation<'_>) -> Markup {
    let about = operation.about;
    let body = json_of(&about["requestBody"]["content"]);
    html! {
        details.op id=(said(about, "/operationId")) {
            summary {
                code { b { (operation.method.to_uppercase()) } " " (operation.path) }
                " " span.does lang="en" { (said(about, "/summary")) }
            }
            @for paragraph in said(about, "/description").split("\n\n").filter(|text| !text.is_empty()) {
                p lang="en" { (prose(paragraph)) }
            }
            p.hint { (Need::of(about).sentence(text)) }
            (parameters(text, document, about))
            @if let Some(body) = body {
                h3 { (text.api_body) @if about["requestBody"]["required"] != true { (text.optional) } }
                @if let Some(about) = body["schema"]["description"].as_str() { p lang="en" { (prose(about)) } }
                (fields(text, document, &body["schema"]))
            }
            h3 { (text.api_shell) }
            pre tabindex="0" { (shell(document, operation)) }
            h3 { (text.api_answers) }
            (answers(text, document, about))
        }
    }
}

/// Whose token an operation takes.
#[derive(Clone, Copy)]
enum Need {
    Nothing,
    Webhook,
    Telegram,
    Read,
    Operate,
}

impl Need {
    fn of(about: &Value) -> Self {
        let scheme = about.pointer("/security/0").map(Value::to_string);
        match scheme.as_deref() {
            Some(scheme) if scheme.contains("webhook") => Self::Webhook,
            Some(scheme) if scheme.contains("telegram") => Self::Telegram,
            Some(scheme) if scheme.contains("read") => Self::Read,
            Some(_) => Self::Operate,
            None => Self::Nothing,
        }
    }

    const fn sentence(self, text: &Text) -> &'static str {
        match self {
            Self::Nothing => text.api_needs_nothing,
            Self::Webhook => text.api_needs_webhook,
            Self::Telegram => text.api_needs_telegram,
            Self::Read => text.api_needs_read,
            Self::Operate => text.api_needs_operate,
        }
    }
}

fn parameters(text: &Text, document: &Value, about: &Value) -> Markup {
    let all = about["parameters"].as_array().into_iter().flatten();
    let all: Vec<_> = all.map(|one| resolved(document, one)).collect();
    html! {
        @if !all.is_empty() {
            h3 { (text.api_parameters) }
            div.wide tabindex="0" { table {
                thead { tr {
                    th scope="col" { (text.api_name) }
                    th scope="col" { (text.api_in) }
                    th scope="col" { (text.api_type) }
                    th scope="col" { (text.api_meaning) }
                } }
                tbody {
                    @for one in all {
                        tr {
                            th scope="row" { code { (said(one, "/name")) } }
                            td { code { (said(one, "/in")) } }
                            td lang="en" { (kind(&one["schema"])) }
                            td lang="en" { (prose(said(one, "/description"))) }
                        }
                    }
                }
            } }
        }
    }
}

fn answers(text: &Text, document: &Value, about: &Value) -> Markup {
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
            thead { tr {
                th scope="col" { (text.api_status) }
                th scope="col" { (text.api_meaning) }
                th scope="col" { (text.api_content) }
            } }
            tbody {
                @for (status, answer) in &all {
                    tr {
                        th scope="row" { (status) }
                        td lang="en" { (prose(said(answer, "/description"))) }
                        td { @for (kind, _) in members(&answer["content"]) { code { (kind) } } }
                    }
                }
            }
        } }
        @if let Some((kind, example)) = example {
            p lang="en" { (kind) }
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
    match Need::of(about) {
        Need::Nothing => {}
        Need::Webhook => {
            line.push_str(" -H \"Authorization: Bearer $TOCSIN_WEBHOOK_TOKEN\"");
        }
        Need::Telegram => line
            .push_str(" -H \"X-Telegram-Bot-Api-Secret-Token: $TOCSIN_TELEGRAM__WEBHOOK_SECRET\""),
        Need::Read | Need::Operate => {
            line.push_str(" -H \"Authorization: Bearer $TOCSIN_API_TOKEN\"");
        }
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
