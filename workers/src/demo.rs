//! `tocsin demo`: two weeks on call that are made up, to look at.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::{Value, json};
use tocsin::config::Config;
use tocsin::context::Context;
use tocsin::time::Timestamp;
use tocsin::web;
use tocsin_workers::cli::on_this_computer;
use tocsin_workers::notifiers::recorder::{Recording, recorders};
use tocsin_workers::simulation::{Folder, Scenario, alone, play_into};
use tocsin_workers::workers_with;
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::run;
use crate::stop::Hangup;

/// What happened.
const FORTNIGHT: &str = include_str!("demo/fortnight.toml");
/// How often what still fires is sent again, as Alertmanager does.
const RESEND: Duration = Duration::from_secs(3600);

/// Options of `demo`.
#[derive(clap::Args)]
pub(crate) struct DemoArgs {
    /// Address to listen on: IP:PORT.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9099")]
    listen: SocketAddr,
    /// Print the address of the page, and do not open a browser.
    #[arg(long)]
    no_open: bool,
}

/// Plays the two weeks into a temporary SQLite file so that they end now, then serves the pages and the API. Nothing
/// is sent anywhere: messages are what somebody would have got.
pub(crate) async fn run(args: DemoArgs) -> anyhow::Result<()> {
    let listener = run::bind(args.listen).await?;
    let folder = Arc::new(Folder::new()?);
    let mut scenario = Scenario::parse(FORTNIGHT).context("the demo's scenario")?;
    scenario.begins = Timestamp::now().before(scenario.lasts());
    let config = Config::with(&scenario.settings).context("the demo's scenario")?;
    say("Playing two weeks on call …");
    let began = Instant::now();
    let firing = tokio::select! {
        firing = played(Arc::clone(&folder), scenario, config.clone()) => firing?,
        // Its runtime ends with the program, and nobody else has the folder.
        stopped = tokio::signal::ctrl_c() => {
            folder.remove();
            return Ok(stopped?);
        }
    };
    let took = began.elapsed();

    let config = Config {
        listen: args.listen,
        ..alone(config, &folder)
    };
    let context = Context::open(config).await?;
    let ingress = run::ingress_of(&context);
    let stop = run::stop_on_signal(&ingress, Hangup::listen()?, None)?.closing;
    let address = on_this_computer(listener.local_addr()?);
    say(&welcome(&address, took));
    if !args.no_open && console::user_attended() {
        // Where there is no browser, the address is on the screen.
        let _ = open::that_detached(format!("{address}/"));
    }
    let recording = Recording::default();
    let workers = workers_with(&context, recorders(&context.config, &recording));
    let mut parts = JoinSet::new();
    parts.spawn(resend(
        web::router(&ingress),
        firing,
        recording,
        stop.clone(),
    ));
    let fleet = run::work_on(&context, workers, stop.clone());
    let served = (listener, web::router(&ingress).into());
    Box::pin(run::serve_until(stop, served, ingress, fleet, parts)).await
}

/// Plays the scenario in a runtime of its own: all that is started for it ends with that, and leaves the database.
async fn played(
    folder: Arc<Folder>,
    scenario: Scenario,
    config: Config,
) -> anyhow::Result<Vec<Value>> {
    let play = move || {
        let runtime = Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(Box::pin(play_into(&folder, &scenario, config)))
    };
    // A thread of its own keeps nobody waiting who stops the program meanwhile.
    let (sender, played) = oneshot::channel();
    std::thread::spawn(move || drop(sender.send(play())));
    played.await?
}

/// Sends what still fires again until it is stopped, and forgets the messages that nobody gets.
async fn resend(router: Router, firing: Vec<Value>, recording: Recording, stop: CancellationToken) {
    let body = json!({"version": "4", "status": "firing", "alerts": firing}).to_string();
    loop {
        let request = Request::builder()
            .method(Method::POST)
            .uri("/api/v1/alertmanager")
            .header("content-type", "application/json")
            .body(Body::from(body.clone()));
        if let Ok(request) = request {
            let _ = router.clone().oneshot(request).await;
        }
        drop(recording.take());
        tokio::select! {
            () = tokio::time::sleep(RESEND) => {}
            () = stop.cancelled() => return,
        }
    }
}

fn welcome(address: &str, took: Duration) -> String {
    let own = match address.ends_with(":9099") {
        true => String::new(),
        false => format!("TOCSIN_URL={address} "),
    };
    format!(
        "Done in {:.0} s. Nothing is sent anywhere, and all is removed when you stop it with Ctrl-C.

  {address}/incidents   what is going on now, by status and level
  {address}/anomalies   what comes back, and how often
  {address}/repairs     which action holds
  {address}/report      the two weeks in review
  {address}/system      each link of the chain

In another terminal:
  {own}tocsin incidents
  {own}tocsin report
",
        took.as_secs_f64()
    )
}

#[allow(clippy::print_stdout)]
fn say(text: &str) {
    println!("{text}");
}
