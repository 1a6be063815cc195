//! Grafana: the webhook of its alerting, version "1", and of the legacy alerting that it had until version 10.
//!
//! They send Alertmanager's form with more in each alert: `values` and `valueString` (what was measured),
//! `dashboardURL`, `panelURL`, `silenceURL`, `imageURL`. An address may be relative: it is meant from `externalURL`.
//! A rule without data, and one that cannot be evaluated, fire an alert of another name, `DatasourceNoData` or
//! `DatasourceError`, and the rule's own name is the label `rulename`. If a secret is set, the body is signed, in
//! hexadecimal, in a header that can be named; if a header for a time is named, too, `TIME:BODY` is signed.
//! Legacy alerting sends one alert for a rule: `ruleName`, `state`, `evalMatches`, `tags`, and no times.
//!
//! We make one alert of each, as of Alertmanager's. One without data or with an error is of its rule's name, and has
//! the error type `no_data` or `error`: these states are known by the alert's name and not by the annotation
//! `grafana_state_reason`, which the end of the same firing may lack. What service they are about is known from the
//! rule's other alerts, see [`AlertRule`], if the rule does not say. What was measured becomes the annotation
//! `values`, the addresses `dashboard_url`, `panel_url`, `silence_url` and `image_url`; an annotation of that name
//! that the rule has itself stays. `externalURL` names no cluster: that is Grafana's, whatever cluster it watches.
//!
//! The test of a contact point is an alert like any other (`TestAlert`): nothing says that it is a test.

use std::borrow::Cow;

use reqwest::Url;
use serde_json::value::RawValue;
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};

use super::alertmanager::{self, Odd};
use super::text::Object;
use super::{
    Admission, Answer, Delivery, Refused, ReportedAlert, Signature, SignedTime, Source, Translated,
    Verb, canary, dialect, texts,
};
use crate::config::{Config, SignedWithTime};
use crate::domain::alert::{AlertRule, AlertStatus};
use crate::jobs::Content;

/// `POST` or `PUT /api/v1/grafana`
pub const SOURCE: Source = Source {
    name: "grafana",
    sender: "Grafana",
    paths: &["/api/v1/grafana"],
    senders: None,
    methods: &[Verb::Post, Verb::Put],
    schema,
    example: EXAMPLE,
    admission: |config, _| admission(&config.sources.grafana),
    translate,
    looks_like,
    answer: Answer::COUNTS,
    canary: canary::grafana,
};

/// As Grafana 12 sends it.
const EXAMPLE: &str = r#"{"receiver":"tocsin","status":"firing","alerts":[
    {"status":"firing","labels":{"alertname":"QueueGrows","grafana_folder":"Shop","service":"checkout",
     "severity":"critical"},"annotations":{"summary":"The queue of checkout grows"},
     "startsAt":"2026-11-22T10:05:00Z","endsAt":"0001-01-01T00:00:00Z",
     "generatorURL":"https://grafana.example.com/alerting/grafana/cdx1/view?orgId=1",
     "fingerprint":"c4edaaf9f9f839b0","silenceURL":"https://grafana.example.com/alerting/silence/new?x=1",
     "dashboardURL":"https://grafana.example.com/d/shop","panelURL":"https://grafana.example.com/d/shop?viewPanel=4",
     "values":{"B":22,"C":1},"valueString":"[ var='B' labels={service=checkout} value=22 ]","orgId":1}],
    "groupLabels":{"alertname":"QueueGrows"},"externalURL":"https://grafana.example.com/","version":"1",
    "groupKey":"{}:{alertname=\"QueueGrows\"}","truncatedAlerts":0,"orgId":1,
    "title":"[FIRING:1] QueueGrows","state":"alerting","message":""}"#;

