//! Bodies that Grafana sends, and the alerts that they become.

use serde_json::{Value, json};

use super::*;
use crate::config::{Secret, Span};
use crate::domain::alert::Alert;
use crate::domain::signature::{Signature as Named, SignatureLabels};
use crate::time::Timestamp;

/// The test of a contact point.
const FIRING: &str = include_str!("../../../tests/it/payloads/grafana_firing.json");
const NO_DATA_BODY: &str = include_str!("../../../tests/it/payloads/grafana_no_data.json");
const LEGACY: &str = include_str!("../../../tests/it/payloads/grafana_legacy.json");

fn translated(body: &str) -> Result<Translated, Refused> {
    translate(&Delivery::of(body), &Config::default())
}

fn one(body: &str) -> Alert {
    match translated(body).unwrap().alerts.remove(0) {
        Content::Alert(alert) => alert,
        Content::Rejected { reason, .. } => panic!("{reason}: {body}"),
    }
}

fn signature(alert: &Alert) -> [String; 4] {
    let named = Named::of(alert, &SignatureLabels::default());
    [
        named.alert_name,
        named.service,
        named.namespace,
        named.error_type,
    ]
}

/// A body with this alert.
fn with(alert: &Value) -> String {
    json!({"alerts": [alert], "externalURL": "https://g.example.com/grafana", "version": "1"})
        .to_string()
}

#[test]
fn an_alert_is_shown_with_what_was_measured_and_where_more_is_to_be_seen() {
    let alert = one(FIRING);
    assert_eq!(alert.status, AlertStatus::Firing);
    assert_eq!(alert.fingerprint, "c4edaaf9f9f839b0");
    assert_eq!(
        alert.starts_at,
        Timestamp::parse("2026-05-05T13:04:57.622Z")
    );
    let url = alert.generator_url.as_deref();
    assert_eq!(url, Some("https://grafana.example.com/?orgId=1"));
    let annotations: Vec<(&str, &str)> = alert.annotations.iter().collect();
    assert_eq!(
        annotations,
        [
            ("dashboard_url", "https://grafana.example.com/d/shop"),
            ("description", "Sent to try the contact point"),
            ("image_url", "https://grafana.example.com/render/1.png"),
            (
                "panel_url",
                "https://grafana.example.com/d/shop?viewPanel=1"
            ),
            (
                "silence_url",
                "https://grafana.example.com/alerting/silence/new"
            ),
            ("summary", "TEST"),
            ("values", "B = 22, C = 1"),
        ]
    );
    assert_eq!(signature(&alert), ["TestAlert", "", "", ""]);
}

#[test]
fn what_has_no_data_or_an_error_is_of_its_rule_s_name_with_that_as_error_type() {
    let no_data = one(NO_DATA_BODY);
    let expected = ["QueueGrows", "checkout", "", "no_data"];
    assert_eq!(signature(&no_data), expected);
    let error = one(&NO_DATA_BODY.replace("DatasourceNoData", "DatasourceError"));
    assert_eq!(signature(&error), ["QueueGrows", "checkout", "", "error"]);
    // Its end is one of the same series.
    let over = NO_DATA_BODY.replace("\"firing\"", "\"resolved\"");
    let over = one(&over);
    assert_eq!(over.status, AlertStatus::Resolved);
    assert_eq!(signature(&over), expected);
    assert_eq!(over.fingerprint, no_data.fingerprint);
    // Without the rule's name it keeps its own, and nothing else makes a state.
    let alert = |labels: Value| one(&with(&json!({"labels": labels})));
    let alone = alert(json!({"alertname": "DatasourceError"}));
    assert_eq!(signature(&alone), ["DatasourceError", "", "", "error"]);
    let other = alert(json!({"alertname": "A", "rulename": "B"}));
    assert_eq!(signature(&other), ["A", "", "", ""]);
}

#[test]
fn the_error_type_of_a_state_wins_over_the_rule_s_own() {
    let labels = json!({"alertname": "DatasourceNoData", "rulename": "A", "reason": "OOM", "error_type": "x"});
    let alert = one(&with(&json!({"labels": labels})));
    assert_eq!(signature(&alert), ["A", "", "", "no_data"]);
}

#[test]
fn a_relative_address_is_meant_from_grafana_s_own() {
    for (sent, external, expected) in [
        (
            "?orgId=1",
            "https://g.example.com/",
            "https://g.example.com/?orgId=1",
        ),
        (
            "?orgId=1",
            "https://g.example.com/grafana",
            "https://g.example.com/grafana/?orgId=1",
        ),
        (
            "alerting/x",
            "https://g.example.com/grafana",
            "https://g.example.com/grafana/alerting/x",
        ),
        (
            "/grafana/d/x",
            "https://g.example.com/grafana/",
            "https://g.example.com/grafana/d/x",
        ),
        (
            "http://p:9090/graph",
            "https://g.example.com/",
            "http://p:9090/graph",
        ),
        (
            "javascript:alert(1)",
            "https://g.example.com/",
            "javascript:alert(1)",
        ),
        ("?orgId=1", "", "?orgId=1"),
        ("?orgId=1", "file:///etc", "?orgId=1"),
    ] {
        let body = json!({"externalURL": external,
            "alerts": [{"labels": {"alertname": "A"}, "generatorURL": sent, "panelURL": sent}]});
        let alert = one(&body.to_string());
        assert_eq!(
            alert.generator_url.as_deref(),
            Some(expected),
            "{sent} {external}"
        );
        assert_eq!(&alert.annotations["panel_url"], expected);
    }
}

