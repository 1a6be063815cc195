//! The program, on a database of its own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use reqwest::Client;
use serde_json::Value;
use tocsin_chain::{Fault, Setup, configuration};
use tocsin_kit::folder::Folder;
use tocsin_kit::process::Process;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);
/// These of the caller's settings are for it: messages go there instead of to the log.
const CHANNEL: [&str; 2] = ["TOCSIN_TELEGRAM_TOKEN", "TOCSIN_TELEGRAM_CHAT"];

/// Ended when it is dropped.
pub(crate) struct Tocsin {
    _process: Process,
    url: String,
    http: Client,
}

impl Tocsin {
    /// Starts it, and waits until it answers.
    pub(crate) async fn start(
        folder: &Folder,
        listen: SocketAddr,
        setup: &Setup,
    ) -> anyhow::Result<Self> {
        // Another one that is there would answer in its place.
        let free = std::net::TcpListener::bind(listen);
        drop(free.with_context(|| format!("{listen} is taken: choose another with --listen"))?);
        let mut command = Command::new(program()?);
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("TOCSIN_") && !CHANNEL.contains(&&*text) {
                command.env_remove(&name);
            }
        }
        std::fs::write(folder.join("tocsin.toml"), configuration::playbooks()?)?;
        let alertmanager = format!("http://127.0.0.1:{}", setup.alertmanager);
        command
            .arg("serve")
            .current_dir(folder.path())
            .env("TOCSIN_LISTEN", listen.to_string())
            .env("TOCSIN_WEBHOOK_TOKEN", &setup.token)
            .env("TOCSIN_ALERTMANAGER_URL", alertmanager)
            .env("TOCSIN_RECONCILE__RECEIVER", "tocsin")
            .env("TOCSIN_CANARY__EVERY", "1m")
            .env("TOCSIN_STOP__DELAY", "0s");
        let log = folder.join("tocsin.log");
        let mut process = Process::start("tocsin", command, log)?;
        let http = tocsin::tls::client().build()?;
        let url = format!("http://{listen}");
        let is_ready = async || {
            let asked = http.get(format!("{url}/readyz")).send().await;
            asked.is_ok_and(|answer| answer.status().is_success())
        };
        process.ready(is_ready).await?;
        Ok(Self {
            _process: process,
            url,
            http,
        })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn page_of(&self, id: &str) -> String {
        format!("{}/incidents/{id}", self.url)
    }

    /// Waits until the fault is an incident that has its tier; returns its id.
    pub(crate) async fn opened(&self, fault: Fault) -> anyhow::Result<String> {
        loop {
            let list = self.get("/api/v1/incidents?limit=200").await?;
            let incidents = list["items"].as_array().into_iter().flatten();
            let mut of_fault = incidents.filter(|one| {
                one["alert_name"] == fault.alert()
                    && one["resolved_at"].is_null()
                    && !one["tier"].is_null()
            });
            if let Some(found) = of_fault.next() {
                let id = found["id"].as_str().context("an incident without an id")?;
                return Ok(id.to_owned());
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until it is resolved.
    pub(crate) async fn resolved(&self, id: &str) -> anyhow::Result<()> {
        let path = format!("/api/v1/incidents/{id}");
        while self.get(&path).await?["resolved_at"].is_null() {
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let answer = self.http.get(format!("{}{path}", self.url)).send().await?;
        Ok(answer.error_for_status()?.json().await?)
    }
}

/// It was built beside this program.
fn program() -> anyhow::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("tocsin");
    ensure!(path.is_file(), "{} was not built", path.display());
    Ok(path)
}
