//! Any sender of JSON, by a mapping in the settings: `[sources.generic.NAME]`.
//!
//! They send what they like to `/api/v1/generic/NAME`: one alert, or a list of them somewhere. The mapping says where
//! in it each part of an alert is, by JSON pointers and small texts with pointers in them; which values of its status
//! mean that it fires, that it is over, that it is a test or an event that is not used; and what any other value
//! means. Mappings for some senders are shipped, and a section overrules single settings of those.
//!
//! We make one alert of each entry, of the source `generic/NAME`. The mapping's name, service, namespace, error type
//! and severity are labels of it, whatever labels the settings read otherwise. An entry without a name, or with a
//! status that is to be rejected, is rejected alone, with the reason; a time that cannot be read is as if it were
//! missing. The series is what the mapping calls it, else follows from all labels but the severity.
//!
//! Where only the moment of the last change is known (`changed_at`), it is the start of what fires; a sender that
//! reminds of it says a later one each time, and it is the same firing all the same.

mod body;
mod invented;
mod sns;
mod times;

use std::borrow::Cow;

use reqwest::Url;
use serde_json::value::RawValue;
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType};

use super::text::{Object, text};
use super::{
    Admission, Answer, Delivery, Refused, ReportedAlert, Signature, Source, Translated, Verb, texts,
};
use crate::config::{Config, Mapping, Meaning, Pointer, Templates};
use crate::domain::alert::{AlertRule, AlertStatus};
use crate::domain::signature::Names;
use crate::jobs::Content;
use crate::time::Timestamp;
use body::{Body, Entry};

/// `POST` or `PUT /api/v1/generic/{name}`
pub const SOURCE: Source = Source {
    name: "generic",
    sender: "any sender of JSON",
    paths: &["/api/v1/generic/{name}"],
    senders: Some(|config| {
        config
            .sources
            .generic
            .0
            .keys()
            .map(String::as_str)
            .collect()
    }),
    methods: &[Verb::Post, Verb::Put],
    schema,
    example: EXAMPLE,
    admission,
    translate,
    // What it looks like is in the settings.
    looks_like: |_| false,
    answer: Answer::COUNTS,
    canary: invented::canary,
};

/// What a mapping might be for.
const EXAMPLE: &str =
    r#"{"check":"backup","host":"db-1","state":"failed","since":"2026-11-22T21:28:29Z"}"#;

/// Labels that an alert's parts are in.
const LABELS: Names<'static> = Names {
    alert_name: "alertname",
    service: "service",
    namespace: "namespace",
    error_type: "error_type",
};

fn schema() -> Schema {
    ObjectBuilder::new()
        .schema_type(SchemaType::AnyValue)
        .description(Some(
            "Any JSON object, or a list of objects, as `[sources.generic.NAME]` describes it.",
        ))
        .into()
}

/// A name that is not set up asks for a token: what names there are is nobody's business.
fn admission<'c>(config: &'c Config, name: &str) -> Admission<'c> {
    let Some(mapping) = config.sources.generic.get(name) else {
        return Admission {
            enabled: true,
            signature: None,
        };
    };
    let signature = |secret| Signature {
        secret,
        header: &mapping.header,
        prefix: &mapping.prefix,
        time: None,
    };
    Admission {
        enabled: mapping.enabled,
        signature: mapping.secret.as_ref().map(signature),
    }
}

fn translate(delivery: &Delivery, config: &Config) -> Result<Translated, Refused> {
    let name = &delivery.name;
    let Some(mapping) = config.sources.generic.get(name) else {
        let known = SOURCE
            .senders
            .map(|names| names(config))
            .unwrap_or_default();
        let known = match known.is_empty() {
            true => String::new(),
            false => format!("; there are {}", known.join(", ")),
        };
        return Err(Refused::NotSetUp {
            setting: SOURCE.section(name),
            detail: format!(
                "no mapping has this name: set [sources.generic.NAME] and send to /api/v1/generic/NAME{known}"
            ),
        });
    };
    let malformed = |why: &str| Refused::Malformed(why.to_owned());
    let sent = std::str::from_utf8(&delivery.body).unwrap_or_default();
    let sent: &RawValue = serde_json::from_str(sent.trim())
        .map_err(|error| Refused::Malformed(format!("the body is not JSON: {error}")))?;
    let sent = sent.get();
    if mapping.sns == Some(true)
        && let Some(found) = Object::read(sent).and_then(|body| sns::read(&body, mapping.confirm))
    {
        return found;
    }
    let inner = match &mapping.inner {
        Some(pointer) => Some(text(find(sent, pointer)?)),
        None => None,
    };
    let whole = match &inner {
        Some(inner) => {
            let json: Result<&RawValue, _> = serde_json::from_str(inner.trim());
            match json {
                Ok(json) => json.get(),
                // Somebody's own message to the same address.
                Err(_) => {
                    let alerts = vec![Content::rejected("the inner text is not JSON", sent)];
                    return Ok(Translated {
                        alerts,
                        ..Translated::default()
                    });
                }
            }
        }
        None => sent,
    };
    let whole = match &mapping.alerts {
        Some(pointer) => find(whole, pointer)?,
        None => whole,
    };
    let entries = match whole.as_bytes().first() {
        Some(b'{') => vec![whole],
        Some(b'[') => {
            let list: Vec<&RawValue> = serde_json::from_str(whole).unwrap_or_default();
            list.into_iter().map(RawValue::get).collect()
        }
        _ => {
            return Err(malformed(
                "there is no object and no list where the alerts should be",
            ));
        }
    };
    let (count, most) = (entries.len(), config.limits.alerts);
    if count > most {
        return Err(Refused::TooMany { count, most });
    }
    let (body, mut read) = (Body::of(sent), Translated::default());
    for raw in entries {
        read_entry(&Entry::of(&body, raw), mapping, config, &mut read);
    }
    Ok(read)
}

