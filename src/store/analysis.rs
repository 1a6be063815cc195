//! Analyses: which are due, what is known of an incident's past, and what was found out. Each statement reads
//! a bounded number of rows, whatever is stored.

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, QueryResult, Value};
use uuid::Uuid;

use super::repairs::figures::Scope;
use super::rows::{Rows, statement};
use super::{Db, anomalies};
use crate::domain::analysis::neighbours::{
    self, AROUND, Candidate, CandidateAnomaly, Counted, Earlier, LOOKS_BACK, SHORTLY, STORM,
    Surroundings, TOGETHER,
};
use crate::domain::analysis::{Analysis, History, OPENINGS, Place, Share, Tried};
use crate::entity::{anomalies as anomaly_rows, incidents as incident_rows};
use crate::ids::first_id;
use crate::text::address;
use crate::time::Timestamp;

/// A service with more anomalies than this within 30 days is not counted.
const ANOMALIES: i64 = 50;
/// The most actions of an anomaly that are read.
const ACTIONS: i64 = 50;
/// How many of an anomaly's incidents opened between `$1` and `$2`; of `a`, up to the maximum that is counted.
const OPENED: &str = "(SELECT count(*) FROM (SELECT i.opened_at FROM incidents i \
        WHERE i.anomaly_key = a.key ORDER BY i.number DESC LIMIT 1000) x \
    WHERE x.opened_at > $1 AND x.opened_at <= $2)";

/// An incident that is due to be analyzed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueAnalysis {
    /// The incident.
    pub incident: Uuid,
    /// Since when. What was found out is written only if that is so still.
    pub since: Timestamp,
}

/// Incidents that have been due to be analyzed since before `moment`, those that wait longest first, and
/// whether each of them is open only after that.
pub async fn overdue(
    db: &impl ConnectionTrait,
    moment: Timestamp,
    limit: u64,
) -> Result<Vec<(DueAnalysis, bool)>, DbErr> {
    let sql = "SELECT id, analyze_due_since, \
                   CAST(CASE WHEN status = 'ANALYZING' THEN 1 ELSE 0 END AS bigint) AS waits \
               FROM incidents WHERE analyze_due_since < $1 ORDER BY analyze_due_since LIMIT $2";
    let values = [
        Value::from(moment.0),
        i64::try_from(limit).unwrap_or(i64::MAX).into(),
    ];
    let due = |row: &QueryResult| {
        let due = DueAnalysis {
            incident: row.try_get("", "id")?,
            since: Timestamp(row.try_get("", "analyze_due_since")?),
        };
        Ok((due, row.try_get::<i64>("", "waits")? == 1))
    };
    let sql = statement(db.get_database_backend(), sql, values);
    db.query_all_raw(sql).await?.iter().map(due).collect()
}

/// Opens those of these incidents that wait for their analysis still. It may be made later. Returns how many
/// these were.
pub async fn open(db: &Db, incidents: &[Uuid], now: Timestamp) -> Result<u64, DbErr> {
    let tx = db.begin().await?;
    anomalies::lock_of_incidents(&tx, incidents).await?;
    let rows = Rows::new().uuid("id", incidents.iter().copied());
    let sql = "UPDATE incidents SET status = 'OPEN', \
                   updated_at = CASE WHEN updated_at < $1 THEN $1 ELSE updated_at END \
               FROM {rows} WHERE incidents.id = r.id AND incidents.status = 'ANALYZING'";
    let sql = rows.statement(tx.get_database_backend(), sql, [Value::from(now.0)]);
    let opened = tx.execute_raw(sql).await?.rows_affected();
    tx.commit().await?;
    Ok(opened)
}

