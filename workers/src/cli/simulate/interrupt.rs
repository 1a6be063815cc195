//! Ctrl-C: the first ends the storm early, the second ends the program.

use tokio_util::sync::CancellationToken;

/// The exit code of a program that was interrupted.
const INTERRUPTED: i32 = 130;

/// A token that the first Ctrl-C cancels.
pub(super) fn on_ctrl_c() -> CancellationToken {
    let stop = CancellationToken::new();
    let cancelled = stop.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            eprintln!("\nStopping; verifying what was sent. Press Ctrl-C again to quit at once.");
            cancelled.cancel();
        }
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(INTERRUPTED);
        }
    });
    stop
}
