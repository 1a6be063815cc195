//! Errors of scenarios name their line.

use super::*;

const ALERT: &str = "title = \"T\"\n[alerts.a]\nlabels = { alertname = \"A\" }\n";

fn wrong(rest: &str) -> String {
    let text = format!("{ALERT}{rest}");
    Scenario::parse(&text).unwrap_err().to_string()
}

#[test]
fn an_error_names_its_line() {
    for (rest, line, said) in [
        ("[[step]]\nfires = \"b\"", 5, "[alerts.b] is not defined"),
        ("[[step]]\nfire = \"a\"", 5, "unknown field `fire`"),
        (
            "[[step]]\nfires = \"a\"\nat = \"soon\"",
            6,
            "not a duration",
        ),
        ("[[step]]\n\n[[step]]\nfires = \"a\"", 4, "nothing happens"),
        (
            "[[step]]\nrepair = { action = \"x\" }",
            5,
            "success is missing",
        ),
        (
            "[[step]]\nfires = \"a\"\nat = \"1h\"\n[[step]]\nat = \"1m\"\nends = \"a\"",
            7,
            "earlier",
        ),
        ("[[step]]\nfires = \"a\"\ntimes = 3", 4, "belong together"),
        ("[[step]]\nexpect = { tier = \"two\" }", 5, "expected i64"),
        (
            "[[step]]\nexpect = { level = \"HIGH\" }",
            5,
            "unknown variant `HIGH`",
        ),
        (
            "[alerts.b]\nlabels = { job = \"x\" }\n[[step]]\nfires = \"a\"",
            4,
            "alertname",
        ),
        (
            "[alerts.b]\ncopies = 2\nlabels = { alertname = \"x\" }\n[[step]]\nfires = \"a\"",
            4,
            "{n}",
        ),
        ("[[step]]\nfires = \"a", 5, ""),
    ] {
        let found = wrong(rest);
        assert!(
            found.starts_with(&format!("line {line}: ")),
            "{rest}: {found}"
        );
        assert!(found.contains(said), "{rest}: {found}");
    }
}

#[test]
fn a_step_that_repeats_is_over_with_its_last_firing() {
    let steps = "[[step]]\nfires = \"a\"\nlasts = \"5m\"\ntimes = 3\nevery = \"1h\"\n[[step]]\nafter = \"1m\"\nnote = \"x\"";
    let scenario = Scenario::parse(&format!("{ALERT}{steps}")).unwrap();
    let minutes: Vec<u64> = scenario
        .steps
        .iter()
        .map(|step| step.at.as_secs() / 60)
        .collect();
    assert_eq!(minutes, [0, 5, 60, 65, 120, 125, 126]);
    assert_eq!(scenario.begins.to_rfc3339(), "2026-01-05T09:00:00.000Z");
}
