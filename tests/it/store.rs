//! What holds of the store, whatever becomes of a statement.

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};
use tocsin::store::Db;

use crate::process::Folder;

async fn run(on: &impl ConnectionTrait, sql: &str) -> Result<(), DbErr> {
    on.execute_unprepared(sql).await.map(drop)
}

/// A full disk cannot be had without being root; a trigger ends the transaction just so.
#[tokio::test]
async fn what_is_written_after_sqlite_ended_a_transaction_by_itself_is_durable() {
    let folder = Folder::new();
    let url = format!("sqlite://{}/tocsin.db", folder.0.display());
    let db = Db::open(&url, 1).await.unwrap();
    for sql in [
        "CREATE TABLE t (n integer)",
        "CREATE TRIGGER no_two BEFORE INSERT ON t WHEN NEW.n = 2 \
         BEGIN SELECT RAISE(ROLLBACK, 'no two'); END",
    ] {
        run(db.write(), sql).await.unwrap();
    }
    let ended = db.begin().await.unwrap();
    run(&ended, "INSERT INTO t VALUES (1)").await.unwrap();
    let refused = run(&ended, "INSERT INTO t VALUES (2)").await;
    assert!(refused.unwrap_err().to_string().contains("no two"));
    drop(ended);
    // One that is given up, as after an error of its own, and one statement alone.
    let given_up = db.begin().await.unwrap();
    run(&given_up, "INSERT INTO t VALUES (3)").await.unwrap();
    drop(given_up);
    run(db.write(), "INSERT INTO t VALUES (4)").await.unwrap();
    let committed = db.begin().await.unwrap();
    run(&committed, "INSERT INTO t VALUES (5)").await.unwrap();
    committed.commit().await.unwrap();

    let select = Statement::from_string(DbBackend::Sqlite, "SELECT n FROM t ORDER BY n");
    let rows = db.read().query_all_raw(select).await.unwrap();
    let found: Vec<i64> = rows
        .iter()
        .map(|row| row.try_get("", "n").unwrap())
        .collect();
    assert_eq!(found, [4, 5]);
}
