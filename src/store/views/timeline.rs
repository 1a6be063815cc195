//! The rows of an incident's timeline: messages, repairs, audit entries.

use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, FromQueryResult as _, QueryFilter,
    QueryOrder, QueryResult, QuerySelect, Value,
};
use uuid::Uuid;

use crate::domain::effectiveness::action_name;
use crate::domain::verdict::Verdict;
use crate::entity::{audit, incidents, notifications, repairs};
use crate::store::audit::Action;
use crate::store::rows::{Rows, columns};
use crate::time::Timestamp;

/// The messages of an incident, newest first.
pub async fn messages(
    db: &impl ConnectionTrait,
    incident: Uuid,
    limit: u64,
) -> Result<Vec<notifications::Model>, DbErr> {
    notifications::Entity::find()
        .filter(notifications::Column::IncidentId.eq(incident))
        .order_by_desc(notifications::Column::Id)
        .limit(limit)
        .all(db)
        .await
}

/// What people did to `target`, newest first. Notes are listed by themselves, and so is what strangers were refused:
/// that may be much.
pub async fn entries(
    db: &impl ConnectionTrait,
    target: &str,
    limit: u64,
) -> Result<Vec<audit::Model>, DbErr> {
    audit::Entity::find()
        .filter(audit::Column::Target.eq(target))
        .filter(
            audit::Column::Action
                .is_not_in([Action::NoteIncident, Action::RefusePress].map(Action::as_str)),
        )
        .order_by_desc(audit::Column::Id)
        .limit(limit)
        .all(db)
        .await
}

/// What people did of these kinds to `target`, newest first.
pub async fn entries_of(
    db: &impl ConnectionTrait,
    target: &str,
    actions: &[Action],
    limit: u64,
) -> Result<Vec<audit::Model>, DbErr> {
    audit::Entity::find()
        .filter(audit::Column::Target.eq(target))
        .filter(audit::Column::Action.is_in(actions.iter().map(|action| action.as_str())))
        .order_by_desc(audit::Column::Id)
        .limit(limit)
        .all(db)
        .await
}

/// The repairs of an anomaly, newest first.
pub async fn repairs(
    db: &impl ConnectionTrait,
    anomaly: &str,
    limit: u64,
) -> Result<Vec<repairs::Model>, DbErr> {
    repairs::Entity::find()
        .filter(repairs::Column::AnomalyKey.eq(anomaly))
        .order_by_desc(repairs::Column::RepairedAt)
        .order_by_desc(repairs::Column::Id)
        .limit(limit)
        .all(db)
        .await
}

/// The repairs of these anomalies since `since`, newest first.
pub async fn repairs_of(
    db: &impl ConnectionTrait,
    anomalies: &[String],
    since: Timestamp,
    limit: u64,
) -> Result<Vec<repairs::Model>, DbErr> {
    let rows = Rows::new().text("key", anomalies.iter().cloned());
    let sql = format!(
        "SELECT {} FROM {{rows}} JOIN repairs p ON p.anomaly_key = r.key AND p.repaired_at >= $1 \
         ORDER BY p.repaired_at DESC, p.id DESC LIMIT $2",
        columns::<repairs::Entity>("p")
    );
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let values = [Value::from(since.0), Value::from(limit)];
    let sql = rows.statement(db.get_database_backend(), &sql, values);
    let found = db.query_all_raw(sql).await?;
    let repair = |row: &QueryResult| repairs::Model::from_query_result(row, "");
    found.iter().map(repair).collect()
}

/// Which repairs to list. Nothing set: all.
#[derive(Clone, Debug, Default)]
pub struct RepairFilter {
    /// On this anomaly.
    pub anomaly: Option<String>,
    /// This was done.
    pub action: Option<String>,
    /// Whether it helped, by the report: of those that are finished.
    pub success: Option<bool>,
    /// With this verdict.
    pub verdict: Option<Verdict>,
}

/// Where a page of repairs ended. An id may be made of an idempotency key, and has no time in it.
pub type RepairPosition = (Timestamp, Uuid);

/// Repairs, newest first; `before` is what the last page ended with.
pub async fn newest_repairs(
    db: &impl ConnectionTrait,
    filter: &RepairFilter,
    before: Option<RepairPosition>,
    limit: u64,
) -> Result<Vec<repairs::Model>, DbErr> {
    use repairs::Column;
    let earlier = before.map(|(at, id)| {
        let same = Condition::all()
            .add(Column::RepairedAt.eq(at))
            .add(Column::Id.lt(id));
        // Said twice, so that the index finds where to begin.
        Condition::all()
            .add(Column::RepairedAt.lte(at))
            .add(Condition::any().add(Column::RepairedAt.lt(at)).add(same))
    });
    let of = Condition::all()
        .add_option(
            filter
                .anomaly
                .as_ref()
                .map(|key| Column::AnomalyKey.eq(key)),
        )
        .add_option(
            filter
                .action
                .as_ref()
                // Older rows have it as it was written.
                .map(|action| Column::Action.is_in([action.clone(), action_name(action)])),
        )
        .add_option(filter.success.map(|success| Column::Success.eq(success)))
        .add_option(filter.success.map(|_| Column::Unfinished.eq(false)))
        .add_option(filter.verdict.map(|verdict| Column::Verdict.eq(verdict)))
        .add_option(earlier);
    repairs::Entity::find()
        .filter(of)
        .order_by_desc(Column::RepairedAt)
        .order_by_desc(Column::Id)
        .limit(limit)
        .all(db)
        .await
}

/// The incidents of an anomaly, newest first.
pub async fn incidents(
    db: &impl ConnectionTrait,
    anomaly: &str,
    limit: u64,
) -> Result<Vec<incidents::Model>, DbErr> {
    incidents::Entity::find()
        .filter(incidents::Column::AnomalyKey.eq(anomaly))
        .order_by_desc(incidents::Column::Number)
        .limit(limit)
        .all(db)
        .await
}
