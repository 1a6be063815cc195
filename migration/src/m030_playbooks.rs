//! Playbooks that people change while Tocsin runs: each version is a row that stays; and what is proposed by what held.

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
                // Of two who write the same version, one succeeds.
                "CREATE TABLE playbook_versions (
                    name text NOT NULL,
                    version bigint NOT NULL,
                    definition text NOT NULL,
                    state text NOT NULL,
                    origin text NOT NULL,
                    restored_from bigint,
                    actor text NOT NULL,
                    operator text,
                    why text NOT NULL,
                    created_at bigint NOT NULL,
                    replaced_at bigint,
                    PRIMARY KEY (name, version)
                )",
                // Every process reads the newest ones every few seconds, however many versions there are.
                "CREATE UNIQUE INDEX playbook_versions_newest ON playbook_versions (name)
                    WHERE replaced_at IS NULL",
                "CREATE TABLE playbook_proposals (
                    name text NOT NULL,
                    base text NOT NULL,
                    id {uuid} NOT NULL UNIQUE,
                    definition text NOT NULL,
                    figures text NOT NULL,
                    verdicts bigint NOT NULL,
                    state text NOT NULL,
                    proposed_at bigint NOT NULL,
                    decided_at bigint,
                    decided_by text,
                    why text,
                    version bigint,
                    PRIMARY KEY (name, base)
                )",
            ],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl(
            manager,
            &[
                "DROP TABLE playbook_proposals",
                "DROP TABLE playbook_versions",
                // The version before does not know this kind of message.
                "DELETE FROM notifications WHERE kind = 'playbook'",
            ],
        )
        .await
    }
}
