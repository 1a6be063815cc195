//! Reasons of levels and tiers as data: JSON that names the rule and its figures, where sentences were.
//! Sentences that no version wrote stay as they are; they are shown as text.

mod sentences;

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend, Statement};
use serde_json::Value;

use crate::WHOLE;

/// Rows that are read and written together.
const TOGETHER: i64 = 1000;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        WHOLE
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        levels(db, sentences::level_rule).await?;
        tiers(db, sentences::tier_rule).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        let read = |row: &str| serde_json::from_str::<Value>(row).ok();
        levels(db, |row| sentences::of_level(&read(row)?)).await?;
        tiers(db, |row| sentences::of_tier(&read(row)?)).await
    }
}

/// Rewrites the reasons of levels, which differ from row to row.
async fn levels(
    db: &impl ConnectionTrait,
    rewrite: impl Fn(&str) -> Option<String>,
) -> Result<(), DbErr> {
    let backend = db.get_database_backend();
    let write = match backend {
        DbBackend::Postgres => {
            "UPDATE anomalies SET reason = r.entry->>1 FROM jsonb_array_elements($1::jsonb) AS r(entry) \
             WHERE anomalies.key = r.entry->>0"
        }
        _ => {
            "UPDATE anomalies SET reason = json_extract(r.value, '$[1]') FROM json_each($1) AS r \
             WHERE anomalies.key = json_extract(r.value, '$[0]')"
        }
    };
    let read = "SELECT key, reason FROM anomalies WHERE reason IS NOT NULL AND key > $1 \
                ORDER BY key LIMIT $2";
    let mut after = String::new();
    loop {
        let values = [after.as_str().into(), TOGETHER.into()];
        let rows = db
            .query_all_raw(Statement::from_sql_and_values(backend, read, values))
            .await?;
        let mut changed = Vec::with_capacity(rows.len());
        for row in &rows {
            let reason: String = row.try_get("", "reason")?;
            after = row.try_get("", "key")?;
            changed.extend(rewrite(&reason).map(|reason| [after.clone(), reason]));
        }
        if !changed.is_empty() {
            let values = [serde_json::json!(changed).to_string().into()];
            db.execute_raw(Statement::from_sql_and_values(backend, write, values))
                .await?;
        }
        if rows.is_empty() {
            return Ok(());
        }
    }
}

/// Rewrites the reasons of tiers, of which there are about a hundred at most, in one statement.
async fn tiers(
    db: &impl ConnectionTrait,
    rewrite: impl Fn(&str) -> Option<String>,
) -> Result<(), DbErr> {
    let backend = db.get_database_backend();
    let read = "SELECT DISTINCT tier_reason FROM incidents WHERE tier_reason IS NOT NULL \
                ORDER BY tier_reason LIMIT $1";
    let values = [TOGETHER.into()];
    let rows = db
        .query_all_raw(Statement::from_sql_and_values(backend, read, values))
        .await?;
    let (mut cases, mut values) = (String::new(), Vec::new());
    for row in &rows {
        let reason: String = row.try_get("", "tier_reason")?;
        if let Some(rewritten) = rewrite(&reason) {
            let first = values.len() + 1;
            cases.push_str(&format!(" WHEN ${first} THEN ${}", first + 1));
            values.extend([reason.into(), rewritten.into()]);
        }
    }
    if values.is_empty() {
        return Ok(());
    }
    let write = format!(
        "UPDATE incidents SET tier_reason = CASE tier_reason{cases} ELSE tier_reason END \
         WHERE tier_reason IS NOT NULL"
    );
    db.execute_raw(Statement::from_sql_and_values(backend, write, values))
        .await
        .map(drop)
}
