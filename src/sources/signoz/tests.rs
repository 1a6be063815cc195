//! Bodies that SigNoz sends, and the alerts that they become.

use serde_json::{Value, json};

use super::*;
use crate::domain::alert::Alert;
use crate::domain::signature::{Signature, SignatureLabels};
use crate::time::Timestamp;

macro_rules! recorded {
    ($name:literal) => {
        include_str!(concat!(
            "../../../tests/it/payloads/signoz_",
            $name,
            ".json"
        ))
    };
}

const FIRING: &str = recorded!("firing");
const RESOLVED: &str = recorded!("resolved");
const TWO: &str = recorded!("two_thresholds");
const GAP: &str = recorded!("no_data");
const OF_RULE: &str = recorded!("test_rule");
const OF_CHANNEL: &str = recorded!("test_channel");
const RULE: &str = "01a2b3c4-5d6e-7f80-9a1b-2c3d4e5f6071";

fn translated(body: &str) -> Translated {
    translate(body.as_bytes(), &Config::default()).unwrap()
}

fn one(body: &str) -> Alert {
    let mut alerts = translated(body).alerts;
    match alerts.pop() {
        Some(Content::Alert(alert)) if alerts.is_empty() => alert,
        other => panic!("{other:?}: {body}"),
    }
}

fn signature(alert: &Alert) -> [String; 4] {
    let named = Signature::of(alert, &SignatureLabels::default());
    [
        named.alert_name,
        named.service,
        named.namespace,
        named.error_type,
    ]
}

fn at(text: &str) -> Option<Timestamp> {
    Timestamp::parse(text)
}

/// A recorded body, changed.
fn changed(body: &str, change: impl FnOnce(&mut Value)) -> String {
    let mut body: Value = serde_json::from_str(body).unwrap();
    change(&mut body);
    body.to_string()
}

#[test]
fn labels_with_dots_name_the_anomaly_and_templates_are_not_shown() {
    let alert = one(FIRING);
    let expected = ["CheckoutIsSlow", "checkout", "shop", "LatencyP99"];
    assert_eq!(signature(&alert), expected);
    assert_eq!(
        (alert.severity(), alert.title()),
        ("critical", "checkout is slow")
    );
    assert_eq!(alert.starts_at, at("2026-11-22T10:05:00Z"));
    let annotations: Vec<&str> = alert.annotations.keys().collect();
    assert_eq!(annotations, ["description", "related_traces", "summary"]);
    let rule = AlertRule {
        id: RULE.to_owned(),
        has_no_data: false,
        shares_series: true,
    };
    assert_eq!(alert.rule, Some(rule));
    let over = one(RESOLVED);
    assert_eq!(
        (over.status, over.ends_at),
        (AlertStatus::Resolved, at("2026-11-22T10:21:00Z"))
    );
    assert_eq!(over.fingerprint, alert.fingerprint);
}

#[test]
fn thresholds_and_where_a_rule_is_shown_are_no_part_of_the_series() {
    let fingerprint = |label: &str, value: &str| {
        let body = changed(FIRING, |body| {
            body["alerts"][0]["labels"][label] = json!(value);
        });
        one(&body).fingerprint
    };
    let known = one(FIRING).fingerprint;
    for (label, value, is_same) in [
        ("severity", "warning", true),
        ("threshold.name", "warning", true),
        ("ruleSource", "http://other", true),
        ("service.name", "cart", false),
        ("ruleId", "other", false),
        ("host.name", "a", false),
    ] {
        assert_eq!(fingerprint(label, value) == known, is_same, "{label}");
    }
}

#[test]
fn what_eases_goes_on_and_what_fires_most_severely_is_shown_in_either_order() {
    for is_turned in [false, true] {
        let body = |change: fn(&mut Value)| {
            changed(TWO, |body| {
                change(&mut body["alerts"]);
                if is_turned {
                    body["alerts"].as_array_mut().unwrap().reverse();
                }
            })
        };
        let eased = body(|_| ());
        let translated = translated(&eased);
        assert_eq!((translated.alerts.len(), translated.unused), (1, 1));
        let eased = one(&eased);
        assert_eq!(
            (eased.status, eased.severity()),
            (AlertStatus::Firing, "warning")
        );
        assert_eq!(eased.starts_at, at("2026-11-22T10:01:00Z"));

        let both = one(&body(|alerts| alerts[0]["status"] = json!("firing")));
        assert_eq!(
            (both.status, both.severity()),
            (AlertStatus::Firing, "critical")
        );
        assert_eq!(both.starts_at, at("2026-11-22T10:01:00Z"));
        assert!(both.annotations["description"].contains("3.4 s"));

        let over = one(&body(|alerts| {
            alerts[1]["status"] = json!("resolved");
            alerts[1]["endsAt"] = json!("2026-11-22T10:30:00Z");
        }));
        assert_eq!(
            (over.status, over.severity()),
            (AlertStatus::Resolved, "critical")
        );
        let span = (over.starts_at, over.ends_at);
        assert_eq!(
            span,
            (at("2026-11-22T10:01:00Z"), at("2026-11-22T10:30:00Z"))
        );
        // Of two ends of which one is not said, nobody knows the later.
        let unsaid = one(&body(|alerts| {
            alerts[1]["status"] = json!("resolved");
        }));
        assert_eq!(
            (unsaid.status, unsaid.ends_at),
            (AlertStatus::Resolved, None)
        );
    }
}

