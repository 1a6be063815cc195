//! `tocsin repair`: records a repair of an incident.

use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};

use super::client::{Client, Remote};
use super::error::Error;
use super::fields::{text, time};
use super::output::{print, print_json};
use super::which::{self, IncidentArg};
use tocsin::time::Timestamp;
use uuid::Uuid;

/// How long to wait for the job, and from one look to the next.
const PATIENCE: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(200);
/// Newest repairs among which it is searched for.
const NEWEST: usize = 50;

/// Record a repair, and whether it helped
///
/// It is judged by what follows: verified if the anomaly stays quiet.
#[derive(Debug, Args)]
pub struct RepairArgs {
    #[command(flatten)]
    target: Target,
    /// Source of the alert, with --label, for example alertmanager
    #[arg(long, value_name = "NAME", requires = "label", conflicts_with_all = ["incident", "anomaly", "finish"])]
    source: Option<String>,
    /// Action, for example restart_pod
    #[arg(long, required_unless_present = "finish")]
    action: Option<String>,
    #[command(flatten)]
    outcome: Outcome,
    /// When it started (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = moment)]
    started_at: Option<String>,
    /// When it finished (RFC 3339); now by default
    #[arg(long, value_name = "TIME", value_parser = moment, conflicts_with = "started")]
    finished_at: Option<String>,
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
struct Target {
    /// Incident ID or short ID (the last 8 characters)
    incident: Option<IncidentArg>,
    /// Of an anomaly, by its key: on its newest incident
    #[arg(long, value_name = "KEY")]
    anomaly: Option<String>,
    /// Of an alert, by its labels, for example --label alertname=DiskFull --label job=db
    #[arg(long, value_name = "NAME=VALUE", value_parser = label)]
    label: Vec<(String, String)>,
    /// Finish a repair that was started, by its ID
    #[arg(long, value_name = "ID", conflicts_with_all = ["started", "action", "started_at"])]
    finish: Option<Uuid>,
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
    /// The action has only started; finish it later with --finish ID
    #[arg(long)]
    started: bool,
}

fn label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("give a label as NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn moment(text: &str) -> Result<String, String> {
    let at = Timestamp::parse(text).ok_or("not a time such as 2026-01-31T18:00:00Z")?;
    Ok(at.to_rfc3339())
}

impl RepairArgs {
    /// Sends it and prints what records it.
    ///
    /// # Errors
    /// The instance does not answer, or there is no such incident, anomaly or repair.
    pub async fn run(self, remote: &Remote) -> anyhow::Result<()> {
        let client = Client::new(remote)?;
        if let Some(id) = self.target.finish {
            return self.finish(&client, &id.to_string()).await;
        }
        let (answer, incident) = self.report(&client).await?;
        if self.json {
            return print_json(&answer);
        }
        let (action, repair) = (self.action(), id_of(&answer));
        if self.outcome.started {
            let told = format!(
                "Repair started: {action} (repair {repair}).\nFinish it: tocsin repair --finish {repair} \
                 --success"
            );
            return Ok(print(&told)?);
        }
        let is_recorded = match &incident {
            Some(incident) => is_shown(&client, incident, &repair).await,
            None => is_there(&client, &repair).await,
        };
        // Else a worker is busy, or none runs.
        let done = if is_recorded {
            "recorded"
        } else {
            "queued, and not recorded yet"
        };
        let outcome = if self.outcome.success {
            "helped"
        } else {
            "did not help"
        };
        let see = match incident {
            Some(id) => format!("tocsin incidents show {id}"),
            None => "tocsin repairs".to_owned(),
        };
        let told =
            format!("Repair {done}: {action} {outcome} (job {repair}).\nSee the result: {see}");
        Ok(print(&told)?)
    }

    /// Reports it; returns the answer, and the incident if it was named.
    async fn report(&self, client: &Client) -> anyhow::Result<(Value, Option<String>)> {
        let (key, mut body) = (self.idempotency_key.as_deref(), self.body());
        let target = &self.target;
        if let Some(incident) = target.incident {
            let id = incident.id(client).await?.to_string();
            let path = ["incidents", id.as_str(), "repairs"];
            let answer = client.post(&path, Some(&body), key).await?;
            return Ok((answer, Some(id)));
        }
        if let Some(name) = &target.anomaly {
            let anomaly = which::anomaly(client, name).await?;
            let path = ["anomalies", anomaly.as_str(), "repairs"];
            return Ok((client.post(&path, Some(&body), key).await?, None));
        }
        let labels = target.label.iter().cloned();
        body["labels"] = labels
            .map(|(name, value)| (name, Value::from(value)))
            .collect();
        if let Some(source) = &self.source {
            body["source"] = source.clone().into();
        }
        Ok((client.post(&["repairs"], Some(&body), key).await?, None))
    }

    async fn finish(&self, client: &Client, id: &str) -> anyhow::Result<()> {
        let finished = client.patch(&["repairs", id], &self.body()).await?;
        if self.json {
            return print_json(&finished);
        }
        let action = text(&finished, "/action");
        Ok(print(&format!("Repair finished: {action} (repair {id})."))?)
    }

    fn action(&self) -> &str {
        self.action.as_deref().unwrap_or_default()
    }

    fn body(&self) -> Value {
        let mut body = json!({});
        if let Some(action) = &self.action {
            body["action"] = action.clone().into();
        }
        if !self.outcome.started {
            body["success"] = self.outcome.success.into();
        }
        let now = || Timestamp::now().to_rfc3339();
        let started = self.started_at.clone();
        if let Some(at) = started.or_else(|| self.outcome.started.then(now)) {
            body["started_at"] = at.into();
        }
        if let Some(at) = &self.finished_at {
            body["finished_at"] = at.clone().into();
        }
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

/// The repair's id; an instance of an older version says only the job's, which is the same.
fn id_of(answer: &Value) -> String {
    match text(answer, "/repair") {
        none if none.is_empty() => text(answer, "/job"),
        repair => repair,
    }
}

/// Waits until the repair is recorded; false if that takes long, or cannot be asked.
async fn is_there(client: &Client, repair: &str) -> bool {
    let until = Instant::now() + PATIENCE;
    while client.get(&["repairs", repair], &[]).await.is_err() {
        if Instant::now() >= until {
            return false;
        }
        tokio::time::sleep(PAUSE).await;
    }
    true
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
        assert_eq!(parse(&["--started"]).unwrap(), Value::Null);
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

    #[test]
    fn a_repair_is_of_one_incident_anomaly_or_alert_or_finishes_one() {
        let parse = |words: &[&str]| {
            let line = ["repair"].iter().chain(words).copied();
            Cli::try_parse_from(line).map(|cli| cli.args.body())
        };
        let by_labels = ["--label", "alertname=A", "--action", "a", "--failed"];
        assert_eq!(parse(&by_labels).unwrap()["success"], false);
        assert!(parse(&["--anomaly", "k", "--action", "a", "--success"]).is_ok());
        assert!(parse(&["--finish", ID, "--success"]).is_ok());
        for words in [
            &["--action", "a", "--success"][..],
            &[ID, "--anomaly", "k", "--action", "a", "--success"],
            &["--finish", ID, "--started"],
            &["--finish", ID, "--action", "a", "--success"],
            &["--anomaly", "k", "--success"],
            &[ID, "--source", "signoz", "--action", "a", "--success"],
            &[ID, "--action", "a", "--success", "--started-at", "today"],
        ] {
            assert!(parse(words).is_err(), "{words:?}");
        }
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
