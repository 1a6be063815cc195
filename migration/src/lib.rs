//! Tocsin's schema: one change per file, in order, each with a real `down`.
//!
//! The statements are written once for both databases; `ddl` fills in the few type names that
//! differ. Times are milliseconds since the Unix epoch (UTC) in `bigint` columns: the same
//! arithmetic and the same order on both databases, and the precision that windows are counted in.

use sea_orm_migration::prelude::{DbErr, MigrationTrait, SchemaManager, async_trait};
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend};
pub use sea_orm_migration::{Migration, MigrationStatus, MigratorTrait};

mod m001_anomalies;
mod m002_incidents;
mod m003_occurrences;
mod m004_repairs;
mod m005_notifications;
mod m006_queue;
mod m007_counted_by_id;
mod m008_operations;
mod m009_cards;
mod m010_mutes;
mod m011_buttons;
mod m012_requests;
mod m013_lists;
mod m014_spans;
mod m015_signature;
mod m016_levels;
mod m017_recount;
mod m018_refusals;
mod m019_sessions;
mod m020_secrets;
mod m022_history;
mod m023_reasons;
mod m024_analysis;
mod m025_leases;
mod m026_alert_rules;
mod m028_source_tallies;
mod m029_verdicts;
mod m030_playbooks;
mod m031_flapping;
mod m032_reports;
mod m033_canaries;
mod m034_watches;
mod m035_executions;
mod m036_room;
mod m037_source_watches;
mod m038_made_silences;
mod m039_notes;
mod m040_silent_sources;
mod m041_message_ids;
mod m042_maintenance_windows;

/// Every change, oldest first.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m001_anomalies::Migration),
            Box::new(m002_incidents::Migration),
            Box::new(m003_occurrences::Migration),
            Box::new(m004_repairs::Migration),
            Box::new(m005_notifications::Migration),
            Box::new(m006_queue::Migration),
            Box::new(m007_counted_by_id::Migration),
            Box::new(m008_operations::Migration),
            Box::new(m009_cards::Migration),
            Box::new(m010_mutes::Migration),
            Box::new(m011_buttons::Migration),
            Box::new(m012_requests::Migration),
            Box::new(m013_lists::Migration),
            Box::new(m014_spans::Migration),
            Box::new(m015_signature::Migration),
            Box::new(m016_levels::Migration),
            Box::new(m017_recount::Migration),
            Box::new(m018_refusals::Migration),
            Box::new(m019_sessions::Migration),
            Box::new(m020_secrets::Migration),
            Box::new(m022_history::Migration),
            Box::new(m023_reasons::Migration),
            Box::new(m024_analysis::Migration),
            Box::new(m025_leases::Migration),
            Box::new(m026_alert_rules::Migration),
            Box::new(m028_source_tallies::Migration),
            Box::new(m029_verdicts::Migration),
            Box::new(m030_playbooks::Migration),
            Box::new(m031_flapping::Migration),
            Box::new(m032_reports::Migration),
            Box::new(m033_canaries::Migration),
            Box::new(m034_watches::Migration),
            Box::new(m035_executions::Migration),
            Box::new(m036_room::Migration),
            Box::new(m037_source_watches::Migration),
            Box::new(m038_made_silences::Migration),
            Box::new(m039_notes::Migration),
            Box::new(m040_silent_sources::Migration),
            Box::new(m041_message_ids::Migration),
            Box::new(m042_maintenance_windows::Migration),
        ]
    }
}

/// A change is applied whole or not at all, on SQLite, too: a process may be killed while it starts.
const WHOLE: Option<bool> = Some(true);

/// Runs statements in which `{uuid}`, `{json}` and `{bytes}` stand for the database's own types.
async fn ddl(manager: &SchemaManager<'_>, statements: &[&str]) -> Result<(), DbErr> {
    let db = manager.get_connection();
    let (uuid, json, bytes) = match db.get_database_backend() {
        DbBackend::Postgres => ("uuid", "jsonb", "bytea"),
        _ => ("blob", "text", "blob"),
    };
    for statement in statements {
        let sql = statement
            .replace("{uuid}", uuid)
            .replace("{json}", json)
            .replace("{bytes}", bytes);
        db.execute_unprepared(&sql).await?;
    }
    Ok(())
}
