//! The benchmark: Tocsin's speed on this computer, and comparisons. `scripts/bench` builds and runs this.
//!
//! Servers, program and load share the computer's cores. Every figure is measured on a store and a
//! queue that hold nothing else, and whatever was started is stopped and removed, however it ends.

mod accept;
mod alertmanager;
mod body;
mod combination;
mod drain;
mod figures;
mod http;
mod ingest;
mod instance;
mod latency;
mod launch;
mod load;
mod machine;
mod memory;
mod postgres;
mod progress;
mod queue;
mod redis;
mod report;
mod resend;
mod row;
mod servers;

use std::process::ExitCode;

use anyhow::{Context, ensure};
use clap::{Parser, ValueEnum};
use tocsin::config::Secret;
use tocsin_kit::program::Missing;
use tocsin_workers::cli::output::{print, print_json};
use tocsin_workers::cli::table::Terminal;
use tokio::signal::unix::{SignalKind, signal};

use combination::On;
use machine::Machine;
use progress::Progress;
use report::Report;
use row::Row;
use servers::Servers;

/// Measure throughput, latency and memory on this computer
///
/// Uses default settings: reads neither the settings file nor the environment. Starts its own servers in
/// a temporary folder, unless URLs are given, and removes them at the end.
#[derive(Clone, Debug, Parser)]
#[command(name = "bench", version)]
struct BenchArgs {
    /// What to measure; default: everything
    #[arg(value_enum)]
    what: Vec<What>,
    /// Stores and queues to measure, separated by commas
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = On::ALL)]
    on: Vec<On>,
    /// Duration of runs that have no other end
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Connections that send alerts; default: 16, or 64 for a fixed rate
    #[arg(long, value_name = "N", value_parser = connections)]
    connections: Option<usize>,
    /// Alerts per second that `ingest` sends; default: slightly more than is committed
    #[arg(long, value_name = "N", value_parser = rate)]
    rate: Option<f64>,
    /// Use this PostgreSQL server (postgres://…); creates and drops databases in it
    #[arg(long, value_name = "URL")]
    database_url: Option<Secret>,
    /// Use this Redis server (redis://…); writes and removes keys in it
    #[arg(long, value_name = "URL")]
    redis_url: Option<Secret>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// Empty jobs, from push to durable acknowledgement
    Queue,
    /// Alerts received, answered and durably queued
    Accept,
    /// Alerts from webhook to committed incident, under load
    Ingest,
    /// A backlog of queued alerts, until all are committed
    Drain,
    /// Time from webhook until the incident is readable
    Latency,
    /// Memory of one process, and of Redis
    Memory,
    /// Firing alerts that Prometheus repeats by the minute
    Resend,
}

/// A run: where it runs, and what it has found so far.
struct Bench {
    args: BenchArgs,
    servers: Servers,
    progress: Progress,
    rows: Vec<Row>,
    /// What did not end as it should, other than for want of a program.
    failed: bool,
}

/// As in the product.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    match Box::pin(BenchArgs::parse().run()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

impl BenchArgs {
    /// Measures, and prints what was found. An error if nothing could be measured, something failed, or
    /// it was interrupted.
    async fn run(self) -> anyhow::Result<()> {
        let servers = Servers::new(self.database_url.as_ref(), self.redis_url.as_ref())?;
        self.say_what_is_used();
        let mut bench = Bench {
            servers,
            progress: Progress::new()?,
            rows: Vec::new(),
            failed: false,
            args: self,
        };
        let is_whole = tokio::select! {
            () = bench.run() => true,
            interrupted = interrupted() => {
                interrupted?;
                false
            }
        };
        let (json, failed) = (bench.args.json, bench.failed);
        let (report, cleared) = bench.end().await;
        if json {
            print_json(&report)?;
        } else if !report.rows.is_empty() {
            print(&report.render(Terminal::of_stdout()))?;
        }
        cleared.context("cannot remove the databases and keys of the benchmark")?;
        ensure!(is_whole, "interrupted: the measurements are incomplete");
        ensure!(report.has_figures(), "no measurement succeeded");
        ensure!(!failed, "some measurements failed");
        Ok(())
    }

    fn say_what_is_used(&self) {
        let given = [
            (&self.database_url, "creates databases named tocsin_bench_…"),
            (&self.redis_url, "writes keys named tocsin-bench-…"),
        ];
        for (url, does) in given {
            if let Some(url) = url {
                eprintln!("bench {does} on {url:?}, and removes them afterwards.");
            }
        }
    }
}

