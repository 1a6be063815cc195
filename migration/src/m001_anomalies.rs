//! One row per signature, and the lock that everything about it is written under.

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
            &["CREATE TABLE anomalies (
                    key text PRIMARY KEY NOT NULL,
                    alert_name text NOT NULL,
                    service text NOT NULL,
                    namespace text NOT NULL,
                    error_type text NOT NULL,
                    first_seen bigint,
                    last_seen bigint,
                    total bigint NOT NULL DEFAULT 0,
                    level text NOT NULL DEFAULT 'NONE',
                    level_seq bigint NOT NULL DEFAULT 0,
                    reason text,
                    permanent_fix_at bigint,
                    permanent_fix_reference text,
                    newest_incident {uuid},
                    newest_number bigint NOT NULL DEFAULT 0
                )"],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl(manager, &["DROP TABLE anomalies"]).await
    }
}
