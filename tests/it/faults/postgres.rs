//! Faults of PostgreSQL under its clients.

use std::time::{Duration, Instant};

use rand::RngExt as _;
use rand::seq::IndexedRandom as _;
use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection, TransactionTrait as _};

use super::oracle::{RECOVERY, SENT_AT_ONCE, Scenario, refused_clearly, say_what_is_missing};
use super::storm::Storm;
use crate::fleet::processes::Fleet;
use crate::harness::{On, Scratch};
use crate::process::{beside_few, folder};
use crate::proxy::{Fate, Proxy, Way, port_of};
use crate::redis_keys::RedisKeys;
use tocsin_kit::postgres::Postgres;

const OUTAGE: Duration = Duration::from_secs(10);
const LOCKED: Duration = Duration::from_secs(30);
/// A connection that was refused is tried again within some seconds.
const AFTER_OUTAGE: Duration = Duration::from_secs(40);

const STORM: Storm = Storm {
    anomalies: 60,
    pods: 50,
    together: 30,
    pace: Duration::from_millis(80),
};

const SMALL: Storm = Storm {
    anomalies: 20,
    pods: 20,
    ..STORM
};

/// Ingress and workers on this database.
async fn on_database(
    on: On,
    database: String,
    turn: impl Send + 'static,
) -> (Scenario, Vec<String>) {
    let keys = (on == On::Fleet).then(RedisKeys::in_turn);
    let mut scenario = Scenario::of(Fleet::on(database, keys, turn).await);
    let (urls, _) = scenario.start(on, 2).await;
    (scenario, urls)
}

/// Ingress and workers on a server of their own.
async fn with_postgres(on: On) -> (Scenario, Postgres, Vec<String>) {
    let turn = beside_few().await;
    let server = Postgres::start(folder()).await.unwrap();
    let (scenario, urls) = on_database(on, server.url(), turn).await;
    (scenario, server, urls)
}

async fn connect(url: &str) -> DatabaseConnection {
    Database::connect(url).await.unwrap()
}

/// Lasts longer than a server that is busy takes to stop.
const LONG: Storm = Storm { pods: 100, ..STORM };

