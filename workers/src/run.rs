//! `serve`, `ingress` and `work`: the long-running processes.

use std::future::Future;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{anyhow, bail};
use tocsin::config::Config;
use tocsin::context::Context;
use tocsin::jobs::{Job as _, Notify, QUEUES};
use tocsin::probe::figures;
use tocsin::queue::schedule;
use tocsin::telegram::poller;
use tocsin::time::Timestamp;
use tocsin::web::{self, ConnectionLimits, Gate, Ingress, Routes};
use tocsin_workers::cli::on_this_computer;
use tocsin_workers::{clock, fleet, presence, test_sender, workers};
use tokio::net::TcpListener;
use tokio::sync;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::reload::{Reload, follow};
use crate::stop::{Hangup, Stop};

/// Options of `work`.
#[derive(clap::Args)]
pub(crate) struct WorkArgs {
    /// Queues to work on, separated by commas; default: all.
    #[arg(long, value_delimiter = ',', value_name = "QUEUES", value_parser = QUEUES)]
    queues: Option<Vec<String>>,
}

/// Who asks for the health of a process that does nothing else for others, and for how long when it stops.
fn last_words() -> ConnectionLimits {
    ConnectionLimits {
        connections: 100,
        anonymous: 100,
        proxies: Arc::default(),
        patience: Duration::from_secs(1),
    }
}

/// What those who connect are given.
fn bounds(config: &Config) -> ConnectionLimits {
    ConnectionLimits {
        connections: config.limits.connections,
        anonymous: config.limits.anonymous,
        proxies: config.trusted_proxies.clone().into(),
        patience: config.queue.drain.0,
    }
}

/// Everything in one process. Its workers go on while its ingress does: there may be no other process for
/// what that takes.
pub(crate) async fn serve(config: Config, file: Option<PathBuf>) -> anyhow::Result<()> {
    let hangup = Hangup::listen()?;
    let listener = bind(config.listen).await?;
    let context = Context::open(config).await?;
    let ingress = with_gate(&context);
    let asked = Arc::new(sync::Notify::new());
    let stop = stop_on_signal(&ingress, hangup, Some(&asked))?.closing;
    print_welcome(&context.config, listener.local_addr()?);
    let routes = Routes::from(web::router(&ingress));
    let reload = Reload::new(file.as_deref(), ingress.clone(), Some(routes.clone()));
    let fleet = worked(reload.newest(), stop.clone(), None);
    let presses = polled(reload.newest(), stop.clone());
    let fleet = async {
        tokio::join!(Box::pin(fleet), presses);
    };
    let mut parts = JoinSet::new();
    parts.spawn(reload.run(asked, stop.clone()));
    Box::pin(serve_until(stop, (listener, routes), ingress, fleet, parts)).await
}

/// Runs these workers until `stop`, then waits for what they do.
pub(crate) fn work_on(
    context: &Context,
    workers: Vec<fleet::Worker>,
    stop: CancellationToken,
) -> impl Future<Output = ()> + use<> {
    fleet::run(workers, stop, context.config.queue.drain.0)
}

/// Works on the chosen queues, or on all, with the newest settings until `stop`.
async fn worked(
    newest: sync::watch::Receiver<Context>,
    stop: CancellationToken,
    chosen: Option<Vec<String>>,
) {
    let start = |context: Context, ends| {
        let (stop, chosen) = (stop.clone(), chosen.clone());
        async move {
            let mut workers = workers(&context);
            if let Some(chosen) = chosen {
                workers.retain(|worker| chosen.iter().any(|queue| queue == worker.queue()));
            }
            let drain = context.config.queue.drain.0;
            fleet::run_until(workers, fleet::Ends { ends, stop, drain }).await;
        }
    };
    follow("the workers", newest, stop.clone(), start).await;
}

/// Asks Telegram for button presses with the newest settings until `stop`. What fails there stops no worker.
async fn polled(newest: sync::watch::Receiver<Context>, stop: CancellationToken) {
    follow(
        "the poller of button presses",
        newest,
        stop,
        |context, ends| Box::pin(poller::run(context, ends)),
    )
    .await;
}

