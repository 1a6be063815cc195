//! Many processes on one database: they agree, and what is done is done once.

pub mod processes;
mod tier;

use serde_json::Value;
use tocsin::time::Timestamp;
use tokio::task::JoinSet;

use crate::harness::{On, alert, body};
use crate::on_servers;
use crate::process::{PATIENCE, free_port};
use processes::Fleet;

on_servers! {
    async fn a_webhook_that_arrives_fifty_times_at_once_counts_once(on) {
        let mut fleet = Fleet::new(on).await;
        let ingresses = fleet.start("ingress", 2).await;
        fleet.start("work", 4).await;
        let since = Timestamp::now();
        let alerts = ["a", "b", "c"].map(|pod| alert("DiskFull", pod, since));
        post_at_once(&fleet, &ingresses, vec![body(&alerts); 50]).await;
        fleet.settled(3, PATIENCE).await;

        let found = fleet
            .look([
                "SELECT count(*) FROM incidents",
                "SELECT aggregated_count FROM incidents",
                "SELECT total FROM anomalies",
                "SELECT min(deliveries) FROM occurrences",
                "SELECT max(deliveries) FROM occurrences",
                "SELECT count(*) FROM notifications WHERE kind = 'opened' AND state = 'sent'",
                "SELECT count(*) FROM notifications",
            ])
            .await;
        assert_eq!(found, [1, 3, 3, 50, 50, 1, 1]);
        assert_eq!(fleet.telegram.taken().len(), 1);
    }

    async fn a_thousand_pods_that_fail_together_are_one_incident(on) {
        let mut fleet = Fleet::new(on).await;
        let ingresses = fleet.start("ingress", 2).await;
        fleet.start("work", 4).await;
        let since = Timestamp::now();
        let alerts: Vec<Value> = (0..1000)
            .map(|pod| alert("NodeDown", &format!("pod-{pod}"), since))
            .collect();
        let bodies = alerts.chunks(50).map(body).collect();
        post_at_once(&fleet, &ingresses, bodies).await;
        fleet.settled(1000, PATIENCE).await;

        let found = fleet
            .look([
                "SELECT count(*) FROM incidents",
                "SELECT aggregated_count FROM incidents",
                "SELECT open_episodes FROM incidents",
                "SELECT CAST(tier AS BIGINT) FROM incidents",
                "SELECT total FROM anomalies",
                "SELECT count(*) FROM anomalies WHERE level = 'PERMANENT_FIX'",
                "SELECT count(*) FROM notifications WHERE kind = 'opened'",
            ])
            .await;
        assert_eq!(found, [1, 1000, 1000, 3, 1000, 1, 1]);
        // A rise after the opening message has a message of its own, once.
        let told = fleet.telegram.headlines();
        let opened = told.iter().filter(|line| line.contains("Opened"));
        assert_eq!(opened.count(), 1, "{told:#?}");
        let worst = told.iter().filter(|line| line.contains("NEEDS PERMANENT FIX"));
        assert_eq!(worst.count(), 1, "{told:#?}");
        assert!(told.len() <= 3, "{told:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_processes_that_start_at_once_apply_the_schema_once() {
    let mut fleet = Fleet::new(On::Postgres).await;
    let ports: Vec<u16> = (0..5).map(|_| free_port()).collect();
    let mut workers = Vec::new();
    for port in &ports {
        workers.push(fleet.run(&["work"], *port));
        fleet.run(&["migrate", "up"], 0);
    }
    for (number, port) in workers.iter().zip(&ports) {
        fleet
            .ready(*number, &format!("http://127.0.0.1:{port}"))
            .await;
    }
    for process in &mut fleet.processes {
        if process.name().starts_with("migrate") {
            assert!(
                process.ended().await.unwrap().success(),
                "{}",
                process.said()
            );
        }
        assert!(!process.said().contains("pending m0"), "{}", process.said());
    }
    let versions = "SELECT count(*) - count(DISTINCT version) FROM seaql_migrations";
    assert_eq!(fleet.sql(versions).await, 0);
    let applied = fleet.processes[1].said().matches("applied").count();
    let rows = fleet.sql("SELECT count(*) FROM seaql_migrations").await;
    assert_eq!(rows, applied as i64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sqlite_file_serves_one_process() {
    let mut fleet = Fleet::new(On::Sqlite).await;
    fleet.start("serve", 1).await;
    for (command, why) in [
        ("serve", "is in use by another tocsin process"),
        ("ingress", "a SQLite file serves one"),
        ("work", "a SQLite file serves one"),
    ] {
        let number = fleet.run(&[command], free_port());
        let second = &mut fleet.processes[number];
        assert_eq!(second.ended().await.unwrap().code(), Some(1), "{command}");
        assert!(second.said().contains(why), "{command}: {}", second.said());
    }
    assert!(fleet.processes[0].is_running());
}

async fn post_at_once(fleet: &Fleet, urls: &[String], bodies: Vec<Value>) {
    let mut requests = JoinSet::new();
    for (n, body) in bodies.into_iter().enumerate() {
        let url = format!("{}/api/v1/alertmanager", urls[n % urls.len()]);
        let request = fleet.http.post(url).json(&body);
        requests.spawn(async move { request.send().await.unwrap().status() });
    }
    let answers = requests.join_all().await;
    assert!(answers.iter().all(|status| *status == 200), "{answers:?}");
}
