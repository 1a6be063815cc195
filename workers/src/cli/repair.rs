//! `tocsin repair`: tell an incident what was tried on it.

use clap::Args;
use serde_json::{Value, json};

use super::client::{Client, Remote};
use super::fields::text;
use super::output::{print, print_json};
use super::which::IncidentArg;

/// Record a repair of an incident, and whether it helped
#[derive(Debug, Args)]
pub struct RepairArgs {
    /// Incident ID or short ID (the last 8 characters)
    incident: IncidentArg,
    /// Action, for example restart_pod
    #[arg(long)]
    action: String,
    #[command(flatten)]
    outcome: Outcome,
    /// Who did it
    #[arg(long, value_name = "NAME", env = "USER")]
    operator: Option<String>,
    /// Note
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Idempotency key: repairs with the same key are recorded once
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Outcome {
    /// The repair helped
    #[arg(long)]
    success: bool,
    /// The repair did not help
    #[arg(long)]
    failed: bool,
}

impl RepairArgs {
    /// Sends it and prints the job that records it.
    ///
    /// # Errors
    /// The instance does not answer, or there is no such incident.
    pub async fn run(self, remote: &Remote) -> anyhow::Result<()> {
        let client = Client::new(remote)?;
        let id = self.incident.id(&client).await?.to_string();
        let path = ["incidents", id.as_str(), "repairs"];
        let key = self.idempotency_key.as_deref();
        let answer = client.post(&path, Some(&self.body()), key).await?;
        if self.json {
            return print_json(&answer);
        }
        let job = text(&answer, "/job");
        let (action, outcome) = (
            &self.action,
            if self.outcome.success {
                "helped"
            } else {
                "failed"
            },
        );
        print(&format!(
            "Repair queued: {action} {outcome} (job {job}).\nSee the result: tocsin \
             incidents show {id}"
        ))?;
        Ok(())
    }

    fn body(&self) -> Value {
        let mut body = json!({"action": self.action, "success": self.outcome.success});
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if let Some(operator) = given(&self.operator) {
            body["operator"] = operator.into();
        }
        if let Some(note) = given(&self.note) {
            body["note"] = note.into();
        }
        body
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use wiremock::matchers::{body_json, header, method, path};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        remote: Remote,
        #[command(flatten)]
        args: RepairArgs,
    }

    const ID: &str = "01940000-0000-7000-8000-000000000001";

    #[test]
    fn whether_it_helped_must_be_said_and_only_once() {
        let parse = |outcome: &[&str]| {
            let line = ["repair", ID, "--action", "restart_pod"]
                .iter()
                .chain(outcome);
            Cli::try_parse_from(line).map(|cli| cli.args.body()["success"].clone())
        };
        assert!(parse(&[]).is_err());
        assert!(parse(&["--success", "--failed"]).is_err());
        assert_eq!(parse(&["--success"]).unwrap(), true);
        assert_eq!(parse(&["--failed"]).unwrap(), false);
    }

    #[tokio::test]
    async fn a_repair_is_sent_with_its_key() {
        let server = MockServer::start().await;
        Mock::given(method("POST"))
            .and(path(format!("/api/v1/incidents/{ID}/repairs")))
            .and(header("Idempotency-Key", "k1"))
            .and(body_json(json!({
                "action": "restart_pod", "success": false, "operator": "kim", "note": "twice",
            })))
            .respond_with(ResponseTemplate::new(202).set_body_json(json!({"job": ID})))
            .expect(1)
            .mount(&server)
            .await;
        let uri = server.uri();
        let cli = Cli::try_parse_from([
            "repair",
            ID,
            "--action",
            "restart_pod",
            "--failed",
            "--operator",
            "kim",
            "--note",
            "twice",
            "--idempotency-key",
            "k1",
            "--json",
            "--url",
            &uri,
        ])
        .unwrap();
        cli.args.run(&cli.remote).await.unwrap();
    }
}
