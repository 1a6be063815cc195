//! Prunes rows that are older than their retention.

use std::time::{Duration, Instant};

use sea_orm::DbErr;
use tocsin::context::Context;
use tocsin::domain::effectiveness::first_period;
use tocsin::jobs::JobError;
use tocsin::routines::Routine;
use tocsin::store::alert_rules;
use tocsin::store::maintenance::{self, DEAD_LETTERS, REQUESTS, REST};
use tocsin::store::marks::{self, Mark};
use tocsin::store::refusals;
use tocsin::store::repairs::figures;
use tocsin::store::requests::REMEMBERED;
use tocsin::store::retention;
use tocsin::store::sessions;
use tocsin::store::source_tallies;

use super::Progress;

/// How long one pass deletes; the next continues.
const AT_MOST: Duration = Duration::from_secs(20);
/// Rows in one statement.
const ROWS: i64 = 1000;

/// Prunes if the last pruning is an hour old, or continues one that did not finish. The items are the rows that were deleted.
///
/// # Errors
/// The store cannot be reached now.
pub(super) async fn hourly(context: &Context) -> Result<Progress, JobError> {
    let now = maintenance::now(context.db.read()).await?;
    let now = context.clock.of_store(now);
    let last = marks::find(context.db.read(), Routine::Pruning.mark()).await?;
    if last.is_some_and(|last| last.at <= now && now.since(last.at) < Routine::Pruning.every()) {
        return Ok(Progress::default());
    }
    let (pruned, is_all) = delete(context).await?;
    if is_all {
        let mark = Mark {
            at: now,
            ..Mark::default()
        };
        marks::set(context.db.write(), Routine::Pruning.mark(), &mark).await?;
    }
    Ok(Progress {
        items: pruned,
        has_more: !is_all,
    })
}

/// Deletes rows that are older than their retention, in bounded steps.
///
/// # Errors
/// The store cannot be reached now.
pub async fn prune(context: &Context) -> Result<(), JobError> {
    delete(context).await.map(drop)
}

/// Deletes old rows; returns how many, and whether none is left. An error with one kind of row does not stop the
/// others.
async fn delete(context: &Context) -> Result<(u64, bool), JobError> {
    let kept = &context.config.retention;
    let (db, unit) = (&context.db, context.config.counting.unit);
    let now = context.clock.of_store(maintenance::now(db.read()).await?);
    let (occurrences, rest) = (now.before(kept.occurrences.0), now.before(kept.rest.0));
    let mut pass = Pass {
        began: Instant::now(),
        is_all: true,
        pruned: 0,
        error: None,
    };
    let step = || retention::prune_occurrences(db, unit, occurrences, ROWS);
    pass.steps("occurrences", step).await;
    let died = now.before(kept.dead_letters.0);
    let step = || maintenance::prune(db, DEAD_LETTERS, died, ROWS);
    pass.steps(DEAD_LETTERS.what, step).await;
    let answered = now.before(REMEMBERED);
    let step = || maintenance::prune(db, REQUESTS, answered, ROWS);
    pass.steps(REQUESTS.what, step).await;
    let step = || refusals::prune(db.write(), now);
    pass.steps("rejected webhook requests", step).await;
    let step = || source_tallies::prune(db.write(), now);
    pass.steps("figures of sources", step).await;
    let step = || sessions::prune(db.write(), now);
    pass.steps("ended sessions", step).await;
    let step = || alert_rules::prune(db.write(), rest);
    pass.steps("alert rules", step).await;
    let step = || retention::prune_incidents(db, unit, rest, ROWS);
    pass.steps("incidents", step).await;
    for what in REST {
        pass.steps(what.what, || maintenance::prune(db, what, rest, ROWS))
            .await;
    }
    // Only of periods whose repairs are all kept, because a figure covers a whole period.
    let first = first_period(now, kept.rest.0);
    let step = || figures::prune(db.write(), first);
    pass.steps("figures of repairs", step).await;
    let step = || retention::prune_anomalies(db, rest, ROWS);
    pass.steps("anomalies", step).await;
    match pass.error {
        Some(error) => Err(error.into()),
        None => Ok((pass.pruned, pass.is_all)),
    }
}

struct Pass {
    began: Instant,
    /// Whether no old row is left.
    is_all: bool,
    /// Rows that were deleted.
    pruned: u64,
    /// The first error.
    error: Option<DbErr>,
}

impl Pass {
    /// Runs bounded steps until no old row is left or the time is over.
    async fn steps<F>(&mut self, what: &str, step: impl Fn() -> F)
    where
        F: Future<Output = Result<u64, DbErr>>,
    {
        let mut pruned = 0;
        loop {
            match step().await {
                Ok(rows) => {
                    pruned += rows;
                    if rows < ROWS.unsigned_abs() {
                        break;
                    }
                }
                Err(error) => {
                    tracing::error!("cannot prune {what}: {error}");
                    self.error.get_or_insert(error);
                    break;
                }
            }
            if self.began.elapsed() > AT_MOST {
                self.is_all = false;
                break;
            }
        }
        self.pruned += pruned;
        if pruned > 0 {
            tracing::info!(pruned, "pruned {what}");
        }
    }
}
