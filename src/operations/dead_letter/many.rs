//! Replaying and discarding many dead letters: in bounded steps, each letter once.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use serde_json::json;
use uuid::Uuid;

use super::{count, push};
use crate::config::Span;
use crate::context::Context;
use crate::entity::dead_letters::Model;
use crate::jobs::QUEUES;
use crate::operations::{Invalid, OperationError};
use crate::queue::replay;
use crate::store::audit::{self, Actor, AuditEntry};
use crate::store::dead_letters::{self, DEAD, Decision, Filter};
use crate::store::maintenance;
use crate::time::Timestamp;

/// Letters in one transaction, and in one operation.
const AT_ONCE: (u64, u64) = (500, 10_000);
/// How long an operation goes on.
const PATIENCE: Duration = Duration::from_secs(10);
/// The filters that a selection has.
const FILTERS: [&str; 5] = ["queue", "reason", "q", "older_than", "younger_than"];

/// Which dead letters: by filters, of which all must match, or all of them.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Of this queue.
    pub queue: Option<String>,
    /// With this text in the reason, in whatever case.
    pub reason: Option<String>,
    /// With this text in payload or reason, in whatever case.
    pub text: Option<String>,
    /// Died longer ago than this.
    pub older_than: Option<Span>,
    /// Died within this time.
    pub younger_than: Option<Span>,
    /// Every dead letter, if no filter is given.
    pub all: bool,
    /// Those that were decided on since then are skipped, even if they died again; now, if not given.
    pub as_of: Option<Timestamp>,
    /// Only count them.
    pub dry_run: bool,
}

/// What came of deciding on many dead letters.
#[derive(Clone, Copy, Debug)]
pub struct Done {
    /// Letters that match, if they were only to be counted.
    pub matching: Option<u64>,
    /// Letters that were decided on.
    pub changed: u64,
    /// Letters that cannot be replayed unchanged.
    pub skipped: u64,
    /// Of the changed, those that are not enqueued yet; recount enqueues them.
    pub pending: u64,
    /// Whether there may be more.
    pub more: bool,
    /// Letters that were decided on since then were skipped.
    pub as_of: Timestamp,
}

/// Replays the dead letters that match, 10,000 at most, for ten seconds at most. Each step is a transaction
/// of its own.
pub async fn replay_many(
    context: &Context,
    actor: &Actor,
    selection: Selection,
) -> Result<Done, OperationError> {
    decide_many(context, actor, Decision::Replay, selection).await
}

/// Discards the dead letters that match, in the same steps.
pub async fn discard_many(
    context: &Context,
    actor: &Actor,
    selection: Selection,
) -> Result<Done, OperationError> {
    decide_many(context, actor, Decision::Discard, selection).await
}

async fn decide_many(
    context: &Context,
    actor: &Actor,
    decision: Decision,
    selection: Selection,
) -> Result<Done, OperationError> {
    let is_dry = selection.dry_run;
    let now = maintenance::now(context.db.view()).await?;
    let filter = selection.filter(context.clock.of_store(now))?;
    let mut done = Done {
        matching: None,
        changed: 0,
        skipped: 0,
        pending: 0,
        more: false,
        as_of: filter.as_of.unwrap_or_default(),
    };
    if is_dry {
        let db = context.db.view_for(filter.text.is_some()).await?;
        done.matching = Some(dead_letters::count_matching(&*db, &filter).await?);
        return Ok(done);
    }
    let began = Instant::now();
    let mut after = None;
    loop {
        let db = context.db.view_for(filter.text.is_some()).await?;
        let page = dead_letters::matching(&*db, &filter, after, AT_ONCE.0).await?;
        drop(db);
        let Some(last) = page.last() else {
            break;
        };
        after = Some(*last);
        let ids: Vec<Uuid> = page.iter().map(|(_, id)| *id).collect();
        step(context, actor, decision, ids, &filter, &mut done).await?;
        // One that changed nothing would find the same when it goes on.
        if done.changed >= AT_ONCE.1 || (done.changed > 0 && began.elapsed() >= PATIENCE) {
            done.more = true;
            break;
        }
    }
    Ok(done)
}

