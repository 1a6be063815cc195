//! Recount: once a minute, what time alone changes; once an hour, whether figures are what the rows
//! say. Each part is a pass of its own, and each pass may run twice or be cut short without harm.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use apalis::prelude::Data;
use sea_orm::DbErr;
use tocsin::context::Context;
use tocsin::deeds::{Refused, mute};
use tocsin::domain::escalation::{self, most_incidents};
use tocsin::domain::frequency::{FrequencyStats, Window};
use tocsin::jobs::{CalculateTier, JobError, Recount, Verification, derived_id};
use tocsin::metrics::ByWhat;
use tocsin::queue::Push;
use tocsin::queue::consumer::Held;
use tocsin::queue::replay::{self, Unpushed};
use tocsin::store::audit::Actor;
use tocsin::store::maintenance::{self, DEAD_LETTERS, REQUESTS, REST};
use tocsin::store::requests::REMEMBERED;
use tocsin::store::{
    anomalies, cards, dead_letters, incidents, levels, mutes, notifications, retention,
};
use tocsin::time::Timestamp;
use tocsin::verify;
use tocsin::verify::drift::What;
use uuid::Uuid;

use crate::doubts;
use crate::tier::{found, push_owed};

/// Anomalies that are locked together while their figures are refreshed.
const TOGETHER: i64 = 100;
/// What is owed for longer is pushed again.
const OVERDUE: Duration = Duration::from_secs(60);
/// At most so many at once.
const PUSH_AT_MOST: u64 = 10_000;
/// Of replays, at most so many in one round trip.
const REPLAYS_AT_ONCE: u64 = 500;
/// Mutes that are taken off in one pass.
const MUTES_AT_ONCE: u64 = 1000;
/// How long one job compares figures before it leaves the rest to the next: the minute's work waits
/// for it.
const VERIFY_SLICE: Duration = Duration::from_secs(20);
/// Rows that are pruned in one statement, and statements in one pass.
const PRUNE: (i64, u32) = (1000, 200);

/// One tick.
///
/// # Errors
/// The store cannot be reached now.
pub async fn handle(
    job: Recount,
    held: Data<Arc<Held>>,
    context: Data<Context>,
) -> Result<(), JobError> {
    if let Some(verification) = job.verify {
        return verify(&context, held.id(), verification).await;
    }
    decay(&context).await?;
    crate::unseen::pass(&context).await?;
    end_mutes(&context).await?;
    doubts::pass(&context).await?;
    push_overdue(&context).await?;
    prune(&context).await
}

/// Takes mutes off that are over, and has cards say so.
///
/// # Errors
/// The store cannot be reached now.
pub async fn end_mutes(context: &Context) -> Result<(), JobError> {
    let db = context.db.read();
    let now = context.clock.of_store(maintenance::now(db).await?);
    for key in mutes::over(db, now, MUTES_AT_ONCE).await? {
        let tx = context.db.begin().await?;
        let due = match mute::end(&tx, context, &key).await {
            Ok(Some(due)) => due,
            // Muted anew, or gone.
            Ok(None) | Err(Refused::NoIncident | Refused::NoAnomaly | Refused::Senseless(_)) => {
                continue;
            }
            Err(Refused::Store(error)) => return Err(error.into()),
        };
        tx.commit().await?;
        due.push(context).await;
    }
    Ok(())
}

/// Lowers levels that do not hold any more and refreshes figures that have slid out of a window.
///
/// # Errors
/// The store cannot be reached now.
pub async fn decay(context: &Context) -> Result<(), JobError> {
    let mut after = String::new();
    while let Some(last) = decay_some(context, &after).await? {
        after = last;
    }
    Ok(())
}

