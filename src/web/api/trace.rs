//! The history of an alert: its firings, their incidents, and its jobs and dead letters.

mod answer;
mod carried;

use std::collections::{BTreeSet, HashMap, HashSet};

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use self::answer::{Letter, Occurrence, QueuedJob, Trace};
use self::carried::Name;
use super::anomalies::is_key;
use super::incidents::View as Incident;
use crate::context::Context;
use crate::domain::aggregation::Unit;
use crate::entity::{dead_letters, incidents, notifications, occurrences};
use crate::jobs::{CalculateTier, Content, IngestAlert, Job, RecordRepair};
use crate::queue::store::Queued;
use crate::sources::{SOURCES, cluster, fingerprint};
use crate::store::incidents::StatusChange;
use crate::store::views::{lists, trace};
use crate::store::{audit, reopenings};
use crate::web::bounded_text::BoundedText;
use crate::web::query::Query;
use crate::web::{Ingress, Problem};

/// The most entries of each kind, the newest.
const MOST: u64 = 50;
/// Jobs and dead letters that may be about it, of which those that are not are left out.
const LOOKED_AT: usize = 1000;
/// The longest fingerprint that is asked for, in bytes.
const LONGEST: usize = 16 << 10;

/// By what something was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = FoundBy)]
pub(in crate::web) enum By {
    /// By a fingerprint.
    Fingerprint,
    /// By an incident's id.
    Incident,
    /// By an anomaly's key.
    Anomaly,
}

/// Query of a trace: the fingerprint's source; any if none is named.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct TraceQuery {
    /// Whose fingerprint it is, for instance `alertmanager`, or `alertmanager@eu` for that of one cluster
    /// alone; of any source, if none is named.
    source: Option<BoundedText>,
}

/// Shows the history of an alert: its firings, whether they counted, and what followed.
///
/// By the fingerprint that its source gave it, or by an incident's ID or an anomaly's key; or by the ID, or the
/// trace ID, of a dead letter or a queued job, which shows the history of what that carries. Jobs and dead letters
/// are searched among the newest 5,000 of each queue.
#[utoipa::path(
    get,
    path = "/trace/{name}",
    operation_id = "trace",
    tag = "trace",
    params(("name" = String, Path, description = "A fingerprint; the ID of an incident, a dead letter or a queued job; an anomaly's key; or a trace ID"), TraceQuery),
    responses((status = OK, description = "What is known", body = Trace)),
)]
pub(super) async fn show(
    State(ingress): State<Ingress>,
    Path(name): Path<String>,
    Query(TraceQuery { source }): Query<TraceQuery>,
) -> Result<Json<Trace>, Problem> {
    let source = source.map(String::from);
    let unknown = || {
        Problem::not_found(
            "trace",
            "no alert has this fingerprint, no incident or job this ID, no anomaly this key, and no job this \
             trace ID",
        )
    };
    if name.is_empty() || name.len() > LONGEST {
        return Err(unknown());
    }
    let context = &ingress.context;
    if let Some(trace) = of_name(context, &name, source.as_deref()).await? {
        return Ok(Json(trace));
    }
    let carried = match source {
        None => carried::named(context, &name).await?,
        Some(_) => None,
    };
    let Some(Name { name, source }) = carried else {
        return Err(unknown());
    };
    let trace = of_name(context, &name, source.as_deref()).await?;
    trace.map(Json).ok_or_else(unknown)
}

/// The trace that goes by this name: a fingerprint, an incident's ID or an anomaly's key.
async fn of_name(
    context: &Context,
    name: &str,
    source: Option<&str>,
) -> Result<Option<Trace>, Problem> {
    let (found_by, episodes, incident) = find(context, name, source).await?;
    let incidents = incidents_of(context, &episodes, incident).await?;
    let ids: Vec<Uuid> = incidents.iter().map(|(incident, _)| incident.id).collect();
    let rows: Vec<incidents::Model> = incidents.iter().map(|(row, _)| row.clone()).collect();
    let db = context.db.view();
    let targets = ids.iter().map(Uuid::to_string);
    let action = StatusChange::Acknowledge.action();
    let mut acknowledged = audit::done_to(db, targets, action, MOST).await?;
    acknowledged.retain(audit::did_something);
    let messages = trace::messages(db, &ids).await?;
    let trace = Trace {
        reopenings: reopenings::of(db, &ids, MOST).await?,
        acknowledgements: each(acknowledged),
        repairs: each(trace::repairs_of(db, &rows, MOST).await?),
        jobs: jobs(context, found_by, name, source).await?,
        dead_letters: {
            let mut found = letters(context, found_by, name, source).await?;
            found.extend(undelivered(context, &messages).await?);
            found
        },
        messages: each(messages),
        occurrences: counted(context, episodes).await?,
        incidents: incidents
            .into_iter()
            .map(|entry| Incident::of(context.clock.now(), entry))
            .collect(),
        fingerprint: name.to_owned(),
        found_by,
    };
    let nothing = trace.occurrences.is_empty()
        && trace.incidents.is_empty()
        && trace.jobs.is_empty()
        && trace.dead_letters.is_empty();
    Ok((!nothing || found_by != By::Fingerprint).then_some(trace))
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
    let db = context.db.view();
    if let Ok(id) = name.parse::<Uuid>()
        && let Some(incident) = crate::store::incidents::find(db, id).await?
    {
        let episodes = trace::episodes(db, &incident.anomaly_key, Some(id), MOST).await?;
        return Ok((By::Incident, episodes, Some(id)));
    }
    if is_key(name)
        && let Some(anomaly) = lists::anomaly(db, name).await?
    {
        let episodes = trace::episodes(db, name, None, MOST).await?;
        return Ok((By::Anomaly, episodes, anomaly.newest_incident));
    }
    let known = trace::sources(db).await?;
    let named = SOURCES.iter().map(|source| source.name.to_owned());
    let sources = named.chain(source.map(str::to_owned)).chain(known);
    let families = &context.config.counting.families;
    let asked = sources.filter(|of| is_of(of, source));
    let asked: BTreeSet<String> = asked.map(|of| families.name_of(&of).into_owned()).collect();
    let asked: Vec<String> = asked.into_iter().collect();
    let kept = fingerprint::kept(name);
    let episodes = trace::episodes_of_fingerprint(db, &asked, &kept, MOST).await?;
    Ok((By::Fingerprint, episodes, None))
}

