//! Prometheus' Alertmanager: its webhook, version 4 (other versions are taken as far as they go).
//!
//! They send a group of alerts, firing and resolved ones together, and send it again whenever one
//! of them changes, at every `repeat_interval`, and after a 5xx. An alert that has not ended has
//! `endsAt` in year 1. Of the envelope nothing is used but the alerts and how many were left out.
//!
//! We make one alert of each entry of `alerts`. One that is not an object, or has no labels or no
//! `alertname`, is rejected, and the others are not harmed.

use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema, SchemaType, Type};

use super::bounded::{Text, Texts, bounded, bounded_map};
use super::{Refused, Source, Translated};
use crate::config::Limits;
use crate::domain::alert::{Alert, AlertStatus, Labels};
use crate::jobs::{Content, derived_id};
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
             `endsAt`, `generatorURL` and `fingerprint`, as far as they are known. What is none is rejected \
             alone.",
        ));
    ObjectBuilder::new()
        .schema_type(SchemaType::Type(Type::Object))
        .property("alerts", ArrayBuilder::new().items(alert))
        .required("alerts")
        .description(Some(
            "What a webhook of version 4 sends; of other versions, too, as far as it has `alerts`. Whatever \
             else stands beside them is passed over, except for `truncatedAlerts`, which is counted.",
        ))
        .into()
}

/// The longest fingerprint that is kept as it is, in bytes; a longer one is hashed.
const FINGERPRINT_BYTES: usize = 128;
/// The longest URL that is kept, in bytes.
const URL_BYTES: usize = 2048;
/// Times before this one (year 2) stand for "not known".
const KNOWN_TIMES: Timestamp = Timestamp(-62_104_060_800_000);

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    alerts: Option<&'a RawValue>,
    #[serde(borrow, rename = "truncatedAlerts")]
    truncated: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    #[serde(default)]
    status: Text,
    labels: Option<Texts>,
    #[serde(default)]
    annotations: Texts,
    #[serde(default)]
    starts_at: Text,
    #[serde(default)]
    ends_at: Text,
    #[serde(default, rename = "generatorURL")]
    generator_url: Text,
    #[serde(default)]
    fingerprint: Text,
}

fn translate(body: &[u8], limits: &Limits) -> Result<Translated, Refused> {
    let malformed = |what: &str| Refused::Malformed(what.to_owned());
    let json: &RawValue = serde_json::from_slice(body)
        .map_err(|error| Refused::Malformed(format!("the body is not JSON: {error}")))?;
    if !json.get().starts_with('{') {
        return Err(malformed("the body is not a JSON object"));
    }
    let envelope: Envelope<'_> =
        serde_json::from_str(json.get()).map_err(|error| Refused::Malformed(error.to_string()))?;
    let list = envelope.alerts.filter(|list| list.get().starts_with('['));
    let list = list.ok_or_else(|| malformed("the body has no list `alerts`"))?;
    let entries: Vec<&RawValue> =
        serde_json::from_str(list.get()).map_err(|error| Refused::Malformed(error.to_string()))?;
    if entries.len() > limits.alerts {
        return Err(Refused::TooMany {
            count: entries.len(),
            most: limits.alerts,
        });
    }
    let truncated = envelope
        .truncated
        .and_then(|number| number.get().parse().ok());
    let mut misdated = 0;
    let alerts = entries
        .iter()
        .map(|entry| content(entry.get(), limits, &mut misdated))
        .collect();
    Ok(Translated {
        alerts,
        truncated: truncated.unwrap_or(0),
        misdated,
    })
}

fn content(raw: &str, limits: &Limits, misdated: &mut u64) -> Content {
    alert(raw, limits, misdated).map_or_else(
        |reason| Content::Rejected {
            reason,
            raw: raw.to_owned(),
        },
        Content::Alert,
    )
}

