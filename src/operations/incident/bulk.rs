//! One operation on several incidents: named, or selected by filters. Each is changed whole or not at all, whatever
//! becomes of the others, and has a result of its own.

use std::collections::{BTreeSet, HashMap};

use sea_orm::DatabaseTransaction;
use serde_json::{Value, json};
use uuid::Uuid;

use super::note::{NewNote, note_in};
use super::{Selection, write_follow_up};
use crate::context::Context;
use crate::domain::aggregation::Status;
use crate::domain::escalation::Level;
use crate::entity::anomalies::Model as Anomaly;
use crate::entity::incidents::Model as Incident;
use crate::operations::mute::{NewMute, mute_each_in};
use crate::operations::{Conflict, FollowUp, Invalid, OperationError};
use crate::store::audit::{self, Actor};
use crate::store::incidents::{
    Effect, ExpectedState, StatusChange, acknowledge_some, find_all, resolve_some,
};
use crate::store::views::lists;
use crate::store::{anomalies, maintenance};
use crate::time::Timestamp;

/// Incidents in one transaction, and in one operation.
const AT_ONCE: (usize, usize) = (200, 1_000);

/// What to do.
#[derive(Clone, Debug)]
pub enum BulkAction {
    /// Acknowledge or resolve them.
    Change(StatusChange),
    /// Mute their anomalies.
    Mute(NewMute),
    /// Write a note about each.
    Note,
}

/// Which incidents.
#[derive(Clone, Debug)]
pub enum Which {
    /// These.
    Ids(Vec<Uuid>),
    /// Unresolved ones that match; those behind the second, if it is given.
    Matching(Box<Selection>, Option<Uuid>),
}

/// One operation on several incidents.
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    /// What to do.
    pub action: BulkAction,
    /// To which.
    pub which: Which,
    /// A note about each of them.
    pub note: Option<NewNote<'a>>,
}

/// What became of one incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is changed.
    Changed,
    /// It was so already.
    Unchanged,
    /// It cannot be done.
    Refused(Conflict),
    /// There is no such incident.
    NotFound,
    /// It was not tried: what was to be done before it failed.
    Failed,
}

/// An incident and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The incident.
    pub id: Uuid,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of all.
#[derive(Clone, Debug)]
pub struct Changes {
    /// How many match, if they were only to be counted.
    pub matching: Option<u64>,
    /// Of each, in the order in which they were named; of those that match, newest first.
    pub items: Vec<Item>,
    /// Where to go on, if more may match.
    pub next: Option<Uuid>,
    /// Incidents that opened later were skipped, where they were selected.
    pub as_of: Timestamp,
}

/// Does something to several incidents, 1,000 at most, in steps that are a transaction each.
pub async fn apply(
    context: &Context,
    actor: &Actor,
    asked: Asked<'_>,
) -> Result<Changes, OperationError> {
    if matches!(asked.action, BulkAction::Note) && asked.note.is_none() {
        return Err(Invalid::EmptyNote.into());
    }
    let now = maintenance::now(context.db.view()).await?;
    let now = context.clock.of_store(now);
    let found = find(context, &asked, now).await?;
    let mut changes = Changes {
        matching: found.matching,
        items: Vec::with_capacity(found.ids.len()),
        next: found.next,
        as_of: found.as_of,
    };
    if found.matching.is_some() {
        return Ok(changes);
    }
    for (n, ids) in found.ids.chunks(AT_ONCE.0).enumerate() {
        let step = Step {
            context,
            actor,
            asked: &asked,
            detail: &found.detail,
            still: found.still.as_ref(),
        };
        match Box::pin(step.run(ids)).await {
            Ok(items) => changes.items.extend(items),
            Err(error) if n == 0 => return Err(error),
            // What is done is said, and where to go on.
            Err(error) => {
                tracing::warn!("a change of several incidents ended early: {error}");
                let (done, left) = found.ids.split_at(n * AT_ONCE.0);
                match found.still {
                    Some(_) => changes.next = done.last().copied(),
                    None => changes
                        .items
                        .extend(items(left.to_vec(), |_| Outcome::Failed)),
                }
                break;
            }
        }
    }
    Ok(changes)
}

