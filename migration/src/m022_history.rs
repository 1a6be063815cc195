//! Columns for an incident's list and history: its severity as a figure to sort by, and each time that it was
//! resolved and opened again.

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
                "ALTER TABLE incidents ADD COLUMN severity_order bigint NOT NULL DEFAULT 0",
                "UPDATE incidents SET severity_order = CASE
                        WHEN lower(severity) IN ('', 'none') THEN 0
                        WHEN lower(severity) IN ('info', 'informational', 'information', 'notice', 'low', 'debug', 'p5', 'sev5') THEN 2
                        WHEN lower(severity) IN ('minor', 'p4', 'sev4') THEN 4
                        WHEN lower(severity) IN ('warning', 'warn', 'medium', 'moderate', 'average', 'p3', 'sev3') THEN 6
                        WHEN lower(severity) IN ('error', 'err', 'high', 'major', 'p2', 'sev2') THEN 8
                        WHEN lower(severity) IN ('critical', 'crit', 'fatal', 'emergency', 'disaster', 'page', 'p1', 'sev1') THEN 10
                        ELSE 5 END",
                "CREATE INDEX incidents_worst ON incidents (severity_order, id)",
                "CREATE INDEX incidents_unresolved_worst ON incidents (severity_order, id)
                    WHERE status <> 'RESOLVED'",
                "CREATE TABLE reopenings (
                    id {uuid} PRIMARY KEY NOT NULL,
                    incident_id {uuid} NOT NULL,
                    resolved_at bigint NOT NULL,
                    resolved_by text,
                    operator text,
                    reopened_at bigint NOT NULL
                )",
                "CREATE INDEX reopenings_incident ON reopenings (incident_id, reopened_at)",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl(
            manager,
            &[
                "DROP TABLE reopenings",
                "DROP INDEX incidents_unresolved_worst",
                "DROP INDEX incidents_worst",
                "ALTER TABLE incidents DROP COLUMN severity_order",
            ],
        )
        .await
    }
}
