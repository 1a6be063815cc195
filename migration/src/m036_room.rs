//! Room in the pages of PostgreSQL for what is updated often, so that no index has to change.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use crate::{WHOLE, ddl};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        WHOLE
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        set(manager, (25, 30)).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        set(manager, (50, 50)).await
    }
}

/// Pages are filled up to this percentage by what is new. What is in them already stays there until it is updated.
async fn set(manager: &SchemaManager<'_>, (anomalies, incidents): (u8, u8)) -> Result<(), DbErr> {
    if manager.get_database_backend() != DbBackend::Postgres {
        return Ok(());
    }
    let fill = |table, percent| format!("ALTER TABLE {table} SET (fillfactor = {percent})");
    let (anomalies, incidents) = (fill("anomalies", anomalies), fill("incidents", incidents));
    ddl(manager, &[&anomalies, &incidents]).await
}