/// Names of the alerts that stand for a rule's state, and the error types that these are.
const STATES: [(&str, &str); 2] = [("DatasourceNoData", NO_DATA), ("DatasourceError", "error")];
const NO_DATA: &str = "no_data";
/// What an alert's addresses are called, here and there.
const ADDRESSES: [(&str, &str); 4] = [
    ("dashboardURL", "dashboard_url"),
    ("panelURL", "panel_url"),
    ("silenceURL", "silence_url"),
    ("imageURL", "image_url"),
];
/// The most values of an alert that are shown.
const SHOWN: usize = 20;

fn admission(settings: &SignedWithTime) -> Admission<'_> {
    let time = settings.timestamp_header.as_ref().map(|header| SignedTime {
        header,
        separator: ":",
        tolerance: settings.tolerance.0,
    });
    let signature = |secret| Signature {
        secret,
        header: &settings.header,
        prefix: "",
        time,
    };
    Admission {
        enabled: settings.enabled,
        signature: settings.secret.as_ref().map(signature),
    }
}

fn schema() -> Schema {
    ObjectBuilder::new()
        .schema_type(SchemaType::Type(Type::Object))
        .description(Some(
            "A webhook body of version 1: `alerts` as Alertmanager sends them, each with `values`, `valueString`, \
             `dashboardURL`, `panelURL`, `silenceURL` and `imageURL`, if known. Or the one alert of legacy \
             alerting, which has `ruleName` and `state`.",
        ))
        .into()
}

/// Whether it has what Grafana's envelope has beside Alertmanager's, or is a legacy alert.
fn looks_like(delivery: &Delivery) -> bool {
    let text = std::str::from_utf8(&delivery.body).unwrap_or_default();
    let envelope = Object::read(text.trim_start());
    envelope.is_some_and(|envelope| dialect::is_of_grafana(&envelope) || is_legacy(&envelope))
}

fn is_legacy(envelope: &Object<'_>) -> bool {
    let has = |name| envelope.get(name).is_some();
    !has("alerts") && has("ruleName") && has("state")
}

fn translate(delivery: &Delivery, config: &Config) -> Result<Translated, Refused> {
    match alertmanager::list(&delivery.body, config) {
        Ok((_, entries)) if alertmanager::is_of_signoz(&entries) => Err(alertmanager::of_another()),
        Ok((envelope, entries)) => Ok(unified(&envelope, &entries, config)),
        Err(refused) => {
            let text = std::str::from_utf8(&delivery.body)
                .unwrap_or_default()
                .trim();
            let envelope = Object::read(text).filter(is_legacy);
            envelope.map_or(Err(refused), |envelope| Ok(legacy(&envelope, text, config)))
        }
    }
}

fn unified(envelope: &Object<'_>, entries: &[&RawValue], config: &Config) -> Translated {
    let base = base(&envelope.text("externalURL"));
    let mut odd = Odd::default();
    let mut content = |raw: &str| {
        let mut alert = match alertmanager::reported(raw, &mut odd) {
            Ok(alert) => alert,
            Err(reason) => return Content::rejected(reason, raw),
        };
        name_by_rule(&mut alert);
        alert.url = joined(alert.url, base.as_ref());
        if let Some(entry) = Object::read(raw) {
            explain(&mut alert, &entry, base.as_ref(), config);
        }
        alert.into_content(config, raw)
    };
    Translated {
        alerts: entries.iter().map(|raw| content(raw.get())).collect(),
        truncated: alertmanager::truncated(envelope),
        misdated: odd.misdated,
        unknown_status: odd.unknown_status,
        ..Translated::default()
    }
}

/// Has an alert that stands for its rule's state be one of that rule. In a folder a rule's name is its own.
fn name_by_rule(alert: &mut ReportedAlert<'_>) {
    let name = alert.label("alertname");
    let state = STATES.iter().find(|(known, _)| name == Some(*known));
    let name = match state {
        Some(_) => alert.label("rulename").or(name),
        None => name,
    };
    let name = name.unwrap_or_default().to_owned();
    let folder = alert.label("grafana_folder");
    alert.rule = folder.map(|folder| AlertRule {
        id: format!("{folder}/{name}"),
        has_no_data: state.is_some(),
        shares_series: false,
    });
    if let Some((_, state)) = state {
        alert.set_label("alertname", name);
        set_error_type(alert, state);
    }
}

