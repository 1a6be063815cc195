//! Progress on the standard error; nothing if that is no terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A line that moves, and is gone when this is dropped.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let style = ProgressStyle::with_template("{spinner} {elapsed}  {prefix}  {wide_msg}")?;
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        Ok(Self(bar.with_style(style)))
    }

    /// Says what is measured now.
    pub(crate) fn begin(&self, what: String) {
        self.0.set_prefix(what);
        self.show("");
    }

    /// Says how far that is.
    pub(crate) fn show(&self, how_far: &str) {
        if !self.0.is_hidden() {
            self.0.set_message(how_far.to_owned());
            self.0.tick();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
