//! `tocsin recount`: what recount does, now; and whether figures are what the rows say.

use std::collections::BTreeMap;

use anyhow::bail;
use clap::Args;
use comfy_table::Row;
use serde::Serialize;
use serde_json::{Value, json};

use super::client::{Client, Remote};
use super::fields::{number, or_dash, text};
use super::output::{print, print_json};
use super::table::{self, Terminal, cell};

/// Drifts that are shown one by one.
const SHOWN: usize = 50;

/// Run recount now (update what only time changes); or verify counters against stored rows
#[derive(Debug, Args)]
pub struct RecountArgs {
    /// Verify counters and totals against stored rows; exit with 1 if any drifted
    #[arg(long)]
    verify: bool,
    /// Verify, and set drifted figures to what the rows say
    #[arg(long)]
    repair: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// The sum of all pages.
#[derive(Debug, Default, Serialize)]
struct Comparison {
    anomalies: i64,
    occurrences: i64,
    drifted: BTreeMap<String, i64>,
    drifts: Vec<Value>,
    repaired: bool,
}

impl RecountArgs {
    /// Asks the instance, and prints what drifted.
    ///
    /// # Errors
    /// The instance does not answer; figures drifted and were not repaired.
    pub async fn run(self, remote: &Remote) -> anyhow::Result<()> {
        let client = Client::new(remote)?;
        if !self.verify && !self.repair {
            let pushed = client.post(&["recount"], None, None).await?;
            if self.json {
                return print_json(&pushed);
            }
            let job = text(&pushed, "/job");
            print(&format!("Recount queued (job {job})."))?;
            return Ok(());
        }
        let found = compare(&client, self.repair).await?;
        if self.json {
            print_json(&found)?;
        } else {
            print(&found.render(Terminal::of_stdout()))?;
        }
        let drifted = found.drifted.values().sum::<i64>();
        if drifted > 0 && !found.repaired {
            let figures = if drifted == 1 {
                "figure differs"
            } else {
                "figures differ"
            };
            bail!("{drifted} {figures} from the stored rows. To repair: tocsin recount --repair");
        }
        Ok(())
    }
}

/// Goes from page to page.
async fn compare(client: &Client, repair: bool) -> anyhow::Result<Comparison> {
    let mut found = Comparison::default();
    let mut cursor = Value::Null;
    loop {
        let body = json!({"cursor": cursor, "repair": repair});
        let mut page = client
            .post(&["recount", "verify"], Some(&body), None)
            .await?;
        cursor = found.add(&mut page);
        if cursor.is_null() {
            return Ok(found);
        }
    }
}

impl Comparison {
    /// Adds a page; returns where the next begins.
    fn add(&mut self, page: &mut Value) -> Value {
        self.anomalies += number(page, "/anomalies").unwrap_or_default();
        self.occurrences += number(page, "/occurrences").unwrap_or_default();
        self.repaired |= page["repaired"].as_bool().unwrap_or_default();
        for (what, n) in page["drifted"].as_object().into_iter().flatten() {
            *self.drifted.entry(what.clone()).or_default() += n.as_i64().unwrap_or_default();
        }
        if let Value::Array(drifts) = page["drifts"].take() {
            self.drifts.extend(drifts);
        }
        page["next_cursor"].take()
    }

