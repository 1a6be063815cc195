//! Tocsin itself, as a process: the program that was built beside this one.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use serde_json::Value;
use tocsin_kit::port;
use tocsin_kit::process::Process;

use crate::http;
use crate::launch::{beside, start};
use crate::servers::Site;

/// A process, ready; killed when this is dropped.
pub(crate) struct Instance {
    pub(crate) address: SocketAddr,
    process: Process,
}

/// Resident memory, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) now: u64,
    pub(crate) most: u64,
}

impl Instance {
    /// Runs `tocsin COMMAND` on a site, with these settings beside the defaults.
    pub(crate) async fn start(
        site: &Site,
        command: &'static str,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let program = beside("tocsin")?;
        let address = SocketAddr::from(([127, 0, 0, 1], port::free()));
        let mut tocsin = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("TOCSIN_") {
                tocsin.env_remove(name);
            }
        }
        tocsin
            .arg(command)
            .env("RUST_LOG", "warn")
            .env("TOCSIN_LISTEN", address.to_string())
            .envs(site.environment())
            .envs(settings.iter().copied());
        let mut process = start(command, tocsin, site.folder())?;
        let is_ready = async || http::call(address, "GET", "/readyz").await.is_ok();
        process.ready(is_ready).await?;
        Ok(Self { address, process })
    }

    /// An error if it has ended.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        self.process.check()
    }

    /// Jobs in a queue, in whatever state.
    pub(crate) async fn queued(&self, queue: &str) -> anyhow::Result<u64> {
        let answer = http::call(self.address, "GET", "/api/v1/queues").await?;
        let answer: Value = serde_json::from_slice(&answer)?;
        let queues = answer["items"].as_array().into_iter().flatten();
        let found = queues.filter(|found| found["name"] == queue);
        let jobs = found.flat_map(|queue| {
            ["/ready", "/delayed", "/in_flight"]
                .map(|state| queue.pointer(state).and_then(Value::as_i64).unwrap_or(0))
        });
        Ok(jobs.sum::<i64>().unsigned_abs())
    }

    /// Has a queue wait.
    pub(crate) async fn pause(&self, queue: &str) -> anyhow::Result<()> {
        let path = format!("/api/v1/queues/{queue}/pause");
        http::call(self.address, "POST", &path).await.map(drop)
    }

    /// Has it go on.
    pub(crate) async fn resume(&self, queue: &str) -> anyhow::Result<()> {
        let path = format!("/api/v1/queues/{queue}/resume");
        http::call(self.address, "POST", &path).await.map(drop)
    }

    /// Alerts that are in the database.
    pub(crate) async fn ingested(&self) -> anyhow::Result<u64> {
        let answer = http::call(self.address, "GET", "/metrics").await?;
        let text = String::from_utf8_lossy(&answer);
        Ok(total(&text, "tocsin_alerts_total"))
    }

    /// The processor time that it has used.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        let path = format!("/proc/{}/stat", self.process.id());
        let stat = std::fs::read_to_string(&path).context(path)?;
        cpu(&stat).context("the system does not say how much time a process used")
    }

    /// What it takes.
    pub(crate) fn memory(&self) -> anyhow::Result<Memory> {
        let path = format!("/proc/{}/status", self.process.id());
        let status = std::fs::read_to_string(&path).context(path)?;
        memory(&status).context("the system does not say how much memory a process takes")
    }
}

/// Both kinds of processor time of a process, of its line in `/proc`.
fn cpu(stat: &str) -> Option<Duration> {
    // A hundred ticks are a second, on every Linux; what stands in brackets may have spaces in it.
    let (_, behind) = stat.rsplit_once(')')?;
    let mut fields = behind.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some(Duration::from_millis((ticks()? + ticks()?) * 10))
}

/// The sum of a metric over all its labels.
fn total(metrics: &str, name: &str) -> u64 {
    metrics
        .lines()
        .filter_map(|line| line.strip_prefix(name))
        .filter(|rest| rest.starts_with(['{', ' ']))
        .filter_map(|rest| rest.rsplit(' ').next()?.parse::<u64>().ok())
        .sum()
}

fn memory(status: &str) -> Option<Memory> {
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
        Some(kib * 1024)
    };
    Some(Memory {
        now: field("VmRSS")?,
        most: field("VmHWM")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_summed_over_its_labels() {
        let metrics = "# HELP tocsin_alerts x\n\
                       tocsin_alerts_total{outcome=\"counted\"} 120\n\
                       tocsin_alerts_total{outcome=\"resent\"} 3\n\
                       tocsin_alerts_total_more 9\n# EOF\n";
        assert_eq!(total(metrics, "tocsin_alerts_total"), 123);
        assert_eq!(total(metrics, "tocsin_other"), 0);
    }

    #[test]
    fn processor_time_is_that_of_the_program_and_of_the_system() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194560 2 0 0 0 123 45 0 0 20 0 9 0 1 2 3";
        assert_eq!(cpu(stat), Some(Duration::from_millis(1680)));
    }

    #[test]
    fn memory_is_read_in_bytes() {
        let status = "Name:\ttocsin\nVmHWM:\t   2048 kB\nVmRSS:\t   1024 kB\n";
        let expected = Memory {
            now: 1 << 20,
            most: 2 << 20,
        };
        assert_eq!(memory(status), Some(expected));
        assert_eq!(memory("Name:\ttocsin\n"), None);
    }
}
