//! apalis' `RedisStorage`, by the example program that lies beside this one.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde::Deserialize;

use super::super::process::Process;

/// What the example says.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Measured {
    pub(super) jobs: u64,
    pub(super) seconds: f64,
    pub(super) per_second: f64,
}

/// It was not built.
#[derive(Debug, thiserror::Error)]
#[error("cargo build{} --example redis_storage", if cfg!(debug_assertions) { "" } else { " --release" })]
pub(in super::super) struct NotBuilt;

pub(super) async fn measure(
    folder: &Path,
    url: &str,
    jobs: u64,
    queue: &str,
) -> anyhow::Result<Measured> {
    let program = std::env::current_exe().context("finding this program")?;
    let example = program.with_file_name("examples").join("redis_storage");
    if !example.is_file() {
        return Err(NotBuilt.into());
    }
    let mut command = Command::new(example);
    command
        .args([url, &jobs.to_string(), queue])
        .env("RUST_BACKTRACE", "0");
    let mut process = Process::start("redis_storage", command, folder)?;
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        if let Some(status) = process.ended()? {
            let said = process.said();
            ensure!(status.success(), "redis_storage: {}", said.trim());
            let Some(line) = said.lines().last() else {
                bail!("redis_storage printed nothing");
            };
            return serde_json::from_str(line).with_context(|| said.clone());
        }
    }
}
