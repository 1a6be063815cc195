//! Bodies that Sentry sends, and the alerts that they become.

use axum::http::HeaderValue;
use serde_json::{Value, json};

use super::*;
use crate::domain::alert::{Alert, AlertStatus};
use crate::domain::signature::{Signature as Named, SignatureLabels};

macro_rules! sample {
    ($name:literal) => {
        include_str!(concat!(
            "../../../tests/it/payloads/sentry_",
            $name,
            ".json"
        ))
    };
}

const EVENT: &str = sample!("event_alert");
const CREATED: &str = sample!("issue_created");
const RESOLVED: &str = sample!("issue_resolved");
const UNRESOLVED: &str = sample!("issue_unresolved");
const IGNORED: &str = sample!("issue_ignored");
const ACTIVITY: &str = sample!("activity_alert_resolved");
const CRITICAL: &str = sample!("metric_alert_critical");
const WARNING: &str = sample!("metric_alert_warning");
const METRIC_OVER: &str = sample!("metric_alert_resolved");
const COMMENT: &str = sample!("comment_created");

fn delivery(resource: &str, body: &str) -> Delivery {
    let mut delivery = Delivery::of(body);
    if !resource.is_empty() {
        let resource = HeaderValue::from_str(resource).unwrap();
        delivery.headers.insert("sentry-hook-resource", resource);
    }
    delivery
}

fn translated(resource: &str, body: &str) -> Translated {
    translate(&delivery(resource, body), &Config::default()).unwrap()
}

fn one(resource: &str, body: &str) -> Alert {
    let mut translated = translated(resource, body);
    assert_eq!(
        (translated.alerts.len(), translated.unused),
        (1, 0),
        "{body}"
    );
    match translated.alerts.remove(0) {
        Content::Alert(alert) => alert,
        Content::Rejected { reason, .. } => panic!("{reason}: {body}"),
    }
}

/// Why it cannot be used.
fn rejected(resource: &str, body: &str) -> String {
    match translated(resource, body).alerts.remove(0) {
        Content::Rejected { reason, raw, .. } => {
            assert_eq!(raw, body);
            reason
        }
        Content::Alert(alert) => panic!("{alert:?}"),
    }
}

