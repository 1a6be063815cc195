//! Replaying and discarding many dead letters: in bounded steps, each letter once.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::decide::{count, name, push};
use super::filter::Which;
use super::now;
use crate::config::Span;
use crate::context::Context;
use crate::domain::refusal::Code;
use crate::entity::dead_letters::Model;
use crate::queue::replay;
use crate::store::audit::{self, Actor};
use crate::store::dead_letters::{self, DEAD, Decision, Filter};
use crate::store::maintenance;
use crate::time::Timestamp;
use crate::web::auth::Caller;
use crate::web::bounded_text::{ALL_OR_SOME, BoundedText};
use crate::web::{Ingress, Problem, body};

/// Letters in one transaction, and in one request.
const AT_ONCE: (u64, u64) = (500, 10_000);
/// How long a request goes on.
const PATIENCE: Duration = Duration::from_secs(10);

/// Which letters, and what else there is to say.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = Letters)]
pub(in crate::web) struct Asked {
    /// Of this queue.
    #[schema(pattern = "^(ingest|tier|notify|repair|recount)$")]
    queue: Option<String>,
    /// With this text in the reason, in whatever case.
    reason: Option<BoundedText>,
    /// With this text in payload or reason, in whatever case.
    q: Option<BoundedText>,
    /// Failed longer ago than this, for example `7d`.
    #[schema(value_type = Option<String>, pattern = "^(0|[0-9]{1,6}(ms|s|m|h|d|w))$")]
    older_than: Option<Span>,
    /// Failed within this time, for example `1h`.
    #[serde(alias = "since")]
    #[schema(value_type = Option<String>, pattern = "^(0|[0-9]{1,6}(ms|s|m|h|d|w))$")]
    younger_than: Option<Span>,
    /// Every dead letter, if no filter is given.
    all: bool,
    /// Operator name, for the audit entry.
    operator: Option<BoundedText>,
    /// Dead letters that were replayed or discarded since then are skipped, even if they failed again.
    as_of: Option<Timestamp>,
    /// Only count the matches.
    dry_run: bool,
}

/// What came of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Decided)]
pub(in crate::web) struct Done {
    /// Dead letters that match, in a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    matching: Option<u64>,
    /// Dead letters that this request replayed or discarded.
    changed: u64,
    /// Dead letters whose payload is not text or holds rejected alerts: they cannot be replayed unchanged.
    skipped: u64,
    /// Of the changed, those that are not enqueued yet; recount will enqueue them.
    owed: u64,
    /// Whether there may be more: repeat the request with `as_of`.
    more: bool,
    /// Dead letters that were replayed or discarded since then are skipped.
    as_of: Timestamp,
}

/// Replays all dead letters that match, up to 10,000 in one request.
///
/// Needs a queue, a reason, a text, an age, or `all`. If there may be more, `more` is true: repeat the
/// request with `as_of` of the response. Jobs that have failed again since then are
/// skipped.
#[utoipa::path(
    post,
    path = "/dead-letters/replay",
    operation_id = "replay_dead_letters",
    tag = "dead letters",
    request_body = Asked,
    responses((status = OK, description = "How many were replayed", body = Done)),
)]
pub(in crate::web) async fn replay_many(
    State(ingress): State<Ingress>,
    caller: Caller,
    body: Body,
) -> Result<Json<Done>, Problem> {
    decide_many(&ingress.context, Decision::Replay, caller, body).await
}

/// Discards all dead letters that match, up to 10,000 in one request.
///
/// Takes the same filters as a replay.
#[utoipa::path(
    post,
    path = "/dead-letters/discard",
    operation_id = "discard_dead_letters",
    tag = "dead letters",
    request_body = Asked,
    responses((status = OK, description = "How many were discarded", body = Done)),
)]
pub(in crate::web) async fn discard_many(
    State(ingress): State<Ingress>,
    caller: Caller,
    body: Body,
) -> Result<Json<Done>, Problem> {
    decide_many(&ingress.context, Decision::Discard, caller, body).await
}

