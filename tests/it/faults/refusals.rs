//! A PostgreSQL that answers, and takes nothing: a standby, or one that withdrew a right.

use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection};

use super::health::Health;
use super::oracle::{RECOVERY, SENT_AT_ONCE, Scenario, refused_clearly, two_attempts};
use super::storm::Storm;
use crate::fleet::processes::Fleet;
use crate::harness::On;
use crate::process::{beside_few, folder};
use crate::proxy::{Fate, Proxy, port_of};
use crate::redis_keys::RedisKeys;
use tocsin_kit::postgres::Postgres;

/// So long that what is tried once a second is tried more often than a job may fail.
const REFUSES: Duration = Duration::from_secs(8);
/// What health finds out is shown for a second.
const NOTICED: Duration = Duration::from_secs(5);
/// A connection that was lost is made again, to a server that answers and takes nothing.
const CONNECTED_AGAIN: Duration = Duration::from_secs(20);

const STORM: Storm = Storm {
    anomalies: 60,
    pods: 50,
    together: 30,
    pace: Duration::from_millis(80),
};

/// Ingress and workers on this database of a server of their own.
async fn on_database(
    on: On,
    database: String,
    turn: impl Send + 'static,
) -> (Scenario, Vec<String>) {
    let keys = (on == On::Fleet).then(RedisKeys::in_turn);
    let mut scenario = Scenario::of(Fleet::on(database, keys, turn).await);
    scenario.fleet.settings = two_attempts();
    let (urls, _) = scenario.start(on, 2).await;
    (scenario, urls)
}

/// Has the server refuse what is written for a while under load, and then take it again.
async fn refuses(
    on: On,
    mut scenario: Scenario,
    urls: &[String],
    session: &DatabaseConnection,
    [refuse, take]: [&[&str]; 2],
) {
    let health = Health::watch(&urls[0]);
    let load = scenario.post(STORM, urls);
    tokio::time::sleep(STORM.lasts() / 4).await;
    run(session, refuse).await;
    let began = Instant::now();
    health.says("store rejects writes", NOTICED).await;
    // What had begun before that was written.
    let accepted = scenario.fleet.accepted(&urls[0]).await;
    let (is_healthy, said) = scenario.fleet.asks(&urls[0], &["health"]);
    assert!(
        !is_healthy && said.contains("store rejects writes"),
        "{said}"
    );
    tokio::time::sleep(REFUSES.saturating_sub(began.elapsed())).await;
    let meanwhile = scenario.fleet.accepted(&urls[0]).await - accepted;
    // With Redis, alerts are taken meanwhile: they wait there.
    assert_eq!(
        meanwhile > 0,
        on == On::Fleet,
        "{meanwhile} were accepted meanwhile"
    );
    run(session, take).await;
    let over = Instant::now();
    health.says("ready", NOTICED).await;
    let refused = load.await.unwrap();
    assert_eq!(refused.is_empty(), on == On::Fleet);
    refused_clearly(&refused);
    let expected = STORM.expected().within(RECOVERY).doubled(2 * SENT_AT_ONCE);
    scenario.verdict(over, &expected).await;
    health.says("ready", NOTICED).await;
    health.was_not_ready_once();
}

async fn run(session: &DatabaseConnection, statements: &[&str]) {
    for sql in statements {
        session.execute_unprepared(sql).await.unwrap();
    }
}

/// A session that stays what it is when the server changes.
async fn session(server: &Postgres) -> DatabaseConnection {
    let mut options = sea_orm::ConnectOptions::new(server.url());
    options.max_connections(1);
    let session = Database::connect(options).await.unwrap();
    run(&session, &["SET default_transaction_read_only = off"]).await;
    session
}

scenarios! {
    async fn a_standby_takes_over(on: postgres; soak fleet) {
        let turn = beside_few().await;
        let mut primary = Postgres::start(folder()).await.unwrap();
        let standby = primary.standby(folder()).await.unwrap();
        let proxy = Proxy::start(port_of(&primary.url()), |_| Fate::Pass).await;
        let (mut scenario, urls) = on_database(on, proxy.instead(&primary.url()), turn).await;
        let health = Health::watch(&urls[0]);
        let load = scenario.post(STORM, &urls);
        tokio::time::sleep(STORM.lasts() / 4).await;
        primary.kill().await.unwrap();
        proxy.point_to(port_of(&standby.url()));
        let began = Instant::now();
        health.says("store rejects writes", CONNECTED_AGAIN).await;
        tokio::time::sleep(REFUSES.saturating_sub(began.elapsed())).await;
        standby.promote().unwrap();
        let over = Instant::now();
        health.says("ready", NOTICED).await;
        refused_clearly(&load.await.unwrap());
        let expected = STORM.expected().within(RECOVERY).doubled(2 * SENT_AT_ONCE);
        scenario.verdict(over, &expected).await;
        health.says("ready", NOTICED).await;
    }

    async fn read_only_for_a_while(on: postgres; soak fleet) {
        let turn = beside_few().await;
        let server = Postgres::start(folder()).await.unwrap();
        let (scenario, urls) = on_database(on, server.url(), turn).await;
        let session = session(&server).await;
        let reload = "SELECT pg_reload_conf()";
        let refuse = ["ALTER SYSTEM SET default_transaction_read_only = on", reload];
        let take = ["ALTER SYSTEM RESET default_transaction_read_only", reload];
        refuses(on, scenario, &urls, &session, [&refuse, &take]).await;
    }

    async fn rights_withdrawn_for_a_while(on: fleet; soak postgres) {
        let turn = beside_few().await;
        let server = Postgres::start(folder()).await.unwrap();
        let session = session(&server).await;
        // Rights are nothing to who owns a table: the owner makes the schema, and another works with it.
        let mut owner = Fleet::on(server.url(), None, ()).await;
        let number = owner.run(&["migrate", "up"], 0);
        assert!(owner.processes[number].ended().await.unwrap().success());
        let allow = "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO tocsin";
        let role = ["CREATE ROLE tocsin LOGIN", "GRANT CREATE, USAGE ON SCHEMA public TO tocsin", allow];
        run(&session, &role).await;
        let database = server.url().replace("postgres@", "tocsin@");
        let (scenario, urls) = on_database(on, database, turn).await;
        let refuse = ["REVOKE INSERT, UPDATE ON ALL TABLES IN SCHEMA public FROM tocsin"];
        refuses(on, scenario, &urls, &session, [&refuse, &[allow]]).await;
    }
}
