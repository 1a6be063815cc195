//! `tocsin mutes`: what is muted now.

use clap::Args;
use serde_json::Value;
use tocsin::time::Timestamp;

use super::age;
use super::client::{Client, Remote};
use super::fields::{or_dash, text, time};
use super::lists::{List, WatchArgs, limit};
use super::table::{self, Terminal, cell, dim};

/// Why, service and name give way.
const SHRINK: [(usize, u16); 3] = [(6, 12), (2, 9), (1, 16)];

/// List muted anomalies
#[derive(Debug, Args)]
pub struct MutesArgs {
    /// Maximum number of results
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = limit)]
    limit: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    again: WatchArgs,
}

impl MutesArgs {
    /// Asks the instance and prints what it answers.
    ///
    /// # Errors
    /// The instance does not answer, or refuses the token.
    pub async fn run(self, remote: &Remote) -> anyhow::Result<()> {
        let client = Client::new(remote)?;
        let muted = List {
            client: &client,
            path: &["anomalies"],
            query: &[("muted", "true".to_owned())],
            limit: self.limit,
            none: "No muted anomalies.",
        };
        muted.show(self.json, &self.again, render).await
    }
}

fn render(anomalies: &[Value], now: Timestamp, look: Terminal) -> String {
    let heads = ["KEY", "ALERT", "SERVICE", "LEVEL", "LEFT", "BY", "REASON"];
    let mut table = look.table(&heads);
    for anomaly in anomalies {
        let left = time(anomaly, "/muted_until").map(|until| age::left(until.since(now)));
        table.add_row(table::line(vec![
            dim(&text(anomaly, "/key")),
            cell(&or_dash(text(anomaly, "/alert_name"))),
            cell(&or_dash(text(anomaly, "/service"))),
            table::level(&or_dash(text(anomaly, "/level"))),
            cell(&or_dash(left.unwrap_or_default())),
            cell(&or_dash(text(anomaly, "/muted_by"))),
            cell(&or_dash(text(anomaly, "/muted_why"))),
        ]));
    }
    look.render(table, &SHRINK)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_mute_is_shown_with_its_remaining_time() {
        let muted = [
            json!({
                "key": "5d41402abc4b2a76b9719d911017c592", "alert_name": "KubePodCrashLooping",
                "service": "checkout-api", "level": "ESCALATE",
                "muted_until": "2026-11-22T22:28:29.102Z", "muted_by": "ann",
                "muted_why": "the new version is on its way",
            }),
            json!({
                "key": "7d793037a0760186574b0282f2f435e7", "alert_name": "DiskFull", "service": "",
                "level": "NONE", "muted_until": "2026-11-25T21:28:29.102Z", "muted_by": null,
                "muted_why": null,
            }),
        ];
        let now = Timestamp::parse("2026-11-22T21:28:29.102Z").unwrap();
        let look = Terminal {
            width: 120,
            colour: false,
        };
        insta::assert_snapshot!(render(&muted, now, look), @"
        KEY                               ALERT                SERVICE       LEVEL     LEFT  BY   REASON
        ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
        5d41402abc4b2a76b9719d911017c592  KubePodCrashLooping  checkout-api  ESCALATE  1h    ann  the new version is on its way
        7d793037a0760186574b0282f2f435e7  DiskFull             -             NONE      3d    -    -
        ");
    }
}
