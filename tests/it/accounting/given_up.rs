//! A transaction whose owner goes away takes along nothing that others write.

use std::time::Duration;

use futures::future::join_all;
use futures::poll;
use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
use tocsin::store::Db;
use tocsin::store::marks::{self, Mark};

use crate::harness::Harness;
use crate::on_all;

const WRITES: i64 = 32;

on_all! {
    async fn a_transaction_that_is_given_up_while_it_begins_takes_nothing_with_it(on) {
        let h = Harness::start(on).await;
        let db = &h.context.db;
        for patience in 0..200 {
            let mut begin = Box::pin(db.begin());
            let mut snapshot = Box::pin(db.snapshot());
            for _ in 0..patience % 10 {
                if poll!(&mut begin).is_ready() || poll!(&mut snapshot).is_ready() {
                    break;
                }
                tokio::time::sleep(Duration::from_micros(10 * (patience / 10))).await;
            }
        }
        let writes = (0..WRITES).map(async |n| {
            marks::set(db.write(), &format!("written {n}"), &Mark::default()).await.unwrap();
        });
        join_all(writes).await;
        let sql = "SELECT count(*) AS n FROM marks WHERE name LIKE 'written %'";
        assert_eq!(h.sql_elsewhere(sql).await, WRITES);
        h.execute("DELETE FROM marks WHERE name LIKE 'written %'").await;
        h.finish().await;
    }
}

impl Harness {
    /// What another connection sees: on PostgreSQL that of another process.
    async fn sql_elsewhere(&self, sql: &str) -> i64 {
        if self.context.db.backend() == DbBackend::Sqlite {
            return self.sql(sql).await;
        }
        let url = self.context.config.database_url.expose();
        let other = Db::open(url, 3, Duration::from_secs(10)).await.unwrap();
        let sql = Statement::from_string(other.backend(), sql);
        let row = other.read().query_one_raw(sql).await.unwrap().unwrap();
        row.try_get_by_index(0).unwrap()
    }
}
