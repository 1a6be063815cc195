//! Executions that executors are asked for, what was decided of actions that had not held, and the verdicts of each
//! action in their order.

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
                // The newest verdicts of an action. Nothing else is in the order of the expression: PostgreSQL would
                // read an index of the time alone, through all other actions, to find what is newest.
                "CREATE INDEX repairs_verdicts ON repairs (action, (-repaired_at), id DESC)
                    WHERE verdict IN ('verified', 'disproved')",
                "CREATE TABLE allowed_actions (
                    action text PRIMARY KEY NOT NULL,
                    allowed_at bigint NOT NULL
                )",
                "CREATE TABLE executions (
                    id {uuid} PRIMARY KEY NOT NULL,
                    incident_id {uuid} NOT NULL,
                    anomaly_key text NOT NULL,
                    action text NOT NULL,
                    tier integer NOT NULL,
                    hook text NOT NULL,
                    state text NOT NULL,
                    reason text,
                    answer text,
                    wanted_by text,
                    recommendation {json} NOT NULL,
                    created_at bigint NOT NULL,
                    wanted_at bigint,
                    sent_at bigint,
                    asked_at bigint,
                    started_at bigint,
                    finished_at bigint,
                    expires_at bigint,
                    success boolean,
                    UNIQUE (incident_id, action)
                )",
                // Of an anomaly within an hour, and those that run.
                "CREATE INDEX executions_wanted ON executions (anomaly_key, wanted_at)
                    WHERE wanted_at IS NOT NULL",
                // Those that are still to be asked for.
                "CREATE INDEX executions_asking ON executions (wanted_at) WHERE state = 'asking'",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl(
            manager,
            &[
                "DROP TABLE executions",
                "DROP TABLE allowed_actions",
                "DROP INDEX repairs_verdicts",
            ],
        )
        .await
    }
}
