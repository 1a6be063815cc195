//! The program: one subcommand for each way to run a part of Tocsin, and for each thing to ask it.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use tocsin::config::Config;
use tocsin_workers::cli::{
    AnomaliesArgs, AuditArgs, DeadArgs, ExecuteArgs, HealthArgs, IncidentsArgs, MaintenanceArgs,
    McpArgs, MuteArgs, MutesArgs, NotifyArgs, PlaybooksArgs, QueuesArgs, RecountArgs, Remote,
    RepairArgs, RepairsArgs, ReportArgs, SignozArgs, SimulateArgs, SmokeArgs, SourceArgs,
    TraceArgs, UnmuteArgs,
};

mod admin;
mod demo;
mod logging;
mod reference;
mod reload;
mod run;
mod stop;

/// An alert on its way is many small pieces of memory; the system's allocator takes a third of the
/// time of ingesting it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Groups alerts into incidents and says how deep each repair must go.
#[derive(Parser)]
#[command(name = "tocsin", version, arg_required_else_help = true)]
struct Cli {
    /// Settings file; default: tocsin.toml in the current folder, if it exists.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run ingress and all workers in one process.
    Serve,
    /// Show two weeks on call that are made up, in a temporary database. Nothing is sent anywhere.
    Demo(demo::DemoArgs),
    /// Run an ingress: accept webhooks, serve the API and the pages.
    Ingress,
    /// Run workers: all queues, or some.
    Work(run::WorkArgs),
    /// Apply, revert or list database migrations.
    #[command(subcommand)]
    Migrate(admin::Migrate),
    /// List (newest first), show, acknowledge and resolve incidents.
    Incidents(Box<At<IncidentsArgs>>),
    /// List and show anomalies; mark a permanent fix.
    Anomalies(At<AnomaliesArgs>),
    /// Record a repair of an incident.
    Repair(At<RepairArgs>),
    /// Have an executor run the recommended action of an incident.
    Execute(At<ExecuteArgs>),
    /// List repairs, and how effective each action is.
    Repairs(At<RepairsArgs>),
    /// Show the report of a period: what came in, what came back, and what helped.
    Report(At<ReportArgs>),
    /// List, show and change playbooks: what to do about alerts.
    Playbooks(At<PlaybooksArgs>),
    /// Mute notifications for an anomaly.
    Mute(At<MuteArgs>),
    /// Unmute an anomaly.
    Unmute(At<UnmuteArgs>),
    /// List muted anomalies.
    Mutes(At<MutesArgs>),
    /// List, plan and end maintenance windows.
    Maintenance(At<MaintenanceArgs>),
    /// List sources; try what would come out of a body.
    Source(At<SourceArgs>),
    /// Test the channels of notifications.
    Notify(At<NotifyArgs>),
    /// List, show, replay, edit and discard dead letters (failed jobs).
    Dead(At<DeadArgs>),
    /// List, pause and resume queues.
    Queues(At<QueuesArgs>),
    /// List audit entries: who did what, when.
    Audit(At<AuditArgs>),
    /// Show the history of an alert, an incident or an anomaly.
    Trace(At<TraceArgs>),
    /// Run recount now (update what only time changes), or verify counters against stored rows.
    Recount(At<RecountArgs>),
    /// Send generated alerts to a running instance, and verify that each is counted once; or play a scenario.
    Simulate(At<SimulateArgs>),
    /// Send a synthetic alert as each source does, and check each link of its way. It is not counted.
    Smoke(At<SmokeArgs>),
    /// Set up SigNoz: its notification channel and rules.
    Signoz(SignozArgs),
    /// Serve the Model Context Protocol (MCP) on standard input and output, for assistants that help on call.
    Mcp(At<McpArgs>),
    /// Check whether a process is ready.
    Health(HealthArgs),
    /// Show or check settings.
    #[command(subcommand)]
    Config(admin::Settings),
    /// Print the OpenAPI 3.1 description of the API.
    Openapi,
    /// Print shell completions.
    Completions(reference::CompletionsArgs),
    /// Print the manual, or write man pages.
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
        Command::Serve => Box::pin(run::serve(started(config()?), cli.config)).await,
        Command::Demo(args) => Box::pin(demo::run(args)).await,
        Command::Ingress => Box::pin(run::ingress(started(config()?), cli.config)).await,
        Command::Work(args) => Box::pin(run::work(started(config()?), cli.config, args)).await,
        Command::Migrate(what) => admin::migrate(&config()?, what).await,
        Command::Config(what) => admin::settings(&config()?, &what),
        Command::Incidents(at) => {
            let At { remote, args } = *at;
            args.run(&remote.found_by(config)?).await
        }
        Command::Anomalies(at) => at.args.run(&at.remote.found_by(config)?).await,
        Command::Execute(at) => at.args.run(&at.remote.found_by(config)?).await,
        Command::Repair(at) => at.args.run(&at.remote.found_by(config)?).await,
        Command::Repairs(at) => at.args.run(&at.remote.found_by(config)?).await,
        Command::Report(at) => at.args.run(&at.remote.found_by(config)?).await,
        Command::Playbooks(at) => at.args.run(&at.remote.found_by(config)?).await,
        Command::Mute(at) => at.args.run(&at.remote.found_by(config)?).await,
        Command::Unmute(at) => at.args.run(&at.remote.found_by(config)?).await,
        Command::Mutes(at) => at.args.run(&at.remote.found_by(config)?).await,
        Command::Maintenance(at) => at.args.run(&at.remote.found_by(config)?).await,
        Command::Source(at) => at.args.run(at.remote, config).await,
        Command::Notify(at) => at.args.run(&at.remote.found_by(config)?).await,
        Command::Dead(at) => at.args.run(&at.remote.found_by(config)?).await,
        Command::Queues(at) => at.args.run(&at.remote.found_by(config)?).await,
        Command::Audit(at) => at.args.run(&at.remote.found_by(config)?).await,
        Command::Trace(at) => at.args.run(&at.remote.found_by(config)?).await,
        Command::Recount(at) => at.args.run(&at.remote.found_by(config)?).await,
        Command::Simulate(at) => {
            let config = |over: &_| Config::load_with(cli.config.as_deref(), over);
            at.args.run(at.remote, config).await
        }
        Command::Smoke(at) => at.args.run(&at.remote.found_by(config)?).await,
        Command::Signoz(args) => args.run(config).await,
        Command::Mcp(at) => at.args.run(&at.remote.found_by(config)?).await,
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
