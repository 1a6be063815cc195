//! The stop of a process: first it reports not ready, then it closes its listener.

use std::sync::Arc;
use std::time::Duration;

use tocsin::web::Gate;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The two phases of stopping.
pub(crate) struct Stop {
    /// The process was asked to stop: it is not ready any more, and takes no more jobs from others.
    pub(crate) stopping: CancellationToken,
    /// Clients had the time to notice: nothing new is accepted.
    pub(crate) closing: CancellationToken,
}

impl Stop {
    /// Told by SIGTERM, or SIGHUP, closing `delay` later; SIGINT, from a person at a terminal, does not wait.
    /// A second signal ends the process at once.
    pub(crate) fn on_signal(gate: Arc<Gate>, delay: Duration) -> anyhow::Result<Self> {
        let mut signals = Signals {
            term: signal(SignalKind::terminate())?,
            hup: signal(SignalKind::hangup())?,
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
    term: Signal,
    hup: Signal,
    int: Signal,
}

impl Signals {
    async fn next(&mut self) -> SignalKind {
        tokio::select! {
            _ = self.term.recv() => SignalKind::terminate(),
            _ = self.hup.recv() => SignalKind::hangup(),
            _ = self.int.recv() => SignalKind::interrupt(),
        }
    }
}
