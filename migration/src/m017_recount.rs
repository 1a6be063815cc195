//! Marks of recount and the queue, tallies of an anomaly's windows as of a moment, and indexes of
//! what is found by its state or its time among rows that are kept for long.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use crate::{WHOLE, ddl};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        WHOLE
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if manager.get_database_backend() == DbBackend::Postgres {
            // What changes with every batch is to find room beside it, so that no index has to change.
            ddl(
                manager,
                &[
                    "ALTER TABLE incidents SET (fillfactor = 50)",
                    "ALTER TABLE anomalies SET (fillfactor = 50)",
                ],
            )
            .await?;
        }
        ddl(
            manager,
            &[
                "ALTER TABLE jobs ADD COLUMN put_off boolean NOT NULL DEFAULT FALSE",
                "CREATE TABLE marks (
                    name text PRIMARY KEY NOT NULL,
                    at bigint NOT NULL,
                    upto bigint,
                    place text NOT NULL DEFAULT ''
                )",
                // What the windows that ended at `counted_as_of` hold, if as many are counted in all
                // as `counted_total` says.
                "ALTER TABLE anomalies ADD COLUMN counted_as_of bigint",
                "ALTER TABLE anomalies ADD COLUMN counted_total bigint NOT NULL DEFAULT 0",
                "ALTER TABLE anomalies ADD COLUMN count_1h bigint NOT NULL DEFAULT 0",
                "ALTER TABLE anomalies ADD COLUMN count_24h bigint NOT NULL DEFAULT 0",
                "ALTER TABLE anomalies ADD COLUMN count_7d bigint NOT NULL DEFAULT 0",
                "ALTER TABLE anomalies ADD COLUMN count_30d bigint NOT NULL DEFAULT 0",
                // When a batch last changed something about the anomaly, by the store's clock.
                "ALTER TABLE anomalies ADD COLUMN changed_at bigint",
                // And when one last did that was received much earlier.
                "ALTER TABLE anomalies ADD COLUMN late_at bigint",
                // It changed with every mark that was set and taken off.
                "DROP INDEX incidents_tier_due",
                "CREATE INDEX incidents_resolved ON incidents (resolved_at)
                    WHERE status = 'RESOLVED'",
                "CREATE INDEX occurrences_occurred ON occurrences (occurred_at)",
                "CREATE INDEX notifications_waiting ON notifications (channel, owed_since)
                    WHERE state IN ('owed', 'sending')",
                "CREATE INDEX notifications_edits_of ON notifications (channel, edit_due_since)
                    WHERE edit_due_since IS NOT NULL",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if manager.get_database_backend() == DbBackend::Postgres {
            ddl(
                manager,
                &[
                    "ALTER TABLE anomalies RESET (fillfactor)",
                    "ALTER TABLE incidents RESET (fillfactor)",
                ],
            )
            .await?;
        }
        ddl(
            manager,
            &[
                "DROP INDEX notifications_edits_of",
                "DROP INDEX notifications_waiting",
                "DROP INDEX occurrences_occurred",
                "DROP INDEX incidents_resolved",
                "CREATE INDEX incidents_tier_due ON incidents (tier_due_since)
                    WHERE tier_due_since IS NOT NULL",
                "ALTER TABLE anomalies DROP COLUMN late_at",
                "ALTER TABLE anomalies DROP COLUMN changed_at",
                "ALTER TABLE anomalies DROP COLUMN count_30d",
                "ALTER TABLE anomalies DROP COLUMN count_7d",
                "ALTER TABLE anomalies DROP COLUMN count_24h",
                "ALTER TABLE anomalies DROP COLUMN count_1h",
                "ALTER TABLE anomalies DROP COLUMN counted_total",
                "ALTER TABLE anomalies DROP COLUMN counted_as_of",
                "DROP TABLE marks",
                "ALTER TABLE jobs DROP COLUMN put_off",
            ],
        )
        .await
    }
}
