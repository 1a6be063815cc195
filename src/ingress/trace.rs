//! What became of an alert: its firings, their incidents, and what is on its way or ended there.

use std::collections::{BTreeSet, HashMap};

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use sea_orm::ActiveEnum as _;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::incidents::View as Incident;
use super::{Ingress, Problem};
use crate::context::Context;
use crate::domain::aggregation::Unit;
use crate::entity::{dead_letters, incidents, notifications, occurrences, repairs};
use crate::jobs::{CalculateTier, Content, IngestAlert, Job, RecordRepair};
use crate::queue::store::{FailedAttempt, Queued, Stand};
use crate::sources::SOURCES;
use crate::store::{lists, trace};
use crate::time::Timestamp;

/// Of each kind the newest so many.
const MOST: u64 = 50;
/// Jobs and dead letters that may be about it, of which those that are not are left out.
const LOOKED_AT: usize = 1000;
/// The longest fingerprint that there can be, in bytes, and a little more.
const LONGEST: usize = 256;

/// By what something was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum By {
    Fingerprint,
    Incident,
    Anomaly,
}

/// Everything that is known.
#[derive(Debug, Serialize)]
pub(super) struct Trace {
    fingerprint: String,
    found_by: By,
    occurrences: Vec<Occurrence>,
    incidents: Vec<Incident>,
    messages: Vec<Message>,
    repairs: Vec<Repair>,
    jobs: Vec<QueuedJob>,
    dead_letters: Vec<Letter>,
}

#[derive(Debug, Serialize)]
struct Occurrence {
    #[serde(flatten)]
    row: occurrences::Model,
    /// How often it was counted: once as a firing, for each delivery, or not itself.
    counted: i64,
}

#[derive(Debug, Serialize)]
struct Message {
    id: Uuid,
    incident_id: Uuid,
    kind: String,
    channel: String,
    state: String,
    owed_since: Timestamp,
    attempts: i64,
    sent_at: Option<Timestamp>,
    error: Option<String>,
}

impl From<notifications::Model> for Message {
    fn from(row: notifications::Model) -> Self {
        Self {
            id: row.id,
            incident_id: row.incident_id,
            kind: row.kind.to_value(),
            channel: row.channel,
            state: row.state.to_value(),
            owed_since: row.owed_since,
            attempts: row.attempts,
            sent_at: row.sent_at,
            error: row.error,
        }
    }
}

#[derive(Debug, Serialize)]
struct Repair {
    id: Uuid,
    incident_id: Uuid,
    action: String,
    success: bool,
    operator: Option<String>,
    note: Option<String>,
    repaired_at: Timestamp,
}

impl From<repairs::Model> for Repair {
    fn from(row: repairs::Model) -> Self {
        Self {
            id: row.id,
            incident_id: row.incident_id,
            action: row.action,
            success: row.success,
            operator: row.operator,
            note: row.note,
            repaired_at: row.repaired_at,
        }
    }
}

/// A job that is queued.
#[derive(Debug, Serialize)]
struct QueuedJob {
    id: Uuid,
    queue: &'static str,
    state: Stand,
    enqueued_at: Timestamp,
    due_at: Option<Timestamp>,
    failed: Vec<FailedAttempt>,
}

#[derive(Debug, Serialize)]
struct Letter {
    id: Uuid,
    queue: String,
    state: String,
    reason: String,
    attempts: i32,
    enqueued_at: Timestamp,
    died_at: Timestamp,
}

impl From<dead_letters::Model> for Letter {
    fn from(row: dead_letters::Model) -> Self {
        Self {
            id: row.id,
            queue: row.queue,
            state: row.state,
            reason: row.reason,
            attempts: row.attempts,
            enqueued_at: row.enqueued_at,
            died_at: row.died_at,
        }
    }
}

/// Which source's fingerprint it is; that of any if none is named.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Asked {
    source: Option<String>,
}

