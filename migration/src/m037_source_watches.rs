//! What each source left out, what it said to be over, and what expired, in each hour.

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
                "ALTER TABLE source_tallies ADD COLUMN truncated bigint NOT NULL DEFAULT 0",
                "ALTER TABLE source_tallies ADD COLUMN resolved bigint NOT NULL DEFAULT 0",
                "ALTER TABLE source_tallies ADD COLUMN expired bigint NOT NULL DEFAULT 0",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl(
            manager,
            &[
                "ALTER TABLE source_tallies DROP COLUMN expired",
                "ALTER TABLE source_tallies DROP COLUMN resolved",
                "ALTER TABLE source_tallies DROP COLUMN truncated",
            ],
        )
        .await
    }
}