async fn decide_many(
    context: &Context,
    decision: Decision,
    caller: Caller,
    body: Body,
) -> Result<Json<Done>, Problem> {
    let asked: Asked = body::json(body).await?;
    let actor = caller.named(asked.operator.clone());
    let is_dry = asked.dry_run;
    let filter = asked.filter(now(context).await?)?;
    let mut done = Done {
        matching: None,
        changed: 0,
        skipped: 0,
        owed: 0,
        more: false,
        as_of: filter.as_of.unwrap_or_default(),
    };
    if is_dry {
        let db = context.db.view_for(filter.text.is_some()).await?;
        done.matching = Some(dead_letters::count_matching(&*db, &filter).await?);
        return Ok(Json(done));
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
        step(context, decision, &ids, &filter, &actor, &mut done).await?;
        // One that changed nothing would find the same when it goes on.
        if done.changed >= AT_ONCE.1 || (done.changed > 0 && began.elapsed() >= PATIENCE) {
            done.more = true;
            break;
        }
    }
    Ok(Json(done))
}

/// One transaction's worth of letters, and their push.
async fn step(
    context: &Context,
    decision: Decision,
    ids: &[Uuid],
    filter: &Filter,
    actor: &Actor,
    done: &mut Done,
) -> Result<(), Problem> {
    let mut ids = ids.to_vec();
    if decision == Decision::Replay {
        let payloads = dead_letters::payloads(context.db.view(), &ids).await?;
        let can_be = |(id, queue, payload): &(Uuid, String, Vec<u8>)| {
            replay::check(queue, payload, false).ok().map(|()| *id)
        };
        let replayable: HashSet<Uuid> = payloads.iter().filter_map(can_be).collect();
        done.skipped += payloads.len().saturating_sub(replayable.len()) as u64;
        ids.retain(|id| replayable.contains(id));
    }
    let mut letters = decide(context, decision, &ids, filter, actor).await?;
    done.changed += letters.len() as u64;
    if decision == Decision::Replay {
        push(context, &mut letters).await;
        let is_owed = |letter: &&Model| letter.push_owed_since.is_some();
        done.owed += letters.iter().filter(is_owed).count() as u64;
    }
    Ok(())
}

/// Decides on those that are still dead, and writes down who did, in one transaction.
async fn decide(
    context: &Context,
    decision: Decision,
    ids: &[Uuid],
    filter: &Filter,
    actor: &Actor,
) -> Result<Vec<Model>, Problem> {
    let tx = context.db.begin().await?;
    let now = context.clock.of_store(maintenance::now(&tx).await?);
    let letters = dead_letters::decide_some(&tx, ids, decision, name(actor), now).await?;
    if letters.is_empty() {
        return Ok(letters);
    }
    let decided: Vec<Uuid> = letters.iter().map(|letter| letter.id).collect();
    let detail = json!({
        "queue": filter.queue, "reason": filter.reason, "q": filter.text,
        "since": filter.since, "until": filter.until, "letters": decided,
    });
    let entry = audit::AuditEntry {
        action: decision.action(),
        target: filter.queue.as_deref().unwrap_or("all queues"),
        detail,
    };
    audit::record(&tx, actor, entry, now).await?;
    tx.commit().await?;
    count(context, decision, &letters);
    Ok(letters)
}

impl Asked {
    fn filter(self, now: Timestamp) -> Result<Filter, Problem> {
        let as_of = self.as_of.unwrap_or(now).min(now);
        let which = Which {
            queue: self.queue,
            reason: self.reason,
            q: self.q,
            older_than: self.older_than,
            younger_than: self.younger_than,
        };
        // What an age means does not move while a request is repeated.
        let filter = Filter {
            state: Some(DEAD.to_owned()),
            as_of: Some(as_of),
            ..which.filter(as_of)?
        };
        if filter.is_everything() && !self.all {
            return Err(Problem::new(
                Code::NothingSelected,
                "nothing selected: give a queue, reason, q, older_than or younger_than, or \"all\": true",
            ));
        }
        if self.all && !filter.is_everything() {
            return Err(Problem::new(Code::AmbiguousSelection, ALL_OR_SOME));
        }
        Ok(filter)
    }
}
