//! `--watch`: the list, drawn again in place.

use std::io::{self, Write as _};
use std::time::Duration;

use anyhow::ensure;
use console::Term;
use serde_json::Value;
use tocsin::time::Timestamp;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::MissedTickBehavior;

use super::error::Error;
use super::output::print;

/// Draws until Ctrl-C, and leaves the last view behind. An instance that does not answer for a while, as
/// one that is restarted, is asked again.
///
/// # Errors
/// There is no terminal, or the instance does not answer from the beginning.
pub(super) async fn watch(
    instance: &str,
    every: Duration,
    ask: impl AsyncFn() -> Result<Vec<Value>, Error>,
    render: impl Fn(&[Value]) -> String,
) -> anyhow::Result<()> {
    let terminal = Term::stdout();
    ensure!(
        terminal.is_term(),
        "--watch needs a terminal: leave it out, or use --json"
    );
    let mut items = ask().await?;
    let (mut interrupt, mut terminate) = (
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
    );
    let screen = Screen::enter(terminal)?;
    let mut clock = tokio::time::interval(every);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last_error = None;
    let view = async {
        // The first tick is at once, and what it would ask is known.
        clock.tick().await;
        loop {
            let head = head(instance, every, last_error.as_ref());
            screen.draw(&format!("{head}{}", render(&items)))?;
            clock.tick().await;
            match ask().await {
                Ok(found) => (items, last_error) = (found, None),
                Err(error) => last_error = Some(error),
            }
        }
    };
    let ended: io::Result<()> = tokio::select! {
        ended = view => ended,
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
    };
    drop(screen);
    ended?;
    print(&render(&items))?;
    Ok(())
}

/// What stands above the list.
fn head(instance: &str, every: Duration, error: Option<&Error>) -> String {
    let (at, secs) = (Timestamp::now().to_rfc3339(), every.as_secs());
    let clock = at.get(11..19).unwrap_or_default();
    let mut head = format!("{instance}  {clock} UTC, every {secs}s, until Ctrl-C\n\n");
    if let Some(error) = error {
        head.push_str(&format!("{error}\nLast successful view:\n\n"));
    }
    head
}

/// The terminal's other screen, where long lines are cut: what was there before comes back when this is
/// dropped.
struct Screen {
    terminal: Term,
}

impl Screen {
    fn enter(terminal: Term) -> io::Result<Self> {
        let screen = Self { terminal };
        screen.write("\u{1b}[?1049h\u{1b}[?25l\u{1b}[?7l")?;
        Ok(screen)
    }

    /// Each line over the one that was there, and nothing behind the last.
    fn draw(&self, frame: &str) -> io::Result<()> {
        let (height, _) = self.terminal.size();
        let lines = frame.lines().take(usize::from(height.max(1)));
        let lines: Vec<String> = lines.map(|line| format!("{line}\u{1b}[K")).collect();
        self.write(&format!("\u{1b}[H{}\u{1b}[J", lines.join("\r\n")))
    }

    fn write(&self, text: &str) -> io::Result<()> {
        let mut terminal = &self.terminal;
        terminal.write_all(text.as_bytes())?;
        terminal.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // The terminal is gone if this fails.
        let _ = self.write("\u{1b}[?7h\u{1b}[?25h\u{1b}[?1049l");
    }
}
