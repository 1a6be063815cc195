//! `tocsin repairs effectiveness`: how often each action held.

use clap::Args;
use serde_json::Value;
use tocsin::text::{EN, fill, repairs};
use tocsin::time::Timestamp;

use super::super::age;
use super::super::client::Client;
use super::super::fields::{number, or_dash, text, time};
use super::super::output::{print, print_json};
use super::super::table::{self, Terminal, cell, figure};
use super::super::which;

/// Repairs that are not counted: those that another followed, those of which nothing can be known, and those that
/// were reported to have helped and are not judged.
const NOT_COUNTED: [(&str, &str); 3] = [
    ("SUPERSEDED", "/superseded"),
    ("UNKNOWN", "/unknown"),
    ("CLAIMED ONLY", "/claimed_only"),
];

/// Of what actions are shown.
#[derive(Debug, Args)]
pub(super) struct WorthArgs {
    /// On this anomaly: its key, or the ID or short ID of an incident of it
    #[arg(long, value_name = "KEY", conflicts_with_all = ["alert_name", "service"])]
    anomaly: Option<String>,
    /// On all anomalies with this alert name
    #[arg(long, value_name = "NAME", conflicts_with = "service")]
    alert_name: Option<String>,
    /// On all anomalies of this service
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl WorthArgs {
    /// Asks the instance and prints what it answers.
    ///
    /// # Errors
    /// The instance does not answer, or there is no such anomaly.
    pub(super) async fn run(&self, client: &Client) -> anyhow::Result<()> {
        let found = match &self.anomaly {
            Some(name) => {
                let key = which::anomaly(client, name).await?;
                client
                    .get(&["anomalies", &key, "effectiveness"], &[])
                    .await?
            }
            None => {
                let of = [("alert_name", &self.alert_name), ("service", &self.service)];
                let query = of
                    .into_iter()
                    .filter_map(|(name, value)| Some((name, value.clone()?)));
                let query: Vec<(&'static str, String)> = query.collect();
                client.get(&["repairs", "effectiveness"], &query).await?
            }
        };
        if self.json {
            return print_json(&found);
        }
        print(&sentences(&found).join("\n"))?;
        let table = render(&found, Timestamp::now(), Terminal::of_stdout());
        Ok(print(&table)?)
    }
}

/// How often each action held, what stands in for too few verdicts, and what happens with nothing done.
pub(in crate::cli) fn sentences(found: &Value) -> Vec<String> {
    let mut sentences = Vec::new();
    match text(found, "/summary") {
        none if none.is_empty() => sentences.push(EN.none_judged.to_owned()),
        summary => sentences.push(format!("{summary}.")),
    }
    let (held, episodes) = (
        number(found, "/nothing/held"),
        number(found, "/nothing/episodes"),
    );
    if let Some((held, n)) = held.zip(episodes.filter(|n| *n > 0)) {
        let (held, n) = (held.to_string(), n.to_string());
        sentences.push(fill(EN.nothing_held, &[("held", &held), ("n", &n)]));
    }
    let wider = text(found, "/stand_in/summary");
    if !wider.is_empty() {
        let name = text(found, "/stand_in/subject");
        sentences.push(fill(EN.stands_in, &[("name", &name), ("list", &wider)]));
    }
    sentences
}

fn render(found: &Value, now: Timestamp, look: Terminal) -> String {
    let actions = found.get("actions").and_then(Value::as_array);
    let actions = || actions.into_iter().flatten();
    // What there is none of takes no room.
    let mut not_counted = NOT_COUNTED.to_vec();
    not_counted.retain(|(_, figure)| actions().any(|action| number(action, figure) > Some(0)));
    let mut heads = vec![
        "ACTION",
        "CLASS",
        "HELD",
        "JUDGED",
        "AT LEAST",
        "EFFECTIVE",
        "TRIED",
    ];
    heads.extend(not_counted.iter().map(|(head, _)| *head));
    heads.extend(["MEDIAN", "P90", "LAST"]);
    let mut table = look.table(&heads);
    table::align_right(&mut table, [2, 3, 4]);
    table::align_right(&mut table, 6..heads.len() - 1);
    let least = number(found, "/min_verdicts");
    let is_known = number(found, "/nothing/episodes") > Some(0);
    for action in actions() {
        let count = |pointer| number(action, pointer);
        let bound = action["lower_bound"]
            .as_f64()
            .filter(|_| count("/verdicts") > Some(0));
        let bound = bound.map(|bound| format!("{:.0} %", (bound * 100.0).floor()));
        let quiet = |pointer| {
            let ms = count(pointer)?.max(0).unsigned_abs();
            Some(age::short(std::time::Duration::from_millis(ms)))
        };
        let last = time(action, "/last_at").map(|at| age::short(now.since(at)));
        let mut cells = vec![
            cell(&text(action, "/action")),
            cell(&or_dash(text(action, "/class"))),
            figure(count("/verified")),
            cell(&judged(action)),
            cell(&or_dash(bound.unwrap_or_default())),
            cell(match action["effective"].as_bool() {
                Some(true) => "yes",
                Some(false) => "no",
                None if has_too_few(action, least, is_known) => EN.effective_few,
                None => EN.effective_unknown,
            }),
            figure(count("/attempts")),
        ];
        cells.extend(
            not_counted
                .iter()
                .map(|(_, pointer)| figure(count(pointer))),
        );
        cells.extend([
            cell(&or_dash(quiet("/median_quiet_ms").unwrap_or_default())),
            cell(&or_dash(quiet("/p90_quiet_ms").unwrap_or_default())),
            cell(&or_dash(last.unwrap_or_default())),
        ]);
        table.add_row(table::line(cells));
    }
    look.render(table, &[(0, 16), (5, 16)])
}

/// How many verdicts there are, and how much they weigh if that is not the same.
fn judged(action: &Value) -> String {
    let verdicts = number(action, "/verdicts").unwrap_or_default();
    let weight = action["weighed_verdicts"].as_f64();
    match weight.and_then(|weight| repairs::weighed(verdicts, weight)) {
        Some(n) => format!("{verdicts} ({})", fill(EN.weighed_n, &[("n", &n)])),
        None => verdicts.to_string(),
    }
}

/// Whether it is for too few verdicts that nothing is said of an action, and not for want of a baseline. How many are
/// enough is told of a single anomaly only.
fn has_too_few(action: &Value, least: Option<i64>, is_known: bool) -> bool {
    let of = |pointer| number(action, pointer).unwrap_or_default();
    match least {
        Some(least) => of("/verdicts") < least,
        None => is_known || of("/verified") == 0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn figures_are_said_as_people_say_them() {
        let found = json!({
            "summary": "rollback held 4 of 4 times, restart_pod 2 of 9",
            "nothing": {"held": 1, "episodes": 10},
            "stand_in": {"subject": "DiskFull", "summary": "clean held 3 of 3 times"},
            "actions": [{
                "action": "rollback", "class": "mitigate", "verified": 4, "verdicts": 4, "attempts": 5,
                "superseded": 11, "unknown": 12, "claimed_only": 13,
                "lower_bound": 0.51, "effective": true, "median_quiet_ms": 240_000, "p90_quiet_ms": 360_000,
                "last_at": "2026-11-22T21:25:29.102Z",
            }],
        });
        assert_eq!(
            sentences(&found),
            [
                "rollback held 4 of 4 times, restart_pod 2 of 9.",
                "With nothing done it stayed quiet 1 of 10 times.",
                "Too few verdicts on this anomaly. Of all anomalies with the alert name DiskFull: clean held 3 \
                 of 3 times.",
            ]
        );
        let now = Timestamp::parse("2026-11-22T21:28:29.102Z").unwrap();
        let look = Terminal {
            width: 160,
            colour: false,
        };
        let told = render(&found, now, look);
        for part in [
            "rollback",
            "mitigate",
            "51 %",
            "yes",
            "11",
            "12",
            "13",
            "4m",
            "6m",
            "3m",
            "SUPERSEDED",
            "UNKNOWN",
            "CLAIMED ONLY",
        ] {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert!(!told.contains("by weight"), "{told}");
    }

    #[test]
    fn what_is_old_or_has_nothing_to_be_compared_with_is_said() {
        let look = Terminal {
            width: 160,
            colour: false,
        };
        let told = |mut found: Value| {
            found["actions"] = json!([{
                "action": "rollback", "verified": 4, "verdicts": 4, "weighed_verdicts": 2.6, "attempts": 4,
                "effective": null,
            }]);
            render(&found, Timestamp(0), look)
        };
        let own = told(json!({"min_verdicts": 3, "nothing": {"held": 0, "episodes": 0}}));
        assert!(own.contains("4 (2.6 by weight)"), "{own}");
        assert!(own.contains("nothing to compare with"), "{own}");
        assert!(!own.contains("CLAIMED ONLY"), "{own}");
        let few = told(json!({"min_verdicts": 5, "nothing": {"held": 0, "episodes": 0}}));
        assert!(few.contains("too few verdicts"), "{few}");
        let wider = told(json!({"nothing": {"held": 0, "episodes": 0}}));
        assert!(wider.contains("nothing to compare with"), "{wider}");
    }
}
