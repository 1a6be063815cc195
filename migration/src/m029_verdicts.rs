//! Verdicts on repairs: when they began, how they were judged, and the figures that follow.

use sea_orm_migration::prelude::*;

use crate::{WHOLE, ddl};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// Four weeks in milliseconds: figures are kept by these periods, so that old ones fade and go.
const PERIOD: i64 = 28 * 86_400_000;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        WHOLE
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl(
            manager,
            &[
                "ALTER TABLE repairs ADD COLUMN started_at bigint",
                // An older version records only what is finished.
                "ALTER TABLE repairs ADD COLUMN unfinished boolean NOT NULL DEFAULT false",
                "ALTER TABLE repairs ADD COLUMN verdict text",
                "ALTER TABLE repairs ADD COLUMN verdict_reason text",
                "ALTER TABLE repairs ADD COLUMN quiet_ms bigint",
                "ALTER TABLE repairs ADD COLUMN quiet_after_ms bigint",
                "ALTER TABLE repairs ADD COLUMN silenced boolean NOT NULL DEFAULT false",
                "ALTER TABLE repairs ADD COLUMN judged_at bigint",
                "CREATE INDEX repairs_unjudged ON repairs (repaired_at, id)
                    WHERE judged_at IS NULL AND NOT unfinished",
                "CREATE TABLE repair_figures (
                    scope text NOT NULL,
                    subject text NOT NULL,
                    action text NOT NULL,
                    period bigint NOT NULL,
                    attempts bigint NOT NULL,
                    claimed bigint NOT NULL,
                    verified bigint NOT NULL,
                    disproved bigint NOT NULL,
                    superseded bigint NOT NULL,
                    unknown bigint NOT NULL,
                    last_at bigint NOT NULL,
                    PRIMARY KEY (scope, subject, action, period)
                )",
                "CREATE INDEX repair_figures_period ON repair_figures (period)",
                "CREATE TABLE repair_times (
                    scope text NOT NULL,
                    subject text NOT NULL,
                    action text NOT NULL,
                    period bigint NOT NULL,
                    bucket bigint NOT NULL,
                    n bigint NOT NULL,
                    PRIMARY KEY (scope, subject, action, period, bucket)
                )",
                "CREATE INDEX repair_times_period ON repair_times (period)",
                "CREATE TABLE baselines (
                    scope text NOT NULL,
                    subject text NOT NULL,
                    quiet_ms bigint NOT NULL,
                    episodes bigint NOT NULL,
                    held bigint NOT NULL,
                    as_of bigint NOT NULL,
                    PRIMARY KEY (scope, subject, quiet_ms)
                )",
                "CREATE INDEX baselines_old ON baselines (as_of) WHERE scope = 'anomaly'",
                "CREATE TABLE outages (
                    began_at bigint PRIMARY KEY NOT NULL,
                    ended_at bigint NOT NULL
                )",
            ],
        )
        .await?;
        for (scope, subject) in [
            ("anomaly", "a.key"),
            ("alert_name", "a.alert_name"),
            ("service", "a.service"),
            ("all", "''"),
        ] {
            let fill = format!(
                "INSERT INTO repair_figures (scope, subject, action, period, attempts, claimed, \
                     verified, disproved, superseded, unknown, last_at) \
                 SELECT '{scope}', {subject}, r.action, r.repaired_at / {PERIOD}, count(*), \
                     sum(CASE WHEN r.success THEN 1 ELSE 0 END), 0, 0, 0, 0, max(r.repaired_at) \
                 FROM repairs r JOIN anomalies a ON a.key = r.anomaly_key \
                 GROUP BY 2, 3, 4"
            );
            ddl(manager, &[&fill]).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl(
            manager,
            &[
                "DROP TABLE outages",
                "DROP TABLE baselines",
                "DROP TABLE repair_times",
                "DROP TABLE repair_figures",
                "DROP INDEX repairs_unjudged",
                // An older version knows no repair that is not finished.
                "DELETE FROM repairs WHERE unfinished",
                "ALTER TABLE repairs DROP COLUMN judged_at",
                "ALTER TABLE repairs DROP COLUMN silenced",
                "ALTER TABLE repairs DROP COLUMN quiet_after_ms",
                "ALTER TABLE repairs DROP COLUMN quiet_ms",
                "ALTER TABLE repairs DROP COLUMN verdict_reason",
                "ALTER TABLE repairs DROP COLUMN verdict",
                "ALTER TABLE repairs DROP COLUMN unfinished",
                "ALTER TABLE repairs DROP COLUMN started_at",
            ],
        )
        .await
    }
}
