//! Proposals: once an hour, what held is compared with the order of each playbook. What should be another way is
//! proposed, and done where the settings say so. Every write is one statement or one transaction, and each proposal is
//! unique: the pass may run twice, at the same time, or be cut short without harm.

use std::time::Duration;

use tocsin::config::QuietOf;
use tocsin::context::Context;
use tocsin::domain::effectiveness::Worth;
use tocsin::domain::playbook::{Judged, Playbook, PlaybookKey, closest, proposal};
use tocsin::domain::verdict::for_quiet;
use tocsin::jobs::JobError;
use tocsin::operations::OperationError;
use tocsin::operations::playbook::proposal::{Found, accept_by_itself, offer, said};
use tocsin::playbooks::base_of_settings;
use tocsin::store::marks::{self, Mark};
use tocsin::store::repairs::by_anomaly::{self, OfAnomaly};
use tocsin::store::{maintenance, playbooks};
use tocsin::time::{Timestamp, millis};

use super::failed;

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(3600);
/// When it was looked last.
const MARK: &str = "proposals";
/// Anomalies in one query.
const TOGETHER: u64 = 500;
/// The most anomalies in one pass; of more, those with the lowest keys count.
const AT_MOST: usize = 50_000;

/// A playbook that counts, and what is known of its actions.
struct Looked {
    playbook: Playbook,
    /// What a proposal is based on.
    base: String,
    is_stored: bool,
    known: proposal::Known,
}

/// Looks if an hour has passed since the last look. Returns how many playbooks it looked at.
///
/// # Errors
/// The store cannot be reached now.
pub(super) async fn propose_hourly(context: &Context) -> Result<u64, JobError> {
    let db = context.db.read();
    let now = context.clock.of_store(maintenance::now(db).await?);
    let last = marks::find(db, MARK).await?.map(|mark| mark.at);
    if last.is_some_and(|last| last <= now && now.since(last) < EVERY) {
        return Ok(0);
    }
    let looked_at = propose(context).await?;
    let mark = Mark {
        at: now,
        ..Mark::default()
    };
    marks::set(context.db.write(), MARK, &mark).await?;
    Ok(looked_at)
}

/// Compares what held with the order of each playbook, and proposes what should be another way. Returns how many
/// playbooks there are.
///
/// # Errors
/// The store cannot be reached now.
pub async fn propose(context: &Context) -> Result<u64, JobError> {
    let mut all = counting(context).await?;
    if all.is_empty() {
        return Ok(0);
    }
    learn(context, &mut all).await?;
    let least = i64::from(context.config.effectiveness.min_verdicts);
    for one in &all {
        let proposed = proposal::propose(&one.playbook, &one.known, least);
        let shown = proposed.as_ref().unwrap_or(&one.playbook);
        let found = Found {
            name: &one.playbook.name,
            base: &one.base,
            held: proposal::figures(shown, &one.known),
            verdicts: proposal::verdicts(&one.playbook, &one.known),
            proposed,
        };
        let open = offer(context, found).await.map_err(failed)?;
        if let Some(open) =
            open.filter(|_| one.is_stored && context.config.effectiveness.auto_update)
        {
            update(context, &open.name, open.id, &said(&open.held()?)).await?;
        }
    }
    Ok(all.len() as u64)
}

/// Accepts it, as the settings say.
async fn update(context: &Context, name: &str, id: uuid::Uuid, said: &str) -> Result<(), JobError> {
    match accept_by_itself(context, name, id).await {
        Ok(done) if done.changed => {
            tracing::info!(
                playbook = name,
                version = done.version.version,
                "changed a playbook by what held: {said}"
            );
            Ok(())
        }
        // Another process did it, or a person changed it meanwhile.
        Ok(_) | Err(OperationError::Conflict(_) | OperationError::NotFound(_)) => Ok(()),
        Err(error) => Err(failed(error)),
    }
}

/// The playbooks that count, the stored ones first: of two that match equally closely the first is taken.
async fn counting(context: &Context) -> Result<Vec<Looked>, JobError> {
    let stored = playbooks::newest(context.db.read()).await?;
    let counts = |name: &str| context.playbooks.of_settings(name).is_none();
    let stored = stored
        .iter()
        .filter(|one| one.is_active() && counts(&one.name));
    let stored = stored.filter_map(|version| {
        Some(Looked {
            // One of a newer version is passed over, as everywhere.
            playbook: version.playbook().ok()?,
            base: version.version.to_string(),
            is_stored: true,
            known: proposal::Known::new(),
        })
    });
    let settings = context.playbooks.settings().iter().map(|playbook| Looked {
        playbook: playbook.clone(),
        base: base_of_settings(playbook),
        is_stored: false,
        known: proposal::Known::new(),
    });
    Ok(stored.chain(settings).collect())
}

/// Reads what is known of the actions on each anomaly, for the playbook that is taken for it.
async fn learn(context: &Context, all: &mut [Looked]) -> Result<(), JobError> {
    let db = context.db.read();
    let now = context.clock.of_store(maintenance::now(db).await?);
    let (mut after, mut looked_at) = (String::new(), 0);
    while looked_at < AT_MOST {
        let keys = by_anomaly::keys(db, &after, TOGETHER).await?;
        let Some(last) = keys.last() else { break };
        after.clone_from(last);
        looked_at += keys.len();
        for anomaly in by_anomaly::of(db, &keys).await?.values() {
            let of = PlaybookKey {
                alert_name: &anomaly.alert_name,
                service: &anomaly.service,
                namespace: &anomaly.namespace,
                error_type: &anomaly.error_type,
            };
            let taken = closest(all.iter(), of, |one| &one.playbook);
            // Each has a name of its own.
            let Some(name) = taken.map(|one| one.playbook.name.clone()) else {
                continue;
            };
            let taken = all.iter_mut().find(|one| one.playbook.name == name);
            if let Some(taken) = taken {
                add(context, &mut taken.known, anomaly, now);
            }
        }
    }
    Ok(())
}

/// Adds what is known of the actions on one anomaly.
fn add(context: &Context, known: &mut proposal::Known, anomaly: &OfAnomaly, now: Timestamp) {
    let settings = &context.config.effectiveness;
    let names = QuietOf {
        alert_name: &anomaly.alert_name,
        service: &anomaly.service,
        namespace: &anomaly.namespace,
    };
    for (action, kept) in &anomaly.known.actions {
        let worth = Worth::of(kept, settings.half_life.0, now);
        if worth.counted.verdicts() == 0 {
            continue;
        }
        let class = context.config.repairs.actions.of(action);
        let quiet = millis(settings.quiet(names, class));
        let (_, nothing) = for_quiet(&anomaly.known.baselines, quiet);
        let judged: &mut Judged = known.entry(action.clone()).or_default();
        judged.add(&worth, nothing);
    }
}
