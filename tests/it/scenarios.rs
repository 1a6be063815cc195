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
