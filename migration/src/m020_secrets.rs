//! Secrets that an installation made for itself.

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
            &["CREATE TABLE secrets (
                    name text PRIMARY KEY NOT NULL,
                    value {bytes} NOT NULL
                )"],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl(manager, &["DROP TABLE secrets"]).await
    }
}
