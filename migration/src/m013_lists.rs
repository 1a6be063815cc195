//! Lists that people look at all day: what is not resolved by age, and repairs by their time.

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
                "CREATE INDEX incidents_unresolved_by_id ON incidents (id)
                    WHERE status <> 'RESOLVED'",
                "CREATE INDEX repairs_newest ON repairs (repaired_at, id)",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl(
            manager,
            &[
                "DROP INDEX repairs_newest",
                "DROP INDEX incidents_unresolved_by_id",
            ],
        )
        .await
    }
}
