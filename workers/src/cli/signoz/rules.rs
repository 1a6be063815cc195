//! The rules: those that are shipped, or a folder of them, and how they come to be in SigNoz.

use std::path::Path;

use anyhow::{Context as _, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use super::difference;
use super::report::{Planned, Request, Step};
use super::server::{RULES, Server};

/// What is shipped in `deploy/signoz`.
const SHIPPED: [&str; 4] = [
    include_str!("../../../../deploy/signoz/service-error-rate.json"),
    include_str!("../../../../deploy/signoz/service-exceptions.json"),
    include_str!("../../../../deploy/signoz/service-latency-p99.json"),
    include_str!("../../../../deploy/signoz/service-traffic-anomaly.json"),
];
/// By this label of a rule it is known that Tocsin made it.
const OWNER: (&str, &str) = ("managed_by", "tocsin");

/// The rules to apply, each with its owner and the channel that it notifies.
///
/// # Errors
/// A file cannot be read, or is no rule.
pub(super) fn read(folder: Option<&Path>, channel: &str) -> anyhow::Result<Vec<Value>> {
    let Some(folder) = folder else {
        return SHIPPED.iter().map(|text| parse(text, channel)).collect();
    };
    let cannot = || format!("cannot read --rules {}", folder.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(cannot)? {
        let path = entry.with_context(cannot)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            files.push(path);
        }
    }
    ensure!(
        !files.is_empty(),
        "--rules {} has no *.json",
        folder.display()
    );
    files.sort();
    let rules = files.iter().map(|file| {
        let text = std::fs::read_to_string(file).context("cannot read it");
        let rule = text.and_then(|text| parse(&text, channel));
        rule.with_context(|| format!("{}", file.display()))
    });
    rules.collect()
}

fn parse(text: &str, channel: &str) -> anyhow::Result<Value> {
    let mut rule: Value = serde_json::from_str(text).context("not JSON")?;
    ensure!(
        rule["schemaVersion"] == "v2alpha1",
        "not a rule of SigNoz's schema v2alpha1: schemaVersion must say so"
    );
    ensure!(
        rule["alert"].as_str().is_some_and(|name| !name.is_empty()),
        "the rule has no name: alert must be set"
    );
    ensure!(
        rule["labels"].is_object() || rule["labels"].is_null(),
        "labels must be an object"
    );
    rule["labels"][OWNER.0] = json!(OWNER.1);
    let thresholds = rule.pointer_mut("/condition/thresholds/spec");
    for threshold in thresholds
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        if threshold.is_object() {
            threshold["channels"] = json!([channel]);
        }
    }
    Ok(rule)
}

/// What to do for `rule` to be in SigNoz as it is here; `there` is what SigNoz lists.
///
/// # Errors
/// SigNoz does not answer.
pub(super) async fn plan(
    server: &Server,
    rule: &Value,
    there: &[Value],
    adopt: bool,
) -> anyhow::Result<Planned> {
    let name = rule["alert"].as_str().unwrap_or_default();
    let found = find(name, there, adopt);
    let mut planned = Planned {
        what: format!("rule {name}"),
        step: Step::Same,
        lines: Vec::new(),
    };
    let id = match found {
        Found::None => {
            planned.step = Step::Create(Request {
                method: Method::POST,
                path: RULES.map(str::to_owned).to_vec(),
                body: rule.clone(),
            });
            return Ok(planned);
        }
        Found::Foreign(why) => {
            planned.step = Step::Foreign(why);
            return Ok(planned);
        }
        Found::Ours { id, others } => {
            if others > 0 {
                planned.lines.push(format!(
                    "there are {others} more of this name that are Tocsin's: delete them in SigNoz"
                ));
            }
            id
        }
    };
    let path = [&RULES[..], &[id]].concat();
    let stored = server.get(&path).await?;
    let differences = difference::of(&stored, rule);
    if !differences.is_empty() {
        planned.step = Step::Update(Request {
            method: Method::PUT,
            path: path.into_iter().map(str::to_owned).collect(),
            body: replacement(rule, &stored),
        });
        planned.lines.splice(0..0, differences);
    }
    Ok(planned)
}

/// Of the rules with a name, the one that is ours.
#[derive(Debug, PartialEq)]
pub(super) enum Found<'a> {
    None,
    Ours { id: &'a str, others: usize },
    Foreign(String),
}

pub(super) fn find<'a>(name: &str, there: &'a [Value], adopt: bool) -> Found<'a> {
    let named: Vec<&Value> = there.iter().filter(|rule| rule["alert"] == name).collect();
    let mut ours: Vec<&Value> = named.clone();
    ours.retain(|rule| rule["labels"][OWNER.0] == OWNER.1);
    // Always the same one of several.
    ours.sort_by_key(|rule| rule["createdAt"].as_str());
    let id = |rule: &'a Value| rule["id"].as_str().unwrap_or_default();
    match (ours.as_slice(), named.as_slice()) {
        ([first, others @ ..], _) => Found::Ours {
            id: id(first),
            others: others.len(),
        },
        ([], []) => Found::None,
        ([], [one]) if adopt => Found::Ours {
            id: id(one),
            others: 0,
        },
        ([], [_]) => Found::Foreign(
            "SigNoz has a rule of this name that is not Tocsin's (it lacks the label managed_by=tocsin): rename it, or pass --adopt to take it over"
                .to_owned(),
        ),
        ([], several) => Found::Foreign(format!(
            "SigNoz has {} rules of this name that are not Tocsin's: delete or rename all but one of them",
            several.len()
        )),
    }
}

/// The rule as it replaces the stored one: it stays disabled if it was, and keeps labels and annotations that people
/// added.
pub(super) fn replacement(rule: &Value, stored: &Value) -> Value {
    let mut body = rule.clone();
    if stored["disabled"] == true {
        body["disabled"] = json!(true);
    }
    for part in ["labels", "annotations"] {
        let added = stored[part].as_object().into_iter().flatten();
        for (name, value) in added {
            if body[part].is_object() && body[part].get(name).is_none() {
                body[part][name] = value.clone();
            }
        }
    }
    body
}
