//! Tier: works out anomalies' levels and incidents' tiers, and decides who must be told. Handlers
//! run concurrently and hand their incident to one desk, which takes what is waiting together.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use apalis::prelude::Data;
use sea_orm::{DatabaseTransaction, DbErr};
use tocsin::cards as push;
use tocsin::context::Context;
use tocsin::domain::aggregation::Unit;
use tocsin::domain::effectiveness::RepairStats;
use tocsin::domain::escalation::{Level, assess};
use tocsin::domain::frequency::{Counts, FrequencyStats};
use tocsin::domain::{mute, tier};
use tocsin::entity::anomalies::Model as Anomaly;
use tocsin::entity::notifications::Kind;
use tocsin::jobs::{CalculateTier, JobError, Notify};
use tocsin::queue::Push;
use tocsin::queue::consumer::Held;
use tocsin::store::cards::DueCard;
use tocsin::store::error::{Cause, STORE_DELAY, cause};
use tocsin::store::incidents::Finding;
use tocsin::store::notifications::Owed;
use tocsin::store::repairs::History;
use tocsin::store::{anomalies, cards, incidents, notifications, occurrences, repairs};
use tocsin::time::Timestamp;
use tocsin::trace::Trace;
use tocsin::trail;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

/// How long an incident is left to settle after it was marked: a storm on one incident costs a few
/// tier jobs a second.
pub const SETTLE: Duration = Duration::from_millis(250);
/// Incidents that are looked at together at most.
const TOGETHER: usize = 256;

/// One incident that may be due.
///
/// # Errors
/// The store cannot be reached now.
pub async fn handle(
    job: CalculateTier,
    _held: Data<Arc<Held>>,
    desk: Data<Desk>,
) -> Result<(), JobError> {
    let ended = || JobError::RetryAfter {
        after: STORE_DELAY,
        why: "the desk has ended".to_owned(),
    };
    let (answer, answered) = oneshot::channel();
    let waiting = Waiting {
        incident: job.incident,
        trace: trail::trace(),
        answer,
    };
    desk.queue.send(waiting).await.map_err(|_| ended())?;
    answered.await.map_err(|_| ended())?
}

/// Pushes a job for each message, as a part of the trace beside it; a message has one job at a time.
///
/// # Errors
/// The queue did not take them.
pub async fn push_owed(
    context: &Context,
    owed: impl IntoIterator<Item = (Uuid, Option<Trace>)>,
) -> Result<(), JobError> {
    let job = |(notification, trace)| (Notify::message(notification), trace);
    let jobs: Vec<_> = owed.into_iter().map(job).collect();
    let pushes = jobs
        .iter()
        .map(|(job, trace)| Push::new(job).id(job.notification).trace(*trace));
    Ok(context.queues.push_all(pushes).await?)
}

/// Why an incident that lasts escalates, in words.
pub(crate) fn lasts(since: Timestamp, open_for: Duration) -> String {
    let hours = open_for.as_secs() as f64 / 3600.0;
    format!("fires since {since} (≥ {hours} h)")
}

struct Waiting {
    incident: Uuid,
    trace: Option<Trace>,
    answer: oneshot::Sender<Result<(), JobError>>,
}

/// Where handlers hand in their incidents.
#[derive(Clone)]
pub struct Desk {
    queue: mpsc::Sender<Waiting>,
}

impl Desk {
    /// Starts the task that works on them; it ends with the last handle to it.
    #[must_use]
    pub fn start(context: &Context) -> Self {
        let (queue, waiting) = mpsc::channel(TOGETHER);
        tokio::spawn(work(context.clone(), waiting));
        Self { queue }
    }
}

async fn work(context: Context, mut queue: mpsc::Receiver<Waiting>) {
    let mut waiting = Vec::with_capacity(TOGETHER);
    while queue.recv_many(&mut waiting, TOGETHER).await > 0 {
        let ids: BTreeSet<Uuid> = waiting.iter().map(|waiting| waiting.incident).collect();
        let ids: Vec<Uuid> = ids.into_iter().collect();
        let traces = waiting.iter().filter_map(|w| Some((w.incident, w.trace?)));
        let traces: HashMap<Uuid, Trace> = traces.collect();
        match pass(&context, &ids, &traces).await {
            Ok(()) => waiting.drain(..).for_each(|w| w.answer(Ok(()))),
            // Whatever is wrong with one does not harm those that it was taken with.
            Err(Trouble::Ours(error)) if ids.len() > 1 => {
                tracing::warn!("tiers are worked out one by one: {error}");
                for w in waiting.drain(..) {
                    let result = pass(&context, &[w.incident], &traces).await;
                    w.answer(result.map_err(JobError::from));
                }
            }
            Err(trouble) => waiting
                .drain(..)
                .for_each(|w| w.answer(Err(trouble.clone().into()))),
        }
    }
}

impl Waiting {
    fn answer(self, result: Result<(), JobError>) {
        // A handler that timed out is not there any more; its job is delivered again.
        let _ = self.answer.send(result);
    }
}

