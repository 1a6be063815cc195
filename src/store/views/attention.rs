//! What waits for somebody: read by every open page, also by those in the background.

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult};
use serde::Serialize;
use uuid::Uuid;

use crate::store::rows::statement;

/// More are not counted: nobody tells 100 from 200 by looking at a tab.
pub const MOST: usize = 100;

/// An incident that waits.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult, Serialize)]
pub struct Waiting {
    /// Its ID.
    pub id: Uuid,
    /// Its title; its alert's name if that is empty.
    pub title: String,
    /// Its severity, which may be empty.
    pub severity: String,
    /// Its service, which may be empty.
    pub service: String,
    /// Its namespace.
    #[serde(skip)]
    pub namespace: String,
    /// Its alert's name.
    #[serde(skip)]
    pub alert_name: String,
}

/// Incidents that nobody has acknowledged and whose anomaly is not muted, newest first; at most [`MOST`].
///
/// # Errors
/// The database fails.
pub async fn waiting(db: &impl ConnectionTrait) -> Result<Vec<Waiting>, DbErr> {
    let sql = format!(
        "SELECT i.id, CASE WHEN i.title = '' THEN a.alert_name ELSE i.title END AS title, i.severity, a.service, \
             a.namespace, a.alert_name \
         FROM incidents i JOIN anomalies a ON a.key = i.anomaly_key \
         WHERE i.status <> 'RESOLVED' AND i.status <> 'ACKNOWLEDGED' \
             AND (a.muted_until IS NULL OR a.muted_until <= {{now}}) \
         ORDER BY i.id DESC LIMIT {MOST}"
    );
    let sql = statement(db.get_database_backend(), &sql, []);
    Waiting::find_by_statement(sql).all(db).await
}