/// Whether a stored source is the one that is asked for: with its cluster, or all clusters of that name.
fn is_of(stored: &str, wanted: Option<&str>) -> bool {
    wanted.is_none_or(|wanted| wanted == stored || wanted == cluster::name_of(stored))
}

async fn incidents_of(
    context: &Context,
    episodes: &[occurrences::Model],
    named: Option<Uuid>,
) -> Result<Vec<(incidents::Model, crate::entity::anomalies::Model)>, Problem> {
    let ids = episodes.iter().filter_map(|episode| episode.incident_id);
    let ids: BTreeSet<Uuid> = ids.chain(named).collect();
    Ok(lists::incidents_of(context.db.view(), ids).await?)
}

async fn counted(
    context: &Context,
    episodes: Vec<occurrences::Model>,
) -> Result<Vec<Occurrence>, Problem> {
    let deliveries = match context.config.counting.unit {
        Unit::Delivery => trace::counted_deliveries(context.db.view(), &episodes).await?,
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
    let (mut found, mut known) = (Vec::new(), HashSet::new());
    for queue in queues(by) {
        let store = context.queues.store();
        let mut with_it = Vec::new();
        for text in texts(by, name) {
            with_it.extend(store.search(queue, plain(&text), LOOKED_AT).await?);
        }
        with_it.retain(|queued| known.insert(queued.job.lease.id));
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
    let (mut found, mut known) = (Vec::new(), HashSet::new());
    for queue in queues(by) {
        let db = context.db.view_for(true).await?;
        let most = LOOKED_AT as u64;
        let mut with_it = Vec::new();
        for text in texts(by, name) {
            with_it.extend(trace::dead_letters_with(&*db, queue, plain(&text), most).await?);
        }
        with_it.retain(|letter| known.insert(letter.id));
        let about = |letter: &dead_letters::Model| {
            by != By::Fingerprint || tells_of(&letter.payload, name, source)
        };
        found.extend(with_it.into_iter().filter(about).map(Letter::from));
    }
    found.truncate(MOST as usize);
    Ok(found)
}

/// The dead letters of jobs that were to send these messages.
async fn undelivered(
    context: &Context,
    messages: &[notifications::Model],
) -> Result<Vec<Letter>, Problem> {
    let ids: Vec<Uuid> = messages.iter().map(|message| message.id).collect();
    let db = context.db.view_for(true).await?;
    Ok(each(
        trace::dead_letters_of_messages(&*db, &ids, MOST).await?,
    ))
}

/// The texts that rows about it contain: the name as it is stored, and in rejected alerts as it was sent.
fn texts(by: By, name: &str) -> BTreeSet<String> {
    let kept = (by == By::Fingerprint).then(|| fingerprint::kept(name));
    kept.into_iter().chain([name.to_owned()]).collect()
}

/// The longest part of a text that is the same however often it is put into JSON.
fn plain(text: &str) -> &str {
    let parts = text.split(|c: char| matches!(c, '"' | '\\') || c.is_control());
    parts.max_by_key(|part| part.len()).unwrap_or_default()
}

/// Whether an ingest job carries an alert of this fingerprint, or what may have been one.
fn tells_of(payload: &[u8], sent: &str, source: Option<&str>) -> bool {
    let quoted = serde_json::Value::from(sent).to_string();
    let Ok(job) = serde_json::from_slice::<IngestAlert>(payload) else {
        return source.is_none() && String::from_utf8_lossy(payload).contains(&quoted);
    };
    let is_its = match job.content {
        Content::Alert(alert) => alert.fingerprint == fingerprint::kept(sent),
        Content::Rejected { raw, .. } => raw.contains(&quoted),
    };
    is_its && is_of(&job.source, source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_matches_only_its_own_fingerprint() {
        let alert = |fingerprint: &str| {
            format!(
                r#"{{"source":"alertmanager","received_at":"2026-11-22T21:28:29Z","content":
                {{"alert":{{"status":"firing","labels":{{}},"fingerprint":"{fingerprint}"}}}}}}"#
            )
        };
        let rejected = r#"{"source":"alertmanager","received_at":"2026-11-22T21:28:29Z","content":
            {"rejected":{"reason":"no labels","raw":"{\"fingerprint\":\"abc\"}"}}}"#;
        let at_eu = |job: &str| job.replace("alertmanager", "alertmanager@eu");
        let table = [
            (alert("abc"), None, true),
            (alert("abcd"), None, false),
            (alert("abc"), Some("alertmanager"), true),
            (alert("abc"), Some("other"), false),
            (at_eu(&alert("abc")), None, true),
            (at_eu(&alert("abc")), Some("alertmanager"), true),
            (at_eu(&alert("abc")), Some("alertmanager@eu"), true),
            (at_eu(&alert("abc")), Some("alertmanager@us"), false),
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
