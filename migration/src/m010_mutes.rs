//! Mutes: until when an anomaly is muted, since when, by whom and why; and when its level
//! last rose, which says whether a pending message is the one about that rise.

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
                "ALTER TABLE anomalies ADD COLUMN risen_at bigint",
                "ALTER TABLE anomalies ADD COLUMN muted_since bigint",
                "ALTER TABLE anomalies ADD COLUMN muted_until bigint",
                "ALTER TABLE anomalies ADD COLUMN muted_by text",
                "ALTER TABLE anomalies ADD COLUMN muted_why text",
                // Few are muted: what is not costs nothing when it is counted.
                "CREATE INDEX anomalies_muted ON anomalies (muted_until)
                    WHERE muted_until IS NOT NULL",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl(
            manager,
            &[
                "DROP INDEX anomalies_muted",
                // Older versions do not know that state, and none of these is to be sent.
                "UPDATE notifications SET state = 'given up', error = 'muted' WHERE state = 'muted'",
                "ALTER TABLE anomalies DROP COLUMN muted_why",
                "ALTER TABLE anomalies DROP COLUMN muted_by",
                "ALTER TABLE anomalies DROP COLUMN muted_until",
                "ALTER TABLE anomalies DROP COLUMN muted_since",
                "ALTER TABLE anomalies DROP COLUMN risen_at",
            ],
        )
        .await
    }
}
