//! One row per notification, which makes each go out once.

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
                "CREATE TABLE notifications (
                    id {uuid} PRIMARY KEY NOT NULL,
                    incident_id {uuid} NOT NULL,
                    kind text NOT NULL,
                    sequence bigint NOT NULL,
                    channel text NOT NULL,
                    state text NOT NULL,
                    owed_since bigint NOT NULL,
                    body text,
                    claimed_by {uuid},
                    claimed_until bigint,
                    attempts bigint NOT NULL DEFAULT 0,
                    error text,
                    message_id text,
                    sent_at bigint
                )",
                "CREATE UNIQUE INDEX notifications_once
                    ON notifications (incident_id, kind, sequence, channel)",
                "CREATE INDEX notifications_owed ON notifications (owed_since)
                    WHERE state IN ('owed', 'sending')",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl(manager, &["DROP TABLE notifications"]).await
    }
}
