//! `tocsin trace`: what became of an alert, as a story.

mod story;

use std::fmt::Write as _;

use anyhow::anyhow;
use clap::Args;
use serde_json::Value;
use tocsin::domain::id::ShortId;
use tocsin::time::Timestamp;
use uuid::Uuid;

use super::client::{Client, Remote};
use super::error::Error;
use super::fields::text;
use super::output::{print, print_json};
use super::paused;
use super::which::{ending_with, the_one};

/// Show the history of an alert: deliveries, firings, incidents, notifications, jobs, dead letters
#[derive(Debug, Args)]
pub struct TraceArgs {
    /// Fingerprint of an alert; ID or short ID of an incident; key of an anomaly; ID of a dead letter or a
    /// queued job; or a trace ID
    name: String,
    /// Source of the fingerprint
    #[arg(long)]
    source: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl TraceArgs {
    /// Asks the instance and prints its answer.
    ///
    /// # Errors
    /// The instance does not answer, or knows nothing of it.
    pub async fn run(self, remote: &Remote) -> anyhow::Result<()> {
        let client = Client::new(remote)?;
        let trace = self.ask(&client).await?;
        if self.json {
            return print_json(&trace);
        }
        print(&story::render(&trace, Timestamp::now()))?;
        if story::has_pending(&trace)
            && let Some(waits) = paused::notifications(&client).await
        {
            print(&format!("\n{waits}"))?;
        }
        Ok(())
    }

    /// A fingerprint can be any text: what the instance knows by the whole name comes first, and the end
    /// of an incident's id after that.
    async fn ask(&self, client: &Client) -> anyhow::Result<Value> {
        let query: Vec<_> = self
            .source
            .iter()
            .map(|source| ("source", source.clone()))
            .collect();
        let answer = client.get(&["trace", &self.name], &query).await;
        let short = ShortId::read(&self.name).filter(|_| self.source.is_none());
        let Some(short) = short else {
            return answer.map_err(|error| self.explain(error));
        };
        let incidents = ending_with(client, short).await;
        match answer {
            Err(unknown) if unknown.is_not_found() => {
                let incidents = incidents?;
                if incidents.is_empty() {
                    return Err(self.explain(unknown));
                }
                let id = the_one(short, &incidents)?.to_string();
                Ok(client.get(&["trace", &id], &[]).await?)
            }
            answer => {
                let trace = answer?;
                if let Some(lines) = taken_for(&trace, short, &incidents.unwrap_or_default()) {
                    eprintln!("{lines}");
                }
                Ok(trace)
            }
        }
    }

    /// Says how to find what has another name than a trace goes by.
    fn explain(&self, error: Error) -> anyhow::Error {
        let name = &self.name;
        match error.is_not_found() {
            true if name.parse::<Uuid>().is_ok() => {
                anyhow!("{error}. If it is a dead letter: tocsin dead show {name}")
            }
            true => {
                anyhow!(
                    "{error}. To find anomalies by an alert's name: tocsin anomalies --q {name:?}"
                )
            }
            false => error.into(),
        }
    }
}

/// What a name was taken for that is the end of an incident's id, too.
fn taken_for(trace: &Value, short: ShortId, incidents: &[Value]) -> Option<String> {
    if incidents.is_empty() {
        return None;
    }
    let mut lines = format!(
        "{short} is read as a {}. It is also the short ID of an incident:",
        text(trace, "/found_by")
    );
    for incident in incidents {
        let _ = write!(lines, "\n  tocsin trace {}", text(incident, "/id"));
    }
    Some(lines)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wiremock::matchers::{method, path};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::super::which::tests::{ID, found};
    use super::*;

    const NAME: &str = "7fb309c4";

    /// What is shown for a name that can mean several things.
    async fn ask(known: &[(&str, &str)], source: Option<&str>) -> Result<String, String> {
        let server = MockServer::start().await;
        found(&server, &[ID]).await;
        for (name, found_by) in known {
            let trace = json!({"fingerprint": name, "found_by": found_by});
            Mock::given(method("GET"))
                .and(path(format!("/api/v1/trace/{name}")))
                .respond_with(ResponseTemplate::new(200).set_body_json(trace))
                .mount(&server)
                .await;
        }
        let args = TraceArgs {
            name: NAME.to_owned(),
            source: source.map(str::to_owned),
            json: false,
        };
        let trace = args.ask(&Client::of(&server.uri())).await;
        trace
            .map(|trace| text(&trace, "/fingerprint"))
            .map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn a_known_name_keeps_its_meaning() {
        let both = [(NAME, "fingerprint"), (ID, "incident")];
        assert_eq!(ask(&both, None).await.unwrap(), NAME);
    }

    #[tokio::test]
    async fn an_unknown_name_can_be_a_short_id() {
        let known = [(ID, "incident")];
        assert_eq!(ask(&known, None).await.unwrap(), ID);
        let as_a_fingerprint = ask(&known, Some("alertmanager")).await.unwrap_err();
        let hint = "tocsin anomalies --q \"7fb309c4\"";
        assert!(
            as_a_fingerprint.contains("404") && as_a_fingerprint.ends_with(hint),
            "{as_a_fingerprint}"
        );
    }

    #[test]
    fn an_ambiguous_trace_name_says_how_it_was_interpreted() {
        let trace = json!({"found_by": "fingerprint"});
        let short = ShortId::read(NAME).unwrap();
        assert_eq!(taken_for(&trace, short, &[]), None);
        let shown = taken_for(&trace, short, &[json!({"id": ID})]).unwrap();
        insta::assert_snapshot!(shown, @"
        7fb309c4 is read as a fingerprint. It is also the short ID of an incident:
          tocsin trace 01940000-0000-7000-8000-00007fb309c4
        ");
    }
}