/// One transaction's worth of letters, and their push.
async fn step(
    context: &Context,
    actor: &Actor,
    decision: Decision,
    mut ids: Vec<Uuid>,
    filter: &Filter,
    done: &mut Done,
) -> Result<(), OperationError> {
    if decision == Decision::Replay {
        let payloads = dead_letters::payloads(context.db.view(), &ids).await?;
        let can_be = |(id, queue, payload): &(Uuid, String, Vec<u8>)| {
            replay::check(queue, payload, false).ok().map(|()| *id)
        };
        let replayable: HashSet<Uuid> = payloads.iter().filter_map(can_be).collect();
        done.skipped += payloads.len().saturating_sub(replayable.len()) as u64;
        ids.retain(|id| replayable.contains(id));
    }
    let mut letters = decide(context, actor, decision, &ids, filter).await?;
    done.changed += letters.len() as u64;
    if decision == Decision::Replay {
        push(context, &mut letters).await;
        let is_pending = |letter: &&Model| letter.push_owed_since.is_some();
        done.pending += letters.iter().filter(is_pending).count() as u64;
    }
    Ok(())
}

/// Decides on those that are still dead, and writes the audit entry, in one transaction.
async fn decide(
    context: &Context,
    actor: &Actor,
    decision: Decision,
    ids: &[Uuid],
    filter: &Filter,
) -> Result<Vec<Model>, OperationError> {
    let tx = context.db.begin().await?;
    let now = context.clock.of_store(maintenance::now(&tx).await?);
    let letters = dead_letters::decide_some(&tx, ids, decision, actor.name(), now).await?;
    if letters.is_empty() {
        return Ok(letters);
    }
    let decided: Vec<Uuid> = letters.iter().map(|letter| letter.id).collect();
    let detail = json!({
        "queue": filter.queue, "reason": filter.reason, "q": filter.text,
        "since": filter.since, "until": filter.until, "letters": decided,
    });
    let entry = AuditEntry {
        action: decision.action(),
        target: filter.queue.as_deref().unwrap_or("all queues"),
        detail,
    };
    audit::record(&tx, actor, entry, now).await?;
    tx.commit().await?;
    count(context, decision, &letters);
    Ok(letters)
}

impl Selection {
    fn filter(self, now: Timestamp) -> Result<Filter, Invalid> {
        // What an age means does not move while an operation is repeated.
        let as_of = self.as_of.unwrap_or(now).min(now);
        if let Some(name) = self.queue.as_deref().filter(|name| !QUEUES.contains(name)) {
            let name = name.to_owned();
            return Err(Invalid::UnknownQueue { name });
        }
        let said = |text: &String| !text.is_empty();
        let filter = Filter {
            state: Some(DEAD.to_owned()),
            queue: self.queue,
            reason: self.reason.filter(said),
            text: self.text.filter(said),
            since: self.younger_than.map(|age| as_of.before(age.0)),
            until: self.older_than.map(|age| as_of.before(age.0)),
            as_of: Some(as_of),
        };
        Invalid::check_selection(!filter.is_everything(), self.all, &FILTERS)?;
        Ok(filter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selection_needs_filters_or_everything_and_not_both() {
        let now = Timestamp(1_795_382_909_000);
        let nothing = Invalid::NothingSelected { filters: &FILTERS };
        let of_queue = |name: &str| Selection {
            queue: Some(name.to_owned()),
            ..Selection::default()
        };
        let all = |selection| Selection {
            all: true,
            ..selection
        };
        let empty = Selection {
            text: Some(String::new()),
            ..Selection::default()
        };
        let unknown = Invalid::UnknownQueue {
            name: "mail".to_owned(),
        };
        for (selection, expected) in [
            (Selection::default(), Err(nothing.clone())),
            (empty, Err(nothing)),
            (of_queue("notify"), Ok(())),
            (of_queue("mail"), Err(unknown)),
            (all(Selection::default()), Ok(())),
            (all(of_queue("notify")), Err(Invalid::AllAndFilter)),
        ] {
            let said = format!("{selection:?}");
            assert_eq!(selection.filter(now).map(drop), expected, "{said}");
        }
    }
}
