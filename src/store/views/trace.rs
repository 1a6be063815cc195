//! The rows about one series, incident or anomaly, newest first.

use std::collections::HashMap;

use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, FromQueryResult, QueryFilter,
    QueryOrder, QuerySelect, Value,
};
use uuid::Uuid;

use crate::domain::episode::series;
use crate::entity::{dead_letters, incidents, notifications, occurrences, repairs};
use crate::jobs::{Job as _, Notify};
use crate::store::rows::{Rows, columns, statement};
use crate::store::verify::keys_after;

/// Series that are looked up together, and anomalies that are looked through at most.
const SERIES: (usize, usize) = (2000, 400_000);
/// Sources that are distinguished at most.
const SOURCES: i64 = 100;
/// Dead letters of a queue that are looked through at most.
const LETTERS: i64 = 5000;

/// The newest episodes that these families of sources call `fingerprint`.
///
/// No index is on the fingerprint: it would cost every insert for the sake of this question. A series'
/// number is made of family, fingerprint and anomaly, so it is worked out for every anomaly there is,
/// and looked for in the index that ingest has anyway.
pub async fn episodes_of_fingerprint(
    db: &impl ConnectionTrait,
    families: &[String],
    fingerprint: &str,
    limit: u64,
) -> Result<Vec<occurrences::Model>, DbErr> {
    let together = (SERIES.0 / families.len().max(1)).max(1);
    let columns = columns::<occurrences::Entity>("o");
    let sql = format!(
        "SELECT {columns} FROM {{rows}} JOIN occurrences o ON o.series = r.series \
         ORDER BY o.occurred_at DESC LIMIT $1"
    );
    let mut found: Vec<occurrences::Model> = Vec::new();
    let mut after = String::new();
    for _ in 0..SERIES.1 / together {
        let keys = keys_after(db, &after, together as i64).await?;
        let numbers = keys.iter().flat_map(|key| {
            families
                .iter()
                .map(move |family| series(family, fingerprint, key))
        });
        let rows = Rows::new().int("series", numbers);
        let sql = rows.statement(db.get_database_backend(), &sql, [Value::from(limit)]);
        found.extend(occurrences::Model::find_by_statement(sql).all(db).await?);
        match keys.last() {
            Some(last) if keys.len() == together => after.clone_from(last),
            _ => break,
        }
    }
    found.sort_by_key(|row| std::cmp::Reverse(row.occurred_at));
    found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(found)
}

/// The sources of which there are incidents, those of each cluster for itself: the first of the index on
/// them, one after the other.
pub async fn sources(db: &impl ConnectionTrait) -> Result<Vec<String>, DbErr> {
    let sql = "WITH RECURSIVE known (source) AS ( \
                   SELECT min(source) FROM incidents \
                   UNION ALL \
                   SELECT (SELECT min(i.source) FROM incidents i WHERE i.source > known.source) \
                   FROM known WHERE known.source IS NOT NULL) \
               SELECT source FROM known WHERE source IS NOT NULL LIMIT $1";
    let sql = statement(db.get_database_backend(), sql, [Value::from(SOURCES)]);
    let rows = db.query_all_raw(sql).await?;
    rows.iter().map(|row| row.try_get("", "source")).collect()
}

/// The newest episodes of an anomaly, or of one of its incidents.
pub async fn episodes(
    db: &impl ConnectionTrait,
    key: &str,
    incident: Option<Uuid>,
    limit: u64,
) -> Result<Vec<occurrences::Model>, DbErr> {
    use occurrences::Column;
    let mut rows = occurrences::Entity::find()
        .filter(Column::AnomalyKey.eq(key))
        .filter(Column::Series.is_not_null());
    if let Some(incident) = incident {
        rows = rows.filter(Column::IncidentId.eq(incident));
    }
    let newest = rows.order_by_desc(Column::OccurredAt).limit(limit);
    newest.all(db).await
}

/// How many deliveries of each episode were counted, where deliveries are.
pub async fn counted_deliveries(
    db: &impl ConnectionTrait,
    episodes: &[occurrences::Model],
) -> Result<HashMap<Uuid, i64>, DbErr> {
    let rows = Rows::new()
        .uuid("id", episodes.iter().map(|e| e.id))
        .text("key", episodes.iter().map(|e| e.anomaly_key.clone()))
        .time("first", episodes.iter().map(|e| e.occurred_at))
        .time("last", episodes.iter().map(|e| e.last_seen_at));
    let sql = "SELECT r.id, count(*) AS deliveries \
               FROM {rows} JOIN occurrences d ON d.anomaly_key = r.key \
                   AND d.occurred_at BETWEEN r.first AND r.last \
                   AND d.episode = r.id AND d.counted_id IS NOT NULL \
               GROUP BY r.id";
    let sql = rows.statement(db.get_database_backend(), sql, []);
    let counted = db.query_all_raw(sql).await?;
    counted
        .iter()
        .map(|row| Ok((row.try_get("", "id")?, row.try_get("", "deliveries")?)))
        .collect()
}

