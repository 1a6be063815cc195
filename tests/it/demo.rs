//! `tocsin demo`: what it shows, and that it leaves nothing behind.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::{Value, json};

use crate::process::{self, Process, folder, free_port};

#[tokio::test(flavor = "multi_thread")]
async fn a_demo_has_all_that_there_is_to_see_and_leaves_nothing_behind() {
    let _turn = process::beside_others().await;
    let (folder, port) = (folder(), free_port());
    let url = format!("http://127.0.0.1:{port}");
    let mut command = Command::new(process::program());
    command
        .current_dir(folder.path())
        .env("TMPDIR", folder.path())
        .args(["demo", "--no-open", "--listen"])
        .arg(format!("127.0.0.1:{port}"));
    let log = folder.path().join("demo.log");
    let mut demo = Process::start("demo", command, log).unwrap();
    let http = tocsin::tls::client().build().unwrap();
    let get = async |path: &str| -> Value {
        let answer = http.get(format!("{url}{path}")).send().await.unwrap();
        answer.json().await.unwrap()
    };
    let is_ready = async || {
        let asked = http.get(format!("{url}/readyz")).send().await;
        asked.is_ok_and(|answer| answer.status().is_success())
    };
    demo.ready(is_ready).await.unwrap();

    let all = |list: &Value, field: &str| -> BTreeSet<String> {
        let items = list["items"].as_array().unwrap();
        let values = items.iter().filter_map(|item| item[field].as_str());
        values.map(str::to_owned).collect()
    };
    let incidents = get("/api/v1/incidents?limit=200").await;
    let statuses = all(&incidents, "status");
    for status in ["OPEN", "ACKNOWLEDGED", "RESOLVED"] {
        assert!(statuses.contains(status), "{statuses:?}");
    }
    let items = incidents["items"].as_array().unwrap();
    let of = |name: &str| {
        let newest = items.iter().find(|incident| incident["alert_name"] == name);
        newest.unwrap_or_else(|| panic!("no incident {name}"))
    };
    assert_eq!(of("DiskFull")["tier"], json!(4), "{}", of("DiskFull"));
    assert_eq!(of("QueueBacklog")["tier"], json!(4));
    let anomalies = get("/api/v1/anomalies?limit=200").await;
    let levels = all(&anomalies, "level");
    let every = ["NONE", "REPEAT", "ESCALATE", "PERMANENT_FIX"];
    assert_eq!(levels, BTreeSet::from(every.map(str::to_owned)));
    let repairs = get("/api/v1/repairs?limit=200").await;
    let verdicts = all(&repairs, "verdict");
    for verdict in ["verified", "disproved", "superseded"] {
        assert!(verdicts.contains(verdict), "{verdicts:?}");
    }

    demo.signal("INT").unwrap();
    assert!(demo.ended().await.unwrap().success(), "{}", demo.said());
    let left = std::fs::read_dir(folder.path()).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["demo.log"], "{}", demo.said());
}
