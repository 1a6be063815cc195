//! Backoff while a store cannot be reached: 50 ms, doubled up to 2 s.

use std::time::Duration;

/// The next pause.
pub(super) struct Backoff(pub(super) Duration);

impl Backoff {
    const LEAST: Duration = Duration::from_millis(50);
    const MOST: Duration = Duration::from_secs(2);

    pub(super) const fn new() -> Self {
        Self(Self::LEAST)
    }

    pub(super) const fn succeeded(&mut self) {
        self.0 = Self::LEAST;
    }

    pub(super) async fn failed(&mut self) {
        tokio::time::sleep(self.0).await;
        self.0 = (self.0 * 2).min(Self::MOST);
    }
}
