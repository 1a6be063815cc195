//! Bodies, mappings, and the alerts that they become.

mod presets;

use serde_json::json;

use super::*;
use crate::domain::alert::Alert;
use crate::domain::signature::Signature as AnomalySignature;

/// Settings with this mapping, under the name `x`.
fn config(toml: &str) -> Config {
    let mapping: Mapping = toml::from_str(toml).unwrap();
    let mut config = Config::default();
    config.sources.generic.0.insert("x".to_owned(), mapping);
    config
}

fn read(toml: &str, body: &str) -> Result<Translated, Refused> {
    let delivery = Delivery {
        name: "x".to_owned(),
        ..Delivery::of(body)
    };
    translate(&delivery, &config(toml))
}

fn alerts(toml: &str, body: &str) -> Vec<Result<Alert, String>> {
    let alerts = read(toml, body).unwrap().alerts.into_iter();
    alerts
        .map(|content| match content {
            Content::Alert(alert) => Ok(alert),
            Content::Rejected { reason, .. } => Err(reason),
        })
        .collect()
}

fn alert(toml: &str, body: &str) -> Alert {
    alerts(toml, body).remove(0).unwrap()
}

/// What tells an anomaly.
fn named(alert: &Alert) -> [String; 4] {
    // Whatever labels the settings read.
    let signature = AnomalySignature::of(alert, &Config::default().signature);
    [
        signature.alert_name,
        signature.service,
        signature.namespace,
        signature.error_type,
    ]
}

fn at(text: &str) -> Option<Timestamp> {
    Some(Timestamp::parse(text).unwrap())
}