pub(super) async fn show(
    State(ingress): State<Ingress>,
    Path(name): Path<String>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<Trace>, Problem> {
    let Query(Asked { source }) = asked.map_err(|error| Problem::bad_request(error.body_text()))?;
    let unknown = || Problem::not_found("no alert, incident or anomaly of that name is known");
    if name.is_empty() || name.len() > LONGEST || name.contains('\0') {
        return Err(unknown());
    }
    let context = &ingress.context;
    let (found_by, episodes, incident) = find(context, &name, source.as_deref()).await?;
    let incidents = incidents_of(context, &episodes, incident).await?;
    let ids: Vec<Uuid> = incidents.iter().map(|(incident, _)| incident.id).collect();
    let rows: Vec<incidents::Model> = incidents.iter().map(|(row, _)| row.clone()).collect();
    let db = context.db.read();
    let trace = Trace {
        messages: each(trace::messages(db, &ids).await?),
        repairs: each(trace::repairs_of(db, &rows, MOST).await?),
        jobs: jobs(context, found_by, &name, source.as_deref()).await?,
        dead_letters: letters(context, found_by, &name, source.as_deref()).await?,
        occurrences: counted(context, episodes).await?,
        incidents: incidents
            .into_iter()
            .map(|entry| Incident::of(context.clock.now(), entry))
            .collect(),
        fingerprint: name,
        found_by,
    };
    let nothing = trace.occurrences.is_empty()
        && trace.incidents.is_empty()
        && trace.jobs.is_empty()
        && trace.dead_letters.is_empty();
    if nothing && found_by == By::Fingerprint {
        return Err(unknown());
    }
    Ok(Json(trace))
}

fn each<T, V: From<T>>(rows: Vec<T>) -> Vec<V> {
    rows.into_iter().map(V::from).collect()
}

/// The episodes that `name` stands for: an incident's id, an anomaly's key, or a fingerprint.
async fn find(
    context: &Context,
    name: &str,
    source: Option<&str>,
) -> Result<(By, Vec<occurrences::Model>, Option<Uuid>), Problem> {
    let db = context.db.read();
    if let Ok(id) = name.parse::<Uuid>()
        && let Some(incident) = crate::store::incidents::find(db, id).await?
    {
        let episodes = trace::episodes(db, &incident.anomaly_key, Some(id), MOST).await?;
        return Ok((By::Incident, episodes, Some(id)));
    }
    if let Some(anomaly) = lists::anomaly(db, name).await? {
        let episodes = trace::episodes(db, name, None, MOST).await?;
        return Ok((By::Anomaly, episodes, anomaly.newest_incident));
    }
    let sources: Vec<&str> = match source {
        Some(source) => vec![source],
        None => SOURCES.iter().map(|source| source.name).collect(),
    };
    let episodes = trace::episodes_of_fingerprint(db, &sources, name, MOST).await?;
    Ok((By::Fingerprint, episodes, None))
}

async fn incidents_of(
    context: &Context,
    episodes: &[occurrences::Model],
    named: Option<Uuid>,
) -> Result<Vec<(incidents::Model, crate::entity::anomalies::Model)>, Problem> {
    let ids = episodes.iter().filter_map(|episode| episode.incident_id);
    let ids: BTreeSet<Uuid> = ids.chain(named).collect();
    Ok(lists::incidents_of(context.db.read(), ids).await?)
}

async fn counted(
    context: &Context,
    episodes: Vec<occurrences::Model>,
) -> Result<Vec<Occurrence>, Problem> {
    let deliveries = match context.config.counting.unit {
        Unit::Delivery => trace::counted_deliveries(context.db.read(), &episodes).await?,
        Unit::Episode | Unit::Incident => HashMap::new(),
    };
    let occurrence = |row: occurrences::Model| Occurrence {
        counted: match deliveries.get(&row.id) {
            Some(deliveries) => *deliveries,
            None => i64::from(row.counted_id.is_some()),
        },
        row,
    };
    Ok(episodes.into_iter().map(occurrence).collect())
}

/// Which queues can hold something about it.
const fn queues(by: By) -> &'static [&'static str] {
    match by {
        By::Fingerprint => &[IngestAlert::POLICY.queue],
        By::Incident => &[CalculateTier::POLICY.queue, RecordRepair::POLICY.queue],
        By::Anomaly => &[],
    }
}