scenarios! {
    async fn restarted(on: postgres fleet) {
        let (mut scenario, mut server, urls) = with_postgres(on).await;
        let load = scenario.post(LONG, &urls);
        tokio::time::sleep(STORM.lasts() / 3).await;
        server.stop("fast").await.unwrap();
        let accepted = scenario.fleet.accepted(&urls[0]).await;
        say_what_is_missing(&scenario.fleet, &urls[0], "store", OUTAGE).await;
        let meanwhile = scenario.fleet.accepted(&urls[0]).await - accepted;
        // With Redis, alerts are taken meanwhile: they wait there.
        assert_eq!(meanwhile > 0, on == On::Fleet, "{meanwhile} were accepted meanwhile");
        server.start_again().await.unwrap();
        let over = Instant::now();
        refused_clearly(&load.await.unwrap());
        let expected = LONG.expected().within(AFTER_OUTAGE).doubled(2 * SENT_AT_ONCE);
        scenario.verdict(over, &expected).await;
    }

    #[ignore = "soak"]
    async fn killed(on: postgres fleet) {
        let (mut scenario, mut server, urls) = with_postgres(on).await;
        let load = scenario.post(STORM, &urls);
        for _ in 0..3 {
            let moment = scenario.random.random_range(0.1..0.3);
            tokio::time::sleep(STORM.lasts().mul_f64(moment)).await;
            server.kill().await.unwrap();
            server.start_again().await.unwrap();
        }
        let over = Instant::now();
        refused_clearly(&load.await.unwrap());
        let expected = STORM.expected().within(AFTER_OUTAGE).doubled(6 * SENT_AT_ONCE);
        scenario.verdict(over, &expected).await;
    }

    async fn its_connections_ended(on: postgres fleet) {
        let (mut scenario, server, urls) = with_postgres(on).await;
        let session = connect(&server.url()).await;
        let load = scenario.post(STORM, &urls);
        for _ in 0..5 {
            let moment = scenario.random.random_range(0.05..0.2);
            tokio::time::sleep(STORM.lasts().mul_f64(moment)).await;
            let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                       WHERE application_name = 'tocsin'";
            session.execute_unprepared(end).await.unwrap();
        }
        let over = Instant::now();
        refused_clearly(&load.await.unwrap());
        let expected = STORM.expected().doubled(2 * SENT_AT_ONCE);
        scenario.verdict(over, &expected).await;
    }

    async fn a_lock_held_for_30_s(on: postgres fleet) {
        let mut scenario = Scenario::new(on).await;
        let (urls, _) = scenario.start(on, 2).await;
        let tables = ["anomalies", "occurrences", "incidents", "notifications", "jobs"];
        let choice = if on == On::Fleet { &tables[..4] } else { &tables };
        let table = *choice.choose(&mut scenario.random).unwrap();
        eprintln!("{table} is locked");
        let session = connect(&scenario.fleet.database).await;
        let load = scenario.post(STORM, &urls);
        let moment = scenario.random.random_range(0.1..0.7);
        tokio::time::sleep(STORM.lasts().mul_f64(moment)).await;
        let lock = session.begin().await.unwrap();
        let sql = format!("LOCK TABLE {table} IN EXCLUSIVE MODE");
        lock.execute_unprepared(&sql).await.unwrap();
        tokio::time::sleep(LOCKED).await;
        lock.commit().await.unwrap();
        let over = Instant::now();
        refused_clearly(&load.await.unwrap());
        let expected = STORM.expected().doubled(2 * SENT_AT_ONCE);
        scenario.verdict(over, &expected).await;
    }

    #[ignore = "soak"]
    async fn deadlocks(on: postgres fleet) {
        let mut scenario = Scenario::new(on).await;
        let (urls, _) = scenario.start(on, 2).await;
        let session = connect(&scenario.fleet.database).await;
        let load = scenario.post(STORM, &urls);
        let mut deadlocks = 0;
        while !load.is_finished() {
            deadlocks += usize::from(lock_backwards(&session).await.is_err());
        }
        eprintln!("{deadlocks} deadlocks were ours to give up");
        let over = Instant::now();
        refused_clearly(&load.await.unwrap());
        scenario.verdict(over, &STORM.expected()).await;
    }

    #[ignore = "soak"]
    async fn refusals_to_serialize(on: postgres fleet) {
        let turn = beside_few().await;
        let database = Scratch::in_turn(On::Postgres).await.url.clone();
        let serialize = "%20-c%20default_transaction_isolation%3Dserializable";
        let (mut scenario, urls) = on_database(on, database + serialize, turn).await;
        let load = scenario.post(SMALL, &urls);
        tokio::time::sleep(SMALL.lasts()).await;
        let over = Instant::now();
        refused_clearly(&load.await.unwrap());
        let expected = SMALL.expected().within(2 * RECOVERY).doubled(2 * SENT_AT_ONCE);
        scenario.verdict(over, &expected).await;
    }

    #[ignore = "soak"]
    async fn slow(on: postgres fleet) {
        let turn = beside_few().await;
        let database = Scratch::in_turn(On::Postgres).await.url.clone();
        let proxy = Proxy::start(port_of(&database), |piece| match piece.way {
            Way::ToServer => Fate::Late(Duration::from_millis(100)),
            Way::FromServer => Fate::Pass,
        });
        let proxy = proxy.await;
        let (mut scenario, urls) = on_database(on, proxy.instead(&database), turn).await;
        let load = scenario.post(SMALL, &urls);
        tokio::time::sleep(SMALL.lasts()).await;
        let over = Instant::now();
        refused_clearly(&load.await.unwrap());
        scenario.verdict(over, &SMALL.expected().within(2 * RECOVERY)).await;
    }
}

/// Locks anomalies one by one in the order in which nobody else does.
async fn lock_backwards(session: &DatabaseConnection) -> Result<(), sea_orm::DbErr> {
    let tx = session.begin().await?;
    let each = "DO $$ DECLARE one text; BEGIN \
                FOR one IN SELECT key FROM anomalies ORDER BY key DESC LOOP \
                    PERFORM 1 FROM anomalies WHERE key = one FOR UPDATE; \
                    PERFORM pg_sleep(0.01); \
                END LOOP; END $$";
    tx.execute_unprepared(each).await?;
    tx.commit().await
}
