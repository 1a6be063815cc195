//! Pages of incidents, anomalies and occurrences, newest first.

mod filter;

use std::collections::HashMap;

use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect,
};
use uuid::Uuid;

use crate::entity::{anomalies, incidents, occurrences};
use crate::time::Timestamp;
pub use filter::Filter;
pub(super) use filter::of_incident;

/// The ids of incidents, newest first; `before` is the id that the last page ended with.
pub async fn incident_ids(
    db: &impl ConnectionTrait,
    filter: &Filter,
    before: Option<Uuid>,
    limit: u64,
) -> Result<Vec<Uuid>, DbErr> {
    use incidents::Column;
    incidents::Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(of_incident(filter, db.get_database_backend()))
        .filter(Condition::all().add_option(before.map(|id| Column::Id.lt(id))))
        .order_by_desc(Column::Id)
        .limit(limit)
        .into_tuple()
        .all(db)
        .await
}

/// How many incidents there are.
pub async fn count_incidents(db: &impl ConnectionTrait, filter: &Filter) -> Result<u64, DbErr> {
    incidents::Entity::find()
        .filter(of_incident(filter, db.get_database_backend()))
        .count(db)
        .await
}

/// One incident and its anomaly.
pub async fn incident(
    db: &impl ConnectionTrait,
    id: Uuid,
) -> Result<Option<(incidents::Model, anomalies::Model)>, DbErr> {
    let incident = incidents::Entity::find_by_id(id).all(db).await?;
    Ok(with_anomalies(db, incident).await?.pop())
}

/// These incidents and their anomalies, newest first.
pub async fn incidents_of(
    db: &impl ConnectionTrait,
    ids: impl IntoIterator<Item = Uuid>,
) -> Result<Vec<(incidents::Model, anomalies::Model)>, DbErr> {
    use incidents::Column;
    let found = incidents::Entity::find()
        .filter(Column::Id.is_in(ids))
        .order_by_desc(Column::Id)
        .all(db)
        .await?;
    with_anomalies(db, found).await
}

pub(super) async fn with_anomalies(
    db: &impl ConnectionTrait,
    page: Vec<incidents::Model>,
) -> Result<Vec<(incidents::Model, anomalies::Model)>, DbErr> {
    let keys = page.iter().map(|incident| incident.anomaly_key.clone());
    let by_key = anomalies_of(db, keys).await?;
    let pair = |incident: incidents::Model| {
        let anomaly = by_key.get(&incident.anomaly_key)?.clone();
        Some((incident, anomaly))
    };
    Ok(page.into_iter().filter_map(pair).collect())
}

/// The anomalies with these keys.
pub async fn anomalies_of(
    db: &impl ConnectionTrait,
    keys: impl Iterator<Item = String>,
) -> Result<HashMap<String, anomalies::Model>, DbErr> {
    let found = anomalies::Entity::find()
        .filter(anomalies::Column::Key.is_in(keys))
        .all(db)
        .await?;
    let by_key = found
        .into_iter()
        .map(|anomaly| (anomaly.key.clone(), anomaly));
    Ok(by_key.collect())
}

/// An incident's occurrences, newest first; `before` is the id that the last page ended with.
pub async fn occurrences(
    db: &impl ConnectionTrait,
    incident: &incidents::Model,
    before: Option<Uuid>,
    limit: u64,
) -> Result<Vec<occurrences::Model>, DbErr> {
    use occurrences::Column;
    occurrences::Entity::find()
        .filter(Column::AnomalyKey.eq(&incident.anomaly_key))
        .filter(Column::IncidentId.eq(incident.id))
        .filter(Condition::all().add_option(before.map(|id| Column::Id.lt(id))))
        .order_by_desc(Column::Id)
        .limit(limit)
        .all(db)
        .await
}

/// Anomalies, last seen first; `before` is what the last page ended with.
pub async fn anomalies(
    db: &impl ConnectionTrait,
    filter: &Filter,
    before: Option<(Timestamp, String)>,
    limit: u64,
) -> Result<Vec<anomalies::Model>, DbErr> {
    use anomalies::Column;
    let earlier = before.map(|(seen, key)| {
        let same = Condition::all()
            .add(Column::LastSeen.eq(seen))
            .add(Column::Key.gt(key));
        Condition::any().add(Column::LastSeen.lt(seen)).add(same)
    });
    let backend = db.get_database_backend();
    let text = filter.text.as_deref();
    let text = text.map(|text| Filter::text_in_anomaly(text, backend));
    anomalies::Entity::find()
        .filter(Column::LastSeen.is_not_null())
        .filter(filter.of_anomaly())
        .filter(Condition::all().add_option(text))
        .filter(Condition::all().add_option(earlier))
        .order_by_desc(Column::LastSeen)
        .order_by_asc(Column::Key)
        .limit(limit)
        .all(db)
        .await
}

/// One anomaly.
pub async fn anomaly(
    db: &impl ConnectionTrait,
    key: &str,
) -> Result<Option<anomalies::Model>, DbErr> {
    // No key has a NUL, and PostgreSQL would refuse to look for one.
    if key.contains('\0') {
        return Ok(None);
    }
    anomalies::Entity::find_by_id(key).one(db).await
}
