//! One batch of deliveries, in one transaction.

mod repetitions;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr};
use uuid::Uuid;

use super::analysis::DueAnalysis;
use super::outbox::{self, FollowUp};
use super::{Db, anomalies, incidents, occurrences, overflow, reopenings};
use crate::config::Config;
use crate::domain::aggregation::{Anomaly, Batch, Due, Incident, Ingested, Policy, Unit};
use crate::domain::episode::AlertDelivery;
use crate::domain::frequency::Counted;
use crate::domain::incident_counts::IncidentCounts;
use crate::domain::messages;
use crate::domain::names::Names;
use crate::domain::signature::{Signature, SignatureLabelNames};
use crate::time::{Clock, Timestamp};
use repetitions::Repetitions;

/// The outcome of a batch.
#[derive(Debug, Default)]
pub struct Committed {
    /// What became of each delivery.
    pub entered: Vec<Ingested>,
    /// The incident that each belongs to.
    pub incidents: Vec<Option<Uuid>>,
    /// Incidents that this batch made due, whether their marks were set already or not, and those of
    /// redelivered jobs: their worker may have died between commit and count. With the moment at which each is due.
    pub touched: HashMap<Uuid, (Due, Timestamp)>,
    /// Every id that the batch touched, for a counter that does not count rows.
    pub counted: Vec<Counted>,
    /// What follows. Due for a tier are the incidents whose mark this batch set, and those of redelivered
    /// jobs that are still marked.
    pub follow_up: FollowUp,
    /// How many were counted as new with others of their alerts' names, because there was no room for anomalies
    /// of their own.
    pub overflowed: u64,
    /// The alert's name of one of these.
    pub overflowed_name: Option<String>,
    /// When that was, by the store's clock.
    pub at: Timestamp,
}

impl Committed {
    /// The outcome of a batch of `deliveries` alerts, of which the `known` ones changed nothing.
    fn with(mut self, known: &Repetitions, deliveries: usize) -> Self {
        let mut changes = self.entered.into_iter().zip(self.incidents);
        let all = (0..deliveries).filter_map(|place| match known.incidents.get(&place) {
            Some(incident) => Some((Ingested::Resent, *incident)),
            None => changes.next(),
        });
        (self.entered, self.incidents) = all.unzip();
        self.at = self.at.max(known.at);
        self
    }
}

/// Enters a batch, which comes in the order of receipt: locks the anomalies, reads what the batch
/// can touch, applies the deliveries, and writes what came out. All or nothing; entering a batch
/// again counts nothing twice. What there is no room for by `names` is entered with others of its alert's
/// name.
///
/// # Errors
/// What the database says; nothing was written then.
pub async fn commit(
    db: &Db,
    clock: &Clock,
    policy: &Policy,
    config: &Config,
    names: &Names,
    deliveries: &[&AlertDelivery],
) -> Result<Committed, DbErr> {
    let known = repetitions::find(db, clock, policy, deliveries).await?;
    if known.incidents.is_empty() {
        return commit_changes(db, clock, policy, config, names, deliveries).await;
    }
    let is_change = |place: &usize| !known.incidents.contains_key(place);
    let changes = (0..deliveries.len()).filter(is_change);
    let changes: Vec<&AlertDelivery> = changes.map(|place| deliveries[place]).collect();
    if changes.is_empty() {
        return Ok(Committed::default().with(&known, deliveries.len()));
    }
    let committed = commit_changes(db, clock, policy, config, names, &changes).await?;
    Ok(committed.with(&known, deliveries.len()))
}

/// The same of deliveries that may change something.
async fn commit_changes(
    db: &Db,
    clock: &Clock,
    policy: &Policy,
    config: &Config,
    names: &Names,
    deliveries: &[&AlertDelivery],
) -> Result<Committed, DbErr> {
    let tx = db.begin().await?;
    let opened = load_batch(&tx, policy, config, deliveries).await?;
    let (too_many, room) = overflow::beyond(&tx, policy, names, &opened.0, deliveries).await?;
    let entered = if too_many.is_empty() {
        enter(tx, clock, policy, config, opened, deliveries).await?
    } else {
        // No row is to be left of them.
        tx.rollback().await?;
        enter_moved(db, clock, policy, config, deliveries, &too_many).await?
    };
    room.made();
    Ok(entered)
}

