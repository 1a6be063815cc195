//! One batch of sightings, in one transaction.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr};
use uuid::Uuid;

use super::{
    Db, anomalies, cards, incidents, mutes, notifications, occurrences, overflow, reopenings,
};
use crate::config::{Config, Tell};
use crate::domain::aggregation::{Batch, Incident, Ingested, Policy, Status, Unit};
use crate::domain::episode::AlertDelivery;
use crate::domain::frequency::Counted;
use crate::domain::names::Names;
use crate::domain::settle;
use crate::domain::signature::{MadeOf, Signature};
use crate::entity::notifications::Kind;
use crate::time::{Clock, Timestamp};
use notifications::{Owed, Written};

/// What a batch came to.
#[derive(Debug, Default)]
pub struct Committed {
    /// What became of each sighting.
    pub entered: Vec<Ingested>,
    /// The incident that each belongs to.
    pub incidents: Vec<Option<Uuid>>,
    /// Incidents to push `CalculateTier` for: those whose mark this batch set, and those of
    /// redelivered jobs that are still marked.
    pub due: Vec<Uuid>,
    /// Incidents that this batch made due, whether their marks were set already or not, and those of
    /// redelivered jobs: whoever had them before may have died between commit and count.
    pub touched: Vec<Uuid>,
    /// Every id that the batch touched, for a counter that does not count rows.
    pub counted: Vec<Counted>,
    /// What is told of incidents that turned.
    pub follow_up: FollowUp,
    /// How many were counted as new with others of their alerts' names, because there was no room for anomalies
    /// of their own.
    pub overflowed: u64,
    /// The alert's name of one of these.
    pub overflowed_name: Option<String>,
    /// When that was, by the store's clock.
    pub at: Timestamp,
}

/// What is told of incidents that turned.
#[derive(Clone, Debug, Default)]
pub struct FollowUp {
    /// Cards to push an edit for: their incidents resolved or opened again.
    pub cards: Vec<cards::DueCard>,
    /// Messages to push that no tier is to be awaited for.
    pub messages: Vec<Uuid>,
    /// Messages that are not told, because their anomalies are muted.
    pub muted: u64,
}

/// Enters a batch, which comes in the order of receipt: locks the anomalies, reads what the batch
/// can touch, applies the sightings, and writes what came out. All or nothing; entering a batch
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

    let follow_up = write(&tx, config, &batch, &oldest(&deliveries), now).await?;
    tx.commit().await?;

    let is_due = |incident: &&Incident| {
        let marked = incident.tier_due && !incident.was_due;
        let still = incident.tier_due || incident.was_due;
        marked || (still && redelivered.contains(&incident.id))
    };
    let in_overflow = deliveries.iter().zip(&entered);
    let in_overflow = in_overflow.filter(|(s, fate)| **fate == Ingested::New && s.is_in_overflow());
    let overflowed: Vec<&AlertDelivery> = in_overflow.map(|(s, _)| s.as_ref()).collect();
    Ok(Committed {
        due: batch
            .incidents
            .values()
            .filter(is_due)
            .map(|i| i.id)
            .collect(),
        touched: batch
            .incidents
            .values()
            .filter(|i| i.tier_due || redelivered.contains(&i.id))
            .map(|i| i.id)
            .collect(),
        counted: batch.counted(policy.unit),
        follow_up,
        overflowed: overflowed.len() as u64,
        overflowed_name: overflowed.last().map(|s| s.signature.alert_name.clone()),
        entered,
        incidents: incidents_of,
        at: now,
    })
}

/// Writes what came out, and owes what is told of it.
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
    tell(tx, config, batch, now).await
}

/// What an ingress whose clock is ahead received later than now, it received now: else its incidents
/// could be joined for as long as it is ahead.
fn not_after<'a>(delivery: &'a AlertDelivery, now: Timestamp) -> Cow<'a, AlertDelivery> {
    match delivery.received_at > now {
        true => Cow::Owned(AlertDelivery {
            received_at: now,
            ..delivery.clone()
        }),
        false => Cow::Borrowed(delivery),
    }
}