/// What must be there.
fn find<'a>(json: &'a str, pointer: &Pointer) -> Result<&'a str, Refused> {
    let found = body::at(json, &pointer.steps);
    found.ok_or_else(|| Refused::Malformed(format!("there is nothing at {}", pointer.written())))
}

/// Adds what one entry says.
fn read_entry(entry: &Entry<'_, '_>, mapping: &Mapping, config: &Config, to: &mut Translated) {
    let status = entry.say(mapping.status.as_ref());
    let meant = match &mapping.status {
        None => Meaning::Firing,
        Some(_) => match status.as_deref().and_then(|status| mapping.meaning(status)) {
            Some(meant) => meant,
            None => {
                to.unknown_status += u64::from(mapping.other.is_none());
                mapping.other.unwrap_or(Meaning::Firing)
            }
        },
    };
    let status = match meant {
        Meaning::Firing => AlertStatus::Firing,
        Meaning::Resolved => AlertStatus::Resolved,
        Meaning::Test => {
            to.tests += 1;
            return;
        }
        Meaning::Unused => {
            to.unused += 1;
            return;
        }
        Meaning::Rejected => {
            let reason = match status {
                Some(_) => "the alert's status is none that the mapping knows",
                None => "the alert has no status",
            };
            to.alerts.push(Content::rejected(reason, entry.raw));
            return;
        }
    };
    let alert = reported(entry, mapping, status, to);
    to.alerts.push(alert.into_content(config, entry.raw));
}

fn reported<'a>(
    entry: &Entry<'_, 'a>,
    mapping: &Mapping,
    status: AlertStatus,
    to: &mut Translated,
) -> ReportedAlert<'a> {
    let is_firing = status == AlertStatus::Firing;
    let mut is_misdated = false;
    let mut time = |templates: Option<&Templates>| -> Option<Timestamp> {
        let said = entry.say(templates)?;
        let read = times::read(&said);
        is_misdated |= read.is_none();
        read
    };
    let changed_at = time(mapping.changed_at.as_ref());
    let starts_at = time(mapping.starts_at.as_ref()).or(changed_at.filter(|_| is_firing));
    // Of one that fires, whatever stands there says nothing.
    let ends_at = match is_firing {
        true => None,
        false => time(mapping.ends_at.as_ref()).or(changed_at),
    };
    to.misdated += u64::from(is_misdated);
    let mut alert = ReportedAlert {
        status,
        labels: labels(entry, mapping),
        annotations: annotations(entry, mapping),
        starts_at,
        ends_at,
        url: link(entry, mapping.url.as_ref()).unwrap_or_default(),
        fingerprint: entry.say(mapping.fingerprint.as_ref()).unwrap_or_default(),
        rule: mapping.changed_at.as_ref().map(|_| AlertRule {
            shares_series: true,
            ..AlertRule::default()
        }),
        read_from: LABELS,
        ..ReportedAlert::default()
    };
    if alert.fingerprint.is_empty() {
        alert.series_without(&["severity"]);
    }
    alert
}

fn labels<'a>(entry: &Entry<'_, 'a>, mapping: &Mapping) -> super::Texts<'a> {
    let own = mapping.labels.iter();
    let own =
        own.filter_map(|(name, from)| Some((Cow::Owned(name.clone()), entry.say(Some(from))?)));
    let parts = [
        (LABELS.alert_name, &mapping.alert_name),
        (LABELS.service, &mapping.service),
        (LABELS.namespace, &mapping.namespace),
        (LABELS.error_type, &mapping.error_type),
    ];
    let parts = parts.into_iter();
    let parts =
        parts.filter_map(|(name, from)| Some((Cow::Borrowed(name), entry.say(from.as_ref())?)));
    let severity = entry.say(mapping.severity.as_ref()).map(|said| {
        let known = mapping.severities.iter();
        let mut known = known.filter(|(name, _)| name.eq_ignore_ascii_case(&said));
        let severity = known
            .next()
            .map(|(_, severity)| Cow::Owned(severity.clone()));
        (Cow::Borrowed("severity"), severity.unwrap_or(said))
    });
    texts(own.chain(parts).chain(severity))
}

fn annotations<'a>(entry: &Entry<'_, 'a>, mapping: &Mapping) -> super::Texts<'a> {
    let own = mapping.annotations.iter();
    let own =
        own.filter_map(|(name, from)| Some((Cow::Owned(name.clone()), entry.say(Some(from))?)));
    let links = mapping.links.iter();
    let links =
        links.filter_map(|(name, from)| Some((Cow::Owned(name.clone()), link(entry, Some(from))?)));
    let parts = [
        ("summary", &mapping.summary),
        ("description", &mapping.description),
    ];
    let parts = parts.into_iter();
    let parts =
        parts.filter_map(|(name, from)| Some((Cow::Borrowed(name), entry.say(from.as_ref())?)));
    texts(own.chain(links).chain(parts))
}

/// An address of the web. Anything else leads nowhere, such as a macro that its sender did not fill in.
fn link<'a>(entry: &Entry<'_, 'a>, from: Option<&Templates>) -> Option<Cow<'a, str>> {
    let url = entry.say(from)?;
    let is_web = Url::parse(&url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    is_web.then_some(url)
}

#[cfg(test)]
mod tests;
