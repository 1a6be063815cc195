//! Shows the whole chain: five faults, one after the other, with the page open. `scripts/demo` starts it.

mod look;
mod tocsin;

use std::io::{IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;
use tocsin_chain::{Chain, Fault, Setup, configuration};
use tocsin_kit::folder::Folder;
use tocsin_kit::port;
use tokio::signal::unix::{SignalKind, signal};

use look::{done, ended, look};
use tocsin::Tocsin;

/// Only this demo knows it, for as long as it runs.
const TOKEN: &str = "webhook-token-of-the-demo";

/// Shows five faults of real servers on their way to an incident and back.
#[derive(Parser)]
#[command(name = "scripts/demo")]
struct Args {
    /// Address that Tocsin listens on: IP:PORT.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9099")]
    listen: SocketAddr,
    /// How long to look at each fault, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pause: u64,
    /// How many times as fast as the shipped configuration.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=60))]
    faster: u32,
    /// Print the address of the page, and do not open a browser.
    #[arg(long)]
    no_open: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    // First of all: what ends it before it listens leaves everything behind.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let folder = Folder::new("tocsin-demo")?;
    // What was started is ended and deleted when it is dropped, however far it is.
    let shown = tokio::select! {
        shown = Box::pin(show(&args, &folder)) => shown,
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
        _ = hang_up.recv() => Ok(()),
    };
    drop(folder);
    say("Ended; the servers and their files are removed.");
    shown
}

async fn show(args: &Args, folder: &Folder) -> anyhow::Result<()> {
    say("Starting PostgreSQL, Redis, their exporters, Prometheus, Alertmanager and Tocsin …");
    let setup = Setup {
        deploy: configuration::deploy(),
        tocsin: args.listen.to_string(),
        token: TOKEN.to_owned(),
        prometheus: port::free(),
        alertmanager: port::free(),
        faster: args.faster,
    };
    let tocsin = Tocsin::start(folder, args.listen, &setup).await?;
    let mut chain = Chain::start(folder.within("chain")?, &setup).await?;
    say(&format!(
        "They run with the configuration of deploy/, {} times as fast as it is shipped.

  {}/incidents   what goes on: keep it open
  {}/alerts      the rules, in Prometheus
  {}             Alertmanager
  {}   its messages, unless they go to Telegram

Ctrl-C ends them and removes their files. The servers were just started: two rules say so (\"was restarted\", severity info).",
        args.faster,
        tocsin.url(),
        chain.prometheus_url(),
        chain.alertmanager_url(),
        folder.join("tocsin.log").display(),
    ));
    if !args.no_open && std::io::stdout().is_terminal() {
        // Where there is no browser, the address is on the screen.
        let _ = open::that_detached(format!("{}/incidents", tocsin.url()));
    }
    let pause = Duration::from_secs(args.pause);
    for (number, fault) in (1..).zip(Fault::ALL) {
        say(&format!(
            "\n{number} of 5: {}. {}",
            fault.title(),
            done(fault)
        ));
        let began = tokio::time::Instant::now();
        let since = || format!("{:>5.1} s", began.elapsed().as_secs_f64());
        chain.begin(fault).await?;
        chain.until(fault, true).await?;
        say(&format!("  {}  the rule {} fires", since(), fault.alert()));
        let incident = tocsin.opened(fault).await?;
        say(&format!("  {}  the incident is open, and told", since()));
        say(&format!(
            "\n  {}\n\n{}",
            tocsin.page_of(&incident),
            look(fault)
        ));
        tokio::time::sleep(pause).await;
        say(&format!("\n  {}", ended(fault)));
        let began = tokio::time::Instant::now();
        let since = || format!("{:>5.1} s", began.elapsed().as_secs_f64());
        chain.end(fault).await?;
        chain.until(fault, false).await?;
        say(&format!("  {}  the rule does not fire any more", since()));
        tocsin.resolved(&incident).await?;
        say(&format!("  {}  the incident is resolved", since()));
        tokio::time::sleep(pause / 3).await;
    }
    say(&format!(
        "\nThat was all. Look around: {}/report, {}/system. Ctrl-C ends the servers and removes their files.",
        tocsin.url(),
        tocsin.url()
    ));
    std::future::pending().await
}

/// Also where nobody reads it any more: the terminal may be closed.
fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}