/// Why incidents could not be worked on.
#[derive(Clone, Debug)]
enum Trouble {
    Store(String),
    Ours(String),
}

impl From<DbErr> for Trouble {
    fn from(error: DbErr) -> Self {
        match cause(&error) {
            Cause::Store => Self::Store(error.to_string()),
            Cause::Data | Cause::Other => Self::Ours(error.to_string()),
        }
    }
}

impl From<Trouble> for JobError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Store(why) => Self::RetryAfter {
                after: STORE_DELAY,
                why,
            },
            Trouble::Ours(why) => Self::Retry(why),
        }
    }
}

/// Works out what is due of these incidents, then pushes every message of theirs that is owed:
/// those of a pass that died before it pushed, too.
async fn pass(
    context: &Context,
    ids: &[Uuid],
    traces: &HashMap<Uuid, Trace>,
) -> Result<(), Trouble> {
    warm(context, ids).await?;
    let cards = calculate(context, ids).await?;
    let owed = notifications::owed(context.db.read(), ids).await?;
    let owed = owed
        .into_iter()
        .map(|(message, incident)| (message, traces.get(&incident).copied()));
    let pushed = async {
        push_owed(context, owed).await?;
        Ok::<(), JobError>(push::push_edits(context, &cards).await?)
    };
    pushed
        .await
        .map_err(|error| Trouble::Store(error.to_string()))
}

/// Has the counter build what it does not know before anything is locked.
async fn warm(context: &Context, ids: &[Uuid]) -> Result<(), Trouble> {
    if context.counter.counts_rows() {
        return Ok(());
    }
    let keys = incidents::keys_due(context.db.read(), ids).await?;
    let warmed = context.counter.warm(&keys).await;
    warmed.map_err(|error| Trouble::Store(error.to_string()))
}

/// What is known of the anomalies of a pass, all of them locked.
struct Known {
    now: Timestamp,
    anomalies: HashMap<String, Anomaly>,
    counts: HashMap<String, Counts>,
    due: Vec<(Uuid, String)>,
}

/// Reads counts and history, and writes levels, tiers and the messages owed, in one transaction
/// under the anomalies' locks. Returns the cards that do not show what holds now.
async fn calculate(context: &Context, ids: &[Uuid]) -> Result<Vec<DueCard>, Trouble> {
    let tx = context.db.begin().await?;
    let Some(mut known) = look(context, &tx, ids).await? else {
        return Ok(Vec::new());
    };
    let risen = raise(context, &tx, &mut known).await?;
    let muted = tell(context, &tx, &known, &risen).await?;

    let keys: Vec<String> = known.counts.keys().cloned().collect();
    let histories = repairs::history(&tx, &keys).await?;
    let mut findings = Vec::with_capacity(known.due.len());
    for (id, key) in &known.due {
        if let Some(anomaly) = known.anomalies.get(key) {
            let counts = known.counts.get(key).copied().unwrap_or_default();
            let history = histories.get(key).cloned().unwrap_or_default();
            findings.push((*id, find(&tx, anomaly, &counts, history).await?));
        }
    }
    let edits = context.config.edits();
    let mut changed = incidents::set_tiers(&tx, &findings, edits).await?;
    if edits && context.config.counting.unit == Unit::Incident {
        // What joins is shown by the card and counted by nothing that was compared.
        changed = known.due.iter().map(|(id, _)| *id).collect();
    }
    let cards = cards::mark_edits(&tx, &changed, known.now).await?;
    tx.commit().await?;
    context.metrics.count_messages("muted", muted);
    Ok(cards)
}

/// Locks the anomalies and reads which incidents are due; `None` if none is.
async fn look(
    context: &Context,
    tx: &DatabaseTransaction,
    ids: &[Uuid],
) -> Result<Option<Known>, Trouble> {
    let (anomalies, now) = anomalies::lock_of_incidents(tx, ids).await?;
    let due = incidents::due(tx, ids).await?;
    if due.is_empty() {
        return Ok(None);
    }
    let now = context.clock.of_store(now);
    let keys: BTreeSet<&String> = due.iter().map(|(_, key)| key).collect();
    let keys: Vec<String> = keys.into_iter().cloned().collect();
    let counts = context.counter.counts_within(tx, &keys, now).await;
    let counts = counts.map_err(|error| Trouble::Store(error.to_string()))?;
    Ok(Some(Known {
        now,
        anomalies: anomalies.into_iter().map(|a| (a.key.clone(), a)).collect(),
        counts: keys.into_iter().zip(counts).collect(),
        due,
    }))
}

