//! `tocsin repair`: records a repair of an incident.

use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};

use super::client::{Client, Remote};
use super::error::Error;
use super::fields::{text, time};
use super::output::{print, print_json};
use super::which::IncidentArg;

/// How long to wait for the job, and from one look to the next.
const PATIENCE: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(200);
/// So many of the newest repairs are looked at for it.
const NEWEST: usize = 50;

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
    /// The action was taken, and the problem is gone
    #[arg(long)]
    success: bool,
    /// The action was taken, but the problem is still there
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
                "did not help"
            },
        );
        let done = if is_shown(&client, &id, &job).await {
            "recorded"
        } else {
            // A worker is busy, or none runs.
            "queued, and not recorded yet"
        };
        print(&format!(
            "Repair {done}: {action} {outcome} (job {job}).\nSee the result: tocsin \
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

/// Waits until the incident shows the repair that this job records; false if that takes long, or cannot be asked.
async fn is_shown(client: &Client, incident: &str, job: &str) -> bool {
    let until = Instant::now() + PATIENCE;
    loop {
        match shows(client, incident, job).await {
            Ok(false) if Instant::now() < until => tokio::time::sleep(PAUSE).await,
            shown => return shown.unwrap_or_default(),
        }
    }
}

/// Whether the repair is recorded, and the incident's figures are as of it or later.
async fn shows(client: &Client, incident: &str, job: &str) -> Result<bool, Error> {
    let newest = client.list(&["repairs"], &[], NEWEST).await?;
    let repair = newest.iter().find(|repair| text(repair, "/id") == job);
    let Some(at) = repair.and_then(|repair| time(repair, "/repaired_at")) else {
        return Ok(false);
    };
    let incident = client.get(&["incidents", incident], &[]).await?;
    Ok(time(&incident, "/repair_stats/last_repair_time").is_some_and(|last| last >= at))
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
    fn a_repair_needs_exactly_one_outcome() {
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

    #[tokio::test]
    async fn a_repair_is_recorded_when_the_incident_shows_it() {
        let server = MockServer::start().await;
        let at = |at: &str, answer: Value| {
            let answer = ResponseTemplate::new(200).set_body_json(answer);
            Mock::given(method("GET"))
                .and(path(at.to_owned()))
                .respond_with(answer)
        };
        let (before, after) = ("2026-11-22T21:25:29.101Z", "2026-11-22T21:25:29.102Z");
        let as_of = |last| json!({"id": ID, "repair_stats": {"last_repair_time": last}});
        let incident = format!("/api/v1/incidents/{ID}");
        let none = json!({"items": [], "next_cursor": null});
        let one = json!({"items": [{"id": ID, "repaired_at": after}], "next_cursor": null});
        at("/api/v1/repairs", none)
            .up_to_n_times(1)
            .expect(1)
            .mount(&server)
            .await;
        at("/api/v1/repairs", one).expect(2).mount(&server).await;
        at(&incident, as_of(before))
            .up_to_n_times(1)
            .expect(1)
            .mount(&server)
            .await;
        at(&incident, as_of(after)).expect(1).mount(&server).await;
        assert!(is_shown(&Client::of(&server.uri()), ID, ID).await);
    }
}