/// Enters a batch with what there is no room for under its alerts' names.
async fn enter_moved(
    db: &Db,
    clock: &Clock,
    policy: &Policy,
    config: &Config,
    deliveries: &[&AlertDelivery],
    too_many: &HashSet<String>,
) -> Result<Committed, DbErr> {
    let moved: Vec<Cow<'_, AlertDelivery>> = deliveries
        .iter()
        .map(|delivery| match too_many.contains(&delivery.key) {
            true => Cow::Owned(delivery.in_overflow()),
            false => Cow::Borrowed(*delivery),
        })
        .collect();
    let moved: Vec<&AlertDelivery> = moved.iter().map(AsRef::as_ref).collect();
    let tx = db.begin().await?;
    let opened = load_batch(&tx, policy, config, &moved).await?;
    enter(tx, clock, policy, config, opened, &moved).await
}

/// Enters a batch whose anomalies are locked.
async fn enter(
    tx: DatabaseTransaction,
    clock: &Clock,
    policy: &Policy,
    config: &Config,
    (mut batch, now): (Batch, Timestamp),
    deliveries: &[&AlertDelivery],
) -> Result<Committed, DbErr> {
    let now = clock.of_store(now);
    let deliveries: Vec<Cow<'_, AlertDelivery>> =
        deliveries.iter().map(|s| not_after(s, now)).collect();

    let mut entered = Vec::with_capacity(deliveries.len());
    let mut incidents_of = Vec::with_capacity(deliveries.len());
    let mut redelivered = HashSet::new();
    for delivery in &deliveries {
        let (fate, incident) = batch.enter(delivery, policy);
        entered.push(fate);
        incidents_of.push(incident);
        if delivery.redelivered {
            redelivered.extend(incident);
        }
    }

    let mut follow_up = write(&tx, config, &batch, &oldest(&deliveries), now).await?;
    tx.commit().await?;

    let mut touched = HashMap::new();
    for incident in batch.incidents.values() {
        let is_again = redelivered.contains(&incident.id);
        let due = match is_again {
            true => (incident.tier_due || incident.due_at.is_some()).then_some(Due::Soon),
            false => batch.due_anew(incident, now),
        };
        if let Some(due) = due {
            follow_up.made_due([incident.id], due);
        }
        if incident.tier_due || is_again {
            let due = (batch.due(incident), batch.due_at(incident, now));
            touched.insert(incident.id, due);
        }
    }
    let new = batch.incidents.values().filter(|i| i.is_to_be_analyzed());
    let due = |incident: &Incident| DueAnalysis {
        incident: incident.id,
        since: now,
    };
    follow_up.analyses = new.map(due).collect();
    follow_up.incidents = IncidentCounts::of(&batch);
    let in_overflow = deliveries.iter().zip(&entered);
    let in_overflow = in_overflow.filter(|(s, fate)| **fate == Ingested::New && s.is_in_overflow());
    let overflowed: Vec<&AlertDelivery> = in_overflow.map(|(s, _)| s.as_ref()).collect();
    Ok(Committed {
        touched,
        counted: batch.counted(policy.unit),
        follow_up,
        overflowed: overflowed.len() as u64,
        overflowed_name: overflowed.last().map(|s| s.signature.alert_name.clone()),
        entered,
        incidents: incidents_of,
        at: now,
    })
}

/// Enters deliveries in a transaction that nobody commits: what [`commit`] does, but for the names that there is no
/// room for. Returns what came out, and when that was.
pub(super) async fn enter_unseen(
    tx: &DatabaseTransaction,
    clock: &Clock,
    policy: &Policy,
    config: &Config,
    deliveries: &[&AlertDelivery],
) -> Result<(Batch, Timestamp), DbErr> {
    let (mut batch, now) = load_batch(tx, policy, config, deliveries).await?;
    let now = clock.of_store(now);
    let deliveries: Vec<Cow<'_, AlertDelivery>> =
        deliveries.iter().map(|s| not_after(s, now)).collect();
    for delivery in &deliveries {
        batch.enter(delivery, policy);
    }
    write(tx, config, &batch, &oldest(&deliveries), now).await?;
    Ok((batch, now))
}

