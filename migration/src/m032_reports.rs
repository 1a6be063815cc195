//! Reports that were sent, and what they are made from.

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
                // The figures of a report are those of its moment: each channel shows the same.
                "CREATE TABLE reports (
                    due_at bigint PRIMARY KEY NOT NULL,
                    content text NOT NULL
                )",
                "CREATE INDEX anomalies_first_seen ON anomalies (first_seen)",
                "CREATE INDEX anomalies_fixed ON anomalies (permanent_fix_at)
                    WHERE permanent_fix_at IS NOT NULL",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl(
            manager,
            &[
                "DROP INDEX anomalies_fixed",
                "DROP INDEX anomalies_first_seen",
                "DROP TABLE reports",
                // The version before does not know this kind of message.
                "DELETE FROM notifications WHERE kind = 'report'",
            ],
        )
        .await
    }
}
