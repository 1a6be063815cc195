//! Reload: SIGHUP has a running process read its settings again, and go on with what can be changed while it runs.
//!
//! | promise | how |
//! |---|---|
//! | all or nothing | the new settings are read and checked before anything is made of them |
//! | no alert waits, and none is lost | workers and routes are made anew; those that there were finish what they do. What needs settings that only other processes have waits for them |
//! | authentication is never lost by a reload | without the file that was read at the start, or with nothing in it, nothing is reloaded; nor is it if nobody would be asked who they are any more |
//! | one pass, one request has the same settings from its beginning to its end | each has the context that it began with |
//! | what came of it is seen | log, `tocsin_config_last_reload_successful` |

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tocsin::config::{Config, Reloaded};
use tocsin::context::Context;
use tocsin::web::{self, Ingress, Routes};
use tocsin_workers::test_sender;
use tokio::sync::{Notify, watch};
use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;

/// Reads the settings again whenever it is asked to.
pub(crate) struct Reload {
    /// The one that was read at the start.
    file: Option<PathBuf>,
    ingress: Ingress,
    routes: Option<Routes>,
    newest: watch::Sender<Context>,
}

impl Reload {
    /// For a process that was started with `file`, and answers with `routes` if it has an ingress.
    pub(crate) fn new(file: Option<&Path>, ingress: Ingress, routes: Option<Routes>) -> Self {
        let (newest, _) = watch::channel(ingress.context.clone());
        Self {
            file: Config::file(file),
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
            let read = Config::load_again(file.as_deref())?;
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
            tracing::info!(
                "settings were read again: nothing changed that can be reloaded; variables of the environment are \
                 read at the start only"
            );
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

/// The pause before something that panicked is started again.
const RESTART: Duration = Duration::from_secs(1);

/// Runs what `start` makes of the context until `stop`, and makes it anew whenever there are other settings, or when it
/// panics. What there was gets its own stop, and ends beside the new.
pub(crate) async fn follow<T, F>(
    what: &str,
    mut newest: watch::Receiver<T>,
    stop: CancellationToken,
    start: impl Fn(T, CancellationToken) -> F,
) where
    T: Clone,
    F: Future<Output = ()> + Send + 'static,
{
    let mut running = JoinSet::new();
    while !stop.is_cancelled() {
        let context = newest.borrow_and_update().clone();
        let ends = stop.child_token();
        let started = running.spawn(start(context, ends.clone())).id();
        tokio::select! {
            () = changed(&mut newest) => {}
            () = panicked(what, &mut running, started) => {
                tokio::select! {
                    () = tokio::time::sleep(RESTART) => {}
                    () = stop.cancelled() => {}
                }
            }
            () = stop.cancelled() => {}
        }
        ends.cancel();
    }
    while running.join_next().await.is_some() {}
}

/// Returns when there is another context. Where there will be none any more, never.
async fn changed<T>(newest: &mut watch::Receiver<T>) {
    if newest.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Returns when the task has panicked. That it ends by itself is as it should be: it may have nothing to do.
async fn panicked(what: &str, running: &mut JoinSet<()>, task: Id) {
    loop {
        match running.join_next().await {
            Some(Ok(())) => {}
            Some(Err(error)) => {
                tracing::error!("{what} panicked: {error}");
                if error.id() == task {
                    return;
                }
            }
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn what_panics_is_started_again_and_what_ends_is_not() {
        let (starts, stop) = (Arc::new(AtomicUsize::new(0)), CancellationToken::new());
        let (newest, changes) = watch::channel(());
        let start = |(), ends: CancellationToken| {
            let (starts, stop) = (Arc::clone(&starts), stop.clone());
            async move {
                match starts.fetch_add(1, Ordering::SeqCst) {
                    0 => panic!("a mistake"),
                    // As where no button can be pressed.
                    1 => stop.cancel(),
                    _ => ends.cancelled().await,
                }
            }
        };
        let followed = follow("it", changes, stop.clone(), start);
        let ended = tokio::time::timeout(Duration::from_secs(9), followed).await;
        assert!(ended.is_ok());
        assert_eq!(starts.load(Ordering::SeqCst), 2);
        drop(newest);
    }
}
