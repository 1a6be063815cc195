//! Requests that carry an idempotency key, and what they were answered.

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
                "CREATE TABLE requests (
                    id {uuid} PRIMARY KEY NOT NULL,
                    digest text NOT NULL,
                    claimed_until bigint NOT NULL,
                    status bigint,
                    kind text,
                    answer {bytes},
                    at bigint NOT NULL
                )",
                "CREATE INDEX requests_at ON requests (at)",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl(manager, &["DROP TABLE requests"]).await
    }
}
