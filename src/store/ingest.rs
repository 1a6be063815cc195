//! One batch of sightings, in one transaction.

use std::collections::{BTreeMap, HashMap, HashSet};

use sea_orm::{ConnectionTrait, DbErr};
use uuid::Uuid;

use super::notifications::Owed;
use super::{Db, anomalies, incidents, mutes, notifications, occurrences};
use crate::domain::aggregation::{Books, Entered, Incident, Policy, Unit};
use crate::domain::episode::Sighting;
use crate::domain::frequency::Counted;
use crate::entity::notifications::Kind;
use crate::time::{Clock, Timestamp};

/// What a batch came to.
#[derive(Debug, Default)]
pub struct Committed {
    /// What became of each sighting.
    pub entered: Vec<Entered>,
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
    /// Messages that are not told, because their anomalies are muted.
    pub muted: u64,
    /// When that was, by the store's clock.
    pub at: Timestamp,
}

/// Enters a batch, which comes in the order of receipt: locks the anomalies, reads what the batch
/// can touch, applies the sightings, and writes what came out. All or nothing; entering a batch
/// again counts nothing twice.
///
/// # Errors
/// What the database says; nothing was written then.
pub async fn commit(
    db: &Db,
    clock: &Clock,
    policy: &Policy,
    channels: &[String],
    sightings: &[&Sighting],
) -> Result<Committed, DbErr> {
    let tx = db.begin().await?;
    let (mut books, now) = open_books(&tx, policy, sightings).await?;
    let now = clock.of_store(now);

    let mut entered = Vec::with_capacity(sightings.len());
    let mut incidents_of = Vec::with_capacity(sightings.len());
    let mut redelivered = HashSet::new();
    for sighting in sightings {
        let (fate, incident) = books.enter(sighting, policy);
        entered.push(fate);
        incidents_of.push(incident);
        if sighting.redelivered {
            redelivered.extend(incident);
        }
    }

    occurrences::insert(&tx, &books).await?;
    occurrences::update(&tx, &books).await?;
    incidents::save(&tx, &books, now).await?;
    anomalies::update(&tx, &books).await?;
    let muted = tell(&tx, &books, channels, now).await?;
    tx.commit().await?;

    let is_due = |incident: &&Incident| {
        let marked = incident.tier_due && !incident.was_due;
        let still = incident.tier_due || incident.was_due;
        marked || (still && redelivered.contains(&incident.id))
    };
    Ok(Committed {
        due: books
            .incidents
            .values()
            .filter(is_due)
            .map(|i| i.id)
            .collect(),
        touched: books
            .incidents
            .values()
            .filter(|i| i.tier_due || redelivered.contains(&i.id))
            .map(|i| i.id)
            .collect(),
        counted: books.counted(policy.unit),
        entered,
        incidents: incidents_of,
        muted,
        at: now,
    })
}

/// Owes the messages that incidents reopened, but for those of muted anomalies; returns how many are
/// not told.
async fn tell(
    tx: &impl ConnectionTrait,
    books: &Books,
    channels: &[String],
    now: Timestamp,
) -> Result<u64, DbErr> {
    let reopened: Vec<Owed> = books
        .reopenings
        .iter()
        .map(|(id, sequence)| (*id, Kind::Reopened, *sequence))
        .collect();
    if reopened.is_empty() {
        return Ok(0);
    }
    let muted = mutes::muted(tx, reopened.iter().map(|(id, ..)| *id), now).await?;
    let (quiet, owed): (Vec<Owed>, Vec<Owed>) = reopened
        .into_iter()
        .partition(|(incident, ..)| muted.contains(incident));
    notifications::owe(tx, &owed, channels, now).await?;
    notifications::mute_all(tx, &quiet, channels, now).await
}

/// Locks the batch's anomalies and reads what it can touch of them.
async fn open_books(
    tx: &impl ConnectionTrait,
    policy: &Policy,
    sightings: &[&Sighting],
) -> Result<(Books, Timestamp), DbErr> {
    let signatures: BTreeMap<&str, _> = sightings
        .iter()
        .map(|s| (s.key.as_str(), &s.signature))
        .collect();
    let (anomalies, now) = anomalies::insert_or_lock(tx, &signatures).await?;

    let mut since: HashMap<i64, Timestamp> = HashMap::new();
    for sighting in sightings {
        let start = sighting.start().before(policy.skew);
        let earliest = since.entry(sighting.series).or_insert(start);
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
        let jobs: Vec<Uuid> = sightings.iter().map(|sighting| sighting.job).collect();
        occurrences::known(tx, &jobs).await?.into_iter().collect()
    } else {
        HashSet::new()
    };
    let books = Books {
        anomalies,
        incidents,
        episodes,
        delivered,
        ..Books::default()
    };
    Ok((books, now))
}