#[test]
fn what_a_rule_says_itself_stays_and_an_address_that_would_be_cut_is_left_out() {
    let alert = one(&with(&json!({
        "labels": {"alertname": "A"},
        "annotations": {"dashboard_url": "https://own.example.com", "values": "own"},
        "dashboardURL": "https://other.example.com", "values": {"A": 1},
        "silenceURL": format!("https://g.example.com/?x={}", "a".repeat(2000)),
        "valueString": "[ var='A' value=1 ]", "imageURL": null,
    })));
    let names: Vec<&str> = alert.annotations.keys().collect();
    assert_eq!(names, ["dashboard_url", "values"]);
    assert_eq!(
        &alert.annotations["dashboard_url"],
        "https://own.example.com"
    );
    assert_eq!(&alert.annotations["values"], "own");
    let told = one(&with(
        &json!({"labels": {"alertname": "A"}, "values": {}, "valueString": "[ x ]"}),
    ));
    assert_eq!(&told.annotations["values"], "[ x ]");
}

#[test]
fn a_legacy_alert_is_one_of_its_rule_whatever_it_measured() {
    let firing = one(LEGACY);
    assert_eq!(firing.status, AlertStatus::Firing);
    assert_eq!(signature(&firing), ["Load is high", "checkout", "", ""]);
    assert_eq!(firing.title(), "Load is high");
    assert_eq!(&firing.labels["rule_id"], "7");
    assert_eq!(&firing.annotations["description"], "Load is peaking.");
    assert_eq!(&firing.annotations["values"], "load = 12.5, load of b = 9");
    assert_eq!(
        &firing.annotations["image_url"],
        "https://grafana.example.com/render/2.png"
    );
    assert_eq!(firing.starts_at, None);
    let with_state = |state: &str| {
        let mut body: Value = serde_json::from_str(LEGACY).unwrap();
        body["state"] = json!(state);
        body["evalMatches"] = json!([]);
        body.to_string()
    };
    let over = one(&with_state("ok"));
    assert_eq!(
        (over.status, &over.fingerprint),
        (AlertStatus::Resolved, &firing.fingerprint)
    );
    assert_eq!(signature(&one(&with_state("no_data")))[3], "no_data");
    for (state, alerts, unused, unknown) in [
        ("OK", 1, 0, 0),
        ("pending", 0, 1, 0),
        ("paused", 0, 1, 0),
        ("unknown", 0, 1, 0),
        ("on fire", 1, 0, 1),
    ] {
        let translated = translated(&with_state(state)).unwrap();
        let found = (
            translated.alerts.len(),
            translated.unused,
            translated.unknown_status,
        );
        assert_eq!(found, (alerts, unused, unknown), "{state}");
    }
}

#[test]
fn alertmanager_s_form_is_taken_and_what_is_neither_is_refused() {
    let body = r#"{"version":"4","groupKey":"{}","truncatedAlerts":2,"externalURL":"https://am.eu.example.com",
        "alerts":[{"labels":{"alertname":"A"},"startsAt":"soon","status":"lost"},{"labels":{}},7]}"#;
    let translated = translated(body).unwrap();
    let found = (
        translated.truncated,
        translated.misdated,
        translated.unknown_status,
    );
    assert_eq!(found, (2, 1, 1));
    assert_eq!(translated.cluster, None);
    let rejected = translated
        .alerts
        .iter()
        .filter(|a| matches!(a, Content::Rejected { .. }));
    assert_eq!((translated.alerts.len(), rejected.count()), (3, 2));
    for body in [
        "",
        "7",
        "[]",
        "{}",
        r#"{"alerts":{}}"#,
        r#"{"alerts":7,"ruleName":"A","state":"ok"}"#,
    ] {
        let refused = super::tests::translated(body);
        assert!(matches!(refused, Err(Refused::Malformed(_))), "{body}");
    }
}

#[test]
fn its_bodies_are_told_from_alertmanager_s() {
    let looks = |body: &str| looks_like(&Delivery::of(body));
    assert!(
        [EXAMPLE, FIRING, NO_DATA_BODY, LEGACY]
            .into_iter()
            .all(looks)
    );
    for body in [
        alertmanager::SOURCE.example,
        "",
        "[]",
        r#"{"alerts":[]}"#,
        r#"{"ruleName":"A"}"#,
    ] {
        assert!(!looks(body), "{body}");
    }
    assert!(!(alertmanager::SOURCE.looks_like)(&Delivery::of(EXAMPLE)));
}

#[test]
fn it_signs_in_the_headers_that_the_settings_name() {
    let none = SignedWithTime::default();
    assert!(admission(&none).enabled && admission(&none).signature.is_none());
    let settings = SignedWithTime {
        secret: Some(Secret::from("planted-secret-0123456789")),
        ..none
    };
    let signature = admission(&settings).signature.unwrap();
    assert_eq!(signature.header, "X-Grafana-Alerting-Signature");
    assert!(signature.time.is_none());
    let settings = SignedWithTime {
        header: "X-Signed".to_owned(),
        timestamp_header: Some("X-Time".to_owned()),
        tolerance: Span::secs(60),
        ..settings
    };
    let signature = admission(&settings).signature.unwrap();
    let mut headers = axum::http::HeaderMap::new();
    // printf '%s' '1700000000:{"a":1}' | openssl dgst -sha256 -hmac planted-secret-0123456789
    let signed = "a22c0e711d1c6f1524770e66083151d46a92c4c6d695ba4ce196aaa64b5f01a1";
    headers.insert("x-signed", signed.parse().unwrap());
    headers.insert("x-time", "1700000000".parse().unwrap());
    let verified = |at: i64| signature.verify(&headers, br#"{"a":1}"#, Timestamp(at * 1000));
    assert_eq!(verified(1_700_000_060), Ok(()));
    assert!(verified(1_700_000_061).is_err());
}
