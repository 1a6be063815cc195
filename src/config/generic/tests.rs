//! Mappings as operators write them.

use super::super::tests::load;
use super::*;

fn loaded(toml: &str) -> Result<Mapping, String> {
    let config = load(&format!("[sources.generic.ups]\n{toml}"), &[]);
    let config = config.map_err(|error| error.to_string())?;
    Ok(config.sources.generic.get("ups").unwrap().clone())
}

#[test]
fn a_mapping_that_cannot_work_is_refused_by_the_name_of_its_setting() {
    for (toml, named, why) in [
        ("", "sources.generic.ups.alert_name", "is missing"),
        (
            "alert_name = \"{name}\"",
            "sources.generic.ups.alert_name",
            "must start with /",
        ),
        (
            "alert_name = [\"/a\", \"{/b\"]",
            "sources.generic.ups.alert_name",
            "not closed",
        ),
        (
            "alert_name = \"$.name\"",
            "sources.generic.ups.alert_name",
            "/monitor/name for $.monitor.name",
        ),
        (
            "alert_name = \"\"",
            "sources.generic.ups.alert_name",
            "must not be empty",
        ),
        (
            "alert_name = []",
            "sources.generic.ups.alert_name",
            "must not be empty",
        ),
        (
            "alert_name = \"/a~2\"",
            "sources.generic.ups.alert_name",
            "~ must be written ~0",
        ),
        (
            "alert_name = \"/a\"\nalerts = \"list\"",
            "sources.generic.ups.alerts",
            "must start with /",
        ),
        (
            "alert_name = \"/a\"\nalerts = \"^/list\"",
            "sources.generic.ups.alerts",
            "begins at the body",
        ),
        (
            "alert_name = \"/a\"\nlabels = { host = \"{h}\" }",
            "sources.generic.ups.labels.host",
            "must start with /",
        ),
        (
            "alert_name = \"/a\"\nlabels = { service = \"/h\" }",
            "sources.generic.ups.labels.service",
            "use service",
        ),
        (
            "alert_name = \"/a\"\nlabels = { alertname = \"/h\" }",
            "sources.generic.ups.labels.alertname",
            "use alert_name",
        ),
        (
            "alert_name = \"/a\"\nstatus = \"/s\"",
            "sources.generic.ups.status",
            "which values",
        ),
        (
            "alert_name = \"/a\"\nfiring = 0",
            "sources.generic.ups.firing",
            "without status",
        ),
        (
            "alert_name = \"/a\"\nother = \"unused\"",
            "sources.generic.ups.other",
            "without status",
        ),
        (
            "alert_name = \"/a\"\nstatus = \"/s\"\nfiring = [0]\nother = \"maybe\"",
            "sources.generic.ups.other",
            "firing, resolved",
        ),
        (
            "alert_name = \"/a\"\nstatus = \"/s\"\nfiring = [\"Down\"]\nresolved = [\"up\", \"DOWN\"]",
            "sources.generic.ups.\"down\"",
            "in firing and in resolved",
        ),
        (
            "alert_name = \"/a\"\nstarts_at = \"/b\"\nchanged_at = \"/c\"",
            "sources.generic.ups.starts_at",
            "both set",
        ),
        (
            "alert_name = \"/a\"\nseverities = { High = \"error\" }",
            "sources.generic.ups.severities",
            "without severity",
        ),
        (
            "alert_name = \"/a\"\nconfirm = true",
            "sources.generic.ups.confirm",
            "without sns",
        ),
        (
            "alert_name = \"/a\"\nsecret = \"\"",
            "sources.generic.ups.secret",
            "must not be empty",
        ),
        (
            "alert_name = \"/a\"\nheader = \"a b\"",
            "sources.generic.ups.header",
            "name of a header",
        ),
        (
            "alertname = \"/a\"",
            "sources.generic.ups.alertname",
            "did you mean sources.generic.ups.alert_name?",
        ),
        (
            "preset = \"nagios\"",
            "sources.generic.ups",
            "is not a preset: expected one of cloudwatch",
        ),
    ] {
        let refused = loaded(toml).unwrap_err();
        assert!(
            refused.contains(named) && refused.contains(why),
            "{toml}\n{refused}"
        );
    }
    let refused = load("[sources.generic.\"Büro\"]\nalert_name = \"/a\"", &[]).unwrap_err();
    assert!(
        refused.to_string().contains("the name must be at most"),
        "{refused}"
    );
}

#[test]
fn a_section_overrules_single_settings_of_its_preset() {
    let mapping = loaded(
        "preset = \"zabbix\"\nservice = \"zabbix\"\nfiring = [1, \"2\"]\nother = \"firing\"\n\
                          severities = { High = \"critical\" }\nlabels = { site = \"/site\" }",
    )
    .unwrap();
    let written = serde_json::to_value(&mapping).unwrap();
    assert_eq!(
        (&written["service"], &written["firing"]),
        (&"zabbix".into(), &serde_json::json!(["1", "2"]))
    );
    assert_eq!(written["severities"]["High"], "critical");
    assert_eq!(written["severities"]["Disaster"], "critical");
    assert_eq!(written["labels"]["site"], "/site");
    assert_eq!(written["labels"]["instance"], "/host_ip");
    assert_eq!(
        written["fingerprint"],
        serde_json::json!(["{/trigger_id}/{/host}", "/event_id"])
    );
    assert_eq!(mapping.other, Some(Meaning::Firing));
}

#[test]
fn settings_may_be_variables() {
    let variables = [
        ("TOCSIN_SOURCES__GENERIC__KUMA__PRESET", "uptime-kuma"),
        ("TOCSIN_SOURCES__GENERIC__KUMA__SECRET", "0123456789abcdef"),
        ("TOCSIN_SOURCES__GENERIC__KUMA__SEVERITY", "critical"),
    ];
    let config = load("", &variables).unwrap();
    let mapping = config.sources.generic.get("kuma").unwrap();
    assert!(mapping.alert_name.is_some() && mapping.severity.is_some());
    assert!(
        !toml::to_string(&config)
            .unwrap()
            .contains("0123456789abcdef")
    );
    assert_eq!(config.sources.generic.guessable(), [""; 0]);
}

#[test]
fn a_status_means_what_its_list_says() {
    let mapping = loaded("alert_name = \"/a\"\nstatus = \"/s\"\nfiring = [\"Down\", 0, \"crit*\"]\nresolved = [true]\n\
                          tests = [\"*Testing\"]\nunused = \"paused\"")
    .unwrap();
    for (status, expected) in [
        ("down", Some(Meaning::Firing)),
        ("DOWN", Some(Meaning::Firing)),
        ("0", Some(Meaning::Firing)),
        ("Critical", Some(Meaning::Firing)),
        ("true", Some(Meaning::Resolved)),
        ("My Kuma Testing", Some(Meaning::Test)),
        ("paused", Some(Meaning::Unused)),
        ("downtime", None),
        ("", None),
    ] {
        assert_eq!(mapping.meaning(status), expected, "{status}");
    }
}
