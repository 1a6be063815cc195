//! The hourly consistency check: compares every counter with the rows that it is computed from.

use std::time::{Duration, Instant};

use tocsin::context::Context;
use tocsin::domain::figure::Figure;
use tocsin::ids::derived_id;
use tocsin::jobs::{IngestAlert, Job as _, JobError, Recount, Verification};
use tocsin::queue::Push;
use tocsin::routines::Routine;
use tocsin::store::audit::Actor;
use tocsin::store::marks::{self, Mark};
use tocsin::store::turns::{self, Begun, Turn};
use tocsin::telemetry::metrics::ByFigure;
use tocsin::time::Timestamp;
use tocsin::verify::{self, Page};
use uuid::Uuid;

use super::decay;

/// How long one job checks before it leaves the rest to another: a process that stops waits for it.
const SLICE: Duration = Duration::from_secs(20);
/// How long it is deferred while alerts wait.
const STANDS_BACK: Duration = Duration::from_secs(60);
/// More batches of alerts than this in the queue defer it.
const BATCHES: u64 = 2;
/// It is deferred for no longer than this without a break. After that it checks one page at a time, and is deferred between
/// two, until no alerts wait.
const WAITS_AT_MOST: Duration = Duration::from_secs(3600);

/// One whose jobs did nothing for so long is lost, and another one may begin.
const LOST: Duration = Duration::from_secs(1800);

/// Checks for as long as a job should run, and leaves the rest to another job. It reads every row, so it is deferred
/// while more than a few batches of alerts wait, and checks slowly where they wait for an hour without a break. While one
/// check is under way or waits, no other begins.
///
/// # Errors
/// A store cannot be reached now.
pub async fn verify(
    context: &Context,
    job: Uuid,
    mut so_far: Verification,
) -> Result<(), JobError> {
    let repairs = context.config.recount.repair;
    let actor = Actor {
        token: "schedule".to_owned(),
        ..Actor::default()
    };
    let began = Instant::now();
    let first = *so_far.first.get_or_insert(job);
    if !is_the_one(context, first).await? {
        tracing::info!("skipping a consistency check: another one is under way or waits");
        return Ok(());
    }
    if is_to_wait(context, &mut so_far).await? {
        return go_on(context, job, so_far, STANDS_BACK).await;
    }
    if so_far.after.is_empty() {
        so_far.began = Some(context.queues.store().now().await?);
        // After a time without workers, the incidents' counts may be out of date, which is not drift.
        match decay(context).await {
            Err(error @ JobError::RetryAfter { .. }) => return Err(error),
            Err(error) => tracing::error!("cannot update some figures: {error}"),
            Ok(_) => {}
        }
    }
    loop {
        let page = verify::page(context, &so_far.after, repairs.then_some(&actor)).await;
        let page = match page.map_err(JobError::from) {
            Ok(page) => page,
            Err(error @ JobError::RetryAfter { .. }) => return Err(error),
            Err(error) => {
                // A row that cannot be read does not stop the check of the others.
                let after = &so_far.after;
                tracing::error!(
                    anomaly.after = after,
                    "skipping a page of the consistency check: {error}"
                );
                Page {
                    next_cursor: verify::end_of_page(context, after).await?,
                    ..Page::default()
                }
            }
        };
        so_far.anomalies += page.anomalies;
        so_far.occurrences += page.occurrences;
        for (what, n) in page.drifted {
            *so_far.drifted.entry(what).or_default() += n;
        }
        for drift in &page.drifts {
            tracing::error!(
                anomaly.key = drift.anomaly,
                repaired = page.repaired,
                "{drift}"
            );
        }
        let Some(next) = page.next_cursor else {
            conclude(context, &so_far);
            let mark = Mark {
                at: so_far.began.unwrap_or_else(|| context.clock.now()),
                ..Mark::default()
            };
            return Ok(marks::set(context.db.write(), Routine::Verify.mark(), &mark).await?);
        };
        so_far.after = next;
        if is_to_wait(context, &mut so_far).await? || so_far.waits_since.is_some() {
            return go_on(context, job, so_far, STANDS_BACK).await;
        }
        if began.elapsed() > SLICE {
            return go_on(context, job, so_far, Duration::ZERO).await;
        }
    }
}

/// Whether no other check is under way; this one is, from now on. Its end is the mark of the routine, which
/// frees the turn.
async fn is_the_one(context: &Context, first: Uuid) -> Result<bool, JobError> {
    let turn = Turn {
        name: Routine::Verify.mark(),
        // Each has something to add.
        asked_at: Timestamp(i64::MAX),
        now: context.queues.store().now().await?,
        lasts: LOST,
        job: first,
        is_again: true,
    };
    Ok(turns::begin(context.db.write(), &turn).await? == Begun::Now)
}

/// Enqueues a job for the rest.
async fn go_on(
    context: &Context,
    job: Uuid,
    so_far: Verification,
    after: Duration,
) -> Result<(), JobError> {
    let id = derived_id(&[&job.to_string(), &so_far.after]);
    let rest = Recount::Verify(so_far);
    let push = Push::new(&rest).id(id).after(after);
    Ok(context.queues.push(push).await?)
}

/// Whether alerts wait, and have not kept this check waiting for too long. Notes since when they do without a break.
async fn is_to_wait(context: &Context, so_far: &mut Verification) -> Result<bool, JobError> {
    if !is_busy(context).await? {
        so_far.waits_since = None;
        return Ok(false);
    }
    let now = context.queues.store().now().await?;
    let since = *so_far.waits_since.get_or_insert(now);
    let is_to_wait = now.since(since) < WAITS_AT_MOST;
    if is_to_wait {
        context.metrics.verification_deferred.inc();
        let waits_s = now.since(since).as_secs();
        tracing::info!(waits_s, "deferring the consistency check: alerts wait");
    }
    Ok(is_to_wait)
}

async fn is_busy(context: &Context) -> Result<bool, JobError> {
    let depth = context.queues.store().depth(IngestAlert::POLICY.queue);
    let (waiting, batch) = (depth.await?.ready, context.config.ingest.batch as u64);
    Ok(waiting > BATCHES * batch)
}

fn conclude(context: &Context, found: &Verification) {
    let metrics = &context.metrics;
    for what in Figure::ALL {
        let n = found.drifted.get(&what).copied().unwrap_or_default();
        let by = ByFigure { what: what.name() };
        let n = i64::try_from(n).unwrap_or(i64::MAX);
        metrics.drift.get_or_create(&by).set(n);
    }
    metrics.verified.set(context.clock.now().0 / 1000);
    let (anomalies, occurrences) = (found.anomalies, found.occurrences);
    match found.drifted.values().sum::<u64>() {
        0 => tracing::info!(anomalies, occurrences, "consistency check passed"),
        drifted if context.config.recount.repair => {
            tracing::error!(
                drifted,
                anomalies,
                occurrences,
                "consistency check found drift and repaired it"
            );
        }
        drifted => tracing::error!(
            drifted,
            anomalies,
            occurrences,
            "consistency check found drift; to repair it: tocsin recount --repair"
        ),
    }
}
