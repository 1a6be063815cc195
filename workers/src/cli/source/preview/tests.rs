use tocsin::config::Mapping;

use super::*;

const LOOK: Terminal = Terminal {
    width: 120,
    colour: false,
};

fn preview(toml: &str, called: &str, body: &str) -> anyhow::Result<Preview> {
    let mapping: Mapping = toml::from_str(toml).unwrap();
    let mut config = Config::default();
    config.sources.generic.0.insert("ups".to_owned(), mapping);
    let now = Timestamp::parse("2026-11-22T21:28:29Z").unwrap();
    Preview::of(&config, called, body.into(), now)
}

fn shown(toml: &str, body: &str) -> (String, bool) {
    let preview = preview(toml, "ups", body).unwrap();
    (preview.render(LOOK), preview.is_usable())
}

#[test]
fn what_would_come_out_is_shown_with_what_cannot_be_used() {
    let toml = r#"
        alert_name = "/check"
        service = "/host"
        status = "/state"
        firing = ["bad"]
        resolved = ["good"]
        starts_at = "/since"
        severity = "critical"
        summary = "{/check} of {/host}"
        labels = { site = "/site" }
    "#;
    let body = r#"[{"check":"Battery","host":"ups-1","state":"bad","since":"2026-11-22 21:00:00","site":"vie"},
        {"check":"Battery","host":"ups-2","state":"?","since":"soon"}, {"host":"ups-3\u001b[31m","state":"good"}]"#;
    let (text, is_usable) = shown(toml, body);
    assert!(is_usable);
    insta::assert_snapshot!(text, @r#"
    Alert 1 of generic/ups
      name         Battery
      service      ups-1
      namespace    -
      error type   -
      status       firing
      severity     critical
      starts       2026-11-22T21:00:00.000Z
      ends         -
      fingerprint  f296afeefe0e4245
      anomaly      565f445e33292e53e1121cdee1462631
      url          -
      labels       alertname=Battery, service=ups-1, severity=critical, site=vie
      annotations  summary=Battery of ups-1

    Alert 2 of generic/ups
      name         Battery
      service      ups-2
      namespace    -
      error type   -
      status       firing
      severity     critical
      starts       -
      ends         -
      fingerprint  30e91ce353cd15bf
      anomaly      66eda6441a728fa08d69dc098f726bda
      url          -
      labels       alertname=Battery, service=ups-2, severity=critical
      annotations  summary=Battery of ups-2

    Alert 3 cannot be used: the alert has no alertname
      sent         {"host":"ups-3\u001b[31m","state":"good"}

    1 with a time that cannot be read: it is as if it were missing

    1 with a status that no setting names: it fires (see `other`)
    "#);
}

#[test]
fn a_body_of_which_nothing_can_be_used_says_so() {
    let toml = "alert_name = \"/check\"\nstatus = \"/state\"\nfiring = [\"bad\"]\ntests = [\"ping\"]\nunused = [\"paused\"]";
    let (text, is_usable) = shown(toml, r#"{"state":"bad"}"#);
    assert_eq!(
        (&*text, is_usable),
        (
            "Alert 1 cannot be used: the alert has no alertname\n  sent         {\"state\":\"bad\"}",
            false
        )
    );
    let (text, is_usable) = shown(toml, r#"{"state":"paused"}"#);
    assert_eq!(
        (&*text, is_usable),
        (
            "1 would count as an event that is not used\n\nNo alerts.",
            false
        )
    );
    assert!(shown(toml, r#"{"state":"ping"}"#).1);
    assert!(preview(toml, "ups", "{").is_err());
}

#[test]
fn a_source_is_found_by_its_name_or_those_there_are_are_named() {
    let toml = "alert_name = \"/check\"";
    for called in ["ups", "generic/ups"] {
        assert_eq!(
            preview(toml, called, "{\"check\":\"A\"}").unwrap().source,
            "generic/ups"
        );
    }
    let of_grafana = preview(toml, "grafana", tocsin::sources::grafana::SOURCE.example).unwrap();
    assert_eq!(
        of_grafana.to_json()["alerts"][0]["alert_name"],
        "QueueGrows"
    );
    for unknown in ["generic", "nobody"] {
        let refused = preview(toml, unknown, "{}").err().unwrap().to_string();
        assert!(refused.ends_with("there are ups"), "{refused}");
    }
}
