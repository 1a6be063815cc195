//! Columns for leases: how long one is, until when it holds, and when a source without leases sent the
//! same firing.

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
                "ALTER TABLE occurrences ADD COLUMN lease_ms bigint",
                "ALTER TABLE occurrences ADD COLUMN lease_until bigint",
                "ALTER TABLE occurrences ADD COLUMN unleased_at bigint",
                // Those of an incident that is too young to be stale otherwise.
                "CREATE INDEX occurrences_leased ON occurrences (incident_id)
                    WHERE ended_at IS NULL AND series IS NOT NULL AND lease_ms IS NOT NULL",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl(
            manager,
            &[
                "DROP INDEX occurrences_leased",
                "ALTER TABLE occurrences DROP COLUMN unleased_at",
                "ALTER TABLE occurrences DROP COLUMN lease_until",
                "ALTER TABLE occurrences DROP COLUMN lease_ms",
            ],
        )
        .await
    }
}
