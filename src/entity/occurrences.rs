//! One episode; or one delivery, where deliveries are counted.

use sea_orm::entity::prelude::*;

use crate::domain::episode::EndedBy;
use crate::time::Timestamp;

/// One firing; or one delivery, where deliveries are counted.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, serde::Serialize, utoipa::ToSchema)]
#[sea_orm(table_name = "occurrences")]
#[schema(as = Occurrence)]
pub struct Model {
    /// ID of the firing, or of the job.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The id that is counted; null if this row does not count.
    pub counted_id: Option<Uuid>,
    /// Its firing.
    pub episode: Uuid,
    /// Its anomaly.
    pub anomaly_key: String,
    /// Its incident.
    pub incident_id: Option<Uuid>,
    /// Where it came from.
    pub source: String,
    /// The source's name for the series.
    pub fingerprint: String,
    /// The series; null for a delivery.
    #[serde(skip)]
    pub series: Option<i64>,
    /// When it began, by the sender's clock.
    pub starts_at: Timestamp,
    /// When it ended, by the sender's clock.
    pub ended_at: Option<Timestamp>,
    /// When its end was last received, by the ingress' clock.
    pub end_received_at: Option<Timestamp>,
    /// How it is known that it ended.
    pub ended_by: Option<EndedBy>,
    /// When it was first received, by the ingress' clock.
    pub occurred_at: Timestamp,
    /// When it was last received, by the ingress' clock.
    pub last_seen_at: Timestamp,
    /// Number of deliveries. Informative: may be too high after a crash, and where a source repeats what fires by the
    /// minute, those that changed nothing are not in it.
    pub deliveries: i64,
    /// How long the lease is that its source gives it, in milliseconds.
    #[serde(skip)]
    pub lease_ms: Option<i64>,
    /// Until when it holds by what its source last said; null if its source does not say that.
    pub lease_until: Option<Timestamp>,
    /// When a source without leases last sent it, if others give it leases.
    #[serde(skip)]
    pub unleased_at: Option<Timestamp>,
    /// The series' labels.
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    pub labels: Json,
}

/// No relation is followed through the entities.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
