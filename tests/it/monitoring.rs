//! The monitoring pack in `deploy/`: what its alerts are called when they arrive.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use tocsin::domain::signature::SignatureLabels;

/// Labels of an alert, by name.
type Labels = BTreeMap<String, String>;

/// The firing alerts of one case of `promtool test rules`, in the form in which the files are written.
fn firing(file: &str) -> Vec<Vec<Labels>> {
    let mut cases = Vec::new();
    let mut name = String::new();
    let mut is_label = false;
    for line in file.lines() {
        let text = line.trim();
        if let Some(found) = text.strip_prefix("alertname: ") {
            found.clone_into(&mut name);
        } else if text == "exp_alerts:" {
            cases.push(Vec::new());
        } else if text == "- exp_labels:" {
            let labels = Labels::from([("alertname".to_owned(), name.clone())]);
            cases.last_mut().unwrap().push(labels);
            is_label = true;
        } else if text == "exp_annotations:" {
            is_label = false;
        } else if is_label {
            let (label, value) = text.split_once(": ").unwrap();
            let alert = cases.last_mut().unwrap().last_mut().unwrap();
            alert.insert(label.to_owned(), value.trim_matches('"').to_owned());
        }
    }
    cases
}

#[test]
fn every_alert_of_the_pack_is_named_by_its_own_labels_and_no_two_servers_are_one_anomaly() {
    let settings = SignatureLabels::default();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/prometheus/tests");
    let mut named = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let file = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for case in firing(&file) {
            let mut anomalies = BTreeSet::new();
            for labels in &case {
                let names = settings.names(|name| labels.get(name).map(String::as_str));
                let read_from = ["alertname", "service", "namespace", "reason"];
                assert_eq!(names.each(), read_from, "{labels:?}");
                named.insert(labels["alertname"].clone());
                anomalies.insert(names.each().map(|name| labels[name].clone()));
            }
            assert_eq!(anomalies.len(), case.len(), "two of one anomaly: {case:#?}");
        }
    }
    assert!(named.len() >= 100, "only {} alerts were found", named.len());
}
