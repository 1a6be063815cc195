//! Recorded bodies at the addresses of other sources.

use serde_json::json;
use tocsin::sources::SOURCES;

use super::{RECORDED, path_of};
use crate::generic::map;
use crate::harness::{Harness, On};

const PRESETS: [&str; 3] = ["uptime-kuma", "zabbix", "cloudwatch"];

#[tokio::test(flavor = "multi_thread")]
async fn a_recorded_body_sent_elsewhere_is_refused_with_its_address() {
    let h = Harness::start_with(On::Sqlite, |config| {
        for preset in PRESETS {
            map(config, preset, &format!("preset = \"{preset}\""));
        }
        // It takes anything, and so knows nothing.
        map(config, "any", "alert_name = \"Any\"");
    })
    .await;
    let ones = SOURCES.iter().filter(|source| source.senders.is_none());
    let many = PRESETS.map(|preset| format!("generic/{preset}"));
    let addresses: Vec<String> = ones
        .map(|source| source.name.to_owned())
        .chain(many)
        .collect();
    assert_eq!(addresses.len(), 8);
    let mut refused = 0;
    for (source, _, body, _) in RECORDED {
        let path = match path_of(source) {
            Some(path) => path.to_owned(),
            None => format!("/api/v1/{source}"),
        };
        for other in &addresses {
            // Alertmanager's form is one of those that Grafana sends: see docs/grafana.md.
            let is_of_both = (source, other.as_str()) == ("alertmanager", "grafana");
            if other == source || is_of_both {
                continue;
            }
            let (status, told) = h.post_recorded(other, body).await;
            let said = (status, &told["code"], &told["value"]);
            let expected = (400, &json!("wrong_source"), &json!(path));
            assert_eq!(said, expected, "{source} at {other}: {body:.200}");
            refused += 1;
        }
    }
    assert_eq!(refused, RECORDED.len() * 7 - 2);
    assert_eq!(h.sql("SELECT count(*) FROM anomalies").await, 0);
    assert_eq!(h.sql("SELECT count(*) FROM dead_letters").await, 0);
    h.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn alertmanager_s_form_is_one_of_grafana_s_and_a_firing_that_comes_by_both_is_one() {
    let h = Harness::start(On::Sqlite).await;
    let body = RECORDED[0].2;
    let firings = "SELECT count(*) FROM occurrences";
    for source in ["grafana", "alertmanager"] {
        let (status, said) = h.post_recorded(source, body).await;
        assert_eq!(
            (status, &said["enqueued"]),
            (200, &json!(2)),
            "{source}: {said}"
        );
        h.drain().await;
        assert_eq!(h.sql(firings).await, 2, "{source}");
    }
    h.finish().await;
}
