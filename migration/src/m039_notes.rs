//! The level of an incident's anomaly beside the incident, for the order of the list; and notes.

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
                "ALTER TABLE incidents ADD COLUMN level_order bigint NOT NULL DEFAULT 0",
                "UPDATE incidents SET level_order = COALESCE(
                        (SELECT CASE a.level WHEN 'PERMANENT_FIX' THEN 3 WHEN 'ESCALATE' THEN 2
                             WHEN 'REPEAT' THEN 1 ELSE 0 END
                         FROM anomalies a WHERE a.key = incidents.anomaly_key), 0)
                    WHERE status <> 'RESOLVED'",
                "CREATE INDEX incidents_unresolved_order ON incidents (
                        (CASE status WHEN 'ACKNOWLEDGED' THEN 64 ELSE 128 END
                            + severity_order * 4 + level_order), id)
                    WHERE status <> 'RESOLVED'",
                "CREATE TABLE notes (
                    id {uuid} PRIMARY KEY NOT NULL,
                    incident_id {uuid} NOT NULL,
                    at bigint NOT NULL,
                    operator text,
                    note text NOT NULL
                )",
                "CREATE INDEX notes_incident ON notes (incident_id, at)",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl(
            manager,
            &[
                "DROP TABLE notes",
                "DROP INDEX incidents_unresolved_order",
                "ALTER TABLE incidents DROP COLUMN level_order",
            ],
        )
        .await
    }
}