/// One transaction's worth of anomalies after `key`; returns the last key if there may be more.
async fn decay_some(context: &Context, key: &str) -> Result<Option<String>, JobError> {
    // A little more than the longest window: figures that fall to zero are refreshed, too.
    let longest = Window::Month.length() + Duration::from_secs(86_400);
    if !context.counter.counts_rows() {
        let since = context.clock.now().before(longest);
        let keys = maintenance::decaying(context.db.read(), key, since, TOGETHER).await?;
        context.counter.warm(&keys).await?;
    }
    let tx = context.db.begin().await?;
    let now = context.clock.of_store(maintenance::now(&tx).await?);
    let since = now.before(longest);
    let mut changed = HashSet::new();
    let mut locked = maintenance::lock_decaying(&tx, key, since, TOGETHER).await?;
    let Some(last) = locked.last().map(|anomaly| anomaly.key.clone()) else {
        return Ok(None);
    };
    let keys: Vec<String> = locked.iter().map(|anomaly| anomaly.key.clone()).collect();
    let counts = context.counter.counts(&keys, now).await?;
    let settings = &context.config.escalation;
    let lasting = incidents::lasting(&tx, &keys, settings, now).await?;
    let most = most_incidents(&settings.rules, context.config.counting.unit);
    let lying = levels::incidents_in_windows(&tx, &keys, most, now).await?;

    let (mut stats, mut turned) = (Vec::new(), Vec::new());
    for (anomaly, counts) in locked.iter_mut().zip(&counts) {
        let since = lasting.get(&anomaly.key).copied();
        let found = found(context, counts, lying.get(&anomaly.key), since);
        let was = anomaly.level;
        let change = escalation::decay(anomaly, found, now).apply(anomaly);
        if anomaly.level < was {
            tracing::info!(anomaly.key, from = %was, to = %anomaly.level, "an anomaly's level fell");
        }
        if change.is_written {
            changed.insert(anomaly.key.clone());
        }
        if change.is_due {
            turned.push((anomaly.key.clone(), anomaly.newest_incident));
        }
        let seen = (anomaly.first_seen, anomaly.last_seen);
        stats.push(FrequencyStats::new(
            &anomaly.key,
            counts,
            seen,
            anomaly.level,
        ));
    }
    let changed: Vec<_> = locked.iter().filter(|a| changed.contains(&a.key)).collect();
    anomalies::set_levels(&tx, &changed).await?;
    maintenance::refresh_stats(&tx, &stats).await?;
    let due = levels::concerned(&tx, &turned).await?;
    let edited = if context.config.edits() {
        cards::mark_edits(&tx, &due, now).await?
    } else {
        Vec::new()
    };
    let due = incidents::mark_due(&tx, &due, now).await?;
    tx.commit().await?;
    push_tiers(context, due).await?;
    tocsin::cards::push_edits(context, &edited).await?;
    let more = locked.len() as i64 == TOGETHER;
    Ok(more.then_some(last))
}

/// Pushes again what has been owed for longer than a minute: whoever should have done it died, or
/// the queue lost it.
///
/// # Errors
/// The store cannot be reached now.
pub async fn push_overdue(context: &Context) -> Result<(), JobError> {
    let db = context.db.read();
    let since = context
        .clock
        .of_store(maintenance::now(db).await?)
        .before(OVERDUE);
    let tiers = maintenance::overdue_tiers(db, since, PUSH_AT_MOST as i64).await?;
    let messages = notifications::overdue(db, since, PUSH_AT_MOST).await?;
    if !tiers.is_empty() || !messages.is_empty() {
        let (incidents, messages) = (tiers.len(), messages.len());
        tracing::warn!(
            incidents,
            messages,
            "pushing again what is owed for more than a minute"
        );
    }
    // One job at a time for each incident, so that one that keeps failing is one dead letter.
    let jobs: Vec<_> = tiers
        .into_iter()
        .map(|incident| CalculateTier { incident })
        .collect();
    let pushes = jobs.iter().map(|job| Push::new(job).id(job.incident));
    context.queues.push_all(pushes).await?;
    push_owed(context, messages.into_iter().map(|message| (message, None))).await?;
    let edited = cards::overdue(db, since, PUSH_AT_MOST).await?;
    tocsin::cards::push_edits_after(context, &edited, Duration::ZERO).await?;
    push_replays(context, since).await
}

/// Pushes again what was replayed and may never have been pushed.
async fn push_replays(context: &Context, since: Timestamp) -> Result<(), JobError> {
    let (mut left, db) = (PUSH_AT_MOST, context.db.read());
    while left > 0 {
        let letters = dead_letters::overdue(db, since, REPLAYS_AT_ONCE.min(left)).await?;
        if letters.is_empty() {
            break;
        }
        let replays = letters.len();
        tracing::warn!(replays, "pushing again what was replayed");
        match replay::push(&context.queues, &context.db, &letters).await {
            Ok(()) => left = left.saturating_sub(replays as u64),
            Err(Unpushed::Queue(error)) => return Err(error.into()),
            Err(Unpushed::Store(error)) => return Err(error.into()),
        }
    }
    Ok(())
}

