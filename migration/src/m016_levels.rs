//! Columns for levels: when an incident was last joined, since when a level's rule has not held, which
//! rise broke a mute, and restarts that are found without reading other repairs.

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
                "ALTER TABLE incidents ADD COLUMN joined_at bigint",
                // The same incidents, and the newest of an anomaly without a sort.
                "DROP INDEX IF EXISTS incidents_unresolved",
                "CREATE INDEX incidents_unresolved ON incidents (anomaly_key, number)
                    WHERE status <> 'RESOLVED'",
                "ALTER TABLE anomalies ADD COLUMN falling_since bigint",
                "ALTER TABLE anomalies ADD COLUMN mute_broken_at bigint",
                "CREATE INDEX repairs_restarts ON repairs (anomaly_key, repaired_at)
                    WHERE action IN ('restart_pod', 'restart_container')",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl(
            manager,
            &[
                "DROP INDEX repairs_restarts",
                "ALTER TABLE anomalies DROP COLUMN mute_broken_at",
                "ALTER TABLE anomalies DROP COLUMN falling_since",
                "DROP INDEX incidents_unresolved",
                "CREATE INDEX incidents_unresolved ON incidents (anomaly_key)
                    WHERE status <> 'RESOLVED'",
                "ALTER TABLE incidents DROP COLUMN joined_at",
            ],
        )
        .await
    }
}
