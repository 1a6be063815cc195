//! Incidents that continue on the card of the one before, and anomalies that flap.

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
                "ALTER TABLE notifications ADD COLUMN suppressed_by text",
                "ALTER TABLE notifications ADD COLUMN card_id {uuid}",
                "ALTER TABLE notifications ADD COLUMN card_number bigint",
                "ALTER TABLE notifications ADD COLUMN shows_id {uuid}",
                "ALTER TABLE anomalies ADD COLUMN flapping_since bigint",
                "CREATE INDEX anomalies_flapping ON anomalies (key)
                    WHERE flapping_since IS NOT NULL",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl(
            manager,
            &[
                // An older version knows no such messages.
                "DELETE FROM notifications WHERE kind IN ('flapping', 'steady')",
                "DROP INDEX anomalies_flapping",
                "ALTER TABLE anomalies DROP COLUMN flapping_since",
                "ALTER TABLE notifications DROP COLUMN shows_id",
                "ALTER TABLE notifications DROP COLUMN card_number",
                "ALTER TABLE notifications DROP COLUMN card_id",
                "ALTER TABLE notifications DROP COLUMN suppressed_by",
            ],
        )
        .await
    }
}
