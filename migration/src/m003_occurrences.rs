//! One row per episode (and, when deliveries are counted, one more per delivery).

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
                "CREATE TABLE occurrences (
                    id {uuid} PRIMARY KEY NOT NULL,
                    counted_id {uuid},
                    episode {uuid} NOT NULL,
                    anomaly_key text NOT NULL,
                    incident_id {uuid},
                    source text NOT NULL,
                    fingerprint text NOT NULL,
                    series bigint,
                    starts_at bigint NOT NULL,
                    ended_at bigint,
                    occurred_at bigint NOT NULL,
                    last_seen_at bigint NOT NULL,
                    deliveries bigint NOT NULL,
                    labels {json} NOT NULL
                )",
                "CREATE UNIQUE INDEX occurrences_counted ON occurrences (counted_id)",
                "CREATE INDEX occurrences_series ON occurrences (series, starts_at)
                    WHERE series IS NOT NULL",
                "CREATE INDEX occurrences_anomaly ON occurrences (anomaly_key, occurred_at)",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl(manager, &["DROP TABLE occurrences"]).await
    }
}
