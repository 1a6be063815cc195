//! Signals: the stop of a process, which first reports not ready, then closes its listener; and the reload of its
//! settings.

use std::io::{IsTerminal as _, stdin};
use std::sync::Arc;
use std::time::Duration;

use tocsin::web::Gate;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// The two phases of stopping.
pub(crate) struct Stop {
    /// The process was asked to stop: it is not ready any more, and takes no more jobs from others.
    pub(crate) stopping: CancellationToken,
    /// Clients had the time to notice: nothing new is accepted.
    pub(crate) closing: CancellationToken,
}

/// SIGHUP, from the moment that it is made: until then it ends the process.
pub(crate) struct Hangup {
    signal: Signal,
    had_terminal: bool,
}

impl Hangup {
    /// Listens. Do so before anything that takes long: who reloads all processes of a fleet may reach one that starts.
    ///
    /// # Errors
    /// The system does not allow it.
    pub(crate) fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            signal: signal(SignalKind::hangup())?,
            had_terminal: stdin().is_terminal(),
        })
    }
}

impl Stop {
    /// Told by SIGTERM, closing `delay` later; SIGINT, from a person at a terminal, does not wait. A second signal
    /// ends the process at once. SIGHUP asks for a `reload`, or tells likewise where there is none to ask for, and
    /// where the terminal is gone from which the process was started.
    pub(crate) fn on_signal(
        gate: Arc<Gate>,
        delay: Duration,
        hangup: Hangup,
        reload: Option<Arc<Notify>>,
    ) -> anyhow::Result<Self> {
        let mut signals = Signals {
            reload,
            hangup,
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
        };
        let stop = Self {
            stopping: CancellationToken::new(),
            closing: CancellationToken::new(),
        };
        let (stopping, closing) = (stop.stopping.clone(), stop.closing.clone());
        tokio::spawn(async move {
            let delay = match signals.next().await == SignalKind::interrupt() {
                true => Duration::ZERO,
                false => delay,
            };
            tracing::info!("stopping: waiting for running jobs and requests");
            gate.stop();
            stopping.cancel();
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                _ = signals.next() => std::process::exit(130),
            }
            closing.cancel();
            signals.next().await;
            std::process::exit(130);
        });
        Ok(stop)
    }
}

struct Signals {
    reload: Option<Arc<Notify>>,
    hangup: Hangup,
    term: Signal,
    int: Signal,
}

impl Signals {
    /// The next that is about the end of the process.
    async fn next(&mut self) -> SignalKind {
        loop {
            tokio::select! {
                _ = self.term.recv() => return SignalKind::terminate(),
                _ = self.int.recv() => return SignalKind::interrupt(),
                _ = self.hangup.signal.recv() => {
                    let has_hung_up = self.hangup.had_terminal && !stdin().is_terminal();
                    match &self.reload {
                        Some(reload) if !has_hung_up => reload.notify_one(),
                        _ => return SignalKind::hangup(),
                    }
                }
            }
        }
    }
}
