//! Waiting: until nothing is queued, until a condition holds, never for a time.

use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, Statement};
use tocsin::jobs::QUEUES;

use super::Harness;
use crate::process;

/// How the harness asks whether jobs are left where the database has the queues.
pub const QUEUED: &str = "SELECT count(*) FROM jobs";

impl Harness {
    /// Runs what is queued until nothing is.
    pub async fn drain(&self) {
        let mut wait = Wait::default();
        while self.queued().await > 0 {
            if !wait.is_patient() {
                panic!("the queues do not drain: {}", self.left().await);
            }
            wait.a_little().await;
        }
    }

    /// How many jobs are left in each queue, and what is queued in the database and when it is due, for who
    /// reads that it was not done.
    pub(super) async fn left(&self) -> String {
        let mut depths = Vec::new();
        for queue in QUEUES {
            let depth = self.context.queues.store().depth(queue).await.unwrap();
            if depth.ready + depth.delayed + depth.in_flight > 0 {
                depths.push(format!("{queue}: {depth:?}"));
            }
        }
        let now = self.now().0;
        let sql = format!(
            "SELECT queue || ': due in ' || (run_at - {now}) || ' ms, leased for ' || \
                 coalesce(lease_until - {now}, 0) || ' ms, attempt ' || attempt || ' ' || payload FROM jobs LIMIT 5"
        );
        let db = self.context.db.read();
        let sql = Statement::from_string(db.get_database_backend(), sql);
        let rows = db.query_all_raw(sql).await.unwrap();
        let left = rows
            .iter()
            .map(|row| row.try_get_by_index::<String>(0).unwrap());
        depths.extend(left);
        depths.join("; ")
    }

    /// Has the database look at what its tables hold. PostgreSQL does so by itself, too, and lets nobody else
    /// meanwhile; of tables that all databases share everybody's turn is waited for, so they are left out.
    pub async fn analyze(&self) {
        let db = self.context.db.write();
        let sql = if db.get_database_backend() == DbBackend::Postgres {
            let tables = "SELECT string_agg(quote_ident(tablename), ', ') FROM pg_tables \
                          WHERE schemaname = current_schema()";
            format!("ANALYZE {}", self.sql_text(tables).await)
        } else {
            "ANALYZE".to_owned()
        };
        let mut wait = Wait::default();
        while let Err(error) = db.execute_unprepared(&sql).await {
            assert!(wait.is_patient(), "{sql}: {error}");
            wait.a_little().await;
        }
    }

    /// Waits until a query finds that many.
    pub async fn until(&self, sql: &str, expected: i64) {
        let mut wait = Wait::default();
        loop {
            let found = self.sql(sql).await;
            if found == expected {
                return;
            }
            assert!(
                wait.is_patient(),
                "{sql} is {found} and does not become {expected}"
            );
            wait.a_little().await;
        }
    }

    /// Waits until a statement of somebody else waits for what this transaction of PostgreSQL holds.
    pub async fn until_blocked_by(&self, holding: &DatabaseTransaction) {
        let who = Statement::from_string(holding.get_database_backend(), "SELECT pg_backend_pid()");
        let who = holding.query_one_raw(who).await.unwrap().unwrap();
        let who: i32 = who.try_get_by_index(0).unwrap();
        let blocked = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE {who} = ANY(pg_blocking_pids(pid))"
        );
        self.until(&blocked, 1).await;
    }

    /// How many jobs there are, in whatever state. Queues are asked one after the other, and a job may
    /// go to one that was asked already: that there are none is seen twice.
    pub async fn queued(&self) -> u64 {
        match self.queued_at_a_glance().await {
            0 => self.queued_at_a_glance().await,
            queued => queued,
        }
    }

    async fn queued_at_a_glance(&self) -> u64 {
        if self.context.config.redis_url.is_none() {
            return self.sql(QUEUED).await.unsigned_abs();
        }
        let mut queued = 0;
        for queue in QUEUES {
            let depth = self.context.queues.store().depth(queue).await.unwrap();
            queued += depth.ready + depth.delayed + depth.in_flight;
        }
        queued
    }
}

/// Between two looks at what is to become true: short at first, and not so often later that looking is
/// what keeps the machine busy.
struct Wait {
    began: Instant,
    next: Duration,
}

impl Default for Wait {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            next: Duration::from_millis(4),
        }
    }
}

impl Wait {
    fn is_patient(&self) -> bool {
        self.began.elapsed() < process::PATIENCE
    }

    async fn a_little(&mut self) {
        tokio::time::sleep(self.next).await;
        self.next = (self.next + self.next / 2).min(Duration::from_millis(25));
    }
}
