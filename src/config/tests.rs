//! Settings: where each is read from, which wins, and how an error names them.

mod channels;
mod secrets;

use super::environment::Environment;
use super::*;
use crate::domain::aggregation::Unit;
use crate::jobs::QUEUES;

pub(super) fn load(toml: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let variables = variables
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    let figment = Figment::from(Serialized::defaults(Config::default()))
        .merge(file::Settings::of(toml))
        .merge(Environment::of(variables));
    Config::finish(&figment)
}

#[test]
fn the_environment_wins_over_the_file_and_the_file_over_the_defaults() {
    let config = load(
        "telegram_chat = -100123\n[counting]\nskew = \"30s\"\nunit = \"delivery\"",
        &[
            ("TOCSIN_COUNTING__UNIT", "incident"),
            ("TOCSIN_WEBHOOK_TOKEN", "0012345"),
        ],
    )
    .unwrap();
    assert_eq!(config.telegram_chat.as_deref(), Some("-100123"));
    assert_eq!(config.counting.skew, Span::secs(30));
    assert_eq!(config.counting.unit, Unit::Incident);
    assert!(config.webhook_token.find("0012345").is_some());
    assert_eq!(config.aggregation.window, Span::secs(600));
}

#[test]
fn lists_and_numbers_can_come_from_the_environment() {
    let config = load(
        "",
        &[
            ("TOCSIN_INGEST__IGNORE", "Watchdog,Canary"),
            ("TOCSIN_QUEUE__MAX_DEPTH", "5"),
            ("TOCSIN_METRICS_LISTEN", "127.0.0.1:9100"),
            (
                "TOCSIN_ESCALATION__RULES",
                r#"[{level="REPEAT",window="7d",count=2}]"#,
            ),
        ],
    )
    .unwrap();
    assert_eq!(config.ingest.ignore, ["Watchdog", "Canary"]);
    assert_eq!(config.queue.max_depth, 5);
    assert_eq!(config.escalation.rules.len(), 1);
}

#[test]
fn an_unknown_or_malformed_setting_is_refused_by_name() {
    let refused = |toml: &str, variables: &[(&str, &str)]| match load(toml, variables) {
        Ok(_) => panic!("accepted {toml} {variables:?}"),
        Err(error) => error.to_string(),
    };
    assert!(refused("lisen = \"x\"", &[]).contains("lisen"));
    assert!(refused("", &[("TOCSIN_COUNTING__UNITS", "x")]).contains("TOCSIN_COUNTING__UNITS"));
    assert!(refused("", &[("TOCSIN_COUNTING__UNIT", "x")]).contains("TOCSIN_COUNTING__UNIT"));
    assert!(
        refused("", &[("TOCSIN_QUEUE__MAX_DEPTH", "many")]).contains("TOCSIN_QUEUE__MAX_DEPTH")
    );
    assert!(refused("", &[("TOCSIN_LISTEN", "here")]).contains("TOCSIN_LISTEN"));
    let unit = refused("", &[("TOCSIN_COUNTING__UNIT", "x")]);
    let units = "TOCSIN_COUNTING__UNIT = \"x\": expected episode, delivery or incident";
    assert_eq!(unit, units);
    let field = refused("[counting]\nunits = 1", &[]);
    assert_eq!(
        field.split(" (in ").next(),
        Some("unknown setting counting.units; did you mean counting.unit?")
    );
    let none = refused("[counting]\ncolour = 1", &[]);
    assert!(
        none.starts_with("counting.colour is not a setting: expected unit, "),
        "{none}"
    );
    for (variable, meant) in [
        ("TOCSIN_TELEGRAN_TOKEN", "TOCSIN_TELEGRAM_TOKEN"),
        ("TOCSIN_COUNTING_UNIT", "TOCSIN_COUNTING__UNIT"),
    ] {
        let expected = format!("unknown setting {variable}; did you mean {meant}?");
        assert_eq!(refused("", &[(variable, "x")]), expected);
    }
    assert!(refused("[counting]\nskew = \"soon\"", &[]).contains("counting.skew"));
    assert!(refused("", &[("TOCSIN_REDIS_URL", "redis://x")]).contains("redis_url"));
}

