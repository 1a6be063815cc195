//! A real Alertmanager in front: what it sends again is no firing, what fires again is.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tocsin::time::Timestamp;

use crate::harness::{Harness, levels_by_counts};
use crate::on_all;
use crate::process::{Folder, PATIENCE, Process, free_port};

const MINUTE: Duration = Duration::from_secs(60);
/// What it takes to reach `PERMANENT_FIX`.
const FIRINGS: u32 = 10;

on_all! {
    async fn what_comes_through_alertmanager_is_counted_levelled_and_told_once(on) {
        let h = Harness::start_with(on, |config| config.escalation.rules = levels_by_counts()).await;
        let alertmanager = Alertmanager::start(&h).await;
        let first = h.now().before(MINUTE * 40);
        let starts: Vec<Timestamp> = (0..FIRINGS).map(|n| first.after(MINUTE * 2 * n)).collect();
        for (n, start) in (1..).zip(&starts) {
            let end = start.after(MINUTE);
            alertmanager.post(*start, h.now().after(MINUTE * 60)).await;
            eventually(&h, "SELECT count(*) FROM occurrences WHERE ended_at IS NULL", 1).await;
            if n == 1 {
                // It is sent again and again while it fires.
                eventually(&h, "SELECT count(*) FROM occurrences WHERE deliveries > 2", 1).await;
            }
            let tiered = format!("SELECT count(*) FROM incidents WHERE tier_due_since IS NULL \
                                  AND aggregated_count = {n}");
            eventually(&h, &tiered, 1).await;
            let incident = h.incident().await;
            let (level, tier) = match n {
                ..3 => ("NONE", 1),
                3..5 => ("REPEAT", 1),
                5..10 => ("ESCALATE", 2),
                _ => ("PERMANENT_FIX", 3),
            };
            assert_eq!((&incident["escalation_level"], &incident["tier"]), (&json!(level), &json!(tier)));
            assert_eq!((&incident["status"], &incident["resolved_by"]), (&json!("OPEN"), &Value::Null));

            alertmanager.post(*start, end).await;
            eventually(&h, "SELECT count(*) FROM occurrences WHERE ended_at IS NULL", 0).await;
            let incident = h.incident().await;
            assert_eq!((&incident["status"], &incident["resolved_by"]), (&json!("RESOLVED"), &json!("itself")));
        }
        drop(alertmanager);
        h.drain().await;

        let incident = h.incident().await;
        assert_eq!(incident["aggregated_count"], FIRINGS);
        for window in ["count_1h", "count_24h", "count_7d", "count_30d"] {
            assert_eq!(incident["frequency_stats"][window], FIRINGS, "{window}");
        }
        let id = incident["id"].as_str().unwrap();
        let episodes = h.get(&format!("/api/v1/incidents/{id}/occurrences?limit=200")).await;
        let mut seen: Vec<(String, String)> = episodes["items"].as_array().unwrap().iter()
            .map(|episode| (text(&episode["starts_at"]), text(&episode["ended_at"])))
            .collect();
        seen.sort();
        let sent: Vec<(String, String)> = starts.iter()
            .map(|start| (start.to_rfc3339(), start.after(MINUTE).to_rfc3339()))
            .collect();
        assert_eq!(seen, sent);

        let told = h.telegram.headlines();
        assert_eq!(told, [
            "🚨 <b>Opened · critical: It crashes</b>",
            "🔺 <b>Escalated · critical: It crashes</b>",
            "🔺 <b>Escalated · critical · PERMANENT FIX: It crashes</b>",
        ]);
        h.finish().await;
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// Waits until a query finds this number.
async fn eventually(h: &Harness, query: &str, number: i64) {
    let began = Instant::now();
    loop {
        let found = h.sql(query).await;
        if found == number {
            return;
        }
        let waited = began.elapsed();
        assert!(waited < PATIENCE, "{query}: {found} instead of {number}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// An Alertmanager that sends to one Tocsin, and is in a hurry.
struct Alertmanager {
    _process: Process,
    _folder: Folder,
    url: String,
    http: reqwest::Client,
}

impl Alertmanager {
    async fn start(h: &Harness) -> Self {
        let (folder, port) = (Folder::new(), free_port());
        let settings = json!({
            "route": {"receiver": "tocsin", "group_by": ["alertname"], "group_wait": "100ms",
                      "group_interval": "1s", "repeat_interval": "2s"},
            "receivers": [{"name": "tocsin", "webhook_configs": [
                {"url": format!("{}/api/v1/alertmanager", h.url), "send_resolved": true}]}],
        });
        // JSON is YAML.
        let file = folder.0.join("alertmanager.yml");
        std::fs::write(&file, settings.to_string()).unwrap();
        let mut process = Process::start(
            "alertmanager",
            command(&file, &folder.0, port),
            folder.0.join("alertmanager.log"),
        );
        let url = format!("http://127.0.0.1:{port}");
        let began = Instant::now();
        while !is_ready(&h.http, &url).await {
            assert!(process.is_running(), "{}", process.said());
            assert!(began.elapsed() < PATIENCE, "Alertmanager is not ready");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Self {
            _process: process,
            _folder: folder,
            url,
            http: h.http.clone(),
        }
    }

    /// Says, as a Prometheus would, that the alert fires since one moment and until another.
    async fn post(&self, starts_at: Timestamp, ends_at: Timestamp) {
        let alert = json!({
            "labels": {"alertname": "CrashLooping", "job": "checkout", "namespace": "prod",
                       "pod": "a", "severity": "critical"},
            "annotations": {"summary": "It crashes"},
            "startsAt": starts_at.to_rfc3339(),
            "endsAt": ends_at.to_rfc3339(),
            "generatorURL": "http://prometheus.example/graph",
        });
        let request = self.http.post(format!("{}/api/v2/alerts", self.url));
        let answer = request.json(&json!([alert])).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }
}

fn command(settings: &Path, folder: &Path, port: u16) -> Command {
    let program = std::env::var_os("TOCSIN_TEST_ALERTMANAGER");
    let mut command = Command::new(program.unwrap_or_else(|| "prometheus-alertmanager".into()));
    command
        .arg(format!("--config.file={}", settings.display()))
        .arg(format!("--storage.path={}", folder.display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .arg("--cluster.listen-address=");
    command
}

async fn is_ready(http: &reqwest::Client, url: &str) -> bool {
    let answer = http.get(format!("{url}/-/ready")).send().await;
    answer.is_ok_and(|answer| answer.status() == 200)
}
