//! Thousands of alerts of two hundred anomalies, which every batch, every tier and every mark wants at once: no update
//! writes into an index, and nobody waits in a circle.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sea_orm::{
    ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, EntityTrait, Statement,
};
use serde_json::Value;
use tocsin::entity::incidents::Entity as Incidents;
use tocsin::outbox::{Cause, FollowUp, Traces};
use tocsin::store::{Db, incidents};
use tocsin_workers::{recount, workers};
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::harness::{Harness, On, alert, levels_by_counts};
use crate::on_servers;

const ANOMALIES: usize = 200;
const PODS: usize = 25;
/// Updates of which this share finds room beside the row's older version are cheap, whatever indexes there are.
const HOT_SHARE: f64 = 0.9;

impl Harness {
    /// Firings of these pods, one of each anomaly, are posted; nobody waits for what becomes of them.
    async fn storm(&self, pods: std::ops::Range<usize>) {
        for pod in pods {
            let of = |anomaly| {
                alert(
                    &format!("Storm{anomaly:03}"),
                    &format!("pod-{pod}"),
                    self.now(),
                )
            };
            let alerts: Vec<Value> = (0..ANOMALIES).map(of).collect();
            self.send(alerts).await;
        }
    }

    /// Stops everything, so that every connection has reported what it did, and returns one to ask.
    async fn reported(&mut self) -> DatabaseConnection {
        self.leave().await;
        self.context.db.close().await.unwrap();
        Database::connect(self.context.config.database_url.expose())
            .await
            .unwrap()
    }
}

async fn number(db: &DatabaseConnection, sql: &str) -> i64 {
    let sql = Statement::from_string(db.get_database_backend(), sql);
    db.query_one_raw(sql)
        .await
        .unwrap()
        .unwrap()
        .try_get_by_index(0)
        .unwrap()
}

/// Two transactions that wait for each other: one of them is ended, and counted.
async fn deadlock(db: &Db) {
    db.write()
        .execute_unprepared("CREATE TABLE ends (id integer)")
        .await
        .unwrap();
    db.write()
        .execute_unprepared("INSERT INTO ends VALUES (1), (2)")
        .await
        .unwrap();
    let both = async |tx: DatabaseTransaction, barrier: Arc<Barrier>, ids: [i32; 2]| {
        for id in ids {
            let sql = format!("UPDATE ends SET id = id WHERE id = {id}");
            if tx.execute_unprepared(&sql).await.is_err() {
                return;
            }
            barrier.wait().await;
        }
    };
    let (one, other) = (db.begin().await.unwrap(), db.begin().await.unwrap());
    let together = Arc::new(Barrier::new(2));
    let either = async |tx, ids| both(tx, Arc::clone(&together), ids).await;
    tokio::select! {
        () = either(one, [1, 2]) => {}
        () = either(other, [2, 1]) => {}
    }
    db.write()
        .execute_unprepared("DROP TABLE ends")
        .await
        .unwrap();
}

on_servers! {
    async fn updates_of_a_drain_write_into_no_index(on) {
        let mut h = Harness::with_own_database(on, |config| {
            config.ingest.batch = ANOMALIES;
            // One transaction at a time: how many versions of a row are kept for others depends on how long those take.
            config.ingest.batchers = 1;
            config.escalation.rules = levels_by_counts();
        }).await;
        h.storm(0..PODS).await;
        h.pause("tier", true).await;
        h.work(workers(&h.context));
        h.until("SELECT count(*) FROM occurrences", (PODS * ANOMALIES) as i64).await;
        h.pause("tier", false).await;
        h.drain().await;
        assert_eq!(h.sql("SELECT count(*) FROM incidents WHERE tier_due_since IS NOT NULL").await, 0);

        let db = h.reported().await;
        for table in ["anomalies", "incidents"] {
            let of = |column| format!("SELECT {column} FROM pg_stat_user_tables WHERE relname = '{table}'");
            let updates = number(&db, &of("n_tup_upd")).await;
            let hot = number(&db, &of("n_tup_hot_upd")).await;
            assert!(updates > 1_000, "{table}: {updates}");
            assert!(hot as f64 >= HOT_SHARE * updates as f64, "{table}: {hot} of {updates}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_batches_tiers_marks_and_recounts_deadlocks_nowhere() {
    let mut h = Harness::with_own_database(On::Fleet, |config| {
        config.ingest.batch = 100;
        config.ingest.batchers = 4;
        config.database_connections = 24;
        config.escalation.rules = levels_by_counts();
    })
    .await;
    // So that the number is seen to rise.
    deadlock(&h.context.db).await;
    h.storm(0..1).await;
    for _ in 0..3 {
        h.work(workers(&h.context));
    }
    h.drain().await;
    let rows = h.context.db.read();
    let found = Incidents::find().all(rows).await.unwrap();
    let mut ids: Vec<Uuid> = found.into_iter().map(|incident| incident.id).collect();
    assert_eq!(ids.len(), ANOMALIES);
    h.pause("ingest", true).await;
    h.storm(1..15).await;
    h.pause("ingest", false).await;

    let drained = Arc::new(AtomicBool::new(false));
    let mut others = JoinSet::new();
    for turn in 0..2 {
        ids.rotate_left(ANOMALIES / 3);
        let (context, ids, drained) = (h.context.clone(), ids.clone(), Arc::clone(&drained));
        others.spawn(async move {
            let mut marked = 0;
            while !drained.load(Ordering::Relaxed) {
                let now = context.clock.now();
                let tiers = incidents::mark_counted(
                    context.db.write(),
                    &ids.iter().map(|id| (*id, now)).collect(),
                )
                .await
                .unwrap();
                marked += tiers.len();
                FollowUp::of_tiers(tiers)
                    .try_push(&context, Cause::Burst, Traces::None)
                    .await
                    .unwrap();
                if turn == 0 {
                    recount::decay(&context).await.unwrap();
                }
            }
            marked
        });
    }
    let all = i64::try_from(15 * ANOMALIES).unwrap();
    h.until("SELECT count(*) FROM occurrences", all).await;
    drained.store(true, Ordering::Relaxed);
    let marked: usize = others.join_all().await.into_iter().sum();
    assert!(marked > 0, "nothing was marked beside the tiers");
    h.drain().await;
    assert_eq!(
        h.sql("SELECT CAST(sum(total) AS bigint) FROM anomalies")
            .await,
        all
    );
    assert_eq!(
        h.sql("SELECT CAST(sum(aggregated_count) AS bigint) FROM incidents")
            .await,
        all
    );
    assert_eq!(
        h.sql("SELECT count(*) FROM incidents WHERE tier_due_since IS NOT NULL")
            .await,
        0
    );
    assert_eq!(h.verify(false).await, BTreeSet::new());

    let db = h.reported().await;
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(
        number(&db, deadlocks).await,
        1,
        "more than the one that was made"
    );
}
