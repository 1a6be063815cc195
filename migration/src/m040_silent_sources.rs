//! When sources were silent, and restarts counted by action.

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
                "CREATE TABLE silent_sources (
                    id text PRIMARY KEY NOT NULL,
                    watch text NOT NULL,
                    source text NOT NULL,
                    labels text NOT NULL,
                    began_at bigint NOT NULL,
                    ended_at bigint,
                    doubted boolean NOT NULL DEFAULT false
                )",
                // Which actions are restarts is a setting.
                "DROP INDEX repairs_restarts",
                "CREATE INDEX repairs_restarts ON repairs (anomaly_key, action, repaired_at)",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl(
            manager,
            &[
                "DROP INDEX repairs_restarts",
                "CREATE INDEX repairs_restarts ON repairs (anomaly_key, repaired_at)
                    WHERE action IN ('restart_pod', 'restart_container')",
                "DROP TABLE silent_sources",
            ],
        )
        .await
    }
}
