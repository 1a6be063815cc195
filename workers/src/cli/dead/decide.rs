//! Replaying and discarding: letters by their ids, or all that filters find.

use anyhow::{bail, ensure};
use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::client::Client;
use super::super::confirm::is_wanted;
use super::super::error::Error;
use super::super::fields::{number, operator, text};
use super::super::many::Many;
use super::super::output::{print, print_json};
use super::filters::{Filters, flag};

/// What is to become of letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Replay,
    Discard,
}

impl Decision {
    const fn verb(self) -> &'static str {
        match self {
            Self::Replay => "replay",
            Self::Discard => "discard",
        }
    }

    const fn done(self) -> &'static str {
        match self {
            Self::Replay => "replayed",
            Self::Discard => "discarded",
        }
    }
}

/// Which letters.
#[derive(Debug, Args)]
pub(super) struct LetterSelection {
    /// Dead letter IDs; or use filters
    #[arg(value_name = "ID", value_parser = super::letter_id)]
    ids: Vec<Uuid>,
    #[command(flatten)]
    filters: Filters,
    /// All dead letters
    #[arg(long)]
    all: bool,
    /// Do not ask for confirmation
    #[arg(long, short)]
    yes: bool,
}

impl LetterSelection {
    pub(super) async fn decide(
        self,
        client: &Client,
        decision: Decision,
        operator: Option<String>,
        json: bool,
    ) -> anyhow::Result<()> {
        let filters = self.filters.query();
        let verb = decision.verb();
        if self.ids.is_empty() {
            ensure!(
                self.all || !filters.is_empty(),
                "nothing selected: give IDs (see tocsin dead list), filters such as --queue ingest \
                 --since 1h, or --all"
            );
            let named: Vec<&str> = filters.iter().map(|(name, _)| flag(name)).collect();
            ensure!(
                !self.all || named.is_empty(),
                "--all selects every dead letter, {} only some: give one or the other",
                named.join(", ")
            );
            let done = decide_many(client, decision, &filters, operator, self.yes).await?;
            return done.print(decision, json);
        }
        ensure!(
            filters.is_empty() && !self.all,
            "give IDs or filters, not both, to {verb}"
        );
        decide_each(client, decision, &self.ids, operator.as_deref(), json).await
    }
}

/// One after the other; what cannot be done does not keep the others from being done.
async fn decide_each(
    client: &Client,
    decision: Decision,
    ids: &[Uuid],
    operator: Option<&str>,
    json: bool,
) -> anyhow::Result<()> {
    let (mut failed, mut letters) = (0, Vec::new());
    for id in ids {
        match decide_one(client, decision, *id, operator).await {
            Ok(letter) if json => letters.push(letter),
            Ok(letter) => print(&outcome(decision, &letter))?,
            Err(error) if ids.len() == 1 || error.is_passing() => return Err(error.into()),
            Err(error) => {
                failed += 1;
                eprintln!("{id}: {error}");
            }
        }
    }
    if json {
        print_json(&letters)?;
    }
    match failed {
        0 => Ok(()),
        _ => bail!("not {}: {failed} of {}", decision.done(), ids.len()),
    }
}

async fn decide_one(
    client: &Client,
    decision: Decision,
    id: Uuid,
    operator: Option<&str>,
) -> Result<Value, Error> {
    let (id, body) = (id.to_string(), json!({"operator": operator}));
    match decision {
        Decision::Replay => {
            let path = ["dead-letters", &id, "replay"];
            client.post(&path, Some(&body), None).await
        }
        Decision::Discard => client.delete(&["dead-letters", &id], &body).await,
    }
}

/// What was done to a letter, or had been done before.
pub(super) fn outcome(decision: Decision, letter: &Value) -> String {
    let (id, done) = (text(letter, "/id"), decision.done());
    if letter["changed"].as_bool() == Some(false) {
        let by = text(letter, "/decided_by");
        let by = operator(&by);
        return format!("{id} was already {done} by {by}.");
    }
    if !letter["push_owed_since"].is_null() {
        return format!(
            "{id} is {done}; the queue is unavailable, the job will run within minutes."
        );
    }
    format!("{id} is {done}.")
}

