//! One anomaly as lines of key and value.

use std::fmt::Write as _;

use serde_json::Value;
use tocsin::domain::signature::Signature;
use tocsin::time::Timestamp;

use super::super::age;
use super::super::fields::{level, number, or_dash, text, time};
use super::super::mute;

/// What is known of it.
pub(super) fn facts(anomaly: &Value, now: Timestamp) -> String {
    let moment = |pointer: &str| {
        let moment = time(anomaly, pointer).map(|at| age::moment(at, now));
        moment.unwrap_or_default()
    };
    let level = match (level(anomaly, "/level"), text(anomaly, "/reason")) {
        (level, why) if why.is_empty() => level,
        (level, why) => format!("{level}: {why}"),
    };
    let incidents = match (
        number(anomaly, "/newest_number"),
        text(anomaly, "/newest_incident"),
    ) {
        (Some(count), id) if !id.is_empty() => format!("{count}, the newest {id}"),
        (count, _) => count.unwrap_or_default().to_string(),
    };
    let fixed = match (
        moment("/permanent_fix_at"),
        text(anomaly, "/permanent_fix_reference"),
    ) {
        (at, reference) if at.is_empty() || reference.is_empty() => at,
        (at, reference) => format!("{at}: {reference}"),
    };
    let total = number(anomaly, "/total").unwrap_or_default().to_string();
    let field = |name: &str| {
        let value = text(anomaly, &format!("/{name}"));
        let label = text(anomaly, &format!("/made_of/{name}"));
        if value.is_empty() || label.is_empty() {
            return value;
        }
        format!("{value} (label {label})")
    };
    let lines = [
        ("key", text(anomaly, "/key")),
        ("alert", field("alert_name")),
        ("service", field("service")),
        ("namespace", field("namespace")),
        ("error type", field("error_type")),
        ("overflow", together(anomaly)),
        ("level", level),
        ("muted", mute::mute_status(anomaly)),
        ("flapping", mute::flapping_status(anomaly, now)),
        ("total", total),
        ("incidents", incidents),
        ("first seen", moment("/first_seen")),
        ("newest firing", moment("/last_seen")),
        ("fixed", fixed),
    ];
    let mut out = or_dash(text(anomaly, "/alert_name"));
    for (name, value) in lines.iter().filter(|(_, value)| !value.is_empty()) {
        let _ = write!(out, "\n  {name:<15}{value}");
    }
    out
}

/// What it says of one that counts alerts of many names.
fn together(anomaly: &Value) -> String {
    let key = Signature::overflow_key(&text(anomaly, "/alert_name"));
    match text(anomaly, "/key") == key {
        true => "overflow anomaly: too many new anomalies, so all alerts of this name are counted here until they end".to_owned(),
        false => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_anomaly_says_how_often_it_came_back_and_whether_it_was_fixed() {
        let anomaly = json!({
            "key": "00112233445566778899aabbccddeeff", "alert_name": "DiskFull",
            "service": "storage", "namespace": "", "error_type": "", "level": "ESCALATE",
            "made_of": {"alert_name": "alertname", "service": "persistentvolumeclaim",
                        "namespace": "", "error_type": ""},
            "reason": "7 in 24h (≥ 5)", "total": 9, "newest_number": 4,
            "newest_incident": "019aad2e-6d5e-7000-8000-00000000000a",
            "first_seen": "2026-11-01T21:28:29.102Z", "last_seen": "2026-11-22T21:25:29.102Z",
            "permanent_fix_at": "2026-11-20T21:28:29.102Z", "permanent_fix_reference": "PR 7",
            "flapping_since": "2026-11-22T21:08:29.102Z",
            "muted_until": "2026-11-23T01:00:00.000Z", "muted_by": "ann", "muted_why": "on its way",
        });
        insta::assert_snapshot!(facts(&anomaly, Timestamp(1_795_382_909_102)), @"
        DiskFull
          key            00112233445566778899aabbccddeeff
          alert          DiskFull (label alertname)
          service        storage (label persistentvolumeclaim)
          level          ESCALATE: 7 in 24h (≥ 5)
          muted          until 2026-11-23T01:00:00.000Z by ann: on its way
          flapping       since 2026-11-22T21:08:29.102Z (20m ago)
          total          9
          incidents      4, the newest 019aad2e-6d5e-7000-8000-00000000000a
          first seen     2026-11-01T21:28:29.102Z (21d ago)
          newest firing  2026-11-22T21:25:29.102Z (3m ago)
          fixed          2026-11-20T21:28:29.102Z (2d ago): PR 7
        ");
    }
}
