//! Guarantees of the store, whatever becomes of a statement.

use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement, TransactionTrait};
use tocsin::store::Db;
use tocsin::store::db::{OpenError, migrate};
use tocsin::store::error::{Cause, cause, took_too_long};

use crate::harness::Scratch;
use crate::on_both;
use crate::process::folder;

async fn run(on: &impl ConnectionTrait, sql: &str) -> Result<(), DbErr> {
    on.execute_unprepared(sql).await.map(drop)
}

/// A full disk cannot be had without being root; a trigger ends the transaction just so.
#[tokio::test]
async fn writes_after_sqlite_rolled_back_by_itself_are_durable() {
    let folder = folder();
    let url = format!("sqlite://{}/tocsin.db", folder.path().display());
    let db = Db::open(&url, 1, Duration::from_secs(10)).await.unwrap();
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

/// Counts without end.
const ENDLESS: &str = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) \
                       SELECT count(*) AS n FROM n";

on_both! {
    async fn a_question_without_end_is_ended_and_its_connection_answers_the_next(on) {
        let scratch = Scratch::new(on).await;
        let db = Db::open(&scratch.url, 1, Duration::from_millis(300)).await.unwrap();
        let ask = |sql: &str| Statement::from_string(db.backend(), sql);
        // More often than there are connections.
        for _ in 0..4 {
            let began = Instant::now();
            let ended = db.view().query_one_raw(ask(ENDLESS)).await.unwrap_err();
            assert!(took_too_long(&ended), "{ended}");
            assert!(began.elapsed() < Duration::from_secs(5));
            db.view().query_one_raw(ask("SELECT 1")).await.unwrap();
        }
    }

    async fn a_database_of_a_newer_version_is_refused_once_and_plainly(on) {
        let scratch = Scratch::new(on).await;
        let db = Db::open(&scratch.url, 4, Duration::from_secs(10)).await.unwrap();
        migrate(&db, &scratch.url).await.unwrap();
        let insert = "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m999_future', 0)";
        run(db.write(), insert).await.unwrap();
        let refused = migrate(&db, &scratch.url).await.unwrap_err();
        assert!(matches!(&refused, OpenError::Newer(name) if name == "m999_future"), "{refused}");
        assert!(refused.to_string().contains("is newer than this program"), "{refused}");
    }

    async fn searches_wait_for_each_other_and_keep_nothing_else_waiting(on) {
        let scratch = Scratch::new(on).await;
        let db = Db::open(&scratch.url, 20, Duration::from_millis(300)).await.unwrap();
        let mut searches = Vec::new();
        let refused = loop {
            match db.view_for(true).await {
                Ok(search) => searches.push(search),
                Err(refused) => break refused,
            }
            assert!(searches.len() <= 2, "searches are not bounded");
        };
        assert_eq!(cause(&refused), Cause::Store);
        let ask = || Statement::from_string(db.backend(), "SELECT 1");
        // Though each of them holds a connection.
        let mut asking = Vec::new();
        for search in &searches {
            asking.push(search.begin().await.unwrap());
        }
        let looked = db.view_for(false).await.unwrap();
        looked.query_one_raw(ask()).await.unwrap();
        drop(asking);
        db.read().query_one_raw(ask()).await.unwrap();
        searches.pop();
        db.view_for(true).await.unwrap();
    }
}
