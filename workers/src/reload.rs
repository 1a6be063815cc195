//! Reload: SIGHUP has a running process read its settings again, and go on with what can be changed while it runs.
//!
//! | promise | how |
//! |---|---|
//! | all or nothing | the new settings are read and checked before anything is made of them |
//! | no alert waits, and none is lost | workers and routes are made anew; those that there were finish what they do |
//! | one pass, one request has the same settings from its beginning to its end | each has the context that it began with |
//! | what came of it is seen | log, `tocsin_config_last_reload_successful` |

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

use tocsin::config::{Config, Reloaded};
use tocsin::context::Context;
use tocsin::web::{self, Ingress, Routes};
use tocsin_workers::test_sender;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Reads the settings again whenever it is asked to.
pub(crate) struct Reload {
    file: Option<PathBuf>,
    ingress: Ingress,
    routes: Option<Routes>,
    newest: watch::Sender<Context>,
}

impl Reload {
    /// For a process that was started with `file`, and answers with `routes` if it has an ingress.
    pub(crate) fn new(file: Option<PathBuf>, ingress: Ingress, routes: Option<Routes>) -> Self {
        let (newest, _) = watch::channel(ingress.context.clone());
        Self {
            file,
            ingress,
            routes,
            newest,
        }
    }

    /// The context with the settings that were read last.
    pub(crate) fn newest(&self) -> watch::Receiver<Context> {
        self.newest.subscribe()
    }

    /// Waits to be asked, until `stop`.
    pub(crate) async fn run(mut self, asked: Arc<Notify>, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = asked.notified() => self.pass().await,
                () = stop.cancelled() => return,
            }
        }
    }

    async fn pass(&mut self) {
        let (file, running) = (self.file.clone(), Arc::clone(&self.ingress.context.config));
        // Files are read that may be on a slow disk.
        let reloaded = tokio::task::spawn_blocking(move || {
            let read = Config::load(file.as_deref())?;
            running.reload(read)
        });
        match reloaded.await {
            Ok(Ok(reloaded)) => self.use_settings(reloaded),
            Ok(Err(error)) => self.refuse(&error.to_string()),
            Err(error) => self.refuse(&error.to_string()),
        }
    }

    fn use_settings(&mut self, reloaded: Reloaded) {
        let Reloaded {
            config,
            changed,
            restart,
        } = reloaded;
        if !restart.is_empty() {
            tracing::warn!(
                "these settings changed and need a restart: {}",
                restart.join(", ")
            );
        }
        if changed.is_empty() {
            tracing::info!("settings were read again: nothing changed that can be reloaded");
        } else {
            for warning in config.warnings() {
                tracing::warn!("{warning}");
            }
            let context = self.ingress.context.with_settings(config);
            self.ingress.test_sender = Some(test_sender(&context));
            self.ingress.context = context.clone();
            if let Some(routes) = &self.routes {
                routes.replace(web::router(&self.ingress));
            }
            self.newest.send_replace(context);
            tracing::info!("settings reloaded: {}", changed.join(", "));
        }
        self.ingress.context.metrics.settings_are_used();
    }

    fn refuse(&self, why: &str) {
        self.ingress.context.metrics.config_reloaded.set(0);
        tracing::error!("settings were not reloaded, and nothing changed: {why}");
    }
}

/// Runs what `start` makes of the context until `stop`, and makes it anew whenever there are other settings. What there
/// was gets its own stop, and ends beside the new.
pub(crate) async fn follow<F>(
    mut newest: watch::Receiver<Context>,
    stop: CancellationToken,
    start: impl Fn(Context, CancellationToken) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let mut running = JoinSet::new();
    while !stop.is_cancelled() {
        let context = newest.borrow_and_update().clone();
        let ends = stop.child_token();
        running.spawn(start(context, ends.clone()));
        tokio::select! {
            changed = newest.changed() => if changed.is_err() {
                stop.cancelled().await;
            },
            () = stop.cancelled() => {}
        }
        ends.cancel();
        while running.try_join_next().is_some() {}
    }
    while running.join_next().await.is_some() {}
}
