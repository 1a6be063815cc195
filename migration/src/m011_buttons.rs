//! Buttons: which presses were done, and who asks Telegram for them, from which on.

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
                // What Telegram calls the press: it is sent again until it was answered for.
                "CREATE TABLE presses (
                    id text PRIMARY KEY NOT NULL,
                    at bigint NOT NULL,
                    answer text NOT NULL,
                    is_alert boolean NOT NULL
                )",
                "CREATE INDEX presses_at ON presses (at)",
                "CREATE TABLE pollers (
                    bot text PRIMARY KEY NOT NULL,
                    held_by {uuid} NOT NULL,
                    held_until bigint NOT NULL,
                    next_update bigint NOT NULL DEFAULT 0
                )",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl(manager, &["DROP TABLE pollers", "DROP TABLE presses"]).await
    }
}