/// Serves and works until it is asked to stop; `parts` run beside it.
pub(crate) async fn serve_until(
    stop: CancellationToken,
    (listener, routes): (TcpListener, Routes),
    ingress: Ingress,
    fleet: impl Future<Output = ()>,
    mut parts: JoinSet<()>,
) -> anyhow::Result<()> {
    let context = ingress.context.clone();
    watch_gate(&mut parts, &ingress, &stop);
    measure_figures(&mut parts, &context, &stop);
    parts.spawn(schedule::run(context.queues.clone(), stop.clone()));
    parts.spawn(clock::run(context.clone(), stop.clone()));
    parts.spawn(presence::run(context.clone(), stop.clone()));
    // Requests are finished first: what they push is drained by the workers of the next start.
    let bounds = bounds(&context.config);
    let served = web::serve(listener, routes, stop.clone(), bounds);
    let (served, ()) = tokio::join!(served, fleet);
    stop.cancel();
    ingress.late.finish().await;
    ingress.refusals.finish().await;
    parts.join_all().await;
    context.tracer.close().await;
    context.db.close().await?;
    Ok(served?)
}

/// An ingress alone.
pub(crate) async fn ingress(config: Config, file: Option<PathBuf>) -> anyhow::Result<()> {
    refuse_embedded(&config, "ingress")?;
    let hangup = Hangup::listen()?;
    let listener = bind(config.listen).await?;
    let context = Context::open(config).await?;
    let ingress = with_gate(&context);
    let asked = Arc::new(sync::Notify::new());
    let stop = stop_on_signal(&ingress, hangup, Some(&asked))?.closing;
    tracing::info!("listening on http://{}", listener.local_addr()?);

    let mut parts = JoinSet::new();
    let routes = Routes::from(web::router(&ingress));
    let reload = Reload::new(file.as_deref(), ingress.clone(), Some(routes.clone()));
    parts.spawn(reload.run(asked, stop.clone()));
    watch_gate(&mut parts, &ingress, &stop);
    measure_figures(&mut parts, &context, &stop);
    parts.spawn(presence::run(context.clone(), stop.clone()));
    let bounds = bounds(&context.config);
    let served = web::serve(listener, routes, stop.clone(), bounds).await;
    stop.cancel();
    ingress.late.finish().await;
    ingress.refusals.finish().await;
    parts.join_all().await;
    context.tracer.close().await;
    context.db.close().await?;
    Ok(served?)
}

/// Workers alone. They leave their queues to others as soon as they are asked to stop; how they are
/// can be asked until they have drained.
pub(crate) async fn work(
    config: Config,
    file: Option<PathBuf>,
    args: WorkArgs,
) -> anyhow::Result<()> {
    refuse_embedded(&config, "work")?;
    let hangup = Hangup::listen()?;
    let metrics_listen = config.metrics_listen;
    let context = Context::open(config).await?;
    let health = with_gate(&context);
    let asked = Arc::new(sync::Notify::new());
    let stop = stop_on_signal(&health, hangup, Some(&asked))?.stopping;
    let drained = CancellationToken::new();

    let mut parts = JoinSet::new();
    let reload = Reload::new(file.as_deref(), health.clone(), None);
    let newest = reload.newest();
    parts.spawn(reload.run(asked, stop.clone()));
    if let Some(address) = metrics_listen {
        let listener = bind(address).await?;
        tracing::info!("health and metrics on http://{}", listener.local_addr()?);
        measure_figures(&mut parts, &context, &drained);
        let (router, drained) = (web::health_only(&health), drained.clone());
        parts.spawn(async move {
            if let Err(error) = web::serve(listener, router, drained, last_words()).await {
                tracing::error!("stopped serving health and metrics: {error}");
            }
        });
    }
    parts.spawn(schedule::run(context.queues.clone(), stop.clone()));
    parts.spawn(clock::run(context.clone(), stop.clone()));
    let chosen = args
        .queues
        .unwrap_or_else(|| QUEUES.map(str::to_owned).to_vec());
    tracing::info!("working on queues: {}", chosen.join(", "));
    let takes_presses = chosen.iter().any(|queue| queue == Notify::POLICY.queue);
    let fleet = worked(newest.clone(), stop.clone(), Some(chosen));
    let presses = async {
        if takes_presses {
            polled(newest, stop).await;
        }
    };
    let fleet = async {
        tokio::join!(Box::pin(fleet), presses);
    };
    Box::pin(fleet).await;
    drained.cancel();
    parts.join_all().await;
    context.tracer.close().await;
    context.db.close().await?;
    Ok(())
}

/// SIGHUP asks for a `reload`, where there is one.
pub(crate) fn stop_on_signal(
    ingress: &Ingress,
    hangup: Hangup,
    reload: Option<&Arc<sync::Notify>>,
) -> anyhow::Result<Stop> {
    let delay = ingress.context.config.stop.delay.0;
    Stop::on_signal(Arc::clone(&ingress.gate), delay, hangup, reload.cloned())
}