fn set_error_type(alert: &mut ReportedAlert<'_>, error_type: &str) {
    alert.set_label("error_type", error_type);
    alert.read_from.error_type = "error_type";
}

/// Adds what was measured, and where more is to be seen. An address that would be cut leads nowhere.
fn explain(alert: &mut ReportedAlert<'_>, entry: &Object<'_>, base: Option<&Url>, config: &Config) {
    let values = entry.get("values").and_then(Object::read);
    let values = values.map(|values| {
        let values = values.into_texts().into_iter().take(SHOWN);
        let values = values.map(|(name, value)| format!("{name} = {value}"));
        values.collect::<Vec<_>>().join(", ")
    });
    let values = values.filter(|values| !values.is_empty());
    let values = values.unwrap_or_else(|| entry.text("valueString").into_owned());
    add(alert, "values", values);
    for (sent, name) in ADDRESSES {
        let url = joined(entry.text(sent), base);
        if url.len() <= config.limits.annotation_bytes {
            add(alert, name, url.into_owned());
        }
    }
}

/// Adds an annotation that the rule does not have itself.
fn add(alert: &mut ReportedAlert<'_>, name: &'static str, value: String) {
    if !alert.annotations.iter().any(|(known, _)| known == name) {
        alert.set_annotation(name, value);
    }
}

/// Where relative addresses are meant from: a path below which Grafana is served ends in a slash.
fn base(external: &str) -> Option<Url> {
    let mut url = Url::parse(external).ok()?;
    if !matches!(url.scheme(), "http" | "https") {
        return None;
    }
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Some(url)
}

fn joined<'u>(url: Cow<'u, str>, base: Option<&Url>) -> Cow<'u, str> {
    if url.is_empty() || Url::parse(&url).is_ok() {
        return url;
    }
    let whole = base.and_then(|base| base.join(&url).ok());
    whole.map_or(url, |whole| String::from(whole).into())
}

/// The one alert of a legacy body. What a state means that is none of a firing is not used.
fn legacy(envelope: &Object<'_>, raw: &str, config: &Config) -> Translated {
    let state = envelope.text("state").to_ascii_lowercase();
    let (status, is_known) = match &*state {
        "ok" => (AlertStatus::Resolved, true),
        "alerting" | NO_DATA => (AlertStatus::Firing, true),
        "pending" | "paused" | "unknown" => {
            return Translated {
                unused: 1,
                ..Translated::default()
            };
        }
        _ => (AlertStatus::Firing, false),
    };
    let tags = envelope.get("tags").and_then(Object::read);
    let mut alert = ReportedAlert {
        status,
        labels: tags.map(Object::into_texts).unwrap_or_default(),
        annotations: texts([
            ("description", envelope.text("message")),
            ("image_url", envelope.text("imageUrl")),
            ("values", matches(envelope).into()),
        ]),
        url: envelope.text("ruleUrl"),
        ..ReportedAlert::default()
    };
    alert.set_label("alertname", envelope.text("ruleName"));
    alert.set_label("rule_id", envelope.text("ruleId"));
    if state == NO_DATA {
        set_error_type(&mut alert, NO_DATA);
    }
    Translated {
        alerts: vec![alert.into_content(config, raw)],
        unknown_status: u64::from(!is_known),
        ..Translated::default()
    }
}

/// What a legacy rule measured: each metric with its value.
fn matches(envelope: &Object<'_>) -> String {
    let list = envelope.get("evalMatches").unwrap_or_default();
    let list: Vec<&RawValue> = serde_json::from_str(list).unwrap_or_default();
    let one = |found: &&RawValue| {
        let found = Object::read(found.get())?;
        Some(format!(
            "{} = {}",
            found.text("metric"),
            found.text("value")
        ))
    };
    let shown = list.iter().take(SHOWN).filter_map(one);
    shown.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
