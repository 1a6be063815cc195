//! `tocsin playbooks show` and `diff`.

use anyhow::Context as _;
use clap::Args;
use serde_json::Value;
use tocsin::domain::playbook::{Change, changes};
use tocsin::time::Timestamp;

use super::super::age;
use super::super::client::Client;
use super::super::fields::{number, text, time};
use super::super::output::{print, print_json};
use super::place;

#[derive(Debug, Args)]
pub(super) struct ShowArgs {
    /// The playbook's name
    #[arg(value_name = "NAME")]
    name: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct DiffArgs {
    /// The playbook's name
    #[arg(value_name = "NAME")]
    name: String,
    /// The version before; default: the one before the other
    #[arg(long, value_name = "N")]
    from: Option<i64>,
    /// The version after; default: the newest
    #[arg(long, value_name = "N")]
    to: Option<i64>,
}

impl ShowArgs {
    /// Prints it in TOML, and its versions.
    ///
    /// # Errors
    /// The instance does not answer, or there is no such playbook.
    pub(super) async fn run(&self, client: &Client) -> anyhow::Result<()> {
        let found = client.get(&["playbooks", &self.name], &[]).await?;
        match self.json {
            true => print_json(&found),
            false => Ok(print(&shown(&found, Timestamp::now()))?),
        }
    }
}

/// A playbook in TOML, and its versions, a line each.
pub(super) fn shown(found: &Value, now: Timestamp) -> String {
    let state = match text(found, "/state").as_str() {
        "withdrawn" => ", withdrawn",
        _ => "",
    };
    let mut lines = vec![format!(
        "# {} ({}{state})",
        text(found, "/name"),
        place(found)
    )];
    lines.extend(toml_lines(found));
    lines.extend(proposed(found));
    for (at, version) in versions(found).iter().enumerate() {
        if at == 0 {
            lines.push("\nVersions:".to_owned());
        }
        lines.push(format!("  {}", head(version, now)));
    }
    lines.join("\n")
}

/// The proposed change with its numbers, and how to decide on it.
fn proposed(found: &Value) -> Vec<String> {
    let Some(proposal) = found.get("proposal").filter(|one| one.is_object()) else {
        return Vec::new();
    };
    let name = text(found, "/name");
    let mut lines = vec![format!("\nProposed: {}.", text(proposal, "/said"))];
    lines.extend(
        super::texts(proposal, "/moves")
            .into_iter()
            .map(|one| format!("  {one}")),
    );
    let lead = match proposal["can_be_accepted"].as_bool() {
        Some(true) => format!("tocsin playbooks accept {name}, or reject {name}"),
        _ => format!("Paste it into the settings, or: tocsin playbooks reject {name}"),
    };
    lines.extend(
        toml_lines(proposal)
            .into_iter()
            .map(|line| format!("  {line}")),
    );
    lines.push(lead);
    lines
}

fn versions(found: &Value) -> &[Value] {
    found["versions"].as_array().map_or(&[], Vec::as_slice)
}

fn toml_lines(of: &Value) -> Vec<String> {
    let toml = of["toml"].as_str().unwrap_or_default();
    toml.lines().map(super::super::fields::plain).collect()
}

fn head(version: &Value, now: Timestamp) -> String {
    let age = time(version, "/at").map(|at| age::short(now.since(at)));
    let origin = match (text(version, "/origin"), number(version, "/restored_from")) {
        (_, Some(n)) => format!("restored from {n}"),
        (origin, None) => origin,
    };
    let withdrawn = match text(version, "/state").as_str() {
        "withdrawn" => ", withdrawn",
        _ => "",
    };
    format!(
        "{} ({} ago, {}, {origin}{withdrawn}): {}",
        number(version, "/version").unwrap_or_default(),
        age.unwrap_or_default(),
        text(version, "/by"),
        text(version, "/why"),
    )
}

impl DiffArgs {
    /// Prints the lines that were removed and added, with those that stayed.
    ///
    /// # Errors
    /// The instance does not answer, or there is no such playbook or version.
    pub(super) async fn run(&self, client: &Client) -> anyhow::Result<()> {
        let found = client.get(&["playbooks", &self.name], &[]).await?;
        print(&self.compared(&found)?)?;
        Ok(())
    }

    fn compared(&self, found: &Value) -> anyhow::Result<String> {
        let all = versions(found);
        let newest = all.first().and_then(|one| number(one, "/version"));
        let newest = newest.context("it has no versions: it is in the settings")?;
        let to = self.to.unwrap_or(newest);
        let from = self.from.unwrap_or(to - 1);
        let of = |wanted: i64| {
            let find = || {
                all.iter()
                    .find(|one| number(one, "/version") == Some(wanted))
            };
            // Before the first there was nothing; nor is there where it was withdrawn.
            if wanted == 0 {
                return Ok(Vec::new());
            }
            let found = find().with_context(|| format!("there is no version {wanted}"))?;
            Ok::<_, anyhow::Error>(match text(found, "/state").as_str() {
                "withdrawn" => Vec::new(),
                _ => toml_lines(found),
            })
        };
        let changed = changes(&of(from)?, &of(to)?);
        let lines = changed.iter().map(|line| {
            let mark = match line.change {
                Change::Added => '+',
                Change::Removed => '-',
                Change::Kept => ' ',
            };
            format!("{mark}{}", line.line)
        });
        let heads = [format!("--- version {from}"), format!("+++ version {to}")];
        Ok(heads
            .into_iter()
            .chain(lines)
            .collect::<Vec<_>>()
            .join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found() -> Value {
        json!({
            "name": "pods", "state": "active", "source": "stored", "version": 2,
            "toml": "[[playbooks]]\nname = \"pods\"\ntier_1 = \"rollback\"\n",
            "versions": [
                {"version": 2, "at": "2026-11-22T21:25:29.102Z", "by": "ann", "origin": "cli", "state": "active",
                 "restored_from": null, "why": "it held",
                 "toml": "[[playbooks]]\nname = \"pods\"\ntier_1 = \"rollback\"\n"},
                {"version": 1, "at": "2026-11-21T21:25:29.102Z", "by": "kim", "origin": "api", "state": "active",
                 "restored_from": null, "why": "new",
                 "toml": "[[playbooks]]\nname = \"pods\"\ntier_1 = \"restart_pod\"\n"},
            ],
        })
    }

    #[test]
    fn a_playbook_is_shown_in_toml_with_its_versions() {
        let now = Timestamp::parse("2026-11-22T21:28:29.102Z").unwrap();
        insta::assert_snapshot!(shown(&found(), now), @r#"
        # pods (version 2)
        [[playbooks]]
        name = "pods"
        tier_1 = "rollback"

        Versions:
          2 (3m ago, ann, cli): it held
          1 (1d ago, kim, api): new
        "#);
    }

    #[test]
    fn two_versions_are_compared() {
        let args = |from, to| DiffArgs {
            name: "pods".to_owned(),
            from,
            to,
        };
        let expected = "--- version 1\n+++ version 2\n [[playbooks]]\n name = \"pods\"\n-tier_1 = \"restart_pod\"\n\
                        +tier_1 = \"rollback\"";
        assert_eq!(args(None, None).compared(&found()).unwrap(), expected);
        let first = args(None, Some(1)).compared(&found()).unwrap();
        assert!(first.contains("+tier_1 = \"restart_pod\""), "{first}");
        let missing = args(Some(7), None).compared(&found()).unwrap_err();
        assert_eq!(missing.to_string(), "there is no version 7");
    }
}
