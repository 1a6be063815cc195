//! Which labels made an anomaly's signature, and which sources there are, with their clusters.

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
                "ALTER TABLE anomalies ADD COLUMN made_of {json}",
                "CREATE INDEX incidents_source ON incidents (source)",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl(
            manager,
            &[
                "DROP INDEX incidents_source",
                "ALTER TABLE anomalies DROP COLUMN made_of",
            ],
        )
        .await
    }
}