/// The messages about these incidents.
pub async fn messages(
    db: &impl ConnectionTrait,
    incidents: &[Uuid],
) -> Result<Vec<notifications::Model>, DbErr> {
    use notifications::Column;
    notifications::Entity::find()
        .filter(Column::IncidentId.is_in(incidents.iter().copied()))
        .order_by_asc(Column::Id)
        .all(db)
        .await
}

/// The newest repairs of these incidents.
pub async fn repairs_of(
    db: &impl ConnectionTrait,
    incidents: &[incidents::Model],
    limit: u64,
) -> Result<Vec<repairs::Model>, DbErr> {
    use repairs::Column;
    let keys = incidents.iter().map(|incident| &incident.anomaly_key);
    repairs::Entity::find()
        .filter(Column::AnomalyKey.is_in(keys))
        .filter(Column::IncidentId.is_in(incidents.iter().map(|incident| incident.id)))
        .order_by_desc(Column::RepairedAt)
        .limit(limit)
        .all(db)
        .await
}

/// Of the newest dead letters of notifications, those that were to send one of `messages`, newest first. Their
/// jobs' ids are others: a message can be sent and edited by several.
pub async fn dead_letters_of_messages(
    db: &impl ConnectionTrait,
    messages: &[Uuid],
    limit: u64,
) -> Result<Vec<dead_letters::Model>, DbErr> {
    if messages.is_empty() {
        return Ok(Vec::new());
    }
    let contains = match db.get_database_backend() {
        DbBackend::Postgres => "position(convert_to(r.message, 'UTF8') in newest.payload)",
        _ => "instr(newest.payload, CAST(r.message AS blob))",
    };
    let rows = Rows::new().text("message", messages.iter().map(Uuid::to_string));
    let columns = columns::<dead_letters::Entity>("newest");
    let sql = format!(
        "SELECT {columns} FROM (SELECT * FROM dead_letters WHERE queue = $1 \
             ORDER BY died_at DESC LIMIT $2) AS newest \
         WHERE EXISTS (SELECT 1 FROM {{rows}} WHERE {contains} > 0) \
         ORDER BY died_at DESC LIMIT $3"
    );
    let values = [
        Value::from(Notify::POLICY.queue),
        Value::from(LETTERS),
        Value::from(limit),
    ];
    let sql = rows.statement(db.get_database_backend(), &sql, values);
    dead_letters::Model::find_by_statement(sql).all(db).await
}

/// The dead letter of the job with this ID, or else the newest of the trace with this ID.
pub async fn dead_letter_of(
    db: &impl ConnectionTrait,
    id: Uuid,
) -> Result<Option<dead_letters::Model>, DbErr> {
    use dead_letters::{Column, Entity};
    let of_job = Entity::find_by_id(id).one(db).await?;
    if of_job.is_some() {
        return Ok(of_job);
    }
    let of_trace = Entity::find().filter(Column::TraceId.eq(id.simple().to_string()));
    of_trace.order_by_desc(Column::DiedAt).one(db).await
}

/// Of a queue's newest dead letters, those with `text` in what they carry, newest first.
pub async fn dead_letters_with(
    db: &impl ConnectionTrait,
    queue: &str,
    text: &str,
    limit: u64,
) -> Result<Vec<dead_letters::Model>, DbErr> {
    let contains = match db.get_database_backend() {
        DbBackend::Postgres => "position($2 in payload)",
        _ => "instr(payload, $2)",
    };
    let columns = columns::<dead_letters::Entity>("newest");
    let sql = format!(
        "SELECT {columns} FROM (SELECT * FROM dead_letters WHERE queue = $1 \
             ORDER BY died_at DESC LIMIT $3) AS newest \
         WHERE {contains} > 0 ORDER BY died_at DESC LIMIT $4"
    );
    let values = [
        Value::from(queue),
        Value::from(text.as_bytes().to_vec()),
        Value::from(LETTERS),
        Value::from(limit),
    ];
    let sql = statement(db.get_database_backend(), &sql, values);
    dead_letters::Model::find_by_statement(sql).all(db).await
}
