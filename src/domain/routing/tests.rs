use super::*;

fn facts(severity: &str, namespace: &str, level: Level) -> RoutingKey {
    RoutingKey {
        severity: severity.to_owned(),
        namespace: namespace.to_owned(),
        service: "checkout".to_owned(),
        level,
        alert_name: "HighErrorRate".to_owned(),
        ..RoutingKey::default()
    }
}

fn routes(toml: &str) -> Vec<Route> {
    #[derive(Deserialize)]
    struct Settings {
        routes: Vec<Route>,
    }
    toml::from_str::<Settings>(toml).unwrap().routes
}

#[test]
fn patterns_match_all_of_a_text() {
    for (pattern, text, expected) in [
        ("prod", "prod", true),
        ("prod", "production", false),
        ("prod*", "production", true),
        ("prod*", "prod", true),
        ("*-eu", "prod-eu", true),
        ("*-eu", "prod-eu-1", false),
        ("*", "", true),
        ("", "", true),
        ("", "x", false),
        ("a*b*c", "a-b-c", true),
        ("a*b*c", "abc", true),
        ("a*b*c", "acb", false),
        ("a*a", "a", false),
        ("ab*ba", "aba", false),
        ("**", "x", true),
        ("*é*", "café au lait", true),
    ] {
        let found = Pattern(pattern.to_owned()).matches(text);
        assert_eq!(found, expected, "{pattern:?} on {text:?}");
    }
}

#[test]
fn the_first_route_that_matches_takes_a_message_and_others_only_if_it_goes_on() {
    let routes = routes(
        r#"
        [[routes]]
        level = ["ESCALATE", "PERMANENT_FIX"]
        to = "telegram:-1/7"
        continue = true
        [[routes]]
        namespace = "prod*"
        severity = ["critical", "page"]
        to = ["telegram:-2", "webhook:ops"]
        [[routes]]
        namespace = "prod*"
        to = ["telegram:-2", "log"]
        [[routes]]
        service = "muted"
        to = []
        "#,
    );
    let otherwise = ["telegram:-9".to_owned()];
    for (severity, namespace, level, expected) in [
        ("critical", "prod", Level::None, "telegram:-2 webhook:ops"),
        ("warning", "production", Level::Repeat, "telegram:-2 log"),
        ("critical", "dev", Level::None, "telegram:-9"),
        ("critical", "dev", Level::Escalate, "telegram:-1/7"),
        (
            "page",
            "prod",
            Level::PermanentFix,
            "telegram:-1/7 telegram:-2 webhook:ops",
        ),
        (
            "warning",
            "prod",
            Level::Escalate,
            "telegram:-1/7 telegram:-2 log",
        ),
    ] {
        let facts = facts(severity, namespace, level);
        let found = channels(&routes, &otherwise, &facts).join(" ");
        assert_eq!(found, expected, "{facts:?}");
    }
    let nowhere = RoutingKey {
        service: "muted".to_owned(),
        ..RoutingKey::default()
    };
    assert!(channels(&routes, &otherwise, &nowhere).is_empty());
    assert_eq!(channels(&[], &otherwise, &nowhere), otherwise);
}

#[test]
fn quiet_hours_are_those_of_their_zone_and_what_is_urgent_is_heard() {
    let quiet = |from: &str, to: &str, zone: &str| -> Quiet {
        let text = format!("from = {from:?}\nto = {to:?}\nzone = {zone:?}");
        toml::from_str(&text).unwrap()
    };
    let night = quiet("22:00", "07:00", "Asia/Taipei");
    let lunch = quiet("12:00", "13:30", "UTC");
    let berlin = quiet("22:00", "07:00", "Europe/Berlin");
    for (quiet, at, level, expected) in [
        (&night, "2026-11-25T14:00:00Z", Level::None, true),
        (&night, "2026-11-25T13:59:59Z", Level::None, false),
        (&night, "2026-11-25T22:59:59Z", Level::Repeat, true),
        (&night, "2026-11-25T23:00:00Z", Level::Repeat, false),
        (&night, "2026-11-25T18:00:00Z", Level::Escalate, false),
        (&night, "2026-11-25T18:00:00Z", Level::PermanentFix, false),
        (&lunch, "2026-11-25T12:00:00Z", Level::None, true),
        (&lunch, "2026-11-25T13:30:00Z", Level::None, false),
        // In summer Berlin is two hours ahead, in winter one.
        (&berlin, "2026-07-01T20:00:00Z", Level::None, true),
        (&berlin, "2026-12-01T20:00:00Z", Level::None, false),
    ] {
        let at = Timestamp::parse(at).unwrap();
        assert_eq!(quiet.silences(level, at), expected, "{quiet:?} at {at}");
    }
    // Hours that end when they begin are none, not the whole day.
    let none = quiet("22:00", "22:00", "UTC");
    for at in [
        "2026-11-25T21:59:59Z",
        "2026-11-25T22:00:00Z",
        "2026-11-26T10:00:00Z",
    ] {
        let at = Timestamp::parse(at).unwrap();
        assert!(!none.silences(Level::None, at), "{at}");
    }
    let midnight = "from = \"22:00\"\nto = \"24:00\"\nzone = \"UTC\"";
    let refused = toml::from_str::<Quiet>(midnight).unwrap_err().to_string();
    assert!(refused.contains("24:00"), "{refused}");
}

#[test]
fn a_route_takes_a_severity_as_its_sender_writes_it() {
    let route = |severity: &str| {
        routes(&format!(
            "[[routes]]\nseverity = {severity:?}\nto = \"log\""
        ))
    };
    let key = facts("CRITICAL", "prod", Level::None);
    let otherwise = vec!["webhook:ops".to_owned()];
    assert_eq!(channels(&route("CRITICAL"), &otherwise, &key), ["log"]);
    assert_eq!(channels(&route("critical"), &otherwise, &key), otherwise);
}
