//! A body that a mapping reads as a given alert: the mapping, read backwards.

use serde_json::{Map, Value, json};

use crate::config::{Mapping, Part, Pointer, Templates, Words};
use crate::sources::canary::{SEVERITY, SUMMARY};
use crate::sources::{CanaryAlert, CanaryBody};

/// A synthetic alert as the sender of a mapping might send it; none if the mapping has no word for its status.
pub(super) fn canary(alert: &CanaryAlert<'_>) -> Option<CanaryBody> {
    let mapping = alert.config.sources.generic.get(alert.name)?;
    let words = match alert.ended_at {
        None => mapping.firing.as_ref(),
        Some(_) => mapping.resolved.as_ref(),
    };
    let status = words.and_then(|Words(words)| words.first());
    // A status that no word means fires where `other` does not say otherwise; nothing is over without one.
    let status = match (status, alert.ended_at) {
        (Some(word), _) => word.replace('*', "-"),
        (None, None) => alert.status().to_owned(),
        (None, Some(_)) => return None,
    };
    let mut body = Invented::default();
    let at = alert.ended_at.unwrap_or(alert.started_at).to_rfc3339();
    let start = alert.started_at.to_rfc3339();
    // A later one takes a place that two of them share.
    for (templates, value) in [
        (&mapping.description, SUMMARY),
        (&mapping.summary, SUMMARY),
        (&mapping.ends_at, &at),
        (&mapping.starts_at, &start),
        (&mapping.changed_at, &at),
        (&mapping.severity, severity(mapping)),
        (&mapping.namespace, "tocsin"),
        (&mapping.fingerprint, alert.mark),
        (&mapping.service, alert.mark),
        (&mapping.alert_name, alert.mark),
        (&mapping.status, &status),
    ] {
        body.say(templates.as_ref(), value);
    }
    Some(body.within(mapping).into())
}

/// What the sender calls the worst.
fn severity(mapping: &Mapping) -> &str {
    let mut known = mapping.severities.iter();
    let worst = known.find(|(_, severity)| *severity == SEVERITY);
    worst.map_or(SEVERITY, |(name, _)| name)
}

/// What is in one alert, and what beside it in the body.
#[derive(Default)]
struct Invented {
    entry: Value,
    body: Value,
}

impl Invented {
    /// Has the first of these say so.
    fn say(&mut self, templates: Option<&Templates>, value: &str) {
        let first = templates.and_then(|templates| templates.0.first());
        let parts = first.map(|template| template.parts.iter());
        for part in parts.into_iter().flatten() {
            let Part::Value(pointer) = part else {
                continue;
            };
            let to = match pointer.of_body {
                true => &mut self.body,
                false => &mut self.entry,
            };
            put(to, &pointer.steps, value.into());
        }
    }

    /// All of it, as the mapping looks for it.
    fn within(self, mapping: &Mapping) -> Value {
        let Self { entry, mut body } = self;
        let entry = match entry {
            Value::Null => json!({}),
            entry => entry,
        };
        let at = |pointer: &Option<Pointer>| pointer.as_ref().map(|pointer| pointer.steps.clone());
        match (at(&mapping.inner), at(&mapping.alerts)) {
            (None, None) => merge(&mut body, entry),
            (None, Some(alerts)) => put(&mut body, &alerts, json!([entry])),
            (Some(inner), alerts) => {
                let mut whole = Value::Null;
                match alerts {
                    Some(alerts) => put(&mut whole, &alerts, json!([entry])),
                    None => whole = entry,
                }
                put(&mut body, &inner, whole.to_string().into());
            }
        }
        body
    }
}

/// Adds the fields of one object to another; what is no object takes its place.
fn merge(to: &mut Value, from: Value) {
    match (to, from) {
        (Value::Object(to), Value::Object(from)) => {
            for (name, value) in from {
                merge(to.entry(name).or_insert(Value::Null), value);
            }
        }
        (to, from) => *to = from,
    }
}

/// Puts a value at a place, and makes the way there.
fn put(to: &mut Value, steps: &[String], value: Value) {
    let Some((step, rest)) = steps.split_first() else {
        *to = value;
        return;
    };
    let place: Option<usize> = step.parse().ok().filter(|place| *place < 100);
    match (&mut *to, place) {
        (Value::Object(fields), _) => {
            put(
                fields.entry(step.clone()).or_insert(Value::Null),
                rest,
                value,
            );
        }
        (Value::Array(items), Some(place)) => {
            if items.len() <= place {
                items.resize(place + 1, Value::Null);
            }
            put(&mut items[place], rest, value);
        }
        (_, Some(_)) => {
            *to = Value::Array(Vec::new());
            put(to, steps, value);
        }
        (_, None) => {
            *to = Value::Object(Map::new());
            put(to, steps, value);
        }
    }
}
