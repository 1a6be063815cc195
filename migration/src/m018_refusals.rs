//! Deliveries that were refused: what of each kind came last, and how many there were.

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
            &["CREATE TABLE refusals (
                    source text NOT NULL,
                    reason text NOT NULL,
                    deliveries bigint NOT NULL,
                    first_at bigint NOT NULL,
                    last_at bigint NOT NULL,
                    status bigint NOT NULL,
                    client text NOT NULL,
                    request_id text NOT NULL,
                    detail text NOT NULL,
                    body text,
                    body_at bigint,
                    PRIMARY KEY (source, reason)
                )"],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl(manager, &["DROP TABLE refusals"]).await
    }
}
