//! The queue, its failures and its clocks.

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
                "CREATE TABLE jobs (
                    id {uuid} PRIMARY KEY NOT NULL,
                    queue text NOT NULL,
                    payload text NOT NULL,
                    trace_id text,
                    run_at bigint NOT NULL,
                    enqueued_at bigint NOT NULL,
                    attempt integer NOT NULL DEFAULT 0,
                    errors text,
                    replay integer NOT NULL DEFAULT 0,
                    deliveries integer NOT NULL DEFAULT 0,
                    lease_owner text,
                    lease_until bigint
                )",
                "CREATE INDEX jobs_ready ON jobs (queue, run_at, id) WHERE lease_until IS NULL",
                "CREATE INDEX jobs_leased ON jobs (queue, lease_until)
                    WHERE lease_until IS NOT NULL",
                "CREATE TABLE dead_letters (
                    id {uuid} PRIMARY KEY NOT NULL,
                    queue text NOT NULL,
                    payload {bytes} NOT NULL,
                    attempts integer NOT NULL,
                    errors {json} NOT NULL,
                    reason text NOT NULL,
                    trace_id text,
                    state text NOT NULL,
                    replay integer NOT NULL DEFAULT 0,
                    enqueued_at bigint NOT NULL,
                    died_at bigint NOT NULL
                )",
                "CREATE INDEX dead_letters_queue ON dead_letters (queue, state, died_at)",
                "CREATE TABLE schedules (
                    name text PRIMARY KEY NOT NULL,
                    tick bigint NOT NULL
                )",
                "CREATE TABLE paused_queues (
                    queue text PRIMARY KEY NOT NULL,
                    paused_at bigint NOT NULL
                )",
                "CREATE TABLE consumers (
                    queue text NOT NULL,
                    consumer text NOT NULL,
                    seen_at bigint NOT NULL,
                    PRIMARY KEY (queue, consumer)
                )",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl(
            manager,
            &[
                "DROP TABLE consumers",
                "DROP TABLE paused_queues",
                "DROP TABLE schedules",
                "DROP TABLE dead_letters",
                "DROP TABLE jobs",
            ],
        )
        .await
    }
}
