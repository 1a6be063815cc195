//! Labels, annotations and fingerprints: what is taken as a text, what is cut, what is left out.

use super::accepted;
use crate::domain::signature::Signature;
use crate::sources::alertmanager::*;

#[test]
fn any_value_in_place_of_text_is_read_as_text() {
    let deep = ["[", "]"].map(|bracket| bracket.repeat(100_000)).concat();
    let alert = accepted(&format!(
        r#"{{"labels":{{"alertname":["A"],"a":{{"b": 1}},"c":1.0,"d":true,"e":null,"f":"\ud800","\ud800":"g",
                 "deep":{deep},"job":"x","job":"y"}},
                "annotations":{{"list":[1, 2],"summary":"s\udc00"}},"\udc00":1,
                "status":"firing","status":"resolved","startsAt":[],"endsAt":{{}},
                "generatorURL":["http://x"],"fingerprint":[17]}}"#
    ));
    for (name, value) in [
        ("alertname", r#"["A"]"#),
        ("a", r#"{"b": 1}"#),
        ("c", "1.0"),
        ("d", "true"),
        ("f", "\u{fffd}"),
        ("\u{fffd}", "g"),
        ("job", "y"),
    ] {
        assert_eq!(&alert.labels[name], value, "{name}");
    }
    assert!(!alert.labels.contains_key("e"));
    assert!(alert.labels["deep"].ends_with("…[cut]"));
    assert_eq!(&alert.annotations["list"], "[1, 2]");
    assert_eq!(alert.title(), "s\u{fffd}");
    assert_eq!(alert.status, AlertStatus::Resolved);
    assert_eq!((alert.starts_at, alert.ends_at), (None, None));
    assert_eq!(alert.generator_url.as_deref(), Some(r#"["http://x"]"#));
    assert_eq!(alert.fingerprint, "[17]");
    for odd in ["[]", "\"disk full\"", "7", "null"] {
        let entry = format!(r#"{{"labels":{{"alertname":"A"}},"annotations":{odd}}}"#);
        assert!(accepted(&entry).annotations.is_empty(), "{odd}");
    }
}

#[test]
fn an_empty_label_is_as_if_it_were_missing() {
    let with = accepted(r#"{"labels":{"alertname":"A","instance":"","zone":null}}"#);
    let without = accepted(r#"{"labels":{"alertname":"A"}}"#);
    assert_eq!(with, without);
}

#[test]
fn the_alert_name_is_derived_before_labels_are_truncated() {
    let many: Vec<String> = (0..100).map(|n| format!(r#""a{n:02}":"v""#)).collect();
    let entry = |more: &str| {
        accepted(&format!(
            r#"{{"labels":{{{},"alertname":"A","severity":"critical","namespace":"prod",
                    "job":"kube-state-metrics","container":"api","pod":"api-0","z":"{}"{more}}}}}"#,
            many.join(","),
            "z".repeat(3000),
        ))
    };
    let (alert, settings) = (entry(""), Config::default().signature);
    let called = Signature::of(&alert, &settings);
    assert_eq!((&*called.service, &*called.namespace), ("api", "prod"));
    assert_eq!(&alert.labels["severity"], "critical");
    assert_eq!(&alert.labels["pod"], "api-0");
    assert_eq!(alert.labels.len(), 65);
    assert!(!alert.is_ignored(&[]));
    assert!(entry(r#","testalert":"true""#).is_ignored(&[]));
    // Series are distinguished by what is left out, and by what is cut.
    for more in [r#","y":"1""#, r#","z":"z""#] {
        assert_ne!(entry(more).fingerprint, alert.fingerprint, "{more}");
    }
    let reason = |end: &str| {
        let reason = format!(r#","reason":"{}{end}""#, "r".repeat(2000));
        Signature::of(&entry(&reason), &settings).key()
    };
    assert_ne!(reason("1"), reason("2"));
    assert_eq!(reason("1"), reason("1"));
}

#[test]
fn a_missing_fingerprint_is_the_one_that_prometheus_would_give() {
    let recorded: serde_json::Value = serde_json::from_str(EXAMPLE).unwrap();
    let mut alert = recorded["alerts"][0].clone();
    let sent = alert["fingerprint"].take();
    assert_eq!(
        accepted(&alert.to_string()).fingerprint,
        sent.as_str().unwrap()
    );
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
    assert_eq!(&alert.labels["n"], "5");
    let many: Vec<String> = (0..100).map(|i| format!(r#""a{i}":"v""#)).collect();
    let alert = accepted(&format!(
        r#"{{"labels":{{{},"alertname":"A"}}}}"#,
        many.join(",")
    ));
    assert_eq!(alert.labels.len(), 65);
    assert_eq!(&alert.labels["tocsin_left_out"], "37");
    assert_eq!(&alert.labels["alertname"], "A");
}

#[test]
fn nul_becomes_a_replacement_character() {
    let alert = accepted(r#"{"labels":{"alertname":"A\u0000B"},"fingerprint":"f\u0000"}"#);
    assert_eq!(&alert.labels["alertname"], "A\u{fffd}B");
    assert_eq!(alert.fingerprint, "f\u{fffd}");
}
