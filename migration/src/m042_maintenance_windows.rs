//! Maintenance windows.

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
            &["CREATE TABLE maintenance_windows (
                id {uuid} PRIMARY KEY NOT NULL,
                reason text NOT NULL,
                matchers {json} NOT NULL,
                starts_at bigint NOT NULL,
                ends_at bigint,
                weekly {json},
                created_by text,
                created_at bigint NOT NULL,
                ended_at bigint
            )"],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // An older version knows mutes alone.
        let suppressed =
            "UPDATE notifications SET suppressed_by = 'mute' WHERE suppressed_by = 'maintenance'";
        ddl(manager, &[suppressed, "DROP TABLE maintenance_windows"]).await
    }
}
