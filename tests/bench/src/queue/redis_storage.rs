//! apalis' `RedisStorage`, by the program that is built beside this one.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde::Deserialize;

use crate::launch::{beside, start};

/// What the program says.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Measured {
    pub(crate) jobs: u64,
    pub(crate) seconds: f64,
    pub(crate) per_second: f64,
}

pub(crate) async fn measure(
    folder: &Path,
    url: &str,
    jobs: u64,
    queue: &str,
) -> anyhow::Result<Measured> {
    let mut command = Command::new(beside("redis_storage")?);
    command
        .args([url, &jobs.to_string(), queue])
        .env("RUST_BACKTRACE", "0");
    let mut process = start("redis_storage", command, folder)?;
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        if let Some(status) = process.exited()? {
            let said = process.said();
            ensure!(status.success(), "redis_storage: {}", said.trim());
            let Some(line) = said.lines().last() else {
                bail!("redis_storage printed nothing");
            };
            return serde_json::from_str(line).with_context(|| said.clone());
        }
    }
}