/// Raises the levels that do not reach what holds now; returns whose rose.
async fn raise(
    context: &Context,
    tx: &DatabaseTransaction,
    known: &mut Known,
) -> Result<HashSet<String>, Trouble> {
    let escalation = &context.config.escalation;
    let keys: Vec<String> = known.counts.keys().cloned().collect();
    let lasting = incidents::lasting(tx, &keys, escalation, known.now).await?;
    let mut risen = HashSet::new();
    for (key, counts) in &known.counts {
        let why = lasting
            .get(key)
            .map(|since| lasts(*since, escalation.open_for.0));
        let found = assess(counts, why.as_deref(), &escalation.rules);
        let Some(anomaly) = known
            .anomalies
            .get_mut(key)
            .filter(|a| found.level > a.level)
        else {
            continue;
        };
        tracing::info!(anomaly.key, from = %anomaly.level, to = %found.level, "an anomaly's level rose");
        anomaly.level = found.level;
        anomaly.level_seq += 1;
        anomaly.risen_at = Some(known.now);
        anomaly.reason = found.reason;
        risen.insert(key.clone());
    }
    let changed: Vec<&Anomaly> = known
        .anomalies
        .values()
        .filter(|a| risen.contains(&a.key))
        .collect();
    anomalies::set_levels(tx, &changed).await?;
    Ok(risen)
}

/// Owes the message that an incident opened, once. A rise is told by that message, or by that of an
/// earlier rise, in every channel where it is still owed, and by one of its own where it was told
/// already, or where nothing was. Of a muted anomaly only a rise to `PERMANENT_FIX` is told; returns
/// how many messages are not.
async fn tell(
    context: &Context,
    tx: &DatabaseTransaction,
    known: &Known,
    risen: &HashSet<String>,
) -> Result<u64, Trouble> {
    let ids: Vec<Uuid> = known.due.iter().map(|(id, _)| *id).collect();
    let standing = notifications::standing(tx, &ids).await?;
    let opened: HashSet<Uuid> = standing
        .iter()
        .filter(|message| message.kind == Kind::Opened)
        .map(|message| message.incident)
        .collect();
    let new = ids.iter().filter(|id| !opened.contains(id));
    let mut told: Vec<(Uuid, Kind, i64)> = new.map(|id| (*id, Kind::Opened, 0)).collect();
    told.extend(risen.iter().filter_map(|key| rise(known, key)));
    let about: Vec<Uuid> = told.iter().map(|(id, ..)| *id).collect();
    let facts = notifications::facts(tx, &about).await?;

    let mut pending: HashSet<(Uuid, String)> = standing
        .into_iter()
        .filter(|m| m.is_pending && matches!(m.kind, Kind::Opened | Kind::Escalated))
        .map(|message| (message.incident, message.channel))
        .collect();
    let mut owed = Vec::with_capacity(told.len());
    for (incident, kind, sequence) in told {
        let Some(facts) = facts.get(&incident) else {
            continue;
        };
        let is_muted = known.is_muted(incident)
            && !(kind == Kind::Escalated && facts.level == Level::PermanentFix);
        let mut channels = context.config.channels_for(facts, kind);
        // What is not told tells no rise either.
        channels.retain(|channel| match is_muted {
            true => !pending.contains(&(incident, channel.clone())),
            false => pending.insert((incident, channel.clone())),
        });
        owed.push(Owed {
            incident,
            kind,
            sequence,
            channels,
            is_muted,
        });
    }
    Ok(notifications::owe(tx, &owed, known.now).await?.muted)
}

impl Known {
    /// Whether nothing is told of the incident's anomaly.
    fn is_muted(&self, incident: Uuid) -> bool {
        let due = self.due.iter().find(|(id, _)| *id == incident);
        let anomaly = due.and_then(|(_, key)| self.anomalies.get(key));
        anomaly.is_some_and(|anomaly| mute::is_muted(anomaly, self.now))
    }
}

/// How the rise of an anomaly is told: about its newest incident that is due.
fn rise(known: &Known, key: &String) -> Option<(Uuid, Kind, i64)> {
    let of_key = known.due.iter().filter(|(_, k)| k == key);
    let newest = of_key.map(|(id, _)| *id).max()?;
    let anomaly = known.anomalies.get(key)?;
    let kind = match anomaly.level {
        Level::None => return None,
        Level::Repeat => Kind::Repeated,
        Level::Escalate | Level::PermanentFix => Kind::Escalated,
    };
    Some((newest, kind, anomaly.level_seq))
}

async fn find(
    tx: &DatabaseTransaction,
    anomaly: &Anomaly,
    counts: &Counts,
    history: History,
) -> Result<Finding, Trouble> {
    let History { totals, newest } = history;
    let fix_failed = match anomaly.permanent_fix_at {
        Some(fixed_at) => occurrences::happened_after(tx, &anomaly.key, fixed_at).await?,
        None => false,
    };
    let (tier, reason) = tier::decide(anomaly.level, &totals, fix_failed);
    let seen = (anomaly.first_seen, anomaly.last_seen);
    Ok(Finding {
        tier,
        reason,
        frequency: FrequencyStats::new(&anomaly.key, counts, seen, anomaly.level),
        repairs: RepairStats::summarise(&totals, newest, tier),
    })
}
