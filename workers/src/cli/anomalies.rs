//! `tocsin anomalies`: the list, one anomaly, and whether it was fixed for good.

mod list;
mod show;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tocsin::time::Timestamp;

use super::client::{Client, Remote};
use super::fields::text;
use super::incidents::LEVELS;
use super::lists::{List, WatchArgs, limit};
use super::output::{print, print_json};
use super::which;

/// List anomalies, most recently firing first; show one, or mark a permanent fix
#[derive(Debug, Args)]
pub struct AnomaliesArgs {
    #[command(subcommand)]
    command: Option<AnomaliesCommand>,
    #[command(flatten)]
    filters: Filters,
    /// Maximum number of results
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = limit)]
    limit: usize,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    again: WatchArgs,
}

#[derive(Debug, Subcommand)]
enum AnomaliesCommand {
    /// Show one anomaly: its counts, and the reason for its level
    Show {
        /// Anomaly key; or the ID or short ID of an incident of it
        key: String,
    },
    /// Mark a permanent fix: a firing that begins later makes it tier 4
    Fix {
        /// Anomaly key; or the ID or short ID of an incident of it
        key: String,
        /// Link to the fix, for example a pull request
        #[arg(long, value_name = "TEXT")]
        reference: Option<String>,
        /// Operator name, recorded in the audit log
        #[arg(long, value_name = "NAME", env = "USER")]
        operator: Option<String>,
    },
    /// Withdraw a permanent fix
    Unfix {
        /// Anomaly key; or the ID or short ID of an incident of it
        key: String,
        /// Operator name, recorded in the audit log
        #[arg(long, value_name = "NAME", env = "USER")]
        operator: Option<String>,
    },
}

#[derive(Debug, Args)]
struct Filters {
    /// Only at this level
    #[arg(long, ignore_case = true, value_parser = LEVELS)]
    level: Option<String>,
    /// Only of this service
    #[arg(long)]
    service: Option<String>,
    /// Only in this namespace
    #[arg(long)]
    namespace: Option<String>,
    /// Only with this text in alert name, service, namespace or error type
    #[arg(long, value_name = "TEXT")]
    q: Option<String>,
}

impl AnomaliesArgs {
    /// Sends the request, and prints the answer.
    ///
    /// # Errors
    /// The instance does not answer, or there is no such anomaly.
    pub async fn run(self, remote: &Remote) -> anyhow::Result<()> {
        let client = Client::new(remote)?;
        match self.command {
            None => {
                let query = self.filters.query();
                let which = if query.is_empty() {
                    "yet"
                } else {
                    "that match"
                };
                let list = List {
                    client: &client,
                    path: &["anomalies"],
                    query: &query,
                    limit: self.limit,
                    none: &format!("No anomalies {which}."),
                };
                list.show(self.json, &self.again, list::render).await
            }
            Some(AnomaliesCommand::Show { key }) => {
                let key = which::anomaly(&client, &key).await?;
                let anomaly = client.get(&["anomalies", &key], &[]).await?;
                if self.json {
                    return print_json(&anomaly);
                }
                print(&show::facts(&anomaly, Timestamp::now()))?;
                Ok(())
            }
            Some(AnomaliesCommand::Fix {
                key,
                reference,
                operator,
            }) => {
                let key = which::anomaly(&client, &key).await?;
                let body = json!({"reference": reference, "operator": operator});
                let path = ["anomalies", key.as_str(), "permanent-fix"];
                let anomaly = client.post(&path, Some(&body), None).await?;
                print_outcome(&anomaly, self.json, &fixed(&anomaly))
            }
            Some(AnomaliesCommand::Unfix { key, operator }) => {
                let key = which::anomaly(&client, &key).await?;
                let before = client.get(&["anomalies", &key], &[]).await?;
                let what = match before["permanent_fix_at"].is_null() {
                    true => "had no permanent fix",
                    false => "no longer has a permanent fix",
                };
                let body = json!({"operator": operator});
                let path = ["anomalies", key.as_str(), "permanent-fix"];
                let anomaly = client.delete(&path, &body).await?;
                print_outcome(&anomaly, self.json, what)
            }
        }
    }
}