async fn decide_many(
    client: &Client,
    decision: Decision,
    filters: &[(&'static str, String)],
    operator: Option<String>,
    yes: bool,
) -> anyhow::Result<Done> {
    let mut body: Value = filters
        .iter()
        .map(|(name, value)| (*name, value.clone()))
        .collect();
    body["operator"] = operator.into();
    body["all"] = filters.is_empty().into();
    let many = Many {
        client,
        path: &["dead-letters", decision.verb()],
        body,
    };
    let found = many.find().await?;
    if found.matching == 0 {
        eprintln!("No dead letters match.");
        return Ok(Done::default());
    }
    // A replay harms nothing that was done; what is discarded is not run any more.
    let is_harmless = decision == Decision::Replay && !filters.is_empty();
    if !yes && !is_harmless && !is_wanted(decision.verb(), &letters_of(found.matching))? {
        eprintln!("No dead letters were {}.", decision.done());
        return Ok(Done::default());
    }
    let mut all = Done {
        was_asked: true,
        ..Done::default()
    };
    let note = |done: &Value| {
        let count = |pointer| number(done, pointer).unwrap_or_default();
        all.changed += count("/changed");
        all.owed += count("/owed");
        all.skipped = all.skipped.max(count("/skipped"));
        format!("{} {}", all.changed, decision.done())
    };
    many.finish(found, note).await?;
    Ok(all)
}

/// What came of all requests together.
#[derive(Debug, Default, Serialize)]
struct Done {
    changed: i64,
    skipped: i64,
    owed: i64,
    /// Whether anything was asked for: else it was said already why not.
    #[serde(skip)]
    was_asked: bool,
}

impl Done {
    fn print(&self, decision: Decision, json: bool) -> anyhow::Result<()> {
        if json {
            return print_json(self);
        }
        if self.was_asked {
            print(&summary(decision, self.changed, self.skipped, self.owed))?;
        }
        Ok(())
    }
}

fn summary(decision: Decision, changed: i64, skipped: i64, pending: i64) -> String {
    let mut lines = vec![match changed {
        1 => format!("1 dead letter is {}.", decision.done()),
        n => format!("{n} dead letters are {}.", decision.done()),
    }];
    if pending > 0 {
        lines.push(format!(
            "The queue is unavailable; {pending} of them will run within minutes."
        ));
    }
    if skipped > 0 {
        lines.push(format!(
            "{} skipped: payloads that are not text or hold rejected alerts cannot be replayed unchanged. \
             See: tocsin dead list, tocsin dead show",
            letters_of(skipped)
        ));
    }
    lines.join("\n")
}

fn letters_of(letters: i64) -> String {
    match letters {
        1 => "1 dead letter".to_owned(),
        n => format!("{n} dead letters"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bulk_operation_reports_changed_and_skipped_letters() {
        insta::assert_snapshot!(summary(Decision::Replay, 312, 3, 12), @"
        312 dead letters are replayed.
        The queue is unavailable; 12 of them will run within minutes.
        3 dead letters skipped: payloads that are not text or hold rejected alerts cannot be replayed unchanged. See: tocsin dead list, tocsin dead show
        ");
        insta::assert_snapshot!(summary(Decision::Discard, 1, 0, 0), @"1 dead letter is discarded.");
        let before = json!({"id": "x", "changed": false, "decided_by": "ann"});
        assert_eq!(
            outcome(Decision::Discard, &before),
            "x was already discarded by ann."
        );
        let owed =
            json!({"id": "x", "changed": true, "push_owed_since": "2026-11-22T21:28:29.102Z"});
        assert_eq!(
            outcome(Decision::Replay, &owed),
            "x is replayed; the queue is unavailable, the job will run within minutes."
        );
    }
}
