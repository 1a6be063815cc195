//! The program: one subcommand for each way to run a part of Tocsin, and for each thing to ask it.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use tocsin::config::Config;
use tocsin_workers::cli::{
    AnomaliesArgs, AuditArgs, DeadArgs, HealthArgs, IncidentsArgs, MuteArgs, MutesArgs, QueuesArgs,
    RecountArgs, Remote, RepairArgs, RepairsArgs, SimulateArgs, TraceArgs, UnmuteArgs,
};

mod admin;
mod logging;
mod reference;
mod run;
mod stop;

/// An alert on its way is many small pieces of memory; the system's allocator takes a third of the
/// time of ingesting it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What stands between a noisy alerting stack and the people on call.
#[derive(Parser)]
#[command(name = "tocsin", version, arg_required_else_help = true)]
struct Cli {
    /// The settings' file; without it, tocsin.toml if there is one.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run everything in one process.
    Serve,
    /// Run an ingress: take alerts in and serve the API.
    Ingress,
    /// Run workers.
    Work(run::WorkArgs),
    /// Apply, take back or list the changes of the database's schema.
    #[command(subcommand)]
    Migrate(admin::Migrate),
    /// List incidents; show, acknowledge and resolve one.
    Incidents(At<IncidentsArgs>),
    /// List anomalies; show one, and say that it was fixed for good.
    Anomalies(At<AnomaliesArgs>),
    /// Record what was tried on an incident.
    Repair(At<RepairArgs>),
    /// List what was tried, and what each action was worth.
    Repairs(At<RepairsArgs>),
    /// Tell nothing of an anomaly for a while.
    Mute(At<MuteArgs>),
    /// End the mute of an anomaly.
    Unmute(At<UnmuteArgs>),
    /// List what is muted.
    Mutes(At<MutesArgs>),
    /// Look at jobs that could not be done; replay, edit or discard them.
    Dead(At<DeadArgs>),
    /// Look at the queues, pause and resume them.
    Queues(At<QueuesArgs>),
    /// List what operators did.
    Audit(At<AuditArgs>),
    /// Tell what became of an alert.
    Trace(At<TraceArgs>),
    /// Recount now, or compare every figure with the rows that it is made of.
    Recount(At<RecountArgs>),
    /// Post a storm of alerts to a running instance and see what comes out.
    Simulate(At<SimulateArgs>),
    /// Ask a process whether it can do its work.
    Health(HealthArgs),
    /// Show or check the settings.
    #[command(subcommand)]
    Config(admin::Settings),
    /// Print the description of the API (OpenAPI 3.1).
    Openapi,
    /// Print what a shell reads to complete these commands.
    Completions(reference::CompletionsArgs),
    /// Print the manual, or write its pages.
    Man(reference::ManArgs),
}

/// A command, and the instance that it talks to.
#[derive(clap::Args)]
struct At<T: clap::Args> {
    #[command(flatten)]
    remote: Remote,
    #[command(flatten)]
    args: T,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    match runtime.block_on(execute(cli)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("tocsin: {}", said_once(error));
    ExitCode::FAILURE
}

/// The error and its causes, without those that it says itself.
fn said_once(error: &anyhow::Error) -> String {
    let mut said = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if said.contains(&cause) {
            continue;
        }
        if !said.is_empty() {
            said.push_str(": ");
        }
        said.push_str(&cause);
    }
    said
}

async fn execute(cli: Cli) -> anyhow::Result<()> {
    let config = || Config::load(cli.config.as_deref());
    match cli.command {
        Command::Serve => run::serve(started(config()?)).await,
        Command::Ingress => run::ingress(started(config()?)).await,
        Command::Work(args) => run::work(started(config()?), args).await,
        Command::Migrate(what) => admin::migrate(&config()?, what).await,
        Command::Config(what) => admin::settings(&config()?, &what),
        Command::Incidents(at) => at.args.run(&at.remote.found_by(config)?).await,
        Command::Anomalies(at) => at.args.run(&at.remote.found_by(config)?).await,
        Command::Repair(at) => at.args.run(&at.remote.found_by(config)?).await,
        Command::Repairs(at) => at.args.run(&at.remote.found_by(config)?).await,
        Command::Mute(at) => at.args.run(&at.remote.found_by(config)?).await,
        Command::Unmute(at) => at.args.run(&at.remote.found_by(config)?).await,
        Command::Mutes(at) => at.args.run(&at.remote.found_by(config)?).await,
        Command::Dead(at) => at.args.run(&at.remote.found_by(config)?).await,
        Command::Queues(at) => at.args.run(&at.remote.found_by(config)?).await,
        Command::Audit(at) => at.args.run(&at.remote.found_by(config)?).await,
        Command::Trace(at) => at.args.run(&at.remote.found_by(config)?).await,
        Command::Recount(at) => at.args.run(&at.remote.found_by(config)?).await,
        Command::Simulate(at) => at.args.run(&at.remote.found_by(config)?).await,
        Command::Health(args) => args.run(config).await,
        Command::Openapi => reference::openapi(),
        Command::Completions(args) => reference::completions(Cli::command(), &args),
        Command::Man(args) => reference::manual(Cli::command(), &args),
    }
}

/// A long-running process logs.
fn started(config: Config) -> Config {
    logging::start(&config);
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    config
}
