//! Prometheus' Alertmanager: its webhook, version 4 (other versions are taken as far as they go).
//!
//! They send a group of alerts, firing and resolved ones together, and send it again whenever one
//! of them changes, at every `repeat_interval`, and after a 5xx. An alert that has not ended has
//! `endsAt` in year 1. Of the envelope nothing is used but the alerts, how many were left out, and
//! `externalURL`, which may name the cluster (see [`super::cluster`]).
//!
//! We make one alert of each entry of `alerts`. One that is not an object, or has no labels or no
//! `alertname`, is rejected, and the others are not harmed. Whatever stands where a text should is taken as
//! one, and a status that is neither `firing` nor `resolved` is `firing`.
//!
//! Others send this form with additions of their own. Their sources read it with `list` and `reported`, value by
//! value. What is certainly Grafana's or SigNoz' is refused here, so that it is not taken for less than it says.

use serde_json::value::RawValue;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema, SchemaType, Type};

use super::plain::{self, Entry, Envelope};
use super::reported::{ReportedAlert, known_time};
use super::text::Object;
use super::{
    Admission, Answer, Delivery, MOST_TRUNCATED, Refused, Source, Translated, Verb, canary,
    cluster, dialect,
};
use crate::config::Config;
use crate::domain::alert::AlertStatus;
use crate::jobs::Content;
use crate::time::Timestamp;

/// `POST /api/v1/alertmanager`
pub const SOURCE: Source = Source {
    name: "alertmanager",
    sender: "Prometheus' Alertmanager",
    paths: &["/api/v1/alertmanager"],
    senders: None,
    methods: &[Verb::Post],
    schema,
    example: EXAMPLE,
    admission: |config, _| Admission::by_token(&config.sources.alertmanager),
    translate: |delivery, config| translate(&delivery.body, config),
    looks_like,
    answer: Answer::COUNTS,
    canary: canary::alertmanager,
};

/// Recorded from Alertmanager 0.25: one alert fires, one is over.
const EXAMPLE: &str = r#"{"receiver":"hook","status":"firing","alerts":[
    {"status":"firing","labels":{"alertname":"KubePodCrashLooping","container":"api",
     "job":"kube-state-metrics","namespace":"prod","pod":"api-6c9f7d-x2x",
     "reason":"CrashLoopBackOff","severity":"critical"},
     "annotations":{"summary":"Pod is crash looping."},
     "startsAt":"2026-11-22T21:28:29.102830926Z","endsAt":"0001-01-01T00:00:00Z",
     "generatorURL":"http://prom:9090/graph?g0.expr=x","fingerprint":"d819c8248226542f"},
    {"status":"resolved","labels":{"alertname":"KubePodCrashLooping","namespace":"prod"},
     "annotations":{},"startsAt":"2026-11-22T21:28:29.102830926Z",
     "endsAt":"2026-11-22T21:28:43Z","generatorURL":"","fingerprint":"9b565c6925ccef0c"}],
    "groupLabels":{"alertname":"KubePodCrashLooping"},"version":"4",
    "groupKey":"{}:{alertname=\"KubePodCrashLooping\"}","truncatedAlerts":0}"#;

fn schema() -> Schema {
    let alert = ObjectBuilder::new()
        .schema_type(SchemaType::AnyValue)
        .description(Some(
            "An object with `labels`, of which one is `alertname`; and `status`, `annotations`, `startsAt`, \
             `endsAt`, `generatorURL` and `fingerprint`, if known. A `status` other than `resolved` is \
             `firing`. An invalid alert is rejected without \
             the others.",
        ));
    ObjectBuilder::new()
        .schema_type(SchemaType::Type(Type::Object))
        .property("alerts", ArrayBuilder::new().items(alert))
        .required("alerts")
        .description(Some(
            "A webhook body of version 4, or of another version that has `alerts`. Other fields \
             are ignored, except for `truncatedAlerts`, which is counted, and \
             `externalURL`, which may name the cluster.",
        ))
        .into()
}

/// Whether it has Alertmanager's envelope, and is not from one of those who send this form, too.
fn looks_like(delivery: &Delivery) -> bool {
    let listed = list(&delivery.body, &Config::default());
    listed.is_ok_and(|(envelope, entries)| {
        envelope.text("version") == "4"
            && envelope.get("groupKey").is_some()
            && !is_of_signoz(&entries)
    })
}

fn translate(body: &[u8], config: &Config) -> Result<Translated, Refused> {
    let Some(envelope) = Envelope::read(body) else {
        return odd(body, config);
    };
    let first = envelope.alerts.first();
    let is_of_signoz = first.is_some_and(|plain::Object(entry)| dialect::is_of_signoz(entry));
    if envelope.is_of_grafana() || is_of_signoz {
        return Err(of_another());
    }
    in_one_pass(envelope, config).map_or_else(|| odd(body, config), Ok)
}

/// Why a body is refused that another source knows.
pub(super) fn of_another() -> Refused {
    Refused::Malformed("this is not what Alertmanager sends".to_owned())
}

/// Whether the first of these alerts is one that SigNoz sends.
pub(super) fn is_of_signoz(entries: &[&RawValue]) -> bool {
    let first = entries.first().and_then(|raw| entry(raw.get()).ok());
    first.is_some_and(|entry| dialect::is_of_signoz(&entry))
}

/// How many alerts of a webhook are taken although something about them cannot be right.
#[derive(Default)]
pub(super) struct Odd {
    /// With a time that cannot be read.
    pub(super) misdated: u64,
    /// With a status that is neither firing nor resolved.
    pub(super) unknown_status: u64,
}

