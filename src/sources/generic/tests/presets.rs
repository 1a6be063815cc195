//! The shipped mappings, with the bodies of their senders.

use super::*;

macro_rules! sample {
    ($name:literal) => {
        include_str!(concat!("../../../../tests/it/payloads/", $name, ".json"))
    };
}

#[test]
fn uptime_kuma_s_monitor_is_down_and_up_again() {
    let preset = "preset = \"uptime-kuma\"";
    let (down, up) = (
        alert(preset, sample!("uptime_kuma_down")),
        alert(preset, sample!("uptime_kuma_up")),
    );
    for (alert, status, starts_at, ends_at) in [
        (
            &down,
            AlertStatus::Firing,
            at("2026-11-22T21:28:29.102Z"),
            None,
        ),
        (
            &up,
            AlertStatus::Resolved,
            None,
            at("2026-11-22T21:40:29.511Z"),
        ),
    ] {
        assert_eq!(named(alert), ["Shop is down", "Shop", "", ""]);
        assert_eq!(
            (alert.status, alert.starts_at, alert.ends_at),
            (status, starts_at, ends_at)
        );
        assert_eq!(alert.fingerprint, "29");
        assert!(alert.rule.as_ref().unwrap().shares_series);
    }
    assert_eq!(
        down.title(),
        "[Shop] [🔴 Down] Request failed with status code 503"
    );
    assert_eq!(
        &down.annotations["monitor_url"],
        "https://shop.example.com/"
    );
    let tested = read(preset, sample!("uptime_kuma_test")).unwrap();
    assert_eq!((tested.alerts.len(), tested.tests), (0, 1));
    let notice = alert(preset, sample!("uptime_kuma_certificate"));
    assert_eq!(
        named(&notice),
        ["Notice of Uptime Kuma", "uptime-kuma", "", ""]
    );
    assert!(notice.title().contains("will expire in 14 days"));
    for status in [2, 3] {
        let body =
            sample!("uptime_kuma_up").replace("\"status\": 1", &format!("\"status\": {status}"));
        assert_eq!(read(preset, &body).unwrap().unused, 1, "{status}");
    }
}

#[test]
fn zabbix_s_problem_begins_and_is_resolved() {
    let preset = "preset = \"zabbix\"";
    let (problem, over) = (
        alert(preset, sample!("zabbix_problem")),
        alert(preset, sample!("zabbix_resolved")),
    );
    let starts_at = at("2026-11-22T21:28:29Z");
    for (alert, status, ends_at) in [
        (&problem, AlertStatus::Firing, None),
        (&over, AlertStatus::Resolved, at("2026-11-22T21:40:29Z")),
    ] {
        assert_eq!(
            named(alert),
            ["High CPU utilization (over 90% for 5m)", "db-1", "", ""]
        );
        assert_eq!(
            (alert.status, alert.starts_at, alert.ends_at),
            (status, starts_at, ends_at)
        );
        assert_eq!(
            (&*alert.fingerprint, alert.severity()),
            ("21654/db-1", "error")
        );
    }
    let url = "https://zabbix.example.com/tr_events.php?triggerid=21654&eventid=48213";
    assert_eq!(problem.generator_url.as_deref(), Some(url));
    let tested = read(preset, sample!("zabbix_test")).unwrap();
    assert_eq!((tested.alerts.len(), tested.tests), (0, 1));
}

#[test]
fn cloudwatch_s_alarm_goes_off_and_is_ok_again() {
    let preset = "preset = \"cloudwatch\"";
    let (alarm, over) = (
        alert(preset, sample!("cloudwatch_alarm")),
        alert(preset, sample!("cloudwatch_ok")),
    );
    for (alert, status, starts_at, ends_at) in [
        (
            &alarm,
            AlertStatus::Firing,
            at("2026-11-22T21:28:29.102Z"),
            None,
        ),
        (
            &over,
            AlertStatus::Resolved,
            None,
            at("2026-11-22T21:40:29.511Z"),
        ),
    ] {
        assert_eq!(
            named(alert),
            [
                "checkout-5xx",
                "app/checkout/50dc6c495c0c9188",
                "EU (Ireland)",
                ""
            ]
        );
        assert_eq!(
            (alert.status, alert.starts_at, alert.ends_at),
            (status, starts_at, ends_at)
        );
        assert_eq!(
            alert.fingerprint,
            "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:checkout-5xx"
        );
    }
    assert_eq!(alarm.title(), "Checkout answers with errors");
    let unknown = sample!("cloudwatch_ok").replace(
        "\\\"NewStateValue\\\": \\\"OK\\\"",
        "\\\"NewStateValue\\\": \\\"INSUFFICIENT_DATA\\\"",
    );
    assert_eq!(read(preset, &unknown).unwrap().unused, 1);
}

#[test]
fn sns_asks_for_a_confirmation_and_only_with_an_address_of_its_own() {
    let sample = sample!("cloudwatch_subscription");
    for (more, is_ours) in [("", false), ("confirm = true", true)] {
        let read = read(&format!("preset = \"cloudwatch\"\n{more}"), sample).unwrap();
        let asked = read.confirmation.unwrap();
        assert!(
            asked
                .url
                .starts_with("https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription")
        );
        assert_eq!(
            (asked.is_ours, read.unused, read.alerts.len()),
            (is_ours, 1, 0)
        );
    }
    let elsewhere = sample.replace(
        "\"SubscribeURL\": \"https://sns.eu-west-1.amazonaws.com",
        "\"SubscribeURL\": \"https://169.254.169.254",
    );
    assert!(matches!(
        read("preset = \"cloudwatch\"", &elsewhere),
        Err(Refused::Malformed(_))
    ));
    // Whoever is no SNS asks for nothing.
    let read = read("alert_name = \"/TopicArn\"", sample).unwrap();
    assert_eq!((read.confirmation, read.alerts.len()), (None, 1));
}
