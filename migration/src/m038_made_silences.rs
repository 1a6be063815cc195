//! Silences that Tocsin makes in Alertmanager for mutes.

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
            &["CREATE TABLE made_silences (
                    anomaly_key text PRIMARY KEY NOT NULL,
                    silence_id text NOT NULL,
                    ends_at bigint NOT NULL
                )"],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl(
            manager,
            &[
                "DROP TABLE made_silences",
                // The version before does not know this kind of message, nor these reasons.
                "DELETE FROM notifications WHERE kind = 'playbook'",
                "UPDATE executions SET reason = NULL WHERE reason IN ('muted', 'acknowledged')",
            ],
        )
        .await
    }
}