async fn jobs(
    context: &Context,
    by: By,
    name: &str,
    source: Option<&str>,
) -> Result<Vec<QueuedJob>, Problem> {
    let mut found = Vec::new();
    for queue in queues(by) {
        let store = context.queues.store();
        let with_it = store.search(queue, plain(name), LOOKED_AT).await?;
        let about =
            |queued: &Queued| by != By::Fingerprint || tells_of(&queued.job.payload, name, source);
        found.extend(with_it.into_iter().filter(about).map(|queued| QueuedJob {
            id: queued.job.lease.id,
            queue,
            state: queued.stand,
            enqueued_at: queued.job.enqueued_at,
            due_at: queued.due_at,
            failed: queued.job.failed,
        }));
    }
    found.truncate(MOST as usize);
    Ok(found)
}

async fn letters(
    context: &Context,
    by: By,
    name: &str,
    source: Option<&str>,
) -> Result<Vec<Letter>, Problem> {
    let mut found = Vec::new();
    for queue in queues(by) {
        let db = context.db.read();
        let most = LOOKED_AT as u64;
        let with_it = trace::dead_letters_with(db, queue, plain(name), most).await?;
        let about = |letter: &dead_letters::Model| {
            by != By::Fingerprint || tells_of(&letter.payload, name, source)
        };
        found.extend(with_it.into_iter().filter(about).map(Letter::from));
    }
    found.truncate(MOST as usize);
    Ok(found)
}

/// The longest part of a text that is the same however often it is put into JSON.
fn plain(text: &str) -> &str {
    let parts = text.split(|c: char| matches!(c, '"' | '\\') || c.is_control());
    parts.max_by_key(|part| part.len()).unwrap_or_default()
}

/// Whether an ingest job carries an alert of this fingerprint, or what may have been one.
fn tells_of(payload: &[u8], fingerprint: &str, source: Option<&str>) -> bool {
    let quoted = serde_json::Value::from(fingerprint).to_string();
    let Ok(job) = serde_json::from_slice::<IngestAlert>(payload) else {
        return source.is_none() && String::from_utf8_lossy(payload).contains(&quoted);
    };
    let is_its = match job.content {
        Content::Alert(alert) => alert.fingerprint == fingerprint,
        Content::Rejected { raw, .. } => raw.contains(&quoted),
    };
    is_its && source.is_none_or(|source| source == job.source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_tells_of_its_own_fingerprint_and_of_no_longer_one() {
        let alert = |fingerprint: &str| {
            format!(
                r#"{{"source":"alertmanager","received_at":"2026-11-22T21:28:29Z","content":
                {{"alert":{{"status":"firing","labels":{{}},"fingerprint":"{fingerprint}"}}}}}}"#
            )
        };
        let rejected = r#"{"source":"alertmanager","received_at":"2026-11-22T21:28:29Z","content":
            {"rejected":{"reason":"no labels","raw":"{\"fingerprint\":\"abc\"}"}}}"#;
        let table = [
            (alert("abc"), None, true),
            (alert("abcd"), None, false),
            (alert("abc"), Some("alertmanager"), true),
            (alert("abc"), Some("other"), false),
            (rejected.to_owned(), None, true),
            (rejected.replace("abc", "xabc"), None, false),
            ("{\"fingerprint\": \"abc\"".to_owned(), None, true),
            ("abc".to_owned(), None, false),
        ];
        for (payload, source, expected) in table {
            assert_eq!(
                tells_of(payload.as_bytes(), "abc", source),
                expected,
                "{payload}"
            );
        }
    }
}