/// Records that these incidents are not analyzed, if they have been due since before `moment`.
pub async fn give_up(db: &Db, incidents: &[Uuid], moment: Timestamp) -> Result<(), DbErr> {
    let tx = db.begin().await?;
    anomalies::lock_of_incidents(&tx, incidents).await?;
    let rows = Rows::new().uuid("id", incidents.iter().copied());
    let sql = "UPDATE incidents SET analyze_due_since = NULL \
               FROM {rows} WHERE incidents.id = r.id AND incidents.analyze_due_since < $1";
    let sql = rows.statement(tx.get_database_backend(), sql, [Value::from(moment.0)]);
    tx.execute_raw(sql).await?;
    tx.commit().await
}

/// Marks an incident of a locked anomaly as due to be analyzed, if it is not. Returns whether it was not.
pub async fn mark_due(
    tx: &impl ConnectionTrait,
    incident: Uuid,
    now: Timestamp,
) -> Result<bool, DbErr> {
    let sql = "UPDATE incidents SET analyze_due_since = $2, \
                   updated_at = CASE WHEN updated_at < $2 THEN $2 ELSE updated_at END \
               WHERE id = $1 AND analyze_due_since IS NULL";
    let sql = statement(
        tx.get_database_backend(),
        sql,
        [Value::from(incident), now.0.into()],
    );
    Ok(tx.execute_raw(sql).await?.rows_affected() > 0)
}

/// Writes what was found out about an incident of a locked anomaly, which is open from then on. Returns
/// whether it was: not if another has done so, and not if it was asked for anew meanwhile.
pub async fn write(
    tx: &impl ConnectionTrait,
    due: DueAnalysis,
    analysis: &Analysis,
) -> Result<bool, DbErr> {
    let sql = "UPDATE incidents SET analysis = $3, analyze_due_since = NULL, \
                   status = CASE WHEN status = 'ANALYZING' THEN 'OPEN' ELSE status END, \
                   updated_at = CASE WHEN updated_at < $4 THEN $4 ELSE updated_at END \
               WHERE id = $1 AND analyze_due_since = $2";
    let values = [
        Value::from(due.incident),
        due.since.0.into(),
        analysis.clone().into(),
        analysis.at.0.into(),
    ];
    let sql = statement(tx.get_database_backend(), sql, values);
    Ok(tx.execute_raw(sql).await?.rows_affected() > 0)
}

/// Takes one of the requests that a language model gets in an hour, of all processes together; `false` if
/// none is left.
pub async fn take_request(
    db: &impl ConnectionTrait,
    per_hour: u32,
    now: Timestamp,
) -> Result<bool, DbErr> {
    let hour = now.0.div_euclid(3_600_000);
    let sql = "INSERT INTO model_requests (hour, requests) SELECT $1, 1 WHERE $2 > 0 \
               ON CONFLICT (hour) DO UPDATE SET requests = model_requests.requests + 1 \
                   WHERE model_requests.requests < $2 \
               RETURNING requests";
    let backend = db.get_database_backend();
    let values = [Value::from(hour), i64::from(per_hour).into()];
    let taken = db.query_one_raw(statement(backend, sql, values)).await?;
    let Some(row) = taken else {
        return Ok(false);
    };
    if row.try_get::<i64>("", "requests")? == 1 {
        let sql = "DELETE FROM model_requests WHERE hour < $1 - 48";
        db.execute_raw(statement(backend, sql, [Value::from(hour)]))
            .await?;
    }
    Ok(true)
}

/// What is known of an incident's past.
pub async fn history(
    db: &impl ConnectionTrait,
    incident: &incident_rows::Model,
    anomaly: &anomaly_rows::Model,
) -> Result<History, DbErr> {
    let openings = openings(db, incident).await?;
    let runbook = incident.annotations["runbook_url"].as_str();
    Ok(History {
        number: incident.number,
        first_seen: anomaly.first_seen,
        service: service(db, anomaly, incident.opened_at).await?,
        neighbours: neighbours(db, &incident.anomaly_key, &openings).await?,
        before: before(db, incident).await?,
        place: Place {
            service: anomaly.service.clone(),
            namespace: anomaly.namespace.clone(),
        },
        tried: tried(db, &incident.anomaly_key).await?,
        runbook: runbook.and_then(address).map(String::from),
        openings,
    })
}

