//! Cards that are edited in place, and what the workers share about each channel: its budget, its
//! pause, its storm.

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
                "ALTER TABLE notifications ADD COLUMN edit_seq bigint NOT NULL DEFAULT 0",
                "ALTER TABLE notifications ADD COLUMN shown_seq bigint NOT NULL DEFAULT 0",
                "ALTER TABLE notifications ADD COLUMN edit_due_since bigint",
                "ALTER TABLE notifications ADD COLUMN shown text",
                "ALTER TABLE notifications ADD COLUMN edits_ended text",
                "ALTER TABLE notifications ADD COLUMN digest_id {uuid}",
                "CREATE INDEX notifications_edits ON notifications (edit_due_since)
                    WHERE edit_due_since IS NOT NULL",
                "CREATE INDEX notifications_digested ON notifications (digest_id)
                    WHERE digest_id IS NOT NULL",
                "CREATE INDEX notifications_lately ON notifications (channel, owed_since)",
                "CREATE TABLE channels (
                    channel text PRIMARY KEY NOT NULL,
                    second_tat bigint NOT NULL DEFAULT 0,
                    minute_tat bigint NOT NULL DEFAULT 0,
                    edit_tat bigint NOT NULL DEFAULT 0,
                    paused_until bigint NOT NULL DEFAULT 0,
                    storm_since bigint,
                    digest_id {uuid},
                    digests bigint NOT NULL DEFAULT 0
                )",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl(
            manager,
            &[
                "DROP TABLE channels",
                "DROP INDEX notifications_lately",
                "DROP INDEX notifications_digested",
                "DROP INDEX notifications_edits",
                // The version before knows neither these states nor these kinds.
                "DELETE FROM notifications WHERE state IN ('digested', 'muted')
                    OR kind IN ('digest', 'resolved', 'repeated')",
                "ALTER TABLE notifications DROP COLUMN digest_id",
                "ALTER TABLE notifications DROP COLUMN edits_ended",
                "ALTER TABLE notifications DROP COLUMN shown",
                "ALTER TABLE notifications DROP COLUMN edit_due_since",
                "ALTER TABLE notifications DROP COLUMN shown_seq",
                "ALTER TABLE notifications DROP COLUMN edit_seq",
            ],
        )
        .await
    }
}