/// Writes what came out, and the messages and edits that it calls for. Where it calls for none, nothing
/// is asked.
pub(super) async fn write(
    tx: &impl ConnectionTrait,
    config: &Config,
    batch: &Batch,
    oldest: &BTreeMap<&str, Timestamp>,
    now: Timestamp,
) -> Result<FollowUp, DbErr> {
    occurrences::insert(tx, batch).await?;
    occurrences::update(tx, batch).await?;
    incidents::save(tx, batch, now).await?;
    reopenings::insert(tx, batch).await?;
    anomalies::update(tx, batch, oldest, now).await?;
    if messages::is_quiet(batch) {
        return Ok(FollowUp::default());
    }
    let policy = config.messages();
    let candidates = messages::of_batch(batch, &policy, now);
    outbox::write(
        tx,
        &policy,
        candidates,
        &messages::changed_cards(batch),
        now,
    )
    .await
}

/// What an ingress whose clock is ahead received later than now, it received now: else its incidents
/// could be joined for as long as it is ahead.
pub(super) fn not_after<'a>(delivery: &'a AlertDelivery, now: Timestamp) -> Cow<'a, AlertDelivery> {
    match delivery.received_at > now {
        true => Cow::Owned(AlertDelivery {
            received_at: now,
            ..delivery.clone()
        }),
        false => Cow::Borrowed(delivery),
    }
}

/// When the oldest delivery of each anomaly was received: no row of its own that this batch writes
/// counts from before.
fn oldest<'a>(deliveries: &'a [Cow<'_, AlertDelivery>]) -> BTreeMap<&'a str, Timestamp> {
    let mut oldest: BTreeMap<&str, Timestamp> = BTreeMap::new();
    for delivery in deliveries {
        let of_key = oldest.entry(&delivery.key).or_insert(delivery.received_at);
        *of_key = (*of_key).min(delivery.received_at);
    }
    oldest
}

/// Locks the batch's anomalies and reads what it can touch of them.
async fn load_batch(
    tx: &impl ConnectionTrait,
    policy: &Policy,
    config: &Config,
    deliveries: &[&AlertDelivery],
) -> Result<(Batch, Timestamp), DbErr> {
    let mut signatures: BTreeMap<&str, (&Signature, String)> = BTreeMap::new();
    for delivery in deliveries {
        signatures.entry(&delivery.key).or_insert_with(|| {
            let mut names = delivery.alert.names(&config.signature);
            if delivery.is_in_overflow() {
                names = names.alert_name_alone();
            }
            (&delivery.signature, SignatureLabelNames::written(&names))
        });
    }
    let (anomalies, now) = anomalies::insert_or_lock(tx, &signatures).await?;
    Ok((load_known(tx, policy, anomalies, deliveries).await?, now))
}

/// Reads what a batch can touch of these anomalies.
pub(super) async fn load_known(
    tx: &impl ConnectionTrait,
    policy: &Policy,
    anomalies: BTreeMap<String, Anomaly>,
    deliveries: &[&AlertDelivery],
) -> Result<Batch, DbErr> {
    let mut since: HashMap<i64, Timestamp> = HashMap::new();
    for delivery in deliveries {
        let start = delivery.start(policy.skew).before(policy.skew);
        let earliest = since.entry(delivery.series).or_insert(start);
        *earliest = (*earliest).min(start);
    }
    let episodes = occurrences::episodes(tx, &since).await?;

    let newest = anomalies
        .values()
        .filter_map(|anomaly| anomaly.newest_incident);
    let of_episodes = episodes
        .values()
        .flatten()
        .filter_map(|episode| episode.incident);
    let touched: HashSet<Uuid> = newest.chain(of_episodes).collect();
    let incidents = if touched.is_empty() {
        HashMap::new()
    } else {
        incidents::load(tx, touched).await?
    };

    let delivered = if policy.unit == Unit::Delivery {
        let jobs: Vec<Uuid> = deliveries.iter().map(|delivery| delivery.job).collect();
        occurrences::known(tx, &jobs).await?.into_iter().collect()
    } else {
        HashSet::new()
    };
    Ok(Batch {
        anomalies,
        incidents,
        episodes,
        delivered,
        rises: policy.rises,
        figures: policy.figures,
        ..Batch::default()
    })
}