fn alert(raw: &str, limits: &Limits, misdated: &mut u64) -> Result<Alert, String> {
    if !raw.starts_with('{') {
        return Err("the alert is not an object".to_owned());
    }
    let entry: Entry =
        serde_json::from_str(raw).map_err(|error| format!("the alert cannot be read: {error}"))?;
    let labels = entry.labels.ok_or("the alert has no labels")?.0;
    if labels.is_empty() {
        return Err("the alert has no labels".to_owned());
    }
    let labels = bounded_map(labels, limits.labels, limits.label_bytes);
    if labels.get("alertname").is_none_or(String::is_empty) {
        return Err("the alert has no alertname".to_owned());
    }
    let status = if entry.status.0.eq_ignore_ascii_case("resolved") {
        AlertStatus::Resolved
    } else {
        AlertStatus::Firing
    };
    let mut is_misdated = false;
    let mut time = |text: &Text| {
        let at = Timestamp::parse(&text.0);
        is_misdated |= at.is_none() && !text.0.is_empty();
        at.filter(|at| *at >= KNOWN_TIMES)
    };
    let starts_at = time(&entry.starts_at);
    let ends_at = match status {
        AlertStatus::Resolved => time(&entry.ends_at),
        AlertStatus::Firing => None,
    };
    *misdated += u64::from(is_misdated);
    let url = Some(entry.generator_url.0).filter(|url| !url.is_empty());
    Ok(Alert {
        status,
        fingerprint: fingerprint(entry.fingerprint.0, &labels),
        labels,
        annotations: bounded_map(entry.annotations.0, limits.labels, limits.annotation_bytes),
        starts_at,
        ends_at,
        generator_url: url.map(|url| bounded(url, URL_BYTES)),
    })
}

