//! What operating a fleet needs: dead letters that are replayed, who did what, which workers there
//! are, and totals that survive what retention takes.

use sea_orm_migration::prelude::*;

use crate::ddl;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl(
            manager,
            &[
                "ALTER TABLE dead_letters ADD COLUMN push_owed_since bigint",
                "ALTER TABLE dead_letters ADD COLUMN decided_at bigint",
                "ALTER TABLE dead_letters ADD COLUMN decided_by text",
                "CREATE INDEX dead_letters_died ON dead_letters (died_at, id)",
                "CREATE INDEX dead_letters_owed ON dead_letters (push_owed_since)
                    WHERE push_owed_since IS NOT NULL",
                "ALTER TABLE anomalies ADD COLUMN pruned_total bigint NOT NULL DEFAULT 0",
                "ALTER TABLE consumers ADD COLUMN about {json}",
                "CREATE TABLE audit (
                    id {uuid} PRIMARY KEY NOT NULL,
                    at bigint NOT NULL,
                    actor text NOT NULL,
                    operator text,
                    action text NOT NULL,
                    target text NOT NULL,
                    detail {json} NOT NULL,
                    request_id text
                )",
                "CREATE INDEX audit_target ON audit (target, id)",
                "CREATE TABLE losses (
                    epoch text PRIMARY KEY NOT NULL,
                    noticed_at bigint NOT NULL,
                    queue text NOT NULL,
                    jobs bigint NOT NULL,
                    noticed_by text NOT NULL
                )",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl(
            manager,
            &[
                "DROP TABLE losses",
                "DROP TABLE audit",
                "ALTER TABLE consumers DROP COLUMN about",
                "ALTER TABLE anomalies DROP COLUMN pruned_total",
                "DROP INDEX dead_letters_owed",
                "DROP INDEX dead_letters_died",
                "ALTER TABLE dead_letters DROP COLUMN decided_by",
                "ALTER TABLE dead_letters DROP COLUMN decided_at",
                "ALTER TABLE dead_letters DROP COLUMN push_owed_since",
            ],
        )
        .await
    }
}