#[test]
fn each_part_of_an_alert_is_where_the_mapping_says() {
    let toml = r#"
        alerts = "/checks"
        alert_name = "{/check} failed"
        service = ["/app", "/host"]
        namespace = "^/site"
        error_type = "/kind"
        status = "/state"
        firing = ["bad"]
        resolved = ["good"]
        starts_at = "/since"
        ends_at = "/until"
        fingerprint = "{/host}:{/check}"
        severity = "/level"
        severities = { "2" = "critical" }
        summary = "/text"
        url = "{^/base}/checks/{/check}"
        labels = { host = "/host", job = "/runner" }
        annotations = { output = "/out" }
        links = { runbook_url = "/book", bad_url = "/kind" }
    "#;
    let body = json!({"site": "vie", "base": "https://checks.example.com", "checks": [
        {"check": "backup", "host": "db-1", "kind": "disk full", "state": "BAD", "since": "1795382909", "until": "never",
         "level": 2, "text": "no space", "out": {"df": 100}, "runner": "cron", "book": "https://wiki.example.com/b"},
        {"check": "backup", "app": "shop", "host": "db-2", "state": "good", "since": "2026-11-22 21:28:29",
         "until": "2026-11-22T21:40:29Z", "level": "odd"},
    ]});
    let found = alerts(toml, &body.to_string());
    let (first, second) = (found[0].as_ref().unwrap(), found[1].as_ref().unwrap());
    assert_eq!(named(first), ["backup failed", "db-1", "vie", "disk full"]);
    assert_eq!(named(second), ["backup failed", "shop", "vie", ""]);
    assert_eq!(
        (first.status, second.status),
        (AlertStatus::Firing, AlertStatus::Resolved)
    );
    let since = at("2026-11-22T21:28:29Z");
    assert_eq!((first.starts_at, first.ends_at), (since, None));
    assert_eq!(
        (second.starts_at, second.ends_at),
        (since, at("2026-11-22T21:40:29Z"))
    );
    assert_eq!(
        (&*first.fingerprint, first.severity(), second.severity()),
        ("db-1:backup", "critical", "odd")
    );
    assert_eq!(
        first.generator_url.as_deref(),
        Some("https://checks.example.com/checks/backup")
    );
    assert_eq!(&first.labels["host"], "db-1");
    let annotations: Vec<(&str, &str)> = first.annotations.iter().collect();
    assert_eq!(
        annotations,
        [
            ("output", r#"{"df":100}"#),
            ("runbook_url", "https://wiki.example.com/b"),
            ("summary", "no space")
        ]
    );
}

#[test]
fn alerts_are_a_list_or_one_and_the_body_or_somewhere_in_it() {
    let name = "alert_name = \"/n\"\n";
    let inside = format!("{name}alerts = \"/a/b\"");
    let inner = format!("{name}inner = \"/text\"\nalerts = \"/list\"");
    for (toml, body, expected) in [
        (name, r#"{"n":"A"}"#, Some(1)),
        (name, r#" [{"n":"A"},{"n":"B"}] "#, Some(2)),
        (name, "[]", Some(0)),
        (name, "7", None),
        (name, "\"n\"", None),
        (name, "null", None),
        (name, "", None),
        (name, "{", None),
        (&inside, r#"{"a":{"b":[{"n":"A"}]}}"#, Some(1)),
        (&inside, r#"{"a":{"b":{"n":"A"}}}"#, Some(1)),
        (&inside, r#"{"a":{"b":"A"}}"#, None),
        (&inside, r#"{"a":{}}"#, None),
        (&inside, r#"{"a":{"b":null}}"#, None),
        (&inner, r#"{"text":"{\"list\":[{\"n\":\"A\"}]}"}"#, Some(1)),
        (&inner, r#"{"text":"{}"}"#, None),
        (&inner, r#"{"list":[]}"#, None),
    ] {
        let found = read(toml, body).ok().map(|read| read.alerts.len());
        assert_eq!(found, expected, "{toml} {body}");
    }
    let of_people = alerts(&inner, r#"{"text":"hello"}"#);
    assert_eq!(of_people, [Err("the inner text is not JSON".to_owned())]);
    let many = format!("[{}]", vec!["{}"; 10_001].join(","));
    let expected = Refused::TooMany {
        count: 10_001,
        most: 10_000,
    };
    assert_eq!(read(name, &many), Err(expected));
}

#[test]
fn an_entry_that_cannot_be_used_does_not_harm_the_others() {
    let toml = "alert_name = \"/n\"\nstatus = \"/s\"\nfiring = [\"down\"]\nother = \"rejected\"";
    let found = alerts(
        toml,
        r#"[{"n":"A","s":"down"},{"s":"down"},7,{"n":"B","s":"odd"},{"n":"C"},[]]"#,
    );
    let why = found
        .into_iter()
        .map(|alert| alert.map(|alert| alert.labels["alertname"].to_owned()));
    let [none, unknown, missing] = [
        "the alert has no status",
        "the alert's status is none that the mapping knows",
        "the alert has no alertname",
    ]
    .map(|why| Err(why.to_owned()));
    assert_eq!(
        why.collect::<Vec<_>>(),
        [
            Ok("A".to_owned()),
            missing,
            none.clone(),
            unknown,
            none.clone(),
            none
        ]
    );
}

#[test]
fn a_status_that_no_list_has_means_what_the_mapping_says() {
    let body = r#"{"n":"A","s":"odd"}"#;
    for (other, alerts, tests, unused, unknown) in [
        ("", 1, 0, 0, 1),
        ("other = \"firing\"", 1, 0, 0, 0),
        ("other = \"resolved\"", 1, 0, 0, 0),
        ("other = \"rejected\"", 1, 0, 0, 0),
        ("other = \"test\"", 0, 1, 0, 0),
        ("other = \"unused\"", 0, 0, 1, 0),
    ] {
        let toml = format!("alert_name = \"/n\"\nstatus = \"/s\"\nresolved = [\"up\"]\n{other}");
        let read = read(&toml, body).unwrap();
        let found = (
            read.alerts.len(),
            read.tests,
            read.unused,
            read.unknown_status,
        );
        assert_eq!(found, (alerts, tests, unused, unknown), "{other}");
    }
    assert_eq!(
        alert("alert_name = \"/n\"", body).status,
        AlertStatus::Firing
    );
}

#[test]
fn a_time_that_cannot_be_read_is_counted_and_as_if_it_were_missing() {
    let toml = "alert_name = \"/n\"\nstarts_at = \"/t\"\nends_at = \"/e\"";
    let found = read(
        toml,
        r#"[{"n":"A","t":"soon","e":"never"},{"n":"B","t":"1795382909"},{"n":"C"}]"#,
    )
    .unwrap();
    assert_eq!((found.alerts.len(), found.misdated), (3, 1));
}

#[test]
fn a_series_follows_from_the_labels_without_the_severity() {
    let toml = "alert_name = \"/n\"\nservice = \"/s\"\nseverity = \"/v\"";
    let of = |body: &str| alert(toml, body).fingerprint;
    assert_eq!(
        of(r#"{"n":"A","s":"b","v":"high"}"#),
        of(r#"{"n":"A","s":"b","v":"low"}"#)
    );
    assert_ne!(of(r#"{"n":"A","s":"b"}"#), of(r#"{"n":"A","s":"c"}"#));
}

#[test]
fn a_name_without_a_mapping_is_not_set_up_and_makes_up_no_source() {
    let config = config("alert_name = \"/n\"");
    let delivery = Delivery {
        name: "y".to_owned(),
        ..Delivery::of("{}")
    };
    let Err(Refused::NotSetUp { setting, detail }) = translate(&delivery, &config) else {
        panic!("it was taken")
    };
    assert_eq!(setting, "sources.generic.y");
    assert!(detail.ends_with("; there are x"), "{detail}");
    for (name, called) in [("x", "generic/x"), ("y", "generic"), ("", "generic")] {
        assert_eq!(SOURCE.called(&config, name), called);
    }
}
