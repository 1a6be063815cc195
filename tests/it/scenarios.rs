//! The scenarios that come with Tocsin, each as it is printed by `tocsin simulate --scenario`.

use std::path::PathBuf;

use tocsin::config::Config;
use tocsin_workers::simulation::{Scenario, line, play};

use crate::process;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

/// Plays a scenario and compares it with what was reviewed.
async fn played(name: &str) {
    let _turn = process::beside_others().await;
    let text = std::fs::read_to_string(folder().join(format!("{name}.toml"))).unwrap();
    let scenario = Scenario::parse(&text).unwrap();
    let config = Config::with(&scenario.settings).unwrap();
    let mut lines = Vec::new();
    let tell = |entry: &_| lines.push(line(entry, scenario.begins));
    let outcome = Box::pin(play(&scenario, config, tell)).await.unwrap();
    insta::with_settings!({prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_snapshot!(format!("scenario_{name}"), lines.join("\n"));
    });
    assert!(outcome.met > 0 && outcome.failed == 0, "{outcome:?}");
}

/// A test for each scenario, so that they run side by side.
macro_rules! scenarios {
    ($($test:ident: $name:literal,)*) => {
        const NAMES: &[&str] = &[$($name),*];

        $(#[tokio::test(flavor = "multi_thread")]
        async fn $test() {
            played($name).await;
        })*
    };
}

scenarios! {
    a_crash_loop_is_cured_by_a_rollback: "crash-loop",
    a_full_disk_is_never_cured_by_restarts: "full-disk",
    an_alarm_ends_by_itself: "ends-by-itself",
    a_network_flaps: "flapping-network",
    a_permanent_fix_does_not_hold: "fix-that-did-not-hold",
    two_repair_at_once: "two-repairs-at-once",
    a_storm_comes: "storm",
}

#[test]
fn every_scenario_has_a_test() {
    let files = std::fs::read_dir(folder()).unwrap();
    let mut files: Vec<String> = files
        .map(|file| {
            file.unwrap()
                .path()
                .file_stem()
                .unwrap()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    files.sort_unstable();
    let mut names = NAMES.to_vec();
    names.sort_unstable();
    assert_eq!(files, names);
}

const EXPECTING: &str = r#"
title = "Short"
[settings]
escalation.rules = [{ level = "ESCALATE", window = "1h", count = 1 }]
[alerts.a]
labels = { alertname = "A", job = "b" }
[[step]]
fires = "a"
expect = { level = "LEVEL", messages = 1 }
[[step]]
after = "1m"
expect = { messages = 1, status = "OPEN" }
"#;

#[test]
fn the_command_fails_with_what_a_scenario_expects() {
    let folder = tocsin_kit::folder::Folder::new("tocsin-scenario").unwrap();
    let simulate = |text: &str, more: &[&str]| {
        let file = folder.path().join("scenario.toml");
        std::fs::write(&file, text).unwrap();
        let output = std::process::Command::new(process::program())
            .args(["simulate", "--scenario"])
            .arg(&file)
            .args(more)
            .current_dir(folder.path())
            .output()
            .unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        (output.status.code(), said)
    };
    let (code, said) = simulate(&EXPECTING.replace("LEVEL", "ESCALATE"), &["--json"]);
    assert_eq!(code, Some(0), "{said}");
    let played: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        played["expected"],
        serde_json::json!({"met": 4, "failed": 0})
    );
    let entries = played["entries"].as_array().unwrap();
    let level = entries
        .iter()
        .find(|entry| entry["kind"] == "level")
        .unwrap();
    assert_eq!(level["why"], "1 firing in 1h (≥ 1)");
    let (code, said) = simulate(&EXPECTING.replace("LEVEL", "REPEAT"), &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("FAILED: level = REPEAT, but it is ESCALATE"),
        "{said}"
    );
    assert!(said.contains("1 of 4 expectations failed"), "{said}");
    let (code, said) = simulate(
        &EXPECTING
            .replace("LEVEL", "NONE")
            .replace("escalation.rules", "escalation.rulez"),
        &[],
    );
    assert!(
        code == Some(1) && said.contains("line 3: ") && said.contains("rulez"),
        "{said}"
    );
}