/// When the oldest sighting of each anomaly was received: no row of its own that this batch writes
/// counts from before.
fn oldest<'a>(deliveries: &'a [Cow<'_, AlertDelivery>]) -> BTreeMap<&'a str, Timestamp> {
    let mut oldest: BTreeMap<&str, Timestamp> = BTreeMap::new();
    for delivery in deliveries {
        let of_key = oldest.entry(&delivery.key).or_insert(delivery.received_at);
        *of_key = (*of_key).min(delivery.received_at);
    }
    oldest
}

/// Owes the messages that tell of incidents that opened again or resolved, and marks their cards.
/// Where nothing turned, it asks nothing.
async fn tell(
    tx: &impl ConnectionTrait,
    config: &Config,
    batch: &Batch,
    now: Timestamp,
) -> Result<FollowUp, DbErr> {
    let transitions: Vec<&Incident> = batch.transitions().collect();
    let heard: Vec<Uuid> = batch.heard_again().map(|i| i.id).collect();
    let is_quiet = transitions.is_empty() && heard.is_empty() && batch.worsened.is_empty();
    if is_quiet && batch.reopenings.is_empty() {
        return Ok(FollowUp::default());
    }
    let again = |(id, number): &(Uuid, i64)| (*id, Kind::Reopened, *number);
    let reopened = owe(tx, config, batch.reopenings.iter().map(again), now).await?;
    let is_told = config.telegram.tell.contains(&Tell::Resolved);
    let resolved = transitions
        .iter()
        .filter(|incident| is_told && incident.status == Status::Resolved)
        .map(|incident| {
            let at = incident.resolved_at.unwrap_or(now);
            (incident.id, Kind::Resolved, at.0)
        });
    let resolved = owe(tx, config, resolved, now).await?;
    let returned = match is_told {
        true => owe_returned(tx, config, batch, now).await?,
        false => Written::default(),
    };
    let worsened = owe_worsened(tx, config, batch, now).await?;
    let worse = batch.worsened.iter().map(|(id, _)| *id);
    let transitions = transitions.iter().map(|i| i.id).chain(worse).chain(heard);
    let transitions: BTreeSet<Uuid> = transitions.collect();
    let transitions: Vec<Uuid> = transitions.into_iter().collect();
    let cards = match config.edits() {
        true => cards::mark_edits(tx, &transitions, now).await?,
        false => Vec::new(),
    };
    Ok(FollowUp {
        cards,
        messages: [resolved.owed, returned.owed].concat(),
        muted: reopened.muted + resolved.muted + returned.muted + worsened.muted,
    })
}

/// Owes the messages that an incident opened again within its window, which is silent but where it was told
/// that it is resolved: there it would be believed still.
async fn owe_returned(
    tx: &impl ConnectionTrait,
    config: &Config,
    batch: &Batch,
    now: Timestamp,
) -> Result<Written, DbErr> {
    let told_anyway: HashSet<Uuid> = batch.reopenings.iter().map(|(id, _)| *id).collect();
    let is_back = |incident: &&Incident| {
        incident.previous_status == Status::Resolved && !told_anyway.contains(&incident.id)
    };
    let ids: Vec<Uuid> = batch.transitions().filter(is_back).map(|i| i.id).collect();
    if ids.is_empty() {
        return Ok(Written::default());
    }
    // The last word to each channel, of what it was told and what it will be told.
    let mut last: HashMap<(Uuid, String), Kind> = HashMap::new();
    for message in notifications::standing(tx, &ids).await? {
        let says_so = match message.kind {
            Kind::Resolved => message.is_out,
            Kind::Reopened => message.is_out || message.is_pending,
            _ => false,
        };
        if says_so {
            last.insert((message.incident, message.channel), message.kind);
        }
    }
    // No reopening has a number like a moment's.
    let messages = ids.iter().map(|id| (*id, Kind::Reopened, now.0));
    let mut owed = decide(tx, config, messages, now).await?;
    for owed in &mut owed {
        let incident = owed.incident;
        let believes =
            |channel: &String| last.get(&(incident, channel.clone())) == Some(&Kind::Resolved);
        owed.channels.retain(believes);
    }
    notifications::owe(tx, &owed, now).await
}

/// Owes the messages that a higher severity joined, when the incident has settled, where no message is
/// still to say what holds then. Their incidents are due for a tier, which pushes them.
async fn owe_worsened(
    tx: &impl ConnectionTrait,
    config: &Config,
    batch: &Batch,
    now: Timestamp,
) -> Result<Written, DbErr> {
    // Of several rises the last one says how bad it is.
    let newest: HashMap<Uuid, i64> = batch.worsened.iter().copied().collect();
    if newest.is_empty() {
        return Ok(Written::default());
    }
    let ids: Vec<Uuid> = newest.keys().copied().collect();
    let standing = notifications::standing(tx, &ids).await?;
    let messages = newest.iter().map(|(id, n)| (*id, Kind::Worsened, *n));
    let mut owed = decide(tx, config, messages, now).await?;
    // An incident that nothing was told of yet is told of by its tier.
    owed.retain(|owed| standing.iter().any(|m| m.incident == owed.incident));
    for owed in &mut owed {
        let says_it = |channel: &String| {
            standing.iter().any(|m| {
                m.is_pending
                    && m.kind != Kind::Resolved
                    && m.incident == owed.incident
                    && m.channel == *channel
            })
        };
        owed.channels.retain(|channel| !says_it(channel));
        if let Some(incident) = batch.incidents.get(&owed.incident) {
            owed.since = settle::over(incident.opened_at, config.notify.settle.0, now);
        }
    }
    notifications::owe(tx, &owed, now).await
}

/// Owes messages where the settings send them, but for those of muted anomalies.
///
/// # Errors
/// What the database says.
pub async fn owe(
    tx: &impl ConnectionTrait,
    config: &Config,
    messages: impl IntoIterator<Item = (Uuid, Kind, i64)>,
    now: Timestamp,
) -> Result<Written, DbErr> {
    let owed = decide(tx, config, messages, now).await?;
    notifications::owe(tx, &owed, now).await
}

/// Which messages are owed where, and which of them are not told.
async fn decide(
    tx: &impl ConnectionTrait,
    config: &Config,
    messages: impl IntoIterator<Item = (Uuid, Kind, i64)>,
    now: Timestamp,
) -> Result<Vec<Owed>, DbErr> {
    let messages: Vec<(Uuid, Kind, i64)> = messages.into_iter().collect();
    if messages.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = messages.iter().map(|(id, ..)| *id).collect();
    let facts = notifications::facts(tx, &ids).await?;
    let owed = messages
        .into_iter()
        .filter_map(|(incident, kind, sequence)| {
            let channels = config.channels_for(facts.get(&incident)?, kind);
            (!channels.is_empty()).then_some(Owed {
                channels,
                incident,
                kind,
                sequence,
                is_muted: false,
                since: now,
            })
        });
    let mut owed: Vec<Owed> = owed.collect();
    if owed.is_empty() {
        return Ok(owed);
    }
    let muted = mutes::muted(tx, owed.iter().map(|owed| owed.incident), now).await?;
    for owed in &mut owed {
        owed.is_muted = muted.contains(&owed.incident);
    }
    Ok(owed)
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
            (&delivery.signature, MadeOf::written(&names))
        });
    }
    let (anomalies, now) = anomalies::insert_or_lock(tx, &signatures).await?;

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
    let batch = Batch {
        anomalies,
        incidents,
        episodes,
        delivered,
        ..Batch::default()
    };
    Ok((batch, now))
}
