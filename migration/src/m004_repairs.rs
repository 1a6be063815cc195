//! Repairs, and the figures of actions.

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
                "CREATE TABLE repairs (
                    id {uuid} PRIMARY KEY NOT NULL,
                    incident_id {uuid} NOT NULL,
                    anomaly_key text NOT NULL,
                    action text NOT NULL,
                    success boolean NOT NULL,
                    operator text,
                    note text,
                    duration_ms bigint,
                    repaired_at bigint NOT NULL
                )",
                "CREATE INDEX repairs_anomaly ON repairs (anomaly_key, repaired_at)",
                "CREATE TABLE effectiveness (
                    anomaly_key text NOT NULL,
                    action text NOT NULL,
                    attempts bigint NOT NULL,
                    successes bigint NOT NULL,
                    last_success boolean NOT NULL,
                    last_at bigint NOT NULL,
                    PRIMARY KEY (anomaly_key, action)
                )",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl(manager, &["DROP TABLE effectiveness", "DROP TABLE repairs"]).await
    }
}
