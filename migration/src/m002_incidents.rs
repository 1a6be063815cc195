//! Incidents: notified, acknowledged, repaired and resolved.

use sea_orm_migration::prelude::*;

use crate::{WHOLE, ddl};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        WHOLE
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl(
            manager,
            &[
                "CREATE TABLE incidents (
                    id {uuid} PRIMARY KEY NOT NULL,
                    anomaly_key text NOT NULL,
                    number bigint NOT NULL,
                    title text NOT NULL,
                    severity text NOT NULL,
                    status text NOT NULL,
                    resolved_by text,
                    operator text,
                    labels {json} NOT NULL,
                    annotations {json} NOT NULL,
                    source text NOT NULL,
                    generator_url text,
                    tier integer,
                    tier_reason text,
                    frequency_stats {json},
                    repair_stats {json},
                    is_aggregated boolean NOT NULL DEFAULT FALSE,
                    aggregated_count bigint NOT NULL,
                    aggregation_window_start bigint NOT NULL,
                    open_episodes bigint NOT NULL,
                    last_firing_at bigint NOT NULL,
                    reopened bigint NOT NULL DEFAULT 0,
                    tier_due_since bigint,
                    analysis text,
                    opened_at bigint NOT NULL,
                    updated_at bigint NOT NULL,
                    acknowledged_at bigint,
                    resolved_at bigint
                )",
                "CREATE UNIQUE INDEX incidents_number ON incidents (anomaly_key, number)",
                "CREATE INDEX incidents_unresolved ON incidents (anomaly_key)
                    WHERE status <> 'RESOLVED'",
                "CREATE INDEX incidents_tier_due ON incidents (tier_due_since)
                    WHERE tier_due_since IS NOT NULL",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl(manager, &["DROP TABLE incidents"]).await
    }
}