    fn render(&self, look: Terminal) -> String {
        let compared = format!(
            "{} and {} checked",
            many(self.anomalies, "anomaly", "anomalies"),
            many(self.occurrences, "occurrence", "occurrences")
        );
        if self.drifted.is_empty() {
            return format!("No drift: {compared}.");
        }
        let mut drifts = look.table(&["FIGURE", "OF", "STORED", "EXPECTED"]);
        table::align_right(&mut drifts, [2, 3]);
        for drift in self.drifts.iter().take(SHOWN) {
            drifts.add_row(row(drift));
        }
        let drifted = self.drifted.values().sum::<i64>();
        let mut out = look.render(drifts, &[(1, 24)]);
        let shown = self.drifts.len().min(SHOWN) as i64;
        if drifted > shown {
            out.push_str(&format!("\n… and {} more", drifted - shown));
        }
        let by_what = self.drifted.iter().map(|(what, n)| format!("{n} {what}"));
        let by_what = by_what.collect::<Vec<_>>().join(", ");
        let what = if self.repaired { "Repaired" } else { "Drifted" };
        out.push_str(&format!("\n\n{what}: {by_what}. {compared}."));
        out
    }
}

fn row(drift: &Value) -> Row {
    let figure = [text(drift, "/what"), text(drift, "/window")].join(" ");
    let of = match text(drift, "/incident") {
        incident if incident.is_empty() => format!("anomaly {}", text(drift, "/anomaly")),
        incident => format!("incident {incident}"),
    };
    table::line(vec![
        cell(figure.trim()),
        cell(&of),
        table::attention(&value(drift, "/stored")),
        cell(&value(drift, "/expected")),
    ])
}

/// A number, a moment, or nothing.
fn value(drift: &Value, pointer: &str) -> String {
    let number = number(drift, pointer).map(|n| n.to_string());
    number.unwrap_or_else(|| or_dash(text(drift, pointer)))
}

fn many(n: i64, one: &str, more: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { more })
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
        args: RecountArgs,
    }

    async fn run(server: &MockServer, flags: &[&str]) -> anyhow::Result<()> {
        let mut line = vec!["recount", "--url"];
        let url = server.uri();
        line.push(&url);
        line.extend(flags);
        let cli = Cli::parse_from(line);
        cli.args.run(&cli.remote).await
    }

    fn page(drifted: &Value, repaired: bool, next: &Value) -> ResponseTemplate {
        ResponseTemplate::new(200).set_body_json(json!({
            "anomalies": 200, "occurrences": 5, "drifted": drifted, "drifts": [],
            "repaired": repaired, "next_cursor": next,
        }))
    }

    async fn expect(server: &MockServer, body: Value, answer: ResponseTemplate) {
        Mock::given(method("POST"))
            .and(path("/api/v1/recount/verify"))
            .and(body_json(body))
            .respond_with(answer)
            .expect(1)
            .mount(server)
            .await;
    }

    #[tokio::test]
    async fn verify_reads_all_pages_and_fails_on_drift() {
        let server = MockServer::start().await;
        let (first, second) = (
            page(&json!({"total": 1}), false, &json!("k200")),
            page(&json!({}), false, &Value::Null),
        );
        expect(&server, json!({"cursor": null, "repair": false}), first).await;
        expect(&server, json!({"cursor": "k200", "repair": false}), second).await;
        let error = run(&server, &["--verify"]).await.unwrap_err().to_string();
        assert!(
            error.starts_with("1 figure differs from the stored rows"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn repaired_drift_is_no_failure() {
        let server = MockServer::start().await;
        let only = page(&json!({"total": 2}), true, &Value::Null);
        expect(&server, json!({"cursor": null, "repair": true}), only).await;
        run(&server, &["--repair"]).await.unwrap();
    }

    #[test]
    fn drifts_are_shown_with_what_the_rows_say() {
        let look = Terminal {
            width: 100,
            colour: false,
        };
        let mut found = Comparison::default();
        let drift = |what, window, incident, stored, expected| {
            json!({"what": what, "window": window, "anomaly": "5d41402abc4b2a76b9719d911017c592",
                   "incident": incident, "stored": stored, "expected": expected})
        };
        let id = json!("01940000-0000-7000-8000-000000000001");
        let drifts = [
            drift("total", Value::Null, Value::Null, json!(7), json!(5)),
            drift("counter", json!("24h"), Value::Null, json!(0), json!(5)),
            drift(
                "last_seen",
                Value::Null,
                Value::Null,
                Value::Null,
                json!("2026-11-22T21:28:29.102Z"),
            ),
            drift("open_episodes", Value::Null, id, json!(-1), json!(0)),
        ];
        let drifted = json!({"total": 1, "counter": 60, "last_seen": 1, "open_episodes": 1});
        found.add(
            &mut json!({"anomalies": 1, "occurrences": 5, "drifted": drifted, "drifts": drifts}),
        );
        insta::assert_snapshot!(found.render(look), @"
        FIGURE         OF                                             STORED                  EXPECTED
        ──────────────────────────────────────────────────────────────────────────────────────────────
        total          anomaly 5d41402abc4b2a76b9719d911017c592            7                         5
        counter 24h    anomaly 5d41402abc4b2a76b9719d911017c592            0                         5
        last_seen      anomaly 5d41402abc4b2a76b9719d911017c592            -  2026-11-22T21:28:29.102Z
        open_episodes  incident 01940000-0000-7000-8000-000000000001      -1                         0
        … and 59 more

        Drifted: 60 counter, 1 last_seen, 1 open_episodes, 1 total. 1 anomaly and 5 occurrences checked.
        ");
        insta::assert_snapshot!(Comparison::default().render(look), @"No drift: 0 anomalies and 0 occurrences checked.");
    }
}
