//! Bodies that Alertmanager sends, and the alerts that they become.

mod values;

use super::*;
use crate::domain::alert::Alert;

fn translated(body: &str) -> Result<Translated, Refused> {
    translate(body.as_bytes(), &Config::default())
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
    assert_eq!(&firing.labels["pod"], "api-6c9f7d-x2x");
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
fn the_fast_and_the_lenient_parser_agree_on_a_plain_webhook() {
    let config = Config::default();
    let both = |body: &str| {
        let read = Envelope::read(body.as_bytes());
        let plain = read.and_then(|envelope| in_one_pass(envelope, &config));
        (plain, odd(body.as_bytes(), &config).unwrap())
    };
    let one = |more: &str| format!(r#"{{"labels":{{"alertname":"A"}},{more}}}"#);
    for (body, is_plain) in [
            (EXAMPLE.to_owned(), true),
            (r#"{"alerts":[],"truncatedAlerts":3,"externalURL":"https:\/\/am.example.com"}"#.to_owned(), true),
            (
                r#"{"alerts":[{"labels":{"b":"","alertname":"A","alertname":"\u0042\n"},
                    "annotations":{"x":"","s":"\ud83d\ude00\u0000"},"more":[{}],"startsAt":"soon"}]}"#
                    .to_owned(),
                true,
            ),
            (r#"{"alerts":[],"truncatedAlerts":null}"#.to_owned(), false),
            (r#"{"alerts":[],"truncatedAlerts":-1,"externalURL":[7]}"#.to_owned(), false),
            (r#"{"alerts":[7]}"#.to_owned(), false),
            (r#"{"alerts":[["firing",{"alertname":"A"},{},"","","",""]]}"#.to_owned(), false),
            (r#"{"alerts":[{"labels":{}}]}"#.to_owned(), false),
            (r#"{"alerts":[{"labels":{"alertname":"A","n":7}}]}"#.to_owned(), false),
            (r#"{"alerts":[{"labels":{"alertname":"\ud800"}}]}"#.to_owned(), false),
            (format!(r#"{{"alerts":[{}]}}"#, one(r#""status":"resolved","status":"firing""#)), false),
            (format!(r#"{{"alerts":[{}]}}"#, one(r#""annotations":null,"startsAt":7"#)), false),
        ] {
            let (plain, odd) = both(&body);
            assert_eq!(plain.is_some(), is_plain, "{body}");
            if let Some(plain) = plain {
                assert_eq!(format!("{plain:?}"), format!("{odd:?}"), "{body}");
            }
        }
}

#[test]
fn a_body_that_is_not_a_webhook_is_refused_as_a_whole() {
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
    assert!(translate(b"{\"alerts\":[\"\xff\"]}", &Config::default()).is_err());
    assert!(translate(b"{\"alerts\":[\"\0\"]}", &Config::default()).is_err());
    let mut most = Config::default();
    most.limits.alerts = 2;
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
fn a_sender_cannot_leave_out_more_than_a_million_alerts() {
    for rest in ["", r#","externalURL":[7]"#] {
        let body = format!(r#"{{"alerts":[],"truncatedAlerts":{}{rest}}}"#, u64::MAX);
        assert_eq!(translated(&body).unwrap().truncated, 1_000_000, "{body}");
    }
}

#[test]
fn an_unusable_alert_does_not_affect_the_others_of_its_request() {
    let deep = ["[", "]"].map(|bracket| bracket.repeat(100_000)).concat();
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
        r#"{"labels":[["alertname","A"]]}"#,
        r#"{"labels":"alertname=A"}"#,
        r#"{"labels":{"alertname":null}}"#,
        r#"{"labels":{"alertname":"A"},"labels":{"alertname":"A","alertname":""}}"#,
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
fn the_settings_of_the_ingress_say_what_is_ignored() {
    let mut config = Config::default();
    config.ingest.ignore = vec!["Noise".to_owned()];
    let body =
        br#"{"alerts":[{"labels":{"alertname":"Noise"}},{"labels":{"alertname":"Watchdog"}}]}"#;
    let translated = translate(body, &config).unwrap();
    let [Content::Alert(noise), Content::Alert(watchdog)] = &translated.alerts[..] else {
        panic!("{translated:?}");
    };
    let others = ["Watchdog".to_owned()];
    assert!(noise.is_ignored(&others) && !watchdog.is_ignored(&others));
}

#[test]
fn the_sender_s_address_may_name_a_cluster() {
    let cluster = |url: &str| {
        let body = format!(r#"{{"externalURL":{url},"alerts":[]}}"#);
        translated(&body).unwrap().cluster
    };
    assert_eq!(cluster(r#""http://am:9093""#), None);
    assert_eq!(cluster("[7]"), None);
    assert_eq!(
        cluster(r#""https:\/\/am.eu.example.com\/""#).as_deref(),
        Some("am.eu.example.com")
    );
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
    for zero in [
        "0001-01-01T00:00:00Z",
        "1601-01-01T00:00:00Z",
        "1754-08-30T22:43:41.128654848Z",
        "1970-01-01T00:00:00Z",
        "1999-12-31T23:59:59.999Z",
    ] {
        assert_eq!(times(&format!("{zero:?}")), None, "{zero}");
    }
    let first = Timestamp::parse("2000-01-01T00:00:00Z");
    assert_eq!(times(r#""2000-01-01T00:00:00Z""#), first);
    assert_eq!(times(r#""soon""#), None);
    assert_eq!(times("null"), None);
    assert_eq!(times("7"), None);
}

#[test]
fn an_unknown_status_is_taken_as_firing_and_logged() {
    for (status, is_resolved, unknown) in [
        (r#""firing""#, false, 0),
        (r#""Firing""#, false, 0),
        (r#""resolved""#, true, 0),
        (r#""RESOLVED""#, true, 0),
        (r#""""#, false, 0),
        ("null", false, 0),
        (r#""wat""#, false, 1),
        ("7", false, 1),
    ] {
        let body = format!(r#"{{"alerts":[{{"status":{status},"labels":{{"alertname":"A"}}}}]}}"#);
        let translated = translated(&body).unwrap();
        assert_eq!(translated.unknown_status, unknown, "{status}");
        let Content::Alert(alert) = &translated.alerts[0] else {
            panic!("{translated:?}");
        };
        assert_eq!(
            alert.status == AlertStatus::Resolved,
            is_resolved,
            "{status}"
        );
    }
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
