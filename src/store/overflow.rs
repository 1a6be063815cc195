//! Which of a batch's new anomalies there is no room for. What would be theirs is counted under one
//! anomaly for each alert name.
//!
//! Such an anomaly takes every new name of its alert for as long as an episode of it is open, also when there
//! is room again: so a firing and its resolve get the same anomaly, and a job that is run again finds what it
//! entered. Two batches at once that meet the same new name may decide differently; the episode of one of them
//! is closed as unseen then.

use std::collections::{BTreeMap, HashMap, HashSet};

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult};

use super::occurrences;
use super::rows::Rows;
use crate::domain::aggregation::{Batch, Policy};
use crate::domain::episode::AlertDelivery;
use crate::domain::names::{Names, Reservation};
use crate::domain::signature::Signature;
use crate::time::Timestamp;

/// The keys of a batch's anomalies that are to be counted with others, and the room that was taken for the rest.
/// Where nothing is new, it asks nothing.
pub(super) async fn beyond<'n>(
    tx: &impl ConnectionTrait,
    policy: &Policy,
    names: &'n Names,
    batch: &Batch,
    deliveries: &[&AlertDelivery],
) -> Result<(HashSet<String>, Reservation<'n>), DbErr> {
    if batch.anomalies.values().all(|a| a.first_seen.is_some()) {
        return Ok((HashSet::new(), names.take(0)));
    }
    let is_new = |key: &String| {
        batch
            .anomalies
            .get(key)
            .is_some_and(|a| a.first_seen.is_none())
    };
    // In the order of receipt, each once.
    let mut met = HashSet::new();
    let new = deliveries.iter().copied().filter(|s| is_new(&s.key));
    let new: Vec<&AlertDelivery> = new.filter(|s| met.insert(&s.key)).collect();
    let mut beyond = taken(tx, policy, &new, deliveries).await?;
    let rest = new.iter().filter(|s| !beyond.contains(&s.key));
    let rest: Vec<String> = rest.map(|s| s.key.clone()).collect();
    let room = names.take(rest.len());
    beyond.extend(rest.into_iter().skip(room.room()));
    Ok((beyond, room))
}

/// Those of them whose alerts' names have such an anomaly that is open, or that knows an episode which a
/// delivery of the batch may belong to.
async fn taken(
    tx: &impl ConnectionTrait,
    policy: &Policy,
    new: &[&AlertDelivery],
    deliveries: &[&AlertDelivery],
) -> Result<HashSet<String>, DbErr> {
    let mut names: BTreeMap<String, &str> = BTreeMap::new();
    for delivery in new {
        let name = &delivery.signature.alert_name;
        names.insert(Signature::overflow_key(name), name);
    }
    let found = existing(tx, names.keys().cloned()).await?;
    if found.is_empty() {
        return Ok(HashSet::new());
    }
    let open: HashMap<&str, bool> = found
        .iter()
        .filter_map(|row| Some((*names.get(&row.key)?, row.is_open)))
        .collect();
    let keys: HashSet<&String> = new.iter().map(|delivery| &delivery.key).collect();
    let mut taken = HashSet::new();
    let mut unsure: Vec<(&AlertDelivery, i64, Timestamp)> = Vec::new();
    for delivery in deliveries.iter().filter(|s| keys.contains(&s.key)) {
        match open.get(delivery.signature.alert_name.as_str()) {
            None => {}
            Some(true) => {
                taken.insert(delivery.key.clone());
            }
            Some(false) => {
                let since = delivery.start(policy.skew).before(policy.skew);
                unsure.push((delivery, delivery.in_overflow().series, since));
            }
        }
    }
    let since: HashMap<i64, Timestamp> = unsure.iter().map(|(_, s, at)| (*s, *at)).collect();
    if since.is_empty() {
        return Ok(taken);
    }
    let known = occurrences::episodes(tx, &since).await?;
    for (delivery, series, since) in unsure {
        let is_near = |end: Option<Timestamp>| end.is_none_or(|at| at >= since);
        let mut episodes = known.get(&series).into_iter().flatten();
        if episodes.any(|episode| is_near(episode.end.map(|end| end.at))) {
            taken.insert(delivery.key.clone());
        }
    }
    Ok(taken)
}

#[derive(FromQueryResult)]
struct OverflowAnomaly {
    key: String,
    is_open: bool,
}

async fn existing(
    tx: &impl ConnectionTrait,
    keys: impl Iterator<Item = String>,
) -> Result<Vec<OverflowAnomaly>, DbErr> {
    let rows = Rows::new().text("key", keys);
    let sql = "SELECT a.key, EXISTS (SELECT 1 FROM incidents i \
                   WHERE i.anomaly_key = a.key AND i.open_episodes > 0) AS is_open \
               FROM {rows} JOIN anomalies a ON a.key = r.key";
    let sql = rows.statement(tx.get_database_backend(), sql, []);
    OverflowAnomaly::find_by_statement(sql).all(tx).await
}

/// How many anomalies there are, up to one more than there may be.
pub async fn count(db: &impl ConnectionTrait, most: u64) -> Result<u64, DbErr> {
    let most = i64::try_from(most.saturating_add(1)).unwrap_or(i64::MAX);
    let sql = "SELECT count(*) AS n FROM (SELECT 1 FROM anomalies LIMIT $1) AS a";
    let sql = super::rows::statement(db.get_database_backend(), sql, [most.into()]);
    let row = db.query_one_raw(sql).await?;
    let n: i64 = row.map_or(Ok(0), |row| row.try_get("", "n"))?;
    Ok(n.unsigned_abs())
}