/// The outcome of marking a fix.
fn fixed(anomaly: &Value) -> String {
    let again = "if it fires again, it becomes tier 4";
    let earlier = text(anomaly, "/earlier_fix_at");
    if anomaly["changed"] == false {
        let at = text(anomaly, "/permanent_fix_at");
        format!("was already marked as fixed at {at}, and no firing began since: nothing changed")
    } else if earlier.is_empty() {
        format!("has a permanent fix; {again}")
    } else {
        format!("is fixed again: the earlier fix of {earlier} did not hold; {again}")
    }
}

fn print_outcome(anomaly: &Value, json: bool, what: &str) -> anyhow::Result<()> {
    if json {
        return print_json(anomaly);
    }
    print(&format!("{} {what}.", text(anomaly, "/alert_name")))?;
    Ok(())
}

impl Filters {
    fn query(&self) -> Vec<(&'static str, String)> {
        [
            ("level", self.level.as_deref().map(str::to_uppercase)),
            ("service", self.service.clone()),
            ("namespace", self.namespace.clone()),
            ("q", self.q.clone()),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use wiremock::matchers::{body_json, method, path};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        remote: Remote,
        #[command(flatten)]
        args: AnomaliesArgs,
    }

    const KEY: &str = "00112233445566778899aabbccddeeff";

    #[test]
    fn a_repeated_fix_and_one_after_a_failed_one_are_reported() {
        let at = "2026-11-22T21:28:29.102Z";
        let mut anomaly = json!({"permanent_fix_at": at, "changed": true});
        assert!(fixed(&anomaly).starts_with("has a permanent fix;"));
        anomaly["earlier_fix_at"] = json!(at);
        let again = format!("is fixed again: the earlier fix of {at} did not hold;");
        assert!(fixed(&anomaly).starts_with(&again));
        let same = json!({"permanent_fix_at": at, "changed": false});
        assert!(fixed(&same).contains("nothing changed"));
    }

    #[tokio::test]
    async fn a_fix_is_shown_and_withdrawn() {
        let server = MockServer::start().await;
        let place = || path(format!("/api/v1/anomalies/{KEY}/permanent-fix"));
        let answer =
            ResponseTemplate::new(200).set_body_json(json!({"key": KEY, "alert_name": "DiskFull"}));
        Mock::given(method("POST"))
            .and(place())
            .and(body_json(json!({"reference": "PR 7", "operator": "kim"})))
            .respond_with(answer.clone())
            .expect(1)
            .mount(&server)
            .await;
        Mock::given(method("DELETE"))
            .and(place())
            .and(body_json(json!({"operator": "kim"})))
            .respond_with(answer)
            .expect(1)
            .mount(&server)
            .await;
        let fixed = json!({"key": KEY, "permanent_fix_at": "2026-11-20T21:28:29.102Z"});
        Mock::given(method("GET"))
            .and(path(format!("/api/v1/anomalies/{KEY}")))
            .respond_with(ResponseTemplate::new(200).set_body_json(fixed))
            .expect(1)
            .mount(&server)
            .await;
        let uri = server.uri();
        let at = ["--url", uri.as_str()];
        for line in [
            &["fix", KEY, "--reference", "PR 7", "--operator", "kim"][..],
            &["unfix", KEY, "--operator", "kim"],
        ] {
            let line = ["anomalies"].iter().chain(line).chain(&at);
            let cli = Cli::try_parse_from(line).unwrap();
            cli.args.run(&cli.remote).await.unwrap();
        }
    }

    #[test]
    fn json_and_drawing_again_do_not_go_together() {
        let parse = |words: &[&str]| {
            Cli::try_parse_from(["anomalies"].iter().chain(words)).map(|cli| cli.args)
        };
        assert!(parse(&["--watch", "--json"]).is_err());
        assert_eq!(parse(&["--watch"]).unwrap().again.watch, Some(2));
        let query = parse(&["--level", "escalate", "--q", "x"])
            .unwrap()
            .filters
            .query();
        assert_eq!(
            query,
            [("level", "ESCALATE".to_owned()), ("q", "x".to_owned())]
        );
    }
}