/// When an anomaly's incidents opened, from this one back.
async fn openings(
    db: &impl ConnectionTrait,
    incident: &incident_rows::Model,
) -> Result<Vec<Timestamp>, DbErr> {
    let sql = "SELECT opened_at FROM incidents WHERE anomaly_key = $1 AND number <= $2 \
               ORDER BY number DESC LIMIT $3";
    let values = [
        Value::from(incident.anomaly_key.clone()),
        incident.number.into(),
        (OPENINGS as i64).into(),
    ];
    let sql = statement(db.get_database_backend(), sql, values);
    let opened = |row: &QueryResult| Ok(Timestamp(row.try_get("", "opened_at")?));
    db.query_all_raw(sql).await?.iter().map(opened).collect()
}

/// The incidents of the anomaly's service in 30 days; `None` if there are too many anomalies to count them.
async fn service(
    db: &impl ConnectionTrait,
    anomaly: &anomaly_rows::Model,
    until: Timestamp,
) -> Result<Option<Share>, DbErr> {
    if anomaly.service.is_empty() {
        return Ok(None);
    }
    let sql = format!(
        "SELECT count(*) AS anomalies, CAST(COALESCE(sum(c.n), 0) AS bigint) AS incidents \
         FROM (SELECT {OPENED} AS n FROM anomalies a \
               WHERE a.service = $3 AND a.namespace = $4 AND a.last_seen > $1 LIMIT $5) c"
    );
    let values = [
        Value::from(until.before(LOOKS_BACK).0),
        until.0.into(),
        anomaly.service.clone().into(),
        anomaly.namespace.clone().into(),
        (ANOMALIES + 1).into(),
    ];
    let sql = statement(db.get_database_backend(), &sql, values);
    let Some(row) = db.query_one_raw(sql).await? else {
        return Ok(None);
    };
    if row.try_get::<i64>("", "anomalies")? > ANOMALIES {
        return Ok(None);
    }
    Ok(Some(Share {
        service: anomaly.service.clone(),
        namespace: anomaly.namespace.clone(),
        incidents: row.try_get("", "incidents")?,
    }))
}

/// What opened around the anomaly's incidents before this one, and how often that opens anyway.
async fn neighbours(
    db: &impl ConnectionTrait,
    own: &str,
    openings: &[Timestamp],
) -> Result<Counted, DbErr> {
    let Some((opened, past)) = openings.split_first() else {
        return Ok(Counted::default());
    };
    let since = opened.before(LOOKS_BACK);
    let mut surroundings = Vec::new();
    for at in past.iter().filter(|at| **at > since).take(AROUND) {
        surroundings.push(around(db, *at).await?);
    }
    let (of, compared, candidates) = neighbours::candidates(&surroundings, own);
    Ok(Counted {
        of,
        compared,
        candidates: known(db, candidates, (since, *opened)).await?,
    })
}

/// What opened around a moment. Ids begin with the time at which their incidents opened.
async fn around(db: &impl ConnectionTrait, at: Timestamp) -> Result<Surroundings, DbErr> {
    let sql = "SELECT anomaly_key, opened_at FROM incidents WHERE id >= $1 AND id < $2 \
               ORDER BY id LIMIT $3";
    let values = [
        Value::from(first_id(at.before(TOGETHER))),
        first_id(Timestamp(at.after(TOGETHER).0 + 1)).into(),
        (STORM as i64).into(),
    ];
    let sql = statement(db.get_database_backend(), sql, values);
    let other = |row: &QueryResult| {
        let opened = row.try_get("", "opened_at")?;
        Ok((row.try_get("", "anomaly_key")?, Timestamp(opened)))
    };
    let others: Result<_, DbErr> = db.query_all_raw(sql).await?.iter().map(other).collect();
    Ok(Surroundings {
        opened_at: at,
        others: others?,
    })
}

