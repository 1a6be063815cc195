//! Figures of the process itself, as Prometheus' own clients name them. They are read from `/proc` when somebody asks;
//! where there is none, as on macOS, there is only the start time.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

use crate::time::Timestamp;

/// The kernel counts time for users in hundredths of a second, on every architecture.
const TICKS: f64 = 100.0;

/// A registry of these figures alone: they have no prefix.
pub(super) fn registry() -> Registry {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Process {
        started_at: Timestamp::now().0 / 1000,
    }));
    registry
}

#[derive(Debug)]
struct Process {
    started_at: i64,
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let read = |file: &str| std::fs::read_to_string(format!("/proc/self/{file}"));
        if let Some(seconds) = read("stat").ok().as_deref().and_then(cpu_seconds) {
            let help = "CPU time that the process used, in user and system mode";
            tell(
                &mut encoder,
                "process_cpu",
                help,
                Some(&Unit::Seconds),
                &ConstCounter::new(seconds),
            )?;
        }
        let status = read("status").unwrap_or_default();
        for (name, field, help) in [
            (
                "process_resident_memory",
                "VmRSS:",
                "Memory of the process that is in RAM",
            ),
            (
                "process_virtual_memory",
                "VmSize:",
                "Address space of the process",
            ),
        ] {
            if let Some(kb) = figure(&status, field) {
                tell(
                    &mut encoder,
                    name,
                    help,
                    Some(&Unit::Bytes),
                    &ConstGauge::new(kb * 1024),
                )?;
            }
        }
        if let Some(threads) = figure(&status, "Threads:") {
            tell(
                &mut encoder,
                "process_threads",
                "Threads of the process",
                None,
                &ConstGauge::new(threads),
            )?;
        }
        if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
            let open = i64::try_from(open.count()).unwrap_or(i64::MAX);
            tell(
                &mut encoder,
                "process_open_fds",
                "Files and connections that are open",
                None,
                &ConstGauge::new(open),
            )?;
        }
        if let Some(most) = figure(&read("limits").unwrap_or_default(), "Max open files") {
            tell(
                &mut encoder,
                "process_max_fds",
                "Files and connections that may be open",
                None,
                &ConstGauge::new(most),
            )?;
        }
        let help = "When the process started, in seconds since 1970";
        tell(
            &mut encoder,
            "process_start_time",
            help,
            Some(&Unit::Seconds),
            &ConstGauge::new(self.started_at),
        )
    }
}

fn tell(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    unit: Option<&Unit>,
    metric: &impl EncodeMetric,
) -> fmt::Result {
    let encoder = encoder.encode_descriptor(name, help, unit, metric.metric_type())?;
    metric.encode(encoder)
}

/// CPU time by `/proc/self/stat`: its 14th and 15th fields. The 2nd is the program's name, which may hold anything.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, behind) = stat.rsplit_once(')')?;
    let mut fields = behind.split_ascii_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / TICKS)
}

/// The first figure of the line that begins with `name`.
fn figure(lines: &str, name: &str) -> Option<i64> {
    let line = lines.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_as_the_kernel_writes_them() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194560 1 2 3 4 250 150 9 9 20 0 11 0 8 9 1";
        assert_eq!(cpu_seconds(stat), Some(4.0));
        assert_eq!(cpu_seconds("7 (a"), None);
        let status = "Name:\ttocsin\nVmSize:\t  2048 kB\nVmRSS:\t    12 kB\nThreads:\t5\n";
        assert_eq!(figure(status, "VmRSS:"), Some(12));
        assert_eq!(figure(status, "Threads:"), Some(5));
        assert_eq!(figure(status, "VmSwap:"), None);
        let limits = "Max open files            1024                 524288               files";
        assert_eq!(figure(limits, "Max open files"), Some(1024));
    }
}
