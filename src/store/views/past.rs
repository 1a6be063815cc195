//! Repairs of the last incidents of an anomaly.

use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
};

use crate::entity::{incidents, repairs};

/// Incidents that are looked back at.
const INCIDENTS: u64 = 3;
/// Repairs of the anomaly among which theirs are.
const REPAIRS: u64 = 100;

/// An earlier incident, and what was tried on it, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// The incident.
    pub incident: incidents::Model,
    /// The repairs.
    pub repairs: Vec<repairs::Model>,
}

/// The last incidents of the anomaly before this one, the newest first.
pub async fn before(
    db: &impl ConnectionTrait,
    incident: &incidents::Model,
) -> Result<Vec<Past>, DbErr> {
    let found = incidents::Entity::find()
        .filter(incidents::Column::AnomalyKey.eq(&incident.anomaly_key))
        .filter(incidents::Column::Number.lt(incident.number))
        .order_by_desc(incidents::Column::Number)
        .limit(INCIDENTS)
        .all(db)
        .await?;
    let Some(oldest) = found.last().map(|incident| incident.opened_at) else {
        return Ok(Vec::new());
    };
    let ids: Vec<_> = found.iter().map(|incident| incident.id).collect();
    let mut repairs = repairs::Entity::find()
        .filter(repairs::Column::AnomalyKey.eq(&incident.anomaly_key))
        .filter(repairs::Column::RepairedAt.gte(oldest))
        .filter(repairs::Column::IncidentId.is_in(ids))
        .order_by_asc(repairs::Column::RepairedAt)
        .limit(REPAIRS)
        .all(db)
        .await?;
    let past = found.into_iter().map(|incident| {
        let (its, others) = repairs
            .drain(..)
            .partition(|r| r.incident_id == incident.id);
        repairs = others;
        Past {
            incident,
            repairs: its,
        }
    });
    Ok(past.collect())
}
