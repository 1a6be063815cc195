//! Deliveries by source and hour.

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
            // An hour is a number since 1970.
            &["CREATE TABLE source_tallies (
                    source text NOT NULL,
                    hour bigint NOT NULL,
                    alerts bigint NOT NULL,
                    rejected bigint NOT NULL,
                    tests bigint NOT NULL,
                    unused bigint NOT NULL,
                    refused bigint NOT NULL,
                    delivered_at bigint,
                    error text,
                    error_at bigint,
                    confirm_url text,
                    confirm_at bigint,
                    PRIMARY KEY (source, hour)
                )"],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl(manager, &["DROP TABLE source_tallies"]).await
    }
}
