//! Prometheus' Alertmanager: its webhook, version 4 (other versions are taken as far as they go).
//!
//! They send a group of alerts, firing and resolved ones together, and send it again whenever one
//! of them changes, at every `repeat_interval`, and after a 5xx. An alert that has not ended has
//! `endsAt` in year 1. Of the envelope nothing is used but the alerts, how many were left out, and
//! `externalURL`, which may tell one cluster from another (see [`super::cluster`]).
//!
//! We make one alert of each entry of `alerts`. One that is not an object, or has no labels or no
//! `alertname`, is rejected, and the others are not harmed. Whatever stands where a text should is taken as
//! one, and a status that is neither `firing` nor `resolved` is `firing`. What an alert is called is worked out from all of it; what is kept of it is bounded after that.

use serde_json::value::RawValue;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema, SchemaType, Type};

use super::bounded::{bounded, bounded_map};
use super::plain::{self, Entry, Envelope};
use super::text::Object;
use super::{Refused, Source, Translated, cluster, fingerprint};
use crate::config::Config;
use crate::domain::alert::{Alert, AlertStatus, Identity, is_ignored};
use crate::jobs::Content;
use crate::time::Timestamp;

/// `POST /api/v1/alertmanager`
pub const SOURCE: Source = Source {
    name: "alertmanager",
    sender: "Prometheus' Alertmanager",
    schema,
    example: EXAMPLE,
    translate,
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

/// The longest URL that is kept, in bytes.
const URL_BYTES: usize = 2048;
/// Times before this one (the year 2000) stand for "not known": they are some clock's zero.
pub(super) const KNOWN_TIMES: Timestamp = Timestamp(946_684_800_000);

fn translate(body: &[u8], config: &Config) -> Result<Translated, Refused> {
    match Envelope::read(body).and_then(|envelope| in_one_pass(envelope, config)) {
        Some(translated) => Ok(translated),
        None => odd(body, config),
    }
}

/// How many alerts of a webhook are taken although something about them cannot be right.
#[derive(Default)]
struct Odd {
    misdated: u64,
    unknown_status: u64,
}

/// A webhook in which every value is what it should be; `None` if an alert of it cannot be used.
fn in_one_pass(envelope: Envelope<'_>, config: &Config) -> Option<Translated> {
    if envelope.alerts.len() > config.limits.alerts {
        return None;
    }
    let mut odd = Odd::default();
    let entries = envelope.alerts.into_iter();
    let alerts =
        entries.map(|plain::Object(entry)| alert(entry, config, &mut odd).map(Content::Alert));
    Some(Translated {
        alerts: alerts.collect::<Result<_, _>>().ok()?,
        truncated: envelope.truncated_alerts,
        misdated: odd.misdated,
        unknown_status: odd.unknown_status,
        cluster: cluster::of_url(&envelope.external_url),
    })
}

/// Any webhook, taken as far as it can be.
fn odd(body: &[u8], config: &Config) -> Result<Translated, Refused> {
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
    let truncated = envelope.get("truncatedAlerts");
    let mut odd = Odd::default();
    let alerts = entries
        .iter()
        .map(|entry| content(entry.get(), config, &mut odd))
        .collect();
    Ok(Translated {
        alerts,
        truncated: truncated
            .and_then(|number| number.parse().ok())
            .unwrap_or(0),
        misdated: odd.misdated,
        unknown_status: odd.unknown_status,
        cluster: cluster::of_url(&envelope.text("externalURL")),
    })
}

fn content(raw: &str, config: &Config, odd: &mut Odd) -> Content {
    let read = entry(raw).and_then(|entry| alert(entry, config, odd));
    read.map_or_else(
        |reason| Content::Rejected {
            reason: reason.to_owned(),
            raw: raw.to_owned(),
            alerts: 1,
        },
        Content::Alert,
    )
}

/// An alert, whatever stands where its texts should.
fn entry(raw: &str) -> Result<Entry<'_>, &'static str> {
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

fn alert(entry: Entry<'_>, config: &Config, odd: &mut Odd) -> Result<Alert, &'static str> {
    let labels = entry.labels;
    let value = |name: &str| {
        let at = labels.binary_search_by(|(label, _)| (**label).cmp(name));
        at.ok().map(|at| &*labels[at].1)
    };
    if value("alertname").is_none() {
        return Err("the alert has no alertname");
    }
    let names = config.signature.names(value);
    let ignored = is_ignored(&config.ingest.ignore, value);
    let fingerprint = match &*entry.fingerprint {
        "" => fingerprint::of_labels(labels.iter().map(|(name, value)| (&**name, &**value))),
        sent => fingerprint::kept(sent),
    };
    let limits = &config.limits;
    let [alert_name, service, namespace, error_type] = names.each();
    let first = [
        alert_name,
        service,
        namespace,
        error_type,
        "severity",
        "alertname",
    ];
    let labels = bounded_map(labels, &first, limits.labels, limits.label_bytes);
    let identity = Identity::beside(&labels, &names, ignored);

    let says = |word: &str| entry.status.eq_ignore_ascii_case(word);
    let status = if says("resolved") {
        AlertStatus::Resolved
    } else {
        odd.unknown_status += u64::from(!entry.status.is_empty() && !says("firing"));
        AlertStatus::Firing
    };
    let mut is_misdated = false;
    let mut time = |text: &str| {
        let at = Timestamp::parse(text);
        is_misdated |= at.is_none() && !text.is_empty();
        at.filter(|at| *at >= KNOWN_TIMES)
    };
    let starts_at = time(&entry.starts_at);
    let ends_at = match status {
        AlertStatus::Resolved => time(&entry.ends_at),
        AlertStatus::Firing => None,
    };
    odd.misdated += u64::from(is_misdated);
    let url = Some(entry.generator_url).filter(|url| !url.is_empty());
    Ok(Alert {
        status,
        fingerprint,
        labels,
        annotations: bounded_map(
            entry.annotations,
            &[],
            limits.labels,
            limits.annotation_bytes,
        ),
        starts_at,
        ends_at,
        lease_ms: None,
        generator_url: url.map(|url| bounded(url, URL_BYTES)),
        identity: Some(identity),
    })
}

#[cfg(test)]
mod tests;
