//! Statistics of the database: what it reports about itself, its totals, the health of channels.

use std::collections::HashMap;

use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, EntityTrait, FromQueryResult, QueryOrder, QuerySelect,
};

use crate::domain::aggregation::Status;
use crate::domain::escalation::Level;
use crate::entity::notifications::{Column, Entity, Model, State};
use crate::store::rows::statement;
use crate::time::Timestamp;

/// What the database says of itself.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct DatabaseInfo {
    /// Its version.
    pub version: String,
    /// Whether a commit is on the disk when it is done: `on`, or what it is instead.
    pub synchronous: String,
}

/// Asks the database about itself.
pub async fn ask(db: &impl ConnectionTrait) -> Result<DatabaseInfo, DbErr> {
    let backend = db.get_database_backend();
    let sql = match backend {
        DbBackend::Postgres => {
            "SELECT 'PostgreSQL ' || current_setting('server_version') AS version, \
                 CASE WHEN current_setting('fsync') = 'off' THEN 'fsync off' \
                     ELSE current_setting('synchronous_commit') END AS synchronous"
        }
        _ => "SELECT 'SQLite ' || sqlite_version() AS version, 'on' AS synchronous",
    };
    let found = DatabaseInfo::find_by_statement(statement(backend, sql, []))
        .one(db)
        .await?;
    found.ok_or_else(|| DbErr::RecordNotFound("the version".to_owned()))
}

/// How many rows are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromQueryResult)]
pub struct StoredTotals {
    /// Episodes, and deliveries where they are counted.
    pub occurrences: i64,
    /// Incidents.
    pub incidents: i64,
    /// Anomalies.
    pub anomalies: i64,
    /// What was ever counted.
    pub counted: i64,
}

/// Counts every row: for several readers, keep the answer.
pub async fn totals(db: &impl ConnectionTrait) -> Result<StoredTotals, DbErr> {
    let sql = "SELECT (SELECT count(*) FROM occurrences) AS occurrences, \
                   (SELECT count(*) FROM incidents) AS incidents, \
                   count(*) AS anomalies, \
                   CAST(COALESCE(sum(total), 0) AS bigint) AS counted \
               FROM anomalies";
    let found = StoredTotals::find_by_statement(statement(db.get_database_backend(), sql, []))
        .one(db)
        .await?;
    Ok(found.unwrap_or_default())
}

/// How many incidents are unresolved that have this in common.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Unresolved {
    /// Their status.
    pub status: Status,
    /// The level of their anomalies.
    pub level: Level,
    /// How severe they are, see [`order`](crate::domain::severity::order).
    pub severity_order: i64,
    /// How many they are.
    pub n: i64,
}

/// Counts the incidents that are not resolved.
pub async fn unresolved(db: &impl ConnectionTrait) -> Result<Vec<Unresolved>, DbErr> {
    let sql = "SELECT u.status, a.level, u.severity_order, CAST(sum(u.n) AS bigint) AS n FROM \
                   (SELECT anomaly_key, status, severity_order, count(*) AS n FROM incidents \
                    WHERE status <> 'RESOLVED' GROUP BY anomaly_key, status, severity_order) u \
               JOIN anomalies a ON a.key = u.anomaly_key GROUP BY u.status, a.level, u.severity_order";
    let sql = statement(db.get_database_backend(), sql, []);
    Unresolved::find_by_statement(sql).all(db).await
}

/// Messages that are looked through for how channels are.
pub const MESSAGES: u64 = 500;

/// How a channel is, as its newest messages say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelHealth {
    /// When it last took a message.
    pub sent_at: Option<Timestamp>,
    /// The newest message that failed or is not sent yet: since when it was pending,
    /// and what went wrong.
    pub failed: Option<(Timestamp, String)>,
}

/// How channels are, by the newest [`MESSAGES`] of all; those that none of them is for are left out.
pub async fn channels(db: &impl ConnectionTrait) -> Result<HashMap<String, ChannelHealth>, DbErr> {
    let newest: Vec<Model> = Entity::find()
        .order_by_desc(Column::Id)
        .limit(MESSAGES)
        .all(db)
        .await?;
    let mut channels: HashMap<String, ChannelHealth> = HashMap::new();
    for message in newest {
        let is_out = message.state == State::Sent;
        let error = message.error.filter(|_| !is_out);
        let standing = channels.entry(message.channel).or_default();
        if is_out {
            standing.sent_at = standing.sent_at.max(message.sent_at);
        }
        if standing.failed.is_none()
            && let Some(error) = error
        {
            standing.failed = Some((message.owed_since, error));
        }
    }
    channels.retain(|_, standing| *standing != ChannelHealth::default());
    Ok(channels)
}
