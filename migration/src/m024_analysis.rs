//! Columns for an incident's analysis: since when it is due, which anomalies a service has, and how many requests
//! a language model got in which hour.

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
                "ALTER TABLE incidents ADD COLUMN analyze_due_since bigint",
                // It is set once, when an incident opens, and taken off once.
                "CREATE INDEX incidents_analyze_due ON incidents (analyze_due_since)
                    WHERE analyze_due_since IS NOT NULL",
                "CREATE INDEX anomalies_service ON anomalies (service, namespace)",
                "CREATE TABLE model_requests (
                    hour bigint PRIMARY KEY NOT NULL,
                    requests bigint NOT NULL
                )",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl(
            manager,
            &[
                // The version before does not end an analysis, and would show one as JSON.
                "UPDATE incidents SET status = 'OPEN' WHERE status = 'ANALYZING'",
                "UPDATE incidents SET analysis = NULL WHERE analysis IS NOT NULL",
                "DROP TABLE model_requests",
                "DROP INDEX anomalies_service",
                "DROP INDEX incidents_analyze_due",
                "ALTER TABLE incidents DROP COLUMN analyze_due_since",
            ],
        )
        .await
    }
}