#[test]
fn a_malformed_setting_is_named_as_it_was_written_and_the_error_says_how_to_write_it() {
    let bytes = "found string \"4MB\", expected a number of bytes, such as 4194304";
    let (last, queues) = QUEUES.split_last().unwrap();
    for (toml, variable, expected) in [
        (
            "[[routes]]\nto = \"log\"\nlevel = \"FOO\"",
            None,
            "routes[0].level = \"FOO\": expected NONE, REPEAT, ESCALATE or PERMANENT_FIX".to_owned(),
        ),
        (
            "[[routes]]\nto = \"log\"\nlevel = [\"NONE\", \"FOO\"]",
            None,
            "routes[0].level[1] = \"FOO\": expected NONE, REPEAT, ESCALATE or PERMANENT_FIX"
                .to_owned(),
        ),
        (
            "[queues.foo]\nattempts = 1",
            None,
            format!("queues.foo is not a setting: expected {} or {last}", queues.join(", ")),
        ),
        (
            "",
            Some(("TOCSIN_LISTEN", "localhost:9555")),
            "TOCSIN_LISTEN: \"localhost:9555\" is not an address: write IP:PORT, such as 127.0.0.1:9099"
                .to_owned(),
        ),
        (
            "metrics_listen = \"9555\"",
            None,
            "metrics_listen: \"9555\" is not an address: write IP:PORT, such as 127.0.0.1:9099".to_owned(),
        ),
        (
            "",
            Some(("TOCSIN_LIMITS__BODY", "4MB")),
            format!("TOCSIN_LIMITS__BODY: {bytes}"),
        ),
        (
            "[limits]\nbody = \"4MB\"",
            None,
            format!("limits.body: {bytes}"),
        ),
        (
            "[recount]\nrepair = 1",
            None,
            "recount.repair: found 1, expected true or false".to_owned(),
        ),
    ] {
        let refused = load(toml, variable.as_slice()).unwrap_err().to_string();
        assert_eq!(refused, expected, "{toml} {variable:?}");
    }
    let outside = load("[telegram]\napi = \"x\"", &[])
        .unwrap_err()
        .to_string();
    let meant = "unknown setting telegram.api; did you mean telegram_api?";
    assert!(outside.starts_with(meant), "{outside}");
    for name in ["occurrences", "rest"] {
        let refused = load(&format!("[retention]\n{name} = \"5d\""), &[]).unwrap_err();
        let expected = format!("retention.{name} must be at least 30d");
        assert!(refused.to_string().starts_with(&expected), "{refused}");
    }
    let missing = Config::load(Some(Path::new("/nope")))
        .unwrap_err()
        .to_string();
    assert_eq!(missing, "cannot read settings file /nope: no such file");
}

#[test]
fn stale_expiry_and_retention_must_be_in_ascending_order() {
    for (refused, named) in [
        ("[counting]\nunheard = \"0s\"", "counting.unheard"),
        ("[counting]\nunheard = \"60s\"", "counting.unheard"),
        ("[counting]\nunseen = \"0s\"", "counting.unseen"),
        ("[counting]\nunseen = \"12h\"", "counting.unseen"),
        ("[counting]\nunseen = \"16d\"", "counting.unseen"),
        ("[counting]\nunheard_leases = 0", "counting.unheard_leases"),
        ("[counting]\nunseen_leases = 3", "counting.unseen_leases"),
        ("[counting]\nunseen_leases = 16", "counting.unseen_leases"),
        (
            "[counting]\nfamilies = [[\"a\"], [\"a\"]]",
            "counting.families",
        ),
        ("alertmanager_url = \"am:9093\"", "alertmanager_url"),
        ("alertmanager_url = \"http://\"", "alertmanager_url"),
        ("[reconcile]\nreceiver = \"tocsin\"", "alertmanager_url"),
        (
            "[[reconcile.prometheus]]\nurl = \"prom:9090\"",
            "reconcile.prometheus",
        ),
        (
            "[[reconcile.prometheus]]\ncluster = \"eu\"",
            "reconcile.prometheus",
        ),
        (
            "[reconcile]\nafter = \"9s\"\n[[reconcile.prometheus]]\nurl = \"http://prom\"",
            "reconcile.after",
        ),
        (
            "alertmanager_url = \"http://am\"\n[reconcile]\nreceiver = \"t\"\nafter = \"9s\"",
            "reconcile.after",
        ),
        (
            "alertmanager_url = \"http://am\"\n[reconcile]\nreceiver = \"t\"\nafter = \"13h\"",
            "reconcile.after",
        ),
    ] {
        let error = load(refused, &[]).unwrap_err().to_string();
        assert!(error.contains(named), "{refused}: {error}");
    }
    let toml =
        "alertmanager_url = \"http://a:b@am\"\n[counting]\nunheard = \"2m\"\nunseen = \"15d\"";
    load(toml, &[]).unwrap();
}

#[test]
fn service_variables_of_kubernetes_are_ignored() {
    let injected = [
        ("TOCSIN_PORT", "tcp://10.0.0.1:80"),
        ("TOCSIN_SERVICE_HOST", "10.0.0.1"),
    ];
    load("", &injected).unwrap();
}