/// The incidents that are asked for.
struct Found {
    ids: Vec<Uuid>,
    matching: Option<u64>,
    next: Option<Uuid>,
    as_of: Timestamp,
    /// How they were selected, for the audit.
    detail: Value,
    /// How they must still stand, where they were selected.
    still: Option<Still>,
}

/// How a selected incident, and its anomaly, must still stand when they are locked.
struct Still {
    state: ExpectedState,
    level: Option<Level>,
    muted: Option<bool>,
}

impl Still {
    fn holds(&self, incident: &Incident, anomaly: Option<&Anomaly>, now: Timestamp) -> bool {
        let is_of_level = |level| anomaly.is_some_and(|anomaly| anomaly.level == level);
        let is_muted = || anomaly.is_some_and(|anomaly| anomaly.mute().holds(now));
        incident.status != Status::Resolved
            && self.state.holds(incident)
            && self.level.is_none_or(is_of_level)
            && self.muted.is_none_or(|muted| is_muted() == muted)
    }
}

async fn find(
    context: &Context,
    asked: &Asked<'_>,
    now: Timestamp,
) -> Result<Found, OperationError> {
    let (selection, cursor) = match &asked.which {
        Which::Ids(named) => return Ok(Found::of_named(named, now)?),
        Which::Matching(selection, cursor) => (selection.as_ref().clone(), *cursor),
    };
    let as_of = selection.as_of.unwrap_or(now).min(now);
    let (detail, is_dry) = (selection.detail(), selection.dry_run);
    // The others are acknowledged already.
    let acknowledges = matches!(asked.action, BulkAction::Change(StatusChange::Acknowledge));
    let status = selection.status;
    let unheard = selection.unheard;
    let mut filter = selection.filter(now, as_of)?;
    if acknowledges && status.is_none() {
        filter.status = Some(Status::Open);
    }
    let still = Still {
        state: ExpectedState {
            status: filter.status,
            unheard,
        },
        level: filter.level,
        muted: filter.muted.map(|(muted, _)| muted),
    };
    let db = context.db.view_for(filter.text.is_some()).await?;
    let mut found = Found {
        ids: Vec::new(),
        matching: None,
        next: None,
        as_of,
        detail,
        still: Some(still),
    };
    if is_dry {
        found.matching = Some(lists::count_incidents(&*db, &filter).await?);
        return Ok(found);
    }
    found.ids = lists::incident_ids(&*db, &filter, cursor, AT_ONCE.1 as u64 + 1).await?;
    if found.ids.len() > AT_ONCE.1 {
        found.ids.truncate(AT_ONCE.1);
        found.next = found.ids.last().copied();
    }
    Ok(found)
}

impl Found {
    /// Each once, in the order in which they were named.
    fn of_named(named: &[Uuid], now: Timestamp) -> Result<Self, Invalid> {
        let mut seen = BTreeSet::new();
        let ids: Vec<Uuid> = named
            .iter()
            .copied()
            .filter(|id| seen.insert(*id))
            .collect();
        if ids.len() > AT_ONCE.1 {
            return Err(Invalid::TooManyIds { limit: AT_ONCE.1 });
        }
        Ok(Self {
            ids,
            matching: None,
            next: None,
            as_of: now,
            detail: json!({"possible": true, "changed": true}),
            still: None,
        })
    }
}

/// Some of the incidents, in one transaction.
struct Step<'a> {
    context: &'a Context,
    actor: &'a Actor,
    asked: &'a Asked<'a>,
    detail: &'a Value,
    still: Option<&'a Still>,
}

