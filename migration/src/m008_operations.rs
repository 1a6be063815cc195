//! Tables for operating a fleet: dead letters that are replayed, the audit, which workers there
//! are, and totals that survive what retention takes.

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
                "ALTER TABLE dead_letters ADD COLUMN push_owed_since bigint",
                "ALTER TABLE dead_letters ADD COLUMN decided_at bigint",
                "ALTER TABLE dead_letters ADD COLUMN decided_by text",
                "CREATE INDEX dead_letters_died ON dead_letters (died_at, id)",
                "CREATE INDEX dead_letters_owed ON dead_letters (push_owed_since)
                    WHERE push_owed_since IS NOT NULL",
                "ALTER TABLE anomalies ADD COLUMN pruned_total bigint NOT NULL DEFAULT 0",
                "ALTER TABLE anomalies ADD COLUMN pruned_before bigint",
                "ALTER TABLE incidents ADD COLUMN pruned_episodes bigint NOT NULL DEFAULT 0",
                // What was pruned before it was counted is what is missing. Under the unit `incident`
                // no occurrence counts.
                "UPDATE anomalies SET pruned_before = last_seen, pruned_total = total -
                    CASE WHEN EXISTS (SELECT 1 FROM occurrences WHERE counted_id IS NOT NULL)
                        OR NOT EXISTS (SELECT 1 FROM occurrences)
                    THEN (SELECT count(*) FROM occurrences o
                          WHERE o.anomaly_key = anomalies.key AND o.counted_id IS NOT NULL)
                    ELSE (SELECT count(*) FROM incidents i WHERE i.anomaly_key = anomalies.key) END",
                "UPDATE incidents SET pruned_episodes = aggregated_count -
                    (SELECT count(*) FROM occurrences o WHERE o.anomaly_key = incidents.anomaly_key
                        AND o.incident_id = incidents.id AND o.series IS NOT NULL)",
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
                "ALTER TABLE incidents DROP COLUMN pruned_episodes",
                "ALTER TABLE anomalies DROP COLUMN pruned_before",
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
