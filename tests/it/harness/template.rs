//! A schema of PostgreSQL as the migrations leave it, written down once for all tests of this process: to run what was
//! written down takes a tenth of the time that the migrations take.

use std::process::Command;
use std::time::Duration;

use sea_orm::{ConnectionTrait, Database};
use tocsin::store::Db;
use tocsin::store::db::migrate;
use tokio::sync::OnceCell;
use uuid::Uuid;

use super::scratch::postgres_url;

/// The name of the schema that was written down, and what makes it.
static TEMPLATE: OnceCell<(String, String)> = OnceCell::const_new();

/// Makes a migrated schema of this name.
pub async fn create(name: &str) {
    let (template, made_by) = TEMPLATE.get_or_init(write_down).await;
    let db = Database::connect(&postgres_url()).await.unwrap();
    let sql = made_by.replace(template.as_str(), name);
    db.execute_unprepared(&sql).await.unwrap();
    db.close().await.unwrap();
}

async fn write_down() -> (String, String) {
    let name = format!("template_{}", Uuid::now_v7().simple());
    let server = postgres_url();
    let db = Database::connect(&server).await.unwrap();
    let create = format!("CREATE SCHEMA {name}");
    db.execute_unprepared(&create).await.unwrap();
    let url = format!("{server}?options=-c%20search_path%3D{name}");
    let schema = Db::open(&url, 1, Duration::from_secs(10)).await.unwrap();
    migrate(&schema, &url).await.unwrap();
    let programs = std::env::var("TOCSIN_TEST_POSTGRES_BIN")
        .expect("TOCSIN_TEST_POSTGRES_BIN is not set: run ./scripts/test");
    let dump = Command::new(format!("{programs}/pg_dump"))
        .args(["--no-owner", "--inserts", "--schema", &name, &server])
        .output()
        .unwrap();
    assert!(dump.status.success(), "{dump:?}");
    let dropped = format!("DROP SCHEMA {name} CASCADE");
    db.execute_unprepared(&dropped).await.unwrap();
    db.close().await.unwrap();
    let dump = String::from_utf8(dump.stdout).unwrap();
    // Newer releases write lines for psql alone.
    let sql = dump.lines().filter(|line| !line.starts_with('\\'));
    (name, sql.collect::<Vec<_>>().join("\n"))
}
