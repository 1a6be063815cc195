//! The progress bar. It draws on the standard error, and nothing if that is no terminal.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::settle::in_words;
use super::tally::Tally;

/// A line that moves, and is gone when this is dropped.
pub(super) struct Bar(ProgressBar);

impl Bar {
    /// The bar of a storm of `alerts`.
    pub(super) fn of_storm(alerts: u64) -> anyhow::Result<Self> {
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} alerts  {msg}")?;
        Ok(Self::new(Some(alerts), style))
    }

    /// The line that is shown while the queues are worked off.
    pub(super) fn of_wait() -> anyhow::Result<Self> {
        let style =
            ProgressStyle::with_template("{spinner} waiting for the queues to drain: {msg}")?;
        Ok(Self::new(None, style))
    }

    /// Shows how far the storm is.
    pub(super) fn show(&self, tally: &Tally, elapsed: Duration) {
        if self.0.is_hidden() {
            return;
        }
        let rate = tally.accepted as f64 / elapsed.as_secs_f64().max(f64::EPSILON);
        let (retries, failed) = (tally.retries, tally.rejected + tally.lost());
        self.0.set_position(tally.sent);
        self.0
            .set_message(format!("{rate:.0}/s, {retries} retries, {failed} failed"));
    }

    /// Shows what is waited for.
    pub(super) fn wait_for(&self, left: &BTreeMap<String, i64>) {
        self.0.set_message(in_words(left));
        self.0.tick();
    }

    fn new(length: Option<u64>, style: ProgressStyle) -> Self {
        Self(ProgressBar::with_draw_target(length, ProgressDrawTarget::stderr()).with_style(style))
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
