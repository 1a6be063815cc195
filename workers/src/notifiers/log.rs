//! The log as a channel: used where no other is set.

use async_trait::async_trait;
use tocsin::config::Config;
use tocsin::text::Lang;

use super::markup::Line;
use super::{Card, Message, Notifier, SendError, Sent, TestMessage, message, notice::Notice};

/// Writes each message as one line of the log.
#[derive(Clone, Copy, Debug, Default)]
pub struct Log(pub Lang);

/// The log, which is always there: for messages that were written when nothing else was set.
pub(super) fn configured(config: &Config) -> Vec<Box<dyn Notifier>> {
    vec![Box::new(Log(config.language))]
}

#[async_trait]
impl Notifier for Log {
    fn channel(&self) -> &str {
        "log"
    }

    fn render(&self, card: &Card) -> String {
        on_one(&message::lines(card, self.0.text()))
    }

    fn render_test(&self, test: &TestMessage) -> String {
        on_one(&message::of_test(test, self.0.text()))
    }

    fn render_notice(&self, of: &Notice, page: Option<&str>) -> Option<String> {
        Some(on_one(&of.lines(page, self.0)))
    }

    async fn send(&self, message: Message<'_>) -> Result<Sent, SendError> {
        tracing::info!(notification.channel = self.channel(), "{}", message.body);
        Ok(Sent {
            message_id: None,
            answer: "written to the log of the process that sent it".to_owned(),
        })
    }
}

fn on_one(lines: &[Line]) -> String {
    let lines: Vec<String> = lines.iter().map(Line::plain).collect();
    lines.join(" | ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_log_takes_everything() {
        let message = Message::for_test("Opened: a {brace} and a %");
        assert!(Log::default().send(message).await.is_ok());
    }
}
