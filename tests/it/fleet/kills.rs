//! Processes that are killed or told to stop in the middle of a storm: nothing is lost, and nothing
//! is counted twice.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::Instant;

use super::load::Storm;
use super::processes::Fleet;
use crate::harness::On;
use crate::on_all;

const KILLS: usize = 10;
/// A lease of 15 s, and what it takes to catch up.
const SETTLED: Duration = Duration::from_secs(30);
/// Messages that one process sends at once: so many can be doubled by one kill.
const SENT_AT_ONCE: usize = 4;

const STORM: Storm = Storm {
    anomalies: 200,
    pods: 100,
    together: 100,
    pace: Duration::from_millis(100),
};

on_all! {
    async fn kill_9_at_any_moment_loses_and_doubles_nothing(on) {
        let mut fleet = Fleet::new(on).await;
        let (urls, victims) = match on {
            On::Sqlite => (fleet.start("serve", 1).await, 0..1),
            On::Postgres | On::Fleet => {
                let urls = fleet.start("ingress", 1).await;
                fleet.start("work", 2).await;
                (urls, 1..3)
            }
        };
        let load = tokio::spawn(STORM.post(fleet.http.clone(), urls));
        kill(&mut fleet, victims).await;
        let refused = load.await.unwrap();
        let took = fleet.settled(STORM.alerts(), SETTLED).await;
        let doubled = fleet.assert_all_counted_once(STORM).await;
        eprintln!(
            "{on:?}: settled {took:?} after the last alert; {} requests were sent again, {} \
             messages taken, {doubled} of them twice",
            refused.len(),
            fleet.telegram.taken().len(),
        );
        assert!(doubled <= KILLS * SENT_AT_ONCE, "{doubled} messages went out twice");
        fleet.assert_running();
    }

    async fn sigterm_under_load_loses_nothing_and_leaves_nothing_leased(on) {
        let storm = Storm { pods: 30, ..STORM };
        let mut fleet = Fleet::new(on).await;
        let (urls, stopped) = match on {
            On::Sqlite => (fleet.start("serve", 1).await, 0),
            On::Postgres | On::Fleet => {
                let urls = fleet.start("ingress", 1).await;
                fleet.start("work", 1).await;
                (urls, 1)
            }
        };
        let load = tokio::spawn(storm.post(fleet.http.clone(), urls));
        for _ in 0..2 {
            tokio::time::sleep(storm.lasts() / 4).await;
            fleet.processes[stopped].signal("TERM");
            let status = fleet.processes[stopped].ended().await;
            assert_eq!(status.code(), Some(0), "{status}");
            assert_eq!(fleet.held().await, 0);
            fleet.processes[stopped].restart();
        }
        load.await.unwrap();
        let took = fleet.settled(storm.alerts(), SETTLED).await;
        eprintln!("{on:?}: settled {took:?} after the last alert");
        assert_eq!(fleet.assert_all_counted_once(storm).await, 0, "messages went out twice");
    }
}

/// Kills and restarts one of the processes, ten times while the storm lasts.
async fn kill(fleet: &mut Fleet, victims: std::ops::Range<usize>) {
    let seed = std::env::var("TOCSIN_TEST_SEED").map_or_else(
        |_| rand::rng().random(),
        |seed| seed.parse::<u64>().unwrap(),
    );
    eprintln!("TOCSIN_TEST_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let began = Instant::now();
    let mut moments: Vec<Duration> = (0..KILLS)
        .map(|_| STORM.lasts().mul_f64(random.random_range(0.02..0.98)))
        .collect();
    moments.sort();
    for moment in moments {
        tokio::time::sleep_until(began + moment).await;
        let victim = random.random_range(victims.clone());
        fleet.processes[victim].restart();
    }
}