impl Bench {
    fn wants(&self, on: On) -> bool {
        self.args.on.contains(&on)
    }

    async fn run(&mut self) {
        let all = What::value_variants();
        let wanted = |what: &&What| self.args.what.is_empty() || self.args.what.contains(what);
        let wanted: Vec<What> = all.iter().filter(wanted).copied().collect();
        for what in wanted {
            Box::pin(self.measure(what)).await;
        }
    }

    async fn measure(&mut self, what: What) {
        let (mut redis_storage, mut alertmanagers) = (None, Default::default());
        match what {
            What::Queue => match queue::compare(self).await {
                Ok(rate) => redis_storage = rate,
                Err(error) => self.not_measured(what, "RedisStorage", &error),
            },
            What::Accept => match accept::compare(self).await {
                Ok(rates) => alertmanagers = rates,
                Err(error) => self.not_measured(what, "Alertmanager", &error),
            },
            _ => {}
        }
        for on in On::ALL {
            if !self.wants(on) {
                continue;
            }
            let measured = match what {
                What::Queue => Box::pin(queue::measure(self, on, redis_storage)).await,
                What::Accept => accept::measure(self, on, alertmanagers).await,
                What::Ingest => ingest::measure(self, on).await,
                What::Drain => drain::measure(self, on).await,
                What::Latency => latency::measure(self, on).await,
                What::Memory => memory::measure(self, on).await,
                What::Resend => resend::measure(self, on).await,
            };
            if let Err(error) = measured {
                self.not_measured(what, on.name(), &error);
            }
        }
    }

    fn not_measured(&mut self, what: What, on: &str, error: &anyhow::Error) {
        let is_missing = error.is::<Missing>() || error.is::<launch::NotBuilt>();
        self.failed |= !is_missing;
        let row = Row::new(what.name(), "", on);
        self.rows.push(row.not_measured(format!("{error:#}")));
    }

    /// What was found; and whether what was made on servers that are not our own is removed.
    async fn end(mut self) -> (Report, anyhow::Result<()>) {
        let mut versions = self.servers.versions().await;
        if let Some(version) = tocsin_kit::alertmanager::version() {
            versions.push(("alertmanager", version));
        }
        let cleared = self.servers.clear().await;
        let report = Report {
            machine: Machine::this(),
            versions: versions.into_iter().collect(),
            profile: Report::PROFILE,
            rows: self.rows,
        };
        (report, cleared)
    }
}

impl What {
    const fn name(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Accept => "accept",
            Self::Ingest => "ingest",
            Self::Drain => "drain",
            Self::Latency => "latency",
            Self::Memory => "memory",
            Self::Resend => "resend",
        }
    }
}

/// Returns when the program is to end.
async fn interrupted() -> std::io::Result<()> {
    let (mut term, mut hang_up) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::hangup())?,
    );
    tokio::select! {
        result = tokio::signal::ctrl_c() => result,
        _ = term.recv() => Ok(()),
        _ = hang_up.recv() => Ok(()),
    }
}

fn connections(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|n| (1..=1000).contains(n));
    number.ok_or_else(|| "not a number from 1 to 1000".to_owned())
}

fn rate(text: &str) -> Result<f64, String> {
    let number = text
        .parse()
        .ok()
        .filter(|n| (1.0..=10_000_000.0).contains(n));
    number.ok_or_else(|| "not a number from 1 to 10000000".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &[&str]) -> Result<BenchArgs, clap::Error> {
        BenchArgs::try_parse_from([&["bench"], line].concat())
    }

    #[test]
    fn without_more_everything_is_measured_everywhere() {
        let args = parse(&[]).unwrap();
        assert!(args.what.is_empty());
        assert_eq!(args.on, On::ALL);
        assert_eq!((args.seconds, args.connections), (10, None));
    }

    #[test]
    fn suites_and_databases_can_be_selected() {
        let args = parse(&["queue", "drain", "--on", "embedded,fleet", "--json"]).unwrap();
        assert_eq!(args.what, [What::Queue, What::Drain]);
        assert_eq!(args.on, [On::Embedded, On::Fleet]);
        for line in [
            ["--on", "mysql"],
            ["--seconds", "0"],
            ["--rate", "NaN"],
            ["--connections", "0"],
        ] {
            assert!(parse(&line).is_err(), "{line:?}");
        }
    }
}
