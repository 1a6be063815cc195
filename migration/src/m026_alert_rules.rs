//! The subjects of a source's rules, as far as their alerts name them.

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
            // A service or a namespace is the first that an alert named; empty if none did.
            &["CREATE TABLE alert_rules (
                    source text NOT NULL,
                    rule text NOT NULL,
                    service text NOT NULL,
                    has_services boolean NOT NULL,
                    namespace text NOT NULL,
                    has_namespaces boolean NOT NULL,
                    told_at bigint NOT NULL,
                    PRIMARY KEY (source, rule)
                )"],
        )
        .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        ddl(manager, &["DROP TABLE alert_rules"]).await
    }
}
