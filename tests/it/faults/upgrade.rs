//! A database that is changed by a newer version while this one works on it.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use sea_orm::ConnectionTrait as _;

use super::health::Health;
use super::oracle::{SENT_AT_ONCE, Scenario, refused_clearly, two_attempts};
use super::storm::Storm;
use crate::fleet::processes::{Fleet, Launch};
use crate::process::free_port;

const STORM: Storm = Storm {
    anomalies: 60,
    pods: 50,
    together: 30,
    pace: Duration::from_millis(80),
};

/// The tables that a newer version changes.
const TABLES: &str = "SELECT CAST(tablename AS TEXT) FROM pg_tables \
                      WHERE schemaname = current_schema() AND tablename <> 'seaql_migrations'";

/// What a newer version does: each table has one column more, which who does not know it leaves alone.
async fn change(fleet: &Fleet) {
    let db = fleet.connect().await;
    for table in fleet.column::<String>(TABLES).await {
        let add = format!("ALTER TABLE {table} ADD COLUMN newer bigint NOT NULL DEFAULT 0");
        db.execute_unprepared(&add).await.unwrap();
    }
    let applied = "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m999_newer', 0)";
    db.execute_unprepared(applied).await.unwrap();
    db.close().await.unwrap();
}

scenarios! {
    async fn changed_by_a_newer_version_under_load(on: fleet; soak postgres) {
        let mut scenario = Scenario::new(on).await;
        scenario.fleet.settings = two_attempts();
        let (urls, _) = scenario.start(on, 2).await;
        let health = Health::watch(&urls[0]);
        let load = scenario.post(STORM, &urls);
        tokio::time::sleep(STORM.lasts() / 2).await;
        // What is asked now is prepared.
        all_is_answered(&scenario.fleet, &urls[0]).await;
        change(&scenario.fleet).await;
        let over = Instant::now();
        // Who starts now does not know what the newer version meant by it.
        let number = scenario.fleet.run(&["work"], free_port());
        let late = &mut scenario.fleet.processes[number];
        assert_eq!(late.ended().await.unwrap().code(), Some(1), "{}", late.said());
        let said = late.said();
        assert!(said.contains("newer than this program") && said.contains("m999_newer"), "{said}");
        late.kill();
        refused_clearly(&load.await.unwrap());
        scenario.verdict(over, &STORM.expected().doubled(SENT_AT_ONCE)).await;
        for _ in 0..3 {
            all_is_answered(&scenario.fleet, &urls[0]).await;
        }
        let (is_right, said) = scenario.fleet.asks(&urls[0], &["recount", "--verify"]);
        assert!(is_right, "{said}");
        health.was_always_ready();
    }

    /// The older version is the program that `TOCSIN_TEST_OLDER` names; without it, this one.
    #[ignore = "soak"]
    async fn an_older_version_beside_this_one(on: postgres fleet) {
        let older = std::env::var_os("TOCSIN_TEST_OLDER").map(PathBuf::from);
        eprintln!("the older version is {older:?}");
        let older = Launch { program: older, ..Launch::default() };
        let mut scenario = Scenario::new(on).await;
        let port = free_port();
        let mut urls = vec![format!("http://127.0.0.1:{port}")];
        let first = scenario.fleet.run_as(&["ingress"], port, &older);
        scenario.fleet.ready(first, &urls[0]).await;
        for _ in 0..2 {
            scenario.fleet.start_as(&["work"], &older).await;
        }
        let health = Health::watch(&urls[0]);
        let load = scenario.post(Storm { pods: 30, ..STORM }, &urls);
        tokio::time::sleep(STORM.lasts() / 4).await;
        urls.extend(scenario.fleet.start("ingress", 1).await);
        scenario.fleet.start("work", 2).await;
        refused_clearly(&load.await.unwrap());
        // Both take alerts, and either of them works.
        let rest = STORM.all().skip(60 * 30);
        STORM.post_these(rest, scenario.fleet.http.clone(), urls.clone()).await;
        health.was_always_ready();
        drop(health);
        for number in first..first + 3 {
            let process = &mut scenario.fleet.processes[number];
            process.signal("TERM").unwrap();
            assert_eq!(process.ended().await.unwrap().code(), Some(0), "{}", process.said());
            process.kill();
        }
        scenario.verdict(Instant::now(), &STORM.expected()).await;
    }
}

/// Asks for what there is to see.
async fn all_is_answered(fleet: &Fleet, url: &str) {
    let trace = "/trace?fingerprint=Storm000-pod-1";
    let pages = [
        "/",
        "/incidents",
        "/anomalies",
        "/dead-letters",
        "/queues",
        "/repairs",
        "/report",
        "/playbooks",
        "/system",
        trace,
    ];
    let api = ["incidents", "anomalies", "dead-letters", "queues", "audit"]
        .map(|of| format!("/api/v1/{of}"));
    for path in pages.map(str::to_owned).iter().chain(&api) {
        let answer = fleet.http.get(format!("{url}{path}")).send().await.unwrap();
        assert!(
            answer.status().as_u16() < 500,
            "{path}: {}",
            answer.status()
        );
    }
}