impl Step<'_> {
    async fn run(&self, ids: &[Uuid]) -> Result<Vec<Item>, OperationError> {
        let tx = self.context.db.begin().await?;
        let (anomalies, now) = anomalies::lock_of_incidents(&tx, ids).await?;
        let now = self.context.clock.of_store(now);
        let mut incidents = find_all(&tx, ids).await?;
        if let Some(still) = self.still {
            let of = |key: &str| anomalies.iter().find(|anomaly| anomaly.key == key);
            incidents.retain(|_, incident| still.holds(incident, of(&incident.anomaly_key), now));
        }
        let named = ids.iter().copied();
        // One that no longer matches is none of those that do.
        let named: Vec<Uuid> = match self.still {
            Some(_) => named.filter(|id| incidents.contains_key(id)).collect(),
            None => named.collect(),
        };
        let known: Vec<Uuid> = named
            .iter()
            .copied()
            .filter(|id| incidents.contains_key(id))
            .collect();
        if known.is_empty() {
            return Ok(items(named, |_| Outcome::NotFound));
        }
        let (mut outcomes, follow_up) = self.act(&tx, &known, &incidents, now).await?;
        if let Some(note) = self.asked.note {
            let is_possible = |id: &&Uuid| !matches!(outcomes.get(*id), Some(Outcome::Refused(_)));
            let noted: Vec<Uuid> = known.iter().filter(is_possible).copied().collect();
            let (_, written) = note_in(&tx, self.actor, &noted, note, now).await?;
            if matches!(self.asked.action, BulkAction::Note) {
                let changed = written.into_iter().map(|id| (id, Outcome::Changed));
                outcomes.extend(changed);
            }
        }
        tx.commit().await?;
        follow_up.push(self.context).await;
        Ok(items(named, |id| {
            outcomes.remove(&id).unwrap_or(Outcome::NotFound)
        }))
    }

    /// Does it, and writes the audit entries. A note is written afterwards.
    async fn act(
        &self,
        tx: &DatabaseTransaction,
        known: &[Uuid],
        incidents: &HashMap<Uuid, Incident>,
        now: Timestamp,
    ) -> Result<(HashMap<Uuid, Outcome>, FollowUp), OperationError> {
        let all = |outcome: Outcome| known.iter().map(move |id| (*id, outcome.clone())).collect();
        match &self.asked.action {
            BulkAction::Note => Ok((all(Outcome::Unchanged), FollowUp::default())),
            BulkAction::Mute(wanted) => {
                let keys = known.iter().filter_map(|id| incidents.get(id));
                let keys: BTreeSet<String> = keys.map(|i| i.anomaly_key.clone()).collect();
                let keys: Vec<String> = keys.into_iter().collect();
                let (context, actor) = (self.context, self.actor);
                let muted = mute_each_in(tx, context, actor, &keys, wanted, known, now).await?;
                Ok((all(Outcome::Changed), muted))
            }
            BulkAction::Change(change) => self.change(tx, *change, known, incidents, now).await,
        }
    }

    async fn change(
        &self,
        tx: &DatabaseTransaction,
        change: StatusChange,
        known: &[Uuid],
        incidents: &HashMap<Uuid, Incident>,
        now: Timestamp,
    ) -> Result<(HashMap<Uuid, Outcome>, FollowUp), OperationError> {
        let effect = |id: &Uuid| incidents.get(id).map(|i| change.of(i.status));
        let of = |wanted: Effect| -> Vec<Uuid> {
            known
                .iter()
                .copied()
                .filter(|id| effect(id) == Some(wanted))
                .collect()
        };
        let changing = of(Effect::Change);
        let operator = self.actor.operator.as_deref();
        let changed = match change {
            _ if changing.is_empty() => Vec::new(),
            StatusChange::Acknowledge => acknowledge_some(tx, &changing, operator, now).await?,
            StatusChange::Resolve => {
                resolve_some(tx, &changing, &ExpectedState::default(), operator, now).await?
            }
        };
        let follow_up = write_follow_up(tx, self.context, change, &changed, now).await?;
        let changed = changed.into_iter().map(|(id, _)| id).collect();
        let groups = [
            (changed, Outcome::Changed, self.detail.clone()),
            (
                of(Effect::Nothing),
                Outcome::Unchanged,
                json!({"possible": true, "changed": false}),
            ),
            (
                of(Effect::Impossible),
                Outcome::Refused(Conflict::IncidentResolved),
                json!({"possible": false, "changed": false}),
            ),
        ];
        let mut outcomes = HashMap::new();
        for (ids, outcome, detail) in groups {
            if ids.is_empty() {
                continue;
            }
            let targets = ids.iter().map(Uuid::to_string);
            audit::record_each(tx, self.actor, change.action(), targets, &detail, now).await?;
            outcomes.extend(ids.into_iter().map(|id| (id, outcome.clone())));
        }
        Ok((outcomes, follow_up))
    }
}

fn items(ids: Vec<Uuid>, mut outcome: impl FnMut(Uuid) -> Outcome) -> Vec<Item> {
    let item = |id: Uuid| Item {
        id,
        outcome: outcome(id),
    };
    ids.into_iter().map(item).collect()
}