/// The sender's, else a hash of the sorted labels.
fn fingerprint(sent: String, labels: &Labels) -> String {
    if sent.is_empty() {
        let words: Vec<&str> = labels
            .iter()
            .flat_map(|(n, v)| [n.as_str(), v.as_str()])
            .collect();
        derived_id(&words).simple().to_string()
    } else if sent.len() > FINGERPRINT_BYTES {
        derived_id(&[&sent]).simple().to_string()
    } else {
        bounded(sent, FINGERPRINT_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translated(body: &str) -> Result<Translated, Refused> {
        translate(body.as_bytes(), &Limits::default())
    }

    fn one(entry: &str) -> Content {
        let body = format!(r#"{{"alerts":[{entry}]}}"#);
        translated(&body).unwrap().alerts.remove(0)
    }

    fn accepted(entry: &str) -> Alert {
        match one(entry) {
            Content::Alert(alert) => alert,
            Content::Rejected { reason, .. } => panic!("{reason}: {entry}"),
        }
    }

    #[test]
    fn a_recorded_delivery_becomes_two_alerts() {
        let translated = translated(EXAMPLE).unwrap();
        assert_eq!(translated.truncated, 0);
        let [Content::Alert(firing), Content::Alert(resolved)] = &translated.alerts[..] else {
            panic!("{translated:?}");
        };
        assert_eq!(firing.status, AlertStatus::Firing);
        assert_eq!(firing.labels["pod"], "api-6c9f7d-x2x");
        assert_eq!(firing.fingerprint, "d819c8248226542f");
        assert_eq!(
            firing.starts_at,
            Timestamp::parse("2026-11-22T21:28:29.102Z")
        );
        assert_eq!(firing.ends_at, None);
        assert_eq!(firing.title(), "Pod is crash looping.");
        assert_eq!(resolved.status, AlertStatus::Resolved);
        assert_eq!(resolved.ends_at, Timestamp::parse("2026-11-22T21:28:43Z"));
        assert_eq!(resolved.generator_url, None);
    }

    #[test]
    fn what_is_not_a_webhook_is_refused_as_a_whole() {
        for body in [
            "",
            "hello",
            "[]",
            "[[]]",
            "null",
            "{}",
            r#"{"alerts":{}}"#,
            r#"{"alerts":null}"#,
        ] {
            let refused = translated(body);
            assert!(
                matches!(refused, Err(Refused::Malformed(_))),
                "{body}: {refused:?}"
            );
        }
        assert!(translate(b"{\"alerts\":[\"\xff\"]}", &Limits::default()).is_err());
        assert!(translate(b"{\"alerts\":[\"\0\"]}", &Limits::default()).is_err());
        let most = Limits {
            alerts: 2,
            ..Limits::default()
        };
        let refused = translate(br#"{"alerts":[1,2,3]}"#, &most);
        assert_eq!(refused, Err(Refused::TooMany { count: 3, most: 2 }));
    }

    #[test]
    fn an_envelope_of_another_version_is_taken_as_far_as_it_goes() {
        let body = r#"{"version":"3","groupKey":7,"truncatedAlerts":3,"x":[{}],
                       "alerts":[{"labels":{"alertname":"A"},"y":1}]}"#;
        let translated = translated(body).unwrap();
        assert_eq!(translated.truncated, 3);
        assert!(matches!(translated.alerts[..], [Content::Alert(_)]));
    }

    #[test]
    fn a_bad_alert_does_not_harm_its_neighbours() {
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        let good = r#"{"labels":{"alertname":"A"}}"#;
        let bad = [
            "7",
            "null",
            &deep,
            r#"{"labels":null}"#,
            r#"{"labels":{}}"#,
            r#"{"annotations":{}}"#,
            r#"{"labels":{"job":"x"}}"#,
            r#"{"labels":{"alertname":""}}"#,
            r#"{"labels":{"alertname":["A"]}}"#,
            r#"{"labels":{"alertname":"A","x":"\ud800"}}"#,
            &format!(r#"{{"labels":{{"alertname":"A","x":{deep}}}}}"#),
        ];
        for bad in bad {
            let body = format!(r#"{{"alerts":[{good},{bad},{good}]}}"#);
            let alerts = translated(&body).unwrap().alerts;
            let [
                Content::Alert(_),
                Content::Rejected { raw, .. },
                Content::Alert(_),
            ] = &alerts[..]
            else {
                panic!("{:.80}: {:.300?}", bad, alerts);
            };
            assert_eq!(raw, bad);
        }
        let ignored = format!(r#"{{"labels":{{"alertname":"A"}},"x":{deep}}}"#);
        assert!(matches!(one(&ignored), Content::Alert(_)));
    }

    #[test]
    fn times_come_with_offsets_or_not_at_all() {
        let times = |starts: &str| {
            accepted(&format!(
                r#"{{"labels":{{"alertname":"A"}},"startsAt":{starts}}}"#
            ))
            .starts_at
        };
        let noon = Timestamp::parse("2026-01-01T12:00:00Z");
        assert_eq!(times(r#""2026-01-01T14:00:00+02:00""#), noon);
        assert_eq!(times(r#""0001-01-01T00:00:00Z""#), None);
        assert_eq!(times(r#""soon""#), None);
        assert_eq!(times("null"), None);
        assert_eq!(times("7"), None);
    }

    #[test]
    fn alerts_whose_times_cannot_be_read_are_numbered() {
        let misdated = |times: &str| {
            let body = format!(r#"{{"alerts":[{{"labels":{{"alertname":"A"}}{times}}}]}}"#);
            translated(&body).unwrap().misdated
        };
        for fine in [
            "",
            r#","startsAt":"","endsAt":null"#,
            r#","startsAt":"2026-01-01T14:00:00+02:00""#,
            r#","startsAt":"0001-01-01T00:00:00Z""#,
            r#","endsAt":"never""#,
        ] {
            assert_eq!(misdated(fine), 0, "{fine}");
        }
        for bad in [
            r#","startsAt":"soon""#,
            r#","startsAt":1790000000"#,
            r#","startsAt":"2026-01-01 14:00:00""#,
            r#","startsAt":"soon","endsAt":"never","status":"resolved""#,
            r#","endsAt":"never","status":"resolved""#,
        ] {
            assert_eq!(misdated(bad), 1, "{bad}");
        }
    }

    #[test]
    fn a_missing_fingerprint_is_made_of_the_labels() {
        let ab = accepted(r#"{"labels":{"alertname":"A","b":"c"}}"#);
        let ba = accepted(r#"{"labels":{"b":"c","alertname":"A"},"fingerprint":""}"#);
        let other = accepted(r#"{"labels":{"b":"d","alertname":"A"}}"#);
        assert_eq!(ab.fingerprint, ba.fingerprint);
        assert_ne!(ab.fingerprint, other.fingerprint);
        assert_eq!(
            accepted(r#"{"labels":{"alertname":"A"},"fingerprint":17}"#).fingerprint,
            "17"
        );
    }

    #[test]
    fn over_long_values_are_cut_and_marked() {
        let long = "é".repeat(500_000);
        let alert = accepted(&format!(
            r#"{{"labels":{{"alertname":"A","x":"{long}","n":5}},"annotations":{{"d":"{long}"}}}}"#
        ));
        assert!(alert.labels["x"].ends_with("…[cut]") && alert.labels["x"].len() <= 1024);
        assert!(alert.annotations["d"].ends_with("…[cut]") && alert.annotations["d"].len() <= 4096);
        assert_eq!(alert.labels["n"], "5");
        let many: Vec<String> = (0..100).map(|i| format!(r#""a{i}":"v""#)).collect();
        let alert = accepted(&format!(
            r#"{{"labels":{{{},"alertname":"A"}}}}"#,
            many.join(",")
        ));
        assert_eq!(alert.labels.len(), 65);
        assert_eq!(alert.labels["tocsin_left_out"], "37");
        assert_eq!(alert.labels["alertname"], "A");
    }

    #[test]
    fn nul_becomes_a_replacement_character() {
        let alert = accepted(r#"{"labels":{"alertname":"A\u0000B"},"fingerprint":"f\u0000"}"#);
        assert_eq!(alert.labels["alertname"], "A\u{fffd}B");
        assert_eq!(alert.fingerprint, "f\u{fffd}");
    }
}