fn refuse_embedded(config: &Config, command: &str) -> anyhow::Result<()> {
    if config.is_embedded() {
        bail!(
            "`tocsin {command}` runs beside other processes, but a SQLite file serves one process only: \
             run `tocsin serve`, or set TOCSIN_DATABASE_URL=postgres://…"
        );
    }
    Ok(())
}

pub(crate) async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        let hint = match error.kind() {
            ErrorKind::AddrInUse => ": stop the process that listens there, or set another address",
            _ => "",
        };
        anyhow!("cannot listen on {address}: {error}{hint}")
    })
}

pub(crate) fn ingress_of(context: &Context) -> Ingress {
    Ingress::new(context.clone(), Arc::new(Gate::default()))
}

fn with_gate(context: &Context) -> Ingress {
    let mut ingress = ingress_of(context);
    ingress.test_sender = Some(test_sender(context));
    ingress
}

fn watch_gate(parts: &mut JoinSet<()>, ingress: &Ingress, stop: &CancellationToken) {
    let (ingress, stop) = (ingress.clone(), stop.clone());
    parts.spawn(async move { ingress.gate.watch(&ingress.context, stop).await });
}

fn measure_figures(parts: &mut JoinSet<()>, context: &Context, stop: &CancellationToken) {
    let (figures, metrics) = (context.figures.clone(), context.metrics.clone());
    parts.spawn(figures::run(
        figures,
        context.stores(),
        metrics,
        stop.clone(),
    ));
}

#[allow(clippy::print_stdout)]
fn print_welcome(config: &Config, address: SocketAddr) {
    let program = std::env::args()
        .next()
        .unwrap_or_else(|| "tocsin".to_owned());
    println!("{}", welcome(config, address, &program, Timestamp::now()));
}

/// How to try it, shown when it is started in a terminal.
fn welcome(config: &Config, address: SocketAddr, program: &str, now: Timestamp) -> String {
    let here = on_this_computer(address);
    let pages = config.public_url.as_deref().unwrap_or(&here);
    let pages = pages.trim_end_matches('/');
    let base = config.base_path();
    let token = |set: bool, name: &str| {
        if set {
            format!(" -H \"Authorization: Bearer ${name}\"")
        } else {
            String::new()
        }
    };
    let header = token(!config.webhook_token.is_empty(), "TOCSIN_WEBHOOK_TOKEN");
    let mut place = match address.port() {
        9099 => String::new(),
        _ => format!("TOCSIN_URL={here}{base} "),
    };
    if !config.api_token.is_empty() {
        place.push_str("TOCSIN_API_TOKEN=… ");
    }
    let sends = match config.webhook_token.is_empty() {
        true => "",
        false => "TOCSIN_WEBHOOK_TOKEN=… ",
    };
    format!(
        "Tocsin listens on http://{address} and stores its data in {:?}.

To try it, send an alert from another terminal:
  curl -s{header} {here}{base}/api/v1/alertmanager -d '{{\"alerts\":[{{\"status\":\"firing\",\"labels\":{{\"alertname\":\"HighErrorRate\",\"service\":\"checkout\",\"severity\":\"critical\"}},\"annotations\":{{\"summary\":\"5% of requests fail\"}},\"startsAt\":\"{now}\"}}]}}'
Then look at the incident, there or in a browser:
  {place}{program} incidents
  {pages}/
Or send many generated alerts:
  {place}{sends}{program} simulate
",
        config.database_url
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_welcome_shows_addresses_that_can_be_opened() {
        let stopping = |public_url: Option<&str>, address: &str| {
            let config = Config {
                public_url: public_url.map(str::to_owned),
                ..Config::default()
            };
            welcome(&config, address.parse().unwrap(), "tocsin", Timestamp(0))
        };
        let everywhere = stopping(None, "0.0.0.0:9556");
        for expected in [
            "  curl -s http://127.0.0.1:9556/api/v1/alertmanager ",
            "  TOCSIN_URL=http://127.0.0.1:9556 tocsin incidents\n",
            "  http://127.0.0.1:9556/\n",
        ] {
            assert!(everywhere.contains(expected), "{everywhere}");
        }
        let public = stopping(Some("https://ops.example/tocsin/"), "[::]:9556");
        for expected in [
            "  curl -s http://[::1]:9556/tocsin/api/v1/alertmanager ",
            "  TOCSIN_URL=http://[::1]:9556/tocsin tocsin incidents\n",
            "  https://ops.example/tocsin/\n",
        ] {
            assert!(public.contains(expected), "{public}");
        }
        let usual = stopping(None, "127.0.0.1:9099");
        assert!(usual.contains("\n  tocsin incidents\n"), "{usual}");
    }
}
