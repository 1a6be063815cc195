//! A real Alertmanager, or a pair, that sends to one Tocsin.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tocsin::time::Timestamp;
use tocsin_kit::alertmanager::command;

use crate::harness::Harness;
use crate::process::{Folder, PATIENCE, Process, folder, free_port};

/// How it behaves: in a hurry, unless it is said otherwise.
#[derive(Clone, Debug)]
pub struct Settings {
    pub group_wait: &'static str,
    pub group_interval: &'static str,
    pub repeat_interval: &'static str,
    /// Where it serves its API.
    pub port: u16,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            group_wait: "100ms",
            group_interval: "1s",
            repeat_interval: "2s",
            port: free_port(),
        }
    }
}

impl Settings {
    /// Where it is to be asked.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

/// Killed when it is dropped.
pub struct Alertmanager {
    process: Process,
    _folder: Folder,
    pub url: String,
    http: reqwest::Client,
}

impl Alertmanager {
    pub async fn start(h: &Harness, settings: &Settings) -> Self {
        let folder = folder();
        let config = json!({
            "route": {"receiver": "tocsin", "group_by": ["alertname"],
                      "group_wait": settings.group_wait,
                      "group_interval": settings.group_interval,
                      "repeat_interval": settings.repeat_interval},
            "receivers": [{"name": "tocsin", "webhook_configs": [
                {"url": format!("{}/api/v1/alertmanager", h.url), "send_resolved": true}]}],
        });
        // JSON is YAML.
        let file = folder.join("alertmanager.yml");
        std::fs::write(&file, config.to_string()).unwrap();
        let command = command(&file, folder.path(), settings.port).unwrap();
        let log = folder.join("alertmanager.log");
        let process = Process::start("alertmanager", command, log).unwrap();
        let mut started = Self {
            process,
            _folder: folder,
            url: settings.url(),
            http: h.http.clone(),
        };
        started.is_up().await;
        started
    }

    async fn is_up(&mut self) {
        let began = Instant::now();
        while !is_ready(&self.http, &self.url).await {
            assert!(self.process.is_running(), "{}", self.process.said());
            assert!(began.elapsed() < PATIENCE, "Alertmanager is not ready");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Ends it at once.
    pub fn stop(&mut self) {
        self.process.kill();
    }

    /// Starts it again with what it kept.
    pub async fn restart(&mut self) {
        self.process.restart().unwrap();
        self.is_up().await;
    }

    /// Says, as a Prometheus would, that these alerts fire, or ended.
    pub async fn post(&self, alerts: &[Value]) {
        let request = self.http.post(format!("{}/api/v2/alerts", self.url));
        let answer = request.json(&alerts).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }

    /// Silences what has these labels until a moment; returns the silence's id.
    pub async fn silence(&self, labels: &[(&str, &str)], by: &str, until: Timestamp) -> String {
        let matchers = labels.iter().map(|(name, value)| {
            json!({"name": name, "value": value, "isRegex": false, "isEqual": true})
        });
        let silence = json!({
            "matchers": matchers.collect::<Vec<_>>(),
            "startsAt": Timestamp::now().to_rfc3339(),
            "endsAt": until.to_rfc3339(),
            "createdBy": by,
            "comment": "we know",
        });
        let request = self.http.post(format!("{}/api/v2/silences", self.url));
        let answer = request.json(&silence).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        answer["silenceID"].as_str().unwrap().to_owned()
    }

    /// Ends a silence.
    pub async fn expire(&self, silence: &str) {
        let url = format!("{}/api/v2/silence/{silence}", self.url);
        let answer = self.http.delete(url).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }

    /// The alerts that it has.
    pub async fn alerts(&self) -> Vec<Value> {
        let url = format!("{}/api/v2/alerts", self.url);
        let answer = self.http.get(url).send().await.unwrap();
        answer.json().await.unwrap()
    }
}

/// An alert as Prometheus posts it: it fires since one moment and until another.
pub fn posted(name: &str, pod: &str, starts_at: Timestamp, ends_at: Timestamp) -> Value {
    json!({
        "labels": {"alertname": name, "job": "checkout", "namespace": "prod", "pod": pod,
                   "severity": "critical"},
        "annotations": {"summary": "It crashes"},
        "startsAt": starts_at.to_rfc3339(),
        "endsAt": ends_at.to_rfc3339(),
        "generatorURL": "http://prometheus.example/graph",
    })
}

async fn is_ready(http: &reqwest::Client, url: &str) -> bool {
    let answer = http.get(format!("{url}/-/ready")).send().await;
    answer.is_ok_and(|answer| answer.status() == 200)
}