fn is_unused(resource: &str, body: &str) -> bool {
    let translated = translated(resource, body);
    translated.alerts.is_empty() && translated.unused == 1
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

fn changed(body: &str, change: impl FnOnce(&mut Value)) -> String {
    let mut body: Value = serde_json::from_str(body).unwrap();
    change(&mut body);
    body.to_string()
}

fn labels(alert: &Alert) -> Vec<(&str, &str)> {
    alert.labels.iter().collect()
}

#[test]
fn an_issue_is_one_series_of_its_project_and_its_type_whichever_way_it_is_told_of() {
    let expected = ["SentryIssue", "checkout", "", "PaymentDeclined"];
    for (resource, body, status) in [
        ("issue", CREATED, AlertStatus::Firing),
        ("issue", UNRESOLVED, AlertStatus::Firing),
        ("issue", RESOLVED, AlertStatus::Resolved),
        ("issue", IGNORED, AlertStatus::Resolved),
        ("activity_alert", ACTIVITY, AlertStatus::Resolved),
    ] {
        let alert = one(resource, body);
        assert_eq!(alert.status, status, "{body}");
        assert_eq!(signature(&alert), expected, "{body}");
        assert_eq!(alert.fingerprint, "issue-9000042");
        assert_eq!(alert.title(), "PaymentDeclined: card issuer did not answer");
        let url = alert.generator_url.as_deref();
        assert_eq!(
            url,
            Some("https://sentry.example.com/organizations/acme/issues/9000042/")
        );
        // By the time of a resolve nothing is told.
        assert_eq!(alert.ends_at, None);
    }
    let created = one("issue", CREATED);
    assert_eq!(
        created.starts_at,
        Timestamp::parse("2026-11-20T07:12:03.120Z")
    );
    assert_eq!(
        labels(&created),
        [
            ("alertname", "SentryIssue"),
            ("error_type", "PaymentDeclined"),
            ("issue_id", "9000042"),
            ("project", "checkout"),
            ("severity", "error"),
            ("short_id", "CHECKOUT-2A"),
        ]
    );
    assert_eq!(&created.annotations["culprit"], "checkout.pay in charge");
    assert_eq!(&created.annotations["values"], "events = 1, users = 1");
    // When it was unresolved, it was seen last at some time before that.
    assert_eq!(one("issue", UNRESOLVED).starts_at, None);
}

#[test]
fn an_event_names_its_project_in_its_address_and_says_when_it_was_received() {
    let alert = one("event_alert", EVENT);
    assert_eq!(
        signature(&alert),
        ["SentryIssue", "front-end", "", "ReferenceError"]
    );
    assert_eq!(alert.fingerprint, "issue-1117540176");
    assert_eq!(alert.starts_at, Some(Timestamp(1_566_248_777_677)));
    assert_eq!(&alert.annotations["rule"], "Very Important Alert Rule!");
    let url = alert.generator_url.as_deref().unwrap();
    assert!(url.ends_with("/issues/1117540176/events/e4874d664c3540c1a32eab185f12c5ab/"));
    let without = changed(EVENT, |body| {
        let event = body["data"]["event"].as_object_mut().unwrap();
        event.remove("issue_id");
        event.remove("received");
        event.remove("url");
        event["tags"] = json!([["environment", "prod"], "x", ["y"]]);
    });
    let alert = one("event_alert", &without);
    assert_eq!(alert.fingerprint, "issue-1117540176");
    assert_eq!(
        alert.starts_at,
        Timestamp::parse("2019-08-19T21:06:17.677Z")
    );
    assert_eq!(&alert.annotations["environment"], "prod");
    assert_eq!(signature(&alert)[1], "");
    assert!(is_unused(
        "event_alert",
        &EVENT.replace("\"triggered\"", "\"tested\"")
    ));
}

#[test]
fn an_issue_fires_and_closes_by_its_state_and_other_changes_are_unused() {
    let activity = |kind: &str, status: &str| {
        changed(ACTIVITY, |body| {
            body["data"]["activity"]["type"] = json!(kind);
            body["data"]["issue"]["status"] = json!(status);
        })
    };
    for (kind, status, expected) in [
        ("status_unresolved", "unresolved", Some(AlertStatus::Firing)),
        ("status_regression", "unresolved", Some(AlertStatus::Firing)),
        ("status_escalating", "unresolved", Some(AlertStatus::Firing)),
        ("status_ignored", "ignored", Some(AlertStatus::Resolved)),
        (
            "status_resolved_in_release",
            "resolved",
            Some(AlertStatus::Resolved),
        ),
        (
            "set_resolved_by_age",
            "resolved",
            Some(AlertStatus::Resolved),
        ),
        // Nobody resolved it yet.
        ("set_resolved_in_pull_request", "unresolved", None),
        ("appeared_in_pull_request", "unresolved", None),
        ("seer_rca_completed", "unresolved", None),
        ("", "unresolved", None),
    ] {
        let body = activity(kind, status);
        match expected {
            Some(expected) => assert_eq!(one("activity_alert", &body).status, expected, "{kind}"),
            None => assert!(is_unused("activity_alert", &body), "{kind}"),
        }
    }
    let action = |action: &str| changed(IGNORED, |body| body["action"] = json!(action));
    assert_eq!(
        one("issue", &action("archived")).status,
        AlertStatus::Resolved
    );
    assert_eq!(
        one("issue", &action("escalating")).status,
        AlertStatus::Firing
    );
    assert!(is_unused("issue", &action("assigned")));
    // It was unresolved again before its end was sent.
    let late = changed(RESOLVED, |body| {
        body["data"]["issue"]["status"] = json!("unresolved");
    });
    assert!(is_unused("issue", &late));
}

#[test]
fn a_metric_s_rule_is_one_series_whose_severity_changes() {
    let critical = one("metric_alert", CRITICAL);
    assert_eq!(
        signature(&critical),
        ["Failed payments", "checkout", "", ""]
    );
    assert_eq!(critical.severity(), "critical");
    assert_eq!(critical.starts_at, Timestamp::parse("2026-11-22T09:40:00Z"));
    assert_eq!(&critical.labels["environment"], "prod");
    let description = "143 events in the last 10 minutes\nFilter: level:error";
    assert_eq!(&critical.annotations["description"], description);
    let warning = one("metric_alert", WARNING);
    assert_eq!(warning.severity(), "warning");
    let over = one("metric_alert", METRIC_OVER);
    assert_eq!(over.status, AlertStatus::Resolved);
    assert_eq!(over.ends_at, Timestamp::parse("2026-11-22T09:58:00Z"));
    for alert in [&warning, &over] {
        assert_eq!(alert.fingerprint, critical.fingerprint);
        assert_eq!(alert.starts_at, critical.starts_at);
        assert_eq!(signature(alert), signature(&critical));
    }
    let open = changed(WARNING, |body| {
        body["action"] = json!("open");
        body["data"]["metric_alert"]["projects"] = json!(["checkout", "cart"]);
        body["data"]["metric_alert"]["date_started"] = json!("soon");
    });
    let translated = translated("metric_alert", &open);
    assert_eq!(translated.misdated, 1);
    let alert = one("metric_alert", &open);
    assert_eq!((alert.severity(), alert.starts_at), ("warning", None));
    assert_eq!(signature(&alert)[1], "", "of two projects it is neither");
    assert!(is_unused(
        "metric_alert",
        &CRITICAL.replace("\"critical\",\n  \"inst", "\"x\",\n  \"inst")
    ));
}

#[test]
fn what_is_of_no_use_is_counted_and_what_lacks_something_is_kept_with_why() {
    assert!(is_unused("comment", COMMENT));
    assert!(is_unused("", COMMENT));
    for resource in ["installation", "error", "seer", "preprod_artifact", "new"] {
        assert!(is_unused(resource, "{}"), "{resource}");
    }
    for (resource, body, why) in [
        ("issue", r#"{"action":"created"}"#, "the body has no data"),
        (
            "issue",
            r#"{"action":"created","data":{"issue":[]}}"#,
            "the body has no issue",
        ),
        (
            "issue",
            r#"{"action":"created","data":{"issue":{}}}"#,
            "the issue has no id",
        ),
        (
            "event_alert",
            r#"{"action":"triggered","data":{}}"#,
            "the body has no event",
        ),
        (
            "activity_alert",
            r#"{"action":"triggered","data":{}}"#,
            "the body has no activity",
        ),
        (
            "metric_alert",
            r#"{"action":"critical","data":{}}"#,
            "the body has no metric_alert",
        ),
        (
            "metric_alert",
            r#"{"action":"critical","data":{"metric_alert":{"alert_rule":{"id":7}}}}"#,
            "the alert has no alertname",
        ),
    ] {
        assert_eq!(rejected(resource, body), why);
    }
    for (resource, body) in [
        ("issue", "[]"),
        ("", "{}"),
        ("", r#"{"action":"created"}"#),
        ("issue", ""),
    ] {
        let refused = translate(&delivery(resource, body), &Config::default());
        assert!(matches!(refused, Err(Refused::Malformed(_))), "{body}");
    }
}

#[test]
fn a_body_tells_what_it_is_about_if_its_header_was_taken_away() {
    for (resource, body) in [
        ("issue", CREATED),
        ("event_alert", EVENT),
        ("activity_alert", ACTIVITY),
        ("metric_alert", CRITICAL),
    ] {
        assert_eq!(translated("", body), translated(resource, body));
        assert!(looks_like(&delivery("", body)), "{body}");
    }
    assert!(looks_like(&delivery("new", "{}")));
    assert!(!looks_like(&delivery("", r#"{"action":"x","data":{}}"#)));
}