/// A webhook in which every value is what it should be; `None` if an alert of it cannot be used.
fn in_one_pass(envelope: Envelope<'_>, config: &Config) -> Option<Translated> {
    if envelope.alerts.len() > config.limits.alerts {
        return None;
    }
    let mut odd = Odd::default();
    let entries = envelope.alerts.into_iter();
    let alerts = entries.map(|plain::Object(entry)| {
        alert(entry, &mut odd)
            .into_alert(config)
            .map(Content::Alert)
    });
    Some(Translated {
        alerts: alerts.collect::<Result<_, _>>().ok()?,
        truncated: envelope.truncated_alerts.min(MOST_TRUNCATED),
        misdated: odd.misdated,
        unknown_status: odd.unknown_status,
        cluster: cluster::of_url(&envelope.external_url),
        ..Translated::default()
    })
}

/// Any webhook, taken as far as it can be.
fn odd(body: &[u8], config: &Config) -> Result<Translated, Refused> {
    let (envelope, entries) = list(body, config)?;
    if dialect::is_of_grafana(&envelope) || is_of_signoz(&entries) {
        return Err(of_another());
    }
    let mut odd = Odd::default();
    let alerts = entries
        .iter()
        .map(|raw| match reported(raw.get(), &mut odd) {
            Ok(alert) => alert.into_content(config, raw.get()),
            Err(reason) => Content::rejected(reason, raw.get()),
        })
        .collect();
    Ok(Translated {
        alerts,
        truncated: truncated(&envelope),
        misdated: odd.misdated,
        unknown_status: odd.unknown_status,
        cluster: cluster::of_url(&envelope.text("externalURL")),
        ..Translated::default()
    })
}

/// How many alerts an envelope says that were left out, up to a number that no sender really has: it is added to figures.
pub(super) fn truncated(envelope: &Object<'_>) -> u64 {
    let number = envelope.get("truncatedAlerts");
    let number = number.and_then(|number| number.parse().ok()).unwrap_or(0);
    number.min(MOST_TRUNCATED)
}

/// The envelope of a body, and its alerts as they were sent.
///
/// # Errors
/// It is no JSON object with a list `alerts`, or that has more than `limits.alerts`.
pub(super) fn list<'b>(
    body: &'b [u8],
    config: &Config,
) -> Result<(Object<'b>, Vec<&'b RawValue>), Refused> {
    let malformed = |what: &str| Refused::Malformed(what.to_owned());
    let json: &RawValue = serde_json::from_slice(body)
        .map_err(|error| Refused::Malformed(format!("the body is not JSON: {error}")))?;
    let envelope =
        Object::read(json.get()).ok_or_else(|| malformed("the body is not a JSON object"))?;
    let list = envelope.get("alerts").filter(|list| list.starts_with('['));
    let list = list.ok_or_else(|| malformed("the body has no `alerts` list"))?;
    let entries: Vec<&RawValue> =
        serde_json::from_str(list).map_err(|error| Refused::Malformed(error.to_string()))?;
    let most = config.limits.alerts;
    if entries.len() > most {
        return Err(Refused::TooMany {
            count: entries.len(),
            most,
        });
    }
    Ok((envelope, entries))
}

/// What an entry of the list reports, whatever stands where its texts should.
///
/// # Errors
/// It is not an object, or has no labels.
pub(super) fn reported<'a>(raw: &'a str, odd: &mut Odd) -> Result<ReportedAlert<'a>, &'static str> {
    entry(raw).map(|entry| alert(entry, odd))
}

/// An alert, whatever stands where its texts should.
pub(super) fn entry(raw: &str) -> Result<Entry<'_>, &'static str> {
    let entry = Object::read(raw).ok_or("the alert is not an object")?;
    let labels = entry.get("labels").ok_or("the alert has no labels")?;
    let labels = Object::read(labels).ok_or("the alert's labels are not an object")?;
    if labels.is_empty() {
        return Err("the alert has no labels");
    }
    let annotations = entry.get("annotations").and_then(Object::read);
    Ok(Entry {
        status: entry.text("status"),
        labels: labels.into_texts(),
        annotations: annotations.map(Object::into_texts).unwrap_or_default(),
        starts_at: entry.text("startsAt"),
        ends_at: entry.text("endsAt"),
        generator_url: entry.text("generatorURL"),
        fingerprint: entry.text("fingerprint"),
    })
}

/// The status that a text says, and whether it says one.
pub(super) fn status(text: &str) -> (AlertStatus, bool) {
    let says = |word: &str| text.eq_ignore_ascii_case(word);
    match says("resolved") {
        true => (AlertStatus::Resolved, true),
        false => (AlertStatus::Firing, text.is_empty() || says("firing")),
    }
}

/// What an entry reports.
pub(super) fn alert<'a>(entry: Entry<'a>, odd: &mut Odd) -> ReportedAlert<'a> {
    let (status, is_known) = status(&entry.status);
    odd.unknown_status += u64::from(!is_known);
    let mut is_misdated = false;
    let mut time = |text: &str| {
        let at = Timestamp::parse(text);
        is_misdated |= at.is_none() && !text.is_empty();
        at.and_then(known_time)
    };
    let starts_at = time(&entry.starts_at);
    let ends_at = match status {
        AlertStatus::Resolved => time(&entry.ends_at),
        AlertStatus::Firing => None,
    };
    odd.misdated += u64::from(is_misdated);
    ReportedAlert {
        status,
        labels: entry.labels,
        annotations: entry.annotations,
        starts_at,
        ends_at,
        url: entry.generator_url,
        fingerprint: entry.fingerprint,
        ..ReportedAlert::default()
    }
}

#[cfg(test)]
mod tests;
