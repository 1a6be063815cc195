//! The table of metrics is what is served, and the other way round.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use tocsin::config::Tokens;

use crate::harness::{Harness, On, firing};

/// Type and labels, by name.
type Metrics = BTreeMap<String, (String, BTreeSet<String>)>;

/// The rows of `docs/metrics.md`.
fn listed() -> Metrics {
    let table = include_str!("../../docs/metrics.md");
    let words = |text: &str| -> BTreeSet<String> {
        let words = text.split(',').map(|word| word.trim().trim_matches('`'));
        words
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let name = cells.get(1)?.strip_prefix('`')?.strip_suffix('`')?;
        Some((name.to_owned(), (cells[2].to_owned(), words(cells[3]))))
    };
    table.lines().filter_map(row).collect()
}

/// What `/metrics` says, and the labels of those that have a sample.
fn served(text: &str) -> (Metrics, BTreeSet<String>) {
    let mut metrics = Metrics::new();
    let mut sampled = BTreeSet::new();
    let kinds = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let kinds: Vec<(&str, &str)> = kinds.filter_map(|line| line.split_once(' ')).collect();
    for (name, kind) in &kinds {
        let suffix = match *kind {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        let name = format!("{name}{suffix}");
        metrics.insert(name, ((*kind).to_owned(), BTreeSet::new()));
    }
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let end = line.find(['{', ' ']).unwrap();
        let name = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|part| line[..end].strip_suffix(part))
            .unwrap_or(&line[..end]);
        let Some((_, labels)) = metrics.get_mut(name) else {
            panic!("{line} is of no metric");
        };
        sampled.insert(name.to_owned());
        let inside = line[end..]
            .strip_prefix('{')
            .and_then(|rest| rest.split_once('}'));
        let names = inside.into_iter().flat_map(|(inside, _)| inside.split(','));
        let names = names
            .filter_map(|label| label.split_once('='))
            .map(|(name, _)| name);
        labels.extend(names.filter(|name| *name != "le").map(str::to_owned));
    }
    (metrics, sampled)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_of_metrics_is_what_is_served() {
    let h = Harness::start_with(On::Sqlite, |config| {
        config.webhook_token = Tokens::from("hook");
    })
    .await;
    let post = || h.http.post(format!("{}/api/v1/alertmanager", h.url));
    let alerts = json!({"truncatedAlerts": 1, "alerts": [firing("a", h.now())]});
    assert_eq!(post().json(&alerts).send().await.unwrap().status(), 401);
    let sent = post()
        .bearer_auth("hook")
        .json(&alerts)
        .send()
        .await
        .unwrap();
    assert_eq!(sent.status(), 200);
    h.drain().await;

    let listed = listed();
    let (served, sampled) = served(&h.metrics().await);
    for (name, (kind, labels)) in &served {
        let row = listed.get(name);
        let (known, known_labels) = row.unwrap_or_else(|| panic!("docs/metrics.md lacks {name}"));
        assert_eq!(kind, known, "the type of {name}");
        if sampled.contains(name) {
            assert_eq!(labels, known_labels, "the labels of {name}");
        }
        // Base units, and none in the name's middle.
        assert!(
            !["_ms", "_millis", "_minutes"]
                .iter()
                .any(|unit| name.contains(unit)),
            "{name}"
        );
    }
    for name in listed.keys() {
        assert!(
            served.contains_key(name),
            "{name} is in docs/metrics.md and is not served: what counts nothing yet begins in Metrics::begin"
        );
    }
    assert!(sampled.len() > 12, "{sampled:?}");
    h.finish().await;
}
