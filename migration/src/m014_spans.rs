//! Columns for a firing's span: who ended an episode and when that was heard, incidents that opened
//! again or are not heard of any more, severities that rose.

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
                "ALTER TABLE occurrences ADD COLUMN end_received_at bigint",
                "ALTER TABLE occurrences ADD COLUMN ended_by text",
                // A start that was ahead by hours kept what came later from opening anything.
                "UPDATE occurrences SET starts_at = occurred_at,
                    ended_at = CASE WHEN ended_at > last_seen_at THEN last_seen_at ELSE ended_at END
                    WHERE series IS NOT NULL AND starts_at > occurred_at + 60000",
                "CREATE INDEX occurrences_open ON occurrences (incident_id)
                    WHERE ended_at IS NULL AND series IS NOT NULL",
                "ALTER TABLE incidents ADD COLUMN severity_rises bigint NOT NULL DEFAULT 0",
                "ALTER TABLE incidents ADD COLUMN doubted_since bigint",
                "ALTER TABLE incidents ADD COLUMN unheard_since bigint",
                "CREATE INDEX incidents_doubted ON incidents (doubted_since)
                    WHERE doubted_since IS NOT NULL",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl(
            manager,
            &[
                "DROP INDEX incidents_doubted",
                // The version before knows neither this resolver nor this kind of message.
                "UPDATE incidents SET resolved_by = 'itself' WHERE resolved_by = 'unseen'",
                "DELETE FROM notifications WHERE kind = 'worsened'",
                "ALTER TABLE incidents DROP COLUMN unheard_since",
                "ALTER TABLE incidents DROP COLUMN doubted_since",
                "ALTER TABLE incidents DROP COLUMN severity_rises",
                "DROP INDEX occurrences_open",
                "ALTER TABLE occurrences DROP COLUMN ended_by",
                "ALTER TABLE occurrences DROP COLUMN end_received_at",
            ],
        )
        .await
    }
}