async fn push_tiers(context: &Context, due: Vec<Uuid>) -> Result<(), JobError> {
    let jobs: Vec<_> = due
        .into_iter()
        .map(|incident| CalculateTier { incident })
        .collect();
    Ok(context.queues.push_all(jobs.iter().map(Push::new)).await?)
}

/// Deletes rows that are older than the settings say, in bounded steps.
///
/// # Errors
/// The store cannot be reached now.
pub async fn prune(context: &Context) -> Result<(), JobError> {
    let kept = &context.config.retention;
    let now = context
        .clock
        .of_store(maintenance::now(context.db.read()).await?);
    let (occurrences, rest) = (now.before(kept.occurrences.0), now.before(kept.rest.0));
    let (db, unit) = (&context.db, context.config.counting.unit);
    let step = || retention::prune_occurrences(db, unit, occurrences, PRUNE.0);
    steps("occurrences", step).await?;
    let died = now.before(kept.dead_letters.0);
    steps(DEAD_LETTERS.what, || {
        maintenance::prune(db.write(), DEAD_LETTERS, died, PRUNE.0)
    })
    .await?;
    let answered = now.before(REMEMBERED);
    steps(REQUESTS.what, || {
        maintenance::prune(db.write(), REQUESTS, answered, PRUNE.0)
    })
    .await?;
    for what in REST {
        steps(what.what, || {
            maintenance::prune(db.write(), what, rest, PRUNE.0)
        })
        .await?;
    }
    let step = || retention::prune_incidents(db, unit, rest, PRUNE.0);
    steps("incidents", step).await?;
    steps("anomalies", || {
        retention::prune_anomalies(db, rest, PRUNE.0)
    })
    .await
}

/// Compares figures with rows for as long as a job should run; the rest is for the next one.
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
    if so_far.after.is_empty() {
        // What incidents say of windows may be older than a minute after a time without workers.
        decay(context).await?;
    }
    loop {
        let page = verify::page(context, &so_far.after, repairs.then_some(&actor)).await?;
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
            return Ok(());
        };
        so_far.after = next;
        if began.elapsed() > VERIFY_SLICE {
            let words = [job.to_string(), so_far.after.clone()];
            let id = derived_id(&[&words[0], &words[1]]);
            let rest = Recount {
                verify: Some(so_far),
            };
            return Ok(context.queues.push_all([Push::new(&rest).id(id)]).await?);
        }
    }
}

fn conclude(context: &Context, found: &Verification) {
    let metrics = &context.metrics;
    for what in What::ALL {
        let n = found.drifted.get(&what).copied().unwrap_or_default();
        let by = ByWhat { what: what.name() };
        let n = i64::try_from(n).unwrap_or(i64::MAX);
        metrics.drift.get_or_create(&by).set(n);
    }
    metrics.verified.set(context.clock.now().0 / 1000);
    let (anomalies, occurrences) = (found.anomalies, found.occurrences);
    match found.drifted.values().sum::<u64>() {
        0 => tracing::info!(anomalies, occurrences, "figures are what the rows say"),
        drifted if context.config.recount.repair => {
            tracing::error!(
                drifted,
                anomalies,
                occurrences,
                "figures had drifted; they are repaired"
            );
        }
        drifted => tracing::error!(
            drifted,
            anomalies,
            occurrences,
            "figures drifted from the rows; to repair them: tocsin recount --repair"
        ),
    }
}

/// Takes one bounded step after the other, until nothing is left or there were many.
async fn steps<F>(what: &str, step: impl Fn() -> F) -> Result<(), JobError>
where
    F: Future<Output = Result<u64, DbErr>>,
{
    let mut pruned = 0;
    for _ in 0..PRUNE.1 {
        let rows = step().await?;
        pruned += rows;
        if rows < PRUNE.0.unsigned_abs() {
            break;
        }
    }
    if pruned > 0 {
        tracing::info!(pruned, "pruned {what}");
    }
    Ok(())
}
