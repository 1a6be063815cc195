//! `tocsin notify`: try a channel.

use anyhow::bail;
use clap::{Args, Subcommand};
use serde_json::json;

use super::client::{Client, Remote};
use super::fields::text;
use super::output::{print, print_json};

/// Test the channels of notifications
#[derive(Debug, Args)]
pub struct NotifyArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Send a test message to a channel and print the provider's answer; exit with 1 if it was not sent
    Test(Test),
}

#[derive(Debug, Args)]
struct Test {
    /// Channel, as in a route: telegram:-1001234567890, webhook:ops, pagerduty:ops, email:oncall@example.org, log; or sentry
    channel: String,
    /// Who asks for it
    #[arg(long, value_name = "NAME", env = "USER")]
    operator: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl NotifyArgs {
    /// Asks the instance, and prints what the provider answered.
    ///
    /// # Errors
    /// The instance does not answer, or has no such channel; or the provider did not take the message.
    pub async fn run(self, remote: &Remote) -> anyhow::Result<()> {
        let Command::Test(test) = self.command;
        test.run(&Client::new(remote)?).await
    }
}

impl Test {
    async fn run(self, client: &Client) -> anyhow::Result<()> {
        let mut body = json!({"channel": self.channel});
        if let Some(operator) = self.operator.filter(|operator| !operator.is_empty()) {
            body["operator"] = operator.into();
        }
        let tested = client.post(&["notify", "test"], Some(&body), None).await?;
        let answer = text(&tested, "/answer");
        let is_sent = tested["sent"] == true;
        if self.json {
            print_json(&tested)?;
        } else if is_sent {
            print(&format!("Sent to {}: {answer}", self.channel))?;
        }
        if !is_sent {
            bail!("not sent to {}: {answer}", self.channel);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::Value;
    use wiremock::matchers::{body_json, method, path};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        remote: Remote,
        #[command(flatten)]
        args: NotifyArgs,
    }

    async fn run(answer: &Value) -> anyhow::Result<()> {
        let server = MockServer::start().await;
        let asked = json!({"channel": "webhook:ops", "operator": "alice"});
        Mock::given(method("POST"))
            .and(path("/api/v1/notify/test"))
            .and(body_json(asked))
            .respond_with(ResponseTemplate::new(200).set_body_json(answer))
            .expect(1)
            .mount(&server)
            .await;
        let url = server.uri();
        let line = [
            "notify",
            "--url",
            &url,
            "test",
            "webhook:ops",
            "--operator",
            "alice",
        ];
        let cli = Cli::parse_from(line);
        cli.args.run(&cli.remote).await
    }

    #[tokio::test]
    async fn it_fails_if_the_provider_did_not_take_the_message() {
        let answer =
            |sent, answer| json!({"channel": "webhook:ops", "sent": sent, "answer": answer});
        run(&answer(true, "answered 204")).await.unwrap();
        let refused = run(&answer(false, "webhook:ops answered 410: gone")).await;
        assert_eq!(
            refused.unwrap_err().to_string(),
            "not sent to webhook:ops: webhook:ops answered 410: gone"
        );
    }
}
