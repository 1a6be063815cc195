//! `tocsin mute` and `tocsin unmute`.

use clap::Args;
use serde_json::{Map, Value, json};
use tocsin::time::Timestamp;

use super::age;
use super::client::{Client, Remote};
use super::fields::{text, time};
use super::output::{print, print_json};
use super::which;

/// Mute notifications for an anomaly; its firings still count and show
#[derive(Debug, Args)]
pub struct MuteArgs {
    #[command(flatten)]
    what: AnomalyArgs,
    #[command(flatten)]
    ends: Ends,
    /// Reason
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    #[command(flatten)]
    who: OperatorArgs,
}

/// Unmute an anomaly; notifications suppressed during the mute are not sent
#[derive(Debug, Args)]
pub struct UnmuteArgs {
    #[command(flatten)]
    what: AnomalyArgs,
    #[command(flatten)]
    who: OperatorArgs,
}

#[derive(Debug, Args)]
struct AnomalyArgs {
    /// Anomaly key; or the ID or short ID of an incident of it
    #[arg(value_name = "KEY")]
    name: String,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Ends {
    /// Duration, for example 30m, 4h or 3d; at most 30d
    #[arg(long, value_name = "SPAN")]
    r#for: Option<String>,
    /// End time, for example 2026-01-31T18:00:00Z
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

#[derive(Debug, Args)]
struct OperatorArgs {
    /// Operator name, recorded in the audit log
    #[arg(long, value_name = "NAME", env = "USER")]
    operator: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl MuteArgs {
    /// Mutes it and prints until when.
    ///
    /// # Errors
    /// The instance does not answer, there is no such anomaly, or it would be muted for too long.
    pub async fn run(self, remote: &Remote) -> anyhow::Result<()> {
        let client = Client::new(remote)?;
        let key = which::anomaly(&client, &self.what.name).await?;
        let path = ["anomalies", key.as_str(), "mute"];
        let now = Timestamp::now();
        let anomaly = client.post(&path, Some(&self.body()), None).await?;
        if self.who.json {
            return print_json(&anomaly);
        }
        let until = time(&anomaly, "/muted_until").unwrap_or_default();
        let left = age::left(until.since(now));
        print(&format!(
            "{} is muted until {until} ({left}).\nTo end the mute: tocsin unmute {key}",
            called(&anomaly)
        ))?;
        Ok(())
    }

    fn body(&self) -> Value {
        let fields = [
            ("for", &self.ends.r#for),
            ("until", &self.ends.until),
            ("why", &self.why),
            ("operator", &self.who.operator),
        ];
        let given = fields.into_iter().filter_map(|(name, value)| {
            let value = value.as_ref().filter(|value| !value.is_empty())?;
            Some((name.to_owned(), json!(value)))
        });
        Value::Object(given.collect::<Map<_, _>>())
    }
}

impl UnmuteArgs {
    /// Ends the mute and says so.
    ///
    /// # Errors
    /// The instance does not answer, or there is no such anomaly.
    pub async fn run(self, remote: &Remote) -> anyhow::Result<()> {
        let client = Client::new(remote)?;
        let key = which::anomaly(&client, &self.what.name).await?;
        let operator = self.who.operator.as_ref().filter(|name| !name.is_empty());
        let before = client.get(&["anomalies", &key], &[]).await?;
        let path = ["anomalies", key.as_str(), "mute"];
        let anomaly = client.delete(&path, &json!({"operator": operator})).await?;
        if self.who.json {
            return print_json(&anomaly);
        }
        let message = unmuted(&before, Timestamp::now());
        print(&format!("{} {message}.", called(&anomaly)))?;
        Ok(())
    }
}

/// The outcome of an unmute, from the anomaly as it was before.
fn unmuted(before: &Value, now: Timestamp) -> &'static str {
    match time(before, "/muted_until") {
        Some(until) if until > now => "is no longer muted",
        _ => "was not muted",
    }
}

/// Since when an anomaly flaps, or that of an incident; nothing if it does not.
pub(super) fn flapping_status(of: &Value, now: Timestamp) -> String {
    let since = time(of, "/flapping_since").map(|since| age::moment(since, now));
    since.map_or_else(String::new, |since| format!("since {since}"))
}

/// Until when, by whom and why an anomaly is muted, or that of an incident; nothing if it is not.
pub(super) fn mute_status(of: &Value) -> String {
    let Some(until) = time(of, "/muted_until") else {
        return String::new();
    };
    let by = match text(of, "/muted_by") {
        by if by.is_empty() => by,
        by => format!(" by {by}"),
    };
    match text(of, "/muted_why") {
        why if why.is_empty() => format!("until {until}{by}"),
        why => format!("until {until}{by}: {why}"),
    }
}

fn called(anomaly: &Value) -> String {
    let parts = ["/alert_name", "/service", "/namespace"].map(|field| text(anomaly, field));
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join(" · ")
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
        args: MuteArgs,
    }

    const ID: &str = "01940000-0000-7000-8000-000000000001";
    const KEY: &str = "5d41402abc4b2a76b9719d911017c592";

    #[test]
    fn a_mute_needs_exactly_one_end() {
        let parse = |ends: &[&str]| {
            let line = ["mute", KEY, "--operator", ""].iter().chain(ends);
            Cli::try_parse_from(line).map(|cli| cli.args.body())
        };
        assert!(parse(&[]).is_err());
        assert!(parse(&["--for", "1h", "--until", "2026-01-31T18:00:00Z"]).is_err());
        assert_eq!(parse(&["--for", "1h"]).unwrap(), json!({"for": "1h"}));
    }

    #[test]
    fn unmuting_says_whether_there_was_a_mute() {
        let now = Timestamp(1_795_382_909_102);
        for (until, expected) in [
            (Value::Null, "was not muted"),
            (json!("2026-11-22T21:28:00.000Z"), "was not muted"),
            (json!("2026-11-22T22:28:00.000Z"), "is no longer muted"),
        ] {
            assert_eq!(unmuted(&json!({"muted_until": until}), now), expected);
        }
    }

    #[tokio::test]
    async fn an_incidents_anomaly_is_muted() {
        let server = MockServer::start().await;
        Mock::given(method("GET"))
            .and(path(format!("/api/v1/incidents/{ID}")))
            .respond_with(
                ResponseTemplate::new(200).set_body_json(json!({"id": ID, "anomaly_key": KEY})),
            )
            .expect(1)
            .mount(&server)
            .await;
        let wanted = json!({"for": "1h", "why": "deploy", "operator": "kim"});
        Mock::given(method("POST"))
            .and(path(format!("/api/v1/anomalies/{KEY}/mute")))
            .and(body_json(wanted))
            .respond_with(ResponseTemplate::new(200).set_body_json(json!({"key": KEY})))
            .expect(1)
            .mount(&server)
            .await;
        let uri = server.uri();
        let line = [
            "mute",
            ID,
            "--for",
            "1h",
            "--why",
            "deploy",
            "--operator",
            "kim",
            "--url",
            &uri,
        ];
        let cli = Cli::try_parse_from(line).unwrap();
        cli.args.run(&cli.remote).await.unwrap();
    }
}