#[test]
fn only_entries_of_one_series_are_one_alert() {
    let body = changed(TWO, |body| {
        body["alerts"][0]["labels"]["service.name"] = json!("cart");
    });
    let translated = translated(&body);
    assert_eq!((translated.alerts.len(), translated.unused), (2, 0));
}

#[test]
fn a_rule_without_data_is_an_anomaly_of_its_name_whenever_data_was_last_seen() {
    let gap = one(GAP);
    assert_eq!(signature(&gap), ["CheckoutIsSlow", "", "", "no_data"]);
    let rule = gap.rule.clone().unwrap();
    assert!(rule.has_no_data && rule.id == RULE);
    let later = changed(GAP, |body| {
        body["alerts"][0]["labels"]["lastSeen"] = json!("2026-11-22 19:48:00");
        body["alerts"][0]["fingerprint"] = json!("0000000000000000");
    });
    assert_eq!(one(&later).fingerprint, gap.fingerprint);
    assert_ne!(gap.fingerprint, one(FIRING).fingerprint);
    // By its label or by its name alone.
    for label in ["nodata", "alertname"] {
        let body = changed(GAP, |body| {
            let labels = &mut body["alerts"][0]["labels"];
            match label {
                "nodata" => drop(labels.as_object_mut().unwrap().remove("nodata")),
                _ => labels["alertname"] = json!("CheckoutIsSlow"),
            }
        });
        assert_eq!(
            signature(&one(&body)),
            ["CheckoutIsSlow", "", "", "no_data"]
        );
    }
}

#[test]
fn tests_of_rules_and_channels_are_counted_and_nothing_else() {
    for body in [OF_RULE, OF_CHANNEL] {
        let translated = translated(body);
        assert_eq!(
            (translated.tests, translated.alerts.len(), translated.unused),
            (1, 0, 0)
        );
    }
    let is_test = |body: &str, change: fn(&mut Value)| {
        translated(&changed(body, |body| change(&mut body["alerts"][0]))).tests == 1
    };
    for (body, change, expected) in [
        (
            OF_RULE,
            (|a| a["labels"]["testalert"] = json!("")) as fn(&mut Value),
            true,
        ),
        (
            OF_RULE,
            |a| a["labels"]["alertname"] = json!("CheckoutIsSlow"),
            true,
        ),
        (
            OF_RULE,
            |a| {
                a["labels"]["alertname"] = json!("CheckoutIsSlow");
                a["labels"]["testalert"] = json!("false");
            },
            false,
        ),
        // A rule may be called so.
        (OF_CHANNEL, |a| a["labels"]["ruleId"] = json!("x"), false),
        (
            OF_CHANNEL,
            |a| a["generatorURL"] = json!("http://signoz"),
            false,
        ),
        (
            OF_CHANNEL,
            |a| a["labels"]["alertname"] = json!("Test Alert"),
            false,
        ),
    ] {
        let body = changed(body, |body| {
            drop(body.as_object_mut().unwrap().remove("version"));
        });
        assert_eq!(is_test(&body, change), expected, "{body}");
    }
}

#[test]
fn what_is_not_of_signoz_is_refused_and_what_somebody_wrote_is_taken() {
    let refused = |body: &str| translate(body.as_bytes(), &Config::default());
    for body in [
        "",
        "7",
        "{}",
        r#"{"alerts":{}}"#,
        alertmanager::SOURCE.example,
    ] {
        assert!(
            matches!(refused(body), Err(Refused::Malformed(_))),
            "{body}"
        );
    }
    let written = one(r#"{"alerts":[{"labels":{"alertname":"A","threshold.name":"x"}}]}"#);
    assert_eq!(written.rule.unwrap().id, "");
    let odd = translated(
        r#"{"alerts":[7,{"labels":{}},{"labels":{"b":1}},{"labels":{"alertname":"A","ruleId":7},
            "startsAt":"soon","status":"lost"}],"truncatedAlerts":4,"externalURL":"https://signoz.example.com"}"#,
    );
    let rejected = odd
        .alerts
        .iter()
        .filter(|a| matches!(a, Content::Rejected { .. }));
    assert_eq!((odd.alerts.len(), rejected.count()), (4, 3));
    assert_eq!((odd.truncated, odd.misdated, odd.unknown_status), (4, 1, 1));
    assert_eq!(odd.cluster, None);
}

#[test]
fn its_bodies_are_known_by_their_rules() {
    let looks = |body: &str| looks_like(&Delivery::of(body));
    assert!(
        [EXAMPLE, FIRING, RESOLVED, TWO, GAP, OF_RULE, OF_CHANNEL]
            .into_iter()
            .all(looks)
    );
    for body in [
        alertmanager::SOURCE.example,
        super::super::grafana::SOURCE.example,
        "",
        "[]",
        r#"{"alerts":[]}"#,
    ] {
        assert!(!looks(body), "{body}");
    }
}