/// What is known of the anomalies of candidates.
async fn known(
    db: &impl ConnectionTrait,
    candidates: Vec<Candidate>,
    (since, until): (Timestamp, Timestamp),
) -> Result<Vec<CandidateAnomaly>, DbErr> {
    #[derive(FromQueryResult)]
    struct Row {
        key: String,
        alert_name: String,
        service: String,
        n: i64,
    }
    if candidates.is_empty() {
        return Ok(Vec::new());
    }
    let rows = Rows::new().text("key", candidates.iter().map(|c| c.anomaly_key.clone()));
    let sql = format!(
        "SELECT a.key, a.alert_name, a.service, {OPENED} AS n \
         FROM {{rows}} JOIN anomalies a ON a.key = r.key"
    );
    let values = [Value::from(since.0), until.0.into()];
    let sql = rows.statement(db.get_database_backend(), &sql, values);
    let found = Row::find_by_statement(sql).all(db).await?;
    let known = candidates.into_iter().filter_map(|candidate| {
        let of = |found: &&Row| found.key == candidate.anomaly_key;
        let found = found.iter().find(of)?;
        Some(CandidateAnomaly {
            alert_name: found.alert_name.clone(),
            service: found.service.clone(),
            incidents: found.n,
            candidate,
        })
    });
    Ok(known.collect())
}

/// Incidents of other anomalies that opened shortly before, from new to old.
async fn before(
    db: &impl ConnectionTrait,
    incident: &incident_rows::Model,
) -> Result<Vec<Earlier>, DbErr> {
    let sql = "SELECT i.id, i.anomaly_key, i.opened_at, a.alert_name, a.service, a.namespace \
               FROM incidents i JOIN anomalies a ON a.key = i.anomaly_key \
               WHERE i.id >= $1 AND i.id < $2 AND i.anomaly_key <> $3 \
               ORDER BY i.id DESC LIMIT $4";
    let values = [
        Value::from(first_id(incident.opened_at.before(SHORTLY))),
        incident.id.into(),
        incident.anomaly_key.clone().into(),
        (STORM as i64).into(),
    ];
    let earlier = |row: &QueryResult| {
        Ok(Earlier {
            incident: row.try_get("", "id")?,
            anomaly_key: row.try_get("", "anomaly_key")?,
            alert_name: row.try_get("", "alert_name")?,
            place: Place {
                service: row.try_get("", "service")?,
                namespace: row.try_get("", "namespace")?,
            },
            opened_at: Timestamp(row.try_get("", "opened_at")?),
        })
    };
    let sql = statement(db.get_database_backend(), sql, values);
    db.query_all_raw(sql).await?.iter().map(earlier).collect()
}

/// What was tried on an anomaly, by action.
async fn tried(db: &impl ConnectionTrait, key: &str) -> Result<Vec<Tried>, DbErr> {
    let sql = "SELECT e.action, e.attempts, e.successes, \
                   CAST(COALESCE(v.judged, 0) AS bigint) AS judged, \
                   CAST(COALESCE(v.held, 0) AS bigint) AS held \
               FROM effectiveness e LEFT JOIN ( \
                   SELECT action, sum(verified + disproved) AS judged, sum(verified) AS held \
                   FROM repair_figures WHERE scope = $3 AND subject = $1 \
                   GROUP BY action) v ON v.action = e.action \
               WHERE e.anomaly_key = $1 \
               ORDER BY held DESC, successes DESC, e.action LIMIT $2";
    let scope = Scope::Anomaly.name();
    let values = [Value::from(key), ACTIONS.into(), scope.into()];
    let tried = |row: &QueryResult| {
        Ok(Tried {
            action: row.try_get("", "action")?,
            attempts: row.try_get("", "attempts")?,
            successes: row.try_get("", "successes")?,
            judged: row.try_get("", "judged")?,
            held: row.try_get("", "held")?,
        })
    };
    let sql = statement(db.get_database_backend(), sql, values);
    db.query_all_raw(sql).await?.iter().map(tried).collect()
}
