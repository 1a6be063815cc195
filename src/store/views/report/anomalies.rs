//! Which anomalies came back most, which are new, and which came back in spite of a fix.

use sea_orm::{ConnectionTrait, DbErr, QueryResult, Value};

use super::{ByDay, Names, Span, of_keys};
use crate::domain::aggregation::Unit;
use crate::domain::escalation::Level;
use crate::ids::first_id;
use crate::store::occurrences::behind;
use crate::store::rows::statement;
use crate::time::Timestamp;

/// An anomaly that came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Returned {
    /// What it is called.
    pub names: Names,
    /// Its level now.
    pub level: Level,
    /// What was counted of it.
    pub counted: ByDay,
}

/// The anomalies that came back most in a period, with the one before.
pub async fn returning(
    db: &impl ConnectionTrait,
    unit: Unit,
    span: Span,
    limit: u64,
) -> Result<Vec<Returned>, DbErr> {
    let (table, id, at) = behind(unit);
    // Incidents have no index by when they opened: their ids are in that order.
    let mut values = vec![Value::from(span.from.0), span.to.0.into(), limit.into()];
    let by_id = match unit {
        Unit::Incident => {
            values.extend([first_id(span.from), first_id(span.to)].map(Value::from));
            " AND id >= $4 AND id < $5"
        }
        Unit::Episode | Unit::Delivery => "",
    };
    let sql = format!(
        "SELECT a.key, a.alert_name, a.service, a.namespace, a.level FROM ( \
             SELECT anomaly_key, count(*) AS n FROM {table} \
             WHERE {at} >= $1 AND {at} < $2 AND {id} IS NOT NULL{by_id} \
             GROUP BY anomaly_key ORDER BY count(*) DESC, anomaly_key LIMIT $3) m \
         JOIN anomalies a ON a.key = m.anomaly_key ORDER BY m.n DESC, a.key"
    );
    let rows = db
        .query_all_raw(statement(db.get_database_backend(), &sql, values))
        .await?;
    let named = |row: &QueryResult| Ok((Names::of(row)?, row.try_get("", "level")?));
    let most: Vec<(Names, Level)> = rows.iter().map(named).collect::<Result<_, DbErr>>()?;
    let keys = most.iter().map(|(names, _)| names.key.clone());
    let mut counted = of_keys(db, unit, keys, span).await?;
    let returned = |(names, level): (Names, Level)| Returned {
        counted: counted
            .remove(&names.key)
            .unwrap_or_else(|| ByDay::of(span)),
        names,
        level,
    };
    Ok(most.into_iter().map(returned).collect())
}

/// An anomaly that was not known before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAnomaly {
    /// What it is called.
    pub names: Names,
    /// When it was seen first.
    pub first_seen: Timestamp,
    /// How often it was seen since.
    pub total: i64,
}

/// How many anomalies were seen for the first time in a period, and those of them that were seen most since.
pub async fn new_anomalies(
    db: &impl ConnectionTrait,
    span: Span,
    limit: u64,
) -> Result<(i64, Vec<NewAnomaly>), DbErr> {
    let sql = "SELECT key, alert_name, service, namespace, first_seen, total, \
                   count(*) OVER () AS n \
               FROM anomalies WHERE first_seen >= $1 AND first_seen < $2 \
               ORDER BY total DESC, key LIMIT $3";
    let values = [Value::from(span.from.0), span.to.0.into(), limit.into()];
    let rows = db
        .query_all_raw(statement(db.get_database_backend(), sql, values))
        .await?;
    let n = rows.first().map(|row| row.try_get("", "n")).transpose()?;
    let new = |row: &QueryResult| {
        Ok(NewAnomaly {
            names: Names::of(row)?,
            first_seen: row.try_get("", "first_seen")?,
            total: row.try_get("", "total")?,
        })
    };
    let newest = rows.iter().map(new).collect::<Result<_, DbErr>>()?;
    Ok((n.unwrap_or(0), newest))
}

/// A permanent fix that did not hold: the anomaly began to fire again after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedFix {
    /// What the anomaly is called.
    pub names: Names,
    /// When it was marked as fixed.
    pub fixed_at: Timestamp,
    /// Where the fix is described.
    pub reference: Option<String>,
    /// When it first fired again, as far as firings are kept.
    pub failed_at: Timestamp,
}

/// The fixes that were found not to hold in a period, by the marks that there are now.
pub async fn failed_fixes(
    db: &impl ConnectionTrait,
    span: Span,
    limit: u64,
) -> Result<Vec<FailedFix>, DbErr> {
    let sql = "SELECT * FROM (SELECT a.key, a.alert_name, a.service, a.namespace, \
                   a.permanent_fix_at AS fixed_at, a.permanent_fix_reference AS reference, \
                   (SELECT min(o.occurred_at) FROM occurrences o WHERE o.anomaly_key = a.key \
                       AND o.occurred_at > a.permanent_fix_at \
                       AND o.starts_at > a.permanent_fix_at AND o.series IS NOT NULL) AS failed_at \
               FROM anomalies a WHERE a.permanent_fix_at IS NOT NULL AND a.last_seen >= $1) f \
               WHERE f.failed_at >= $1 AND f.failed_at < $2 ORDER BY f.failed_at, f.key LIMIT $3";
    let values = [Value::from(span.from.0), span.to.0.into(), limit.into()];
    let rows = db
        .query_all_raw(statement(db.get_database_backend(), sql, values))
        .await?;
    let fix = |row: &QueryResult| {
        Ok(FailedFix {
            names: Names::of(row)?,
            fixed_at: row.try_get("", "fixed_at")?,
            reference: row.try_get("", "reference")?,
            failed_at: row.try_get("", "failed_at")?,
        })
    };
    rows.iter().map(fix).collect()
}
