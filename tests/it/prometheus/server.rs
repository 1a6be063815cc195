//! A real Prometheus with one rule that fires or does not, and that sends to Tocsin and to an Alertmanager.

use std::time::{Duration, Instant};

use serde_json::json;
use tocsin_kit::prometheus::command;

use crate::harness::Harness;
use crate::process::{Folder, PATIENCE, Process, folder, free_port};

/// Killed when it is dropped.
pub struct Prometheus {
    process: Process,
    folder: Folder,
    url: String,
    http: reqwest::Client,
}

impl Prometheus {
    /// Starts one whose rule does not fire yet.
    pub async fn start(h: &Harness, alertmanager: &str) -> Self {
        Self::start_at(h, free_port(), &[&h.url, alertmanager]).await
    }

    /// The same on this port; it sends to these.
    pub async fn start_at(h: &Harness, port: u16, sent_to: &[&str]) -> Self {
        let folder = folder();
        let places = sent_to.iter().map(|url| url.trim_start_matches("http://"));
        let sent_to: Vec<&str> = places.collect();
        let config = json!({
            "global": {"evaluation_interval": "1s", "external_labels": {"cluster": "c1"}},
            "rule_files": ["rules.yml"],
            "alerting": {"alertmanagers": [{"api_version": "v2", "timeout": "2s",
                "static_configs": [{"targets": sent_to}]}]},
        });
        // JSON is YAML.
        let file = folder.join("prometheus.yml");
        std::fs::write(&file, config.to_string()).unwrap();
        let command = command(&file, folder.path(), port).unwrap();
        let log = folder.join("prometheus.log");
        write_rule(&folder, false);
        let process = Process::start("prometheus", command, log).unwrap();
        let mut started = Self {
            process,
            folder,
            url: format!("http://127.0.0.1:{port}"),
            http: h.http.clone(),
        };
        started.is_up().await;
        started
    }

    async fn is_up(&mut self) {
        let began = Instant::now();
        let url = format!("{}/-/ready", self.url);
        loop {
            let answer = self.http.get(&url).send().await;
            if answer.is_ok_and(|answer| answer.status() == 200) {
                return;
            }
            assert!(self.process.is_running(), "{}", self.process.said());
            assert!(began.elapsed() < PATIENCE, "Prometheus is not ready");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Has its rule fire from now on, or not any more.
    pub async fn fire(&self, fires: bool) {
        write_rule(&self.folder, fires);
        let request = self.http.post(format!("{}/-/reload", self.url));
        assert_eq!(request.send().await.unwrap().status(), 200);
    }

    /// Ends it at once: it says nothing more.
    pub fn stop(&mut self) {
        self.process.kill();
    }
}

fn write_rule(folder: &Folder, fires: bool) {
    let rule = json!({
        "alert": "InstanceDown",
        "expr": if fires { "vector(1)" } else { "vector(1) == 0" },
        "labels": {"job": "checkout", "instance": "10.0.0.2:9100", "severity": "warning"},
        "annotations": {"summary": "It is down"},
    });
    let rules = json!({"groups": [{"name": "g", "rules": [rule]}]});
    std::fs::write(folder.join("rules.yml"), rules.to_string()).unwrap();
}
