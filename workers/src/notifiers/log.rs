//! The log as a channel: what is told where nothing else is set.

use async_trait::async_trait;

use super::markup::Line;
use super::{Card, Notifier, SendError, Sent, message};

/// Writes each message as one line of the log.
#[derive(Clone, Copy, Debug, Default)]
pub struct Log;

#[async_trait]
impl Notifier for Log {
    fn channel(&self) -> &str {
        "log"
    }

    fn render(&self, card: &Card) -> String {
        let lines: Vec<String> = message::lines(card).iter().map(Line::plain).collect();
        lines.join(" | ")
    }

    async fn send(&self, body: &str) -> Result<Sent, SendError> {
        tracing::info!(notification.channel = self.channel(), "{body}");
        Ok(Sent::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_log_takes_everything() {
        assert_eq!(
            Log.send("Opened: a {brace} and a %").await,
            Ok(Sent::default())
        );
    }
}
