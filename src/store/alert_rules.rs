//! The subjects of a source's rules: the service and the namespace that their alerts named. An alert that says
//! that its rule has no data names neither, and gets both from here.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DbErr, Value};

use super::rows::{Rows, statement};
use crate::domain::alert_rule::{About, RuleTargets};
use crate::time::{Timestamp, millis};

/// Records what an alert of a rule named. Recording it again changes only the time.
pub async fn note(
    db: &impl ConnectionTrait,
    (source, rule): (&str, &str),
    about: &About,
    now: Timestamp,
) -> Result<(), DbErr> {
    let sql = "INSERT INTO alert_rules (source, rule, service, has_services, namespace, has_namespaces, told_at) \
               VALUES ($1, $2, $3, FALSE, $4, FALSE, $5) \
               ON CONFLICT (source, rule) DO UPDATE SET \
                   service = CASE WHEN alert_rules.service = '' THEN excluded.service ELSE alert_rules.service END, \
                   has_services = alert_rules.has_services OR (alert_rules.service <> '' \
                       AND excluded.service <> '' AND excluded.service <> alert_rules.service), \
                   namespace = CASE WHEN alert_rules.namespace = '' THEN excluded.namespace \
                       ELSE alert_rules.namespace END, \
                   has_namespaces = alert_rules.has_namespaces OR (alert_rules.namespace <> '' \
                       AND excluded.namespace <> '' AND excluded.namespace <> alert_rules.namespace), \
                   told_at = CASE WHEN alert_rules.told_at > excluded.told_at THEN alert_rules.told_at \
                       ELSE excluded.told_at END";
    let values = [
        Value::from(source),
        rule.into(),
        about.service.as_str().into(),
        about.namespace.as_str().into(),
        now.0.into(),
    ];
    let sql = statement(db.get_database_backend(), sql, values);
    db.execute_raw(sql).await.map(drop)
}

/// What a rule is about, if that is recorded.
pub async fn find(
    db: &impl ConnectionTrait,
    source: &str,
    rule: &str,
) -> Result<Option<RuleTargets>, DbErr> {
    let sql = "SELECT service, has_services, namespace, has_namespaces FROM alert_rules \
               WHERE source = $1 AND rule = $2";
    let values = [Value::from(source), rule.into()];
    let sql = statement(db.get_database_backend(), sql, values);
    let row = db.query_one_raw(sql).await?;
    row.map(|row| {
        Ok(RuleTargets {
            first: About {
                service: row.try_get("", "service")?,
                namespace: row.try_get("", "namespace")?,
            },
            has_services: row.try_get("", "has_services")?,
            has_namespaces: row.try_get("", "has_namespaces")?,
        })
    })
    .transpose()
}

/// Which of these series has an episode that is open, or began within `skew` of `start`: the newest of them. What is
/// open is the newest of its series, so that no more is read than what is near `start` and later, and one before it.
pub async fn series_of(
    db: &impl ConnectionTrait,
    series: impl IntoIterator<Item = i64>,
    start: Timestamp,
    skew: Duration,
) -> Result<Option<i64>, DbErr> {
    let rows = Rows::new().int("series", series);
    let sql = "SELECT o.series FROM {rows} JOIN occurrences o ON o.series = r.series \
                   AND o.starts_at >= COALESCE((SELECT max(p.starts_at) FROM occurrences p \
                       WHERE p.series = r.series AND p.starts_at < $1), $1) \
               WHERE o.ended_at IS NULL OR (o.starts_at >= $1 AND o.starts_at <= $2) \
               ORDER BY o.starts_at DESC LIMIT 1";
    let skew = millis(skew);
    let edges = [Value::from(start.0 - skew), Value::from(start.0 + skew)];
    let sql = rows.statement(db.get_database_backend(), sql, edges);
    let row = db.query_one_raw(sql).await?;
    row.map(|row| row.try_get("", "series")).transpose()
}

/// Deletes rules without an alert since `before`. Returns how many.
pub async fn prune(db: &impl ConnectionTrait, before: Timestamp) -> Result<u64, DbErr> {
    let sql = "DELETE FROM alert_rules WHERE told_at < $1";
    let sql = statement(db.get_database_backend(), sql, [Value::from(before.0)]);
    Ok(db.execute_raw(sql).await?.rows_affected())
}
