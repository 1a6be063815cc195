//! Workers that are killed, stopped, or suspended.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

use rand::RngExt as _;
use tocsin::queue::store::DEAD_AFTER;
use tocsin::time::Timestamp;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::kill_points::{POISON, Point};
use super::oracle::{Expected, RECOVERY, SENT_AT_ONCE, Scenario};
use super::storm::Storm;
use crate::harness::{On, alert, body};

const KILLS: usize = 8;
/// Where all jobs are in one process: too few to make a dead letter of one that each of them hits.
const KILLS_OF_ONE: usize = DEAD_AFTER as usize - 1;
/// A killed worker's jobs are offered elsewhere.
const TAKEN_OVER: Duration = Duration::from_secs(20);
/// Nearly three leases.
const STANDSTILL: Duration = Duration::from_secs(40);

const STORM: Storm = Storm {
    anomalies: 60,
    pods: 50,
    together: 30,
    pace: Duration::from_millis(80),
};

scenarios! {
    async fn killed_at_any_moment(on: sqlite postgres fleet) {
        let mut scenario = Scenario::new(on).await;
        let (urls, workers) = scenario.start(on, 2).await;
        let load = scenario.post(STORM, &urls);
        let kills = if on == On::Sqlite { KILLS_OF_ONE } else { KILLS };
        kill_at_any_moment(&mut scenario, workers, kills).await;
        let over = Instant::now();
        load.await.unwrap();
        let expected = STORM.expected().doubled(kills * SENT_AT_ONCE);
        scenario.verdict(over, &expected).await;
    }

    async fn killed_between_commit_and_count(on: fleet) {
        killed_at(Point::Count, on).await;
    }

    async fn killed_between_count_and_push(on: postgres fleet) {
        killed_at(Point::Push, on).await;
    }

    async fn killed_between_push_and_acknowledgement(on: postgres fleet) {
        killed_at(Point::Ack, on).await;
    }

    #[ignore = "soak"]
    async fn killed_during_the_acknowledgement(on: postgres fleet) {
        killed_at(Point::Acked, on).await;
    }

    async fn killed_by_a_job_among_healthy_ones(on: postgres fleet) {
        let mut scenario = Scenario::new(on).await;
        let url = scenario.fleet.start("ingress", 1).await.remove(0);
        let (tell, mut told) = mpsc::unbounded_channel();
        let deaths = Arc::new(AtomicU32::new(0));
        let mut proxies = Vec::new();
        for worker in 1..=2 {
            let proxy = scenario.poisoned(worker, &deaths, &tell).await;
            proxies.push(proxy);
        }
        let load = scenario.post(STORM, std::slice::from_ref(&url));
        let moment = scenario.random.random_range(0.2..0.7);
        tokio::time::sleep(STORM.lasts().mul_f64(moment)).await;
        let poison = body(&[alert(POISON, "a", Timestamp::now())]);
        let post = scenario.fleet.http.post(format!("{url}/api/v1/alertmanager"));
        assert_eq!(post.json(&poison).send().await.unwrap().status(), 200);
        let over = Instant::now();
        for _ in 0..DEAD_AFTER {
            let worker = timeout(RECOVERY, told.recv()).await;
            let worker = worker.expect("it is delivered again").unwrap();
            scenario.fleet.processes[worker].restart().unwrap();
        }
        load.await.unwrap();
        let doubled = DEAD_AFTER as usize * SENT_AT_ONCE;
        let expected = Expected {
            accepted: STORM.alerts() + 1,
            dead: 1,
            ..STORM.expected()
        };
        let expected = expected.within(TAKEN_OVER * DEAD_AFTER).doubled(doubled);
        scenario.verdict(over, &expected).await;
        let reason = "SELECT count(*) FROM dead_letters WHERE reason LIKE '%died 5 times%'";
        assert_eq!(scenario.fleet.sql(reason).await, 1);
    }

    async fn told_to_stop_under_load(on: sqlite postgres fleet) {
        let mut scenario = Scenario::new(on).await;
        let (urls, workers) = scenario.start(on, 1).await;
        let load = scenario.post(STORM, &urls);
        for _ in 0..2 {
            tokio::time::sleep(STORM.lasts() / 4).await;
            let fleet = &mut scenario.fleet;
            fleet.processes[workers.start].signal("TERM").unwrap();
            let status = fleet.processes[workers.start].ended().await.unwrap();
            assert_eq!(status.code(), Some(0), "{status}");
            assert_eq!(fleet.held().await, 0, "nothing is left leased");
            fleet.processes[workers.start].restart().unwrap();
        }
        let over = Instant::now();
        load.await.unwrap();
        scenario.verdict(over, &STORM.expected()).await;
    }

    async fn stopped_for_40_s_and_back(on: postgres fleet) {
        let mut scenario = Scenario::new(on).await;
        let (urls, workers) = scenario.start(on, 2).await;
        let load = scenario.post(STORM, &urls);
        let moment = scenario.random.random_range(0.2..0.7);
        tokio::time::sleep(STORM.lasts().mul_f64(moment)).await;
        scenario.fleet.processes[workers.start].signal("STOP").unwrap();
        let stopped = Instant::now();
        assert!(load.await.unwrap().is_empty(), "nothing is refused meanwhile");
        // The other takes over what it held.
        let counted = STORM.alerts();
        scenario.fleet.nothing_left(counted, 0, STANDSTILL).await;
        tokio::time::sleep(STANDSTILL.saturating_sub(stopped.elapsed())).await;
        scenario.fleet.processes[workers.start].signal("CONT").unwrap();
        // It wakes up with what another has done meanwhile, and says that it did it.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let expected = STORM.expected().doubled(SENT_AT_ONCE);
        scenario.verdict(Instant::now(), &expected).await;
    }
}

/// Kills and restarts one of the processes, several times while the storm lasts.
async fn kill_at_any_moment(scenario: &mut Scenario, victims: Range<usize>, kills: usize) {
    let began = tokio::time::Instant::now();
    let random = &mut scenario.random;
    let mut moments: Vec<Duration> = (0..kills)
        .map(|_| STORM.lasts().mul_f64(random.random_range(0.02..0.98)))
        .collect();
    moments.sort();
    for moment in moments {
        tokio::time::sleep_until(began + moment).await;
        let victim = random.random_range(victims.clone());
        scenario.fleet.processes[victim].restart().unwrap();
    }
}

/// One of two workers dies at exactly this point.
async fn killed_at(point: Point, on: On) {
    let mut scenario = Scenario::new(on).await;
    // All the while there is something to push.
    let figures = ("TOCSIN_ESCALATION__FIGURES", "0s".to_owned());
    scenario.fleet.settings.push(figures);
    let (urls, _) = scenario.start(on, 1).await;
    let load = scenario.post(STORM, &urls);
    // By then every anomaly was seen, and its counter is not built from the rows any more.
    tokio::time::sleep(
        STORM
            .lasts()
            .mul_f64(scenario.random.random_range(0.4..0.6)),
    )
    .await;
    scenario.die_at(point, on).await;
    let over = Instant::now();
    let committed = "SELECT count(*) FROM occurrences";
    assert!(scenario.fleet.sql(committed).await > 0);
    load.await.unwrap();
    scenario
        .verdict(over, &STORM.expected().within(RECOVERY))
        .await;
}
