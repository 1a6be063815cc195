//! Canaries: the synthetic alerts that go the way of an alert, and how far each came.

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
                "CREATE TABLE canaries (
                    id {uuid} PRIMARY KEY,
                    source text NOT NULL,
                    made_by text NOT NULL,
                    channel text,
                    created_at bigint NOT NULL,
                    expires_at bigint NOT NULL,
                    received_at bigint,
                    taken_at bigint,
                    entered_at bigint,
                    tiered_at bigint,
                    told_at bigint,
                    end_received_at bigint,
                    resolved_at bigint,
                    alert text,
                    level text,
                    tier bigint,
                    channels text,
                    sent text,
                    failed_link text,
                    error text
                )",
                "CREATE INDEX canaries_by_maker ON canaries (made_by, created_at)",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl(manager, &["DROP TABLE canaries"]).await
    }
}
