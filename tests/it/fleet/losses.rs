//! What a fleet loses on the way: a process that stands still for longer than its lease, a Redis
//! that is killed, and one that hangs.

use std::time::Duration;

use super::load::Storm;
use super::processes::Fleet;
use crate::harness::{On, Scratch};
use crate::on_servers;
use crate::process::alone;
use crate::redis_keys::RedisKeys;
use crate::redis_server::{Fsync, RedisServer};

/// A lease of 15 s, and what it takes to catch up.
const SETTLED: Duration = Duration::from_secs(30);
/// Longer than a lease.
const STANDSTILL: Duration = Duration::from_secs(20);
/// Two leases.
const HANG: Duration = Duration::from_secs(30);
/// Messages that one process sends at once.
const SENT_AT_ONCE: usize = 4;

const STORM: Storm = Storm {
    anomalies: 100,
    pods: 60,
    together: 50,
    pace: Duration::from_millis(100),
};

on_servers! {
    async fn a_worker_that_stands_still_and_wakes_up_takes_nothing_back(on) {
        let mut fleet = Fleet::new(on).await;
        let urls = fleet.start("ingress", 1).await;
        fleet.start("work", 2).await;
        let load = tokio::spawn(STORM.post(fleet.http.clone(), urls));
        tokio::time::sleep(STORM.lasts() / 3).await;
        fleet.processes[1].signal("STOP");
        assert!(load.await.unwrap().is_empty(), "nothing is refused meanwhile");
        tokio::time::sleep(STANDSTILL - STORM.lasts() / 2).await;
        fleet.processes[1].signal("CONT");
        let took = fleet.settled(STORM.alerts(), SETTLED).await;
        let doubled = fleet.assert_all_counted_once(STORM).await;
        eprintln!("{on:?}: settled {took:?} after it woke up; {doubled} messages went out twice");
        assert!(doubled <= SENT_AT_ONCE, "{doubled} messages went out twice");
        fleet.assert_running();
    }
}

/// Ingress and workers on a Redis of their own.
async fn with_redis(fsync: Fsync) -> (Fleet, RedisServer, Scratch, Vec<String>) {
    let turn = alone().await;
    let redis = RedisServer::start(fsync).await;
    let scratch = Scratch::in_turn(On::Postgres).await;
    let keys = RedisKeys::at(redis.url());
    let mut fleet = Fleet::on(scratch.url.clone(), Some(keys), turn).await;
    let urls = fleet.start("ingress", 1).await;
    fleet.start("work", 2).await;
    (fleet, redis, scratch, urls)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_killed_and_writes_before_it_answers_costs_no_alert() {
    let (mut fleet, mut redis, _scratch, urls) = with_redis(Fsync::Always).await;
    let load = tokio::spawn(STORM.post(fleet.http.clone(), urls));
    for _ in 0..3 {
        tokio::time::sleep(STORM.lasts() / 4).await;
        redis.kill();
        redis.start_again().await;
    }
    load.await.unwrap();
    let took = fleet.settled(STORM.alerts(), SETTLED).await;
    let doubled = fleet.assert_all_counted_once(STORM).await;
    eprintln!("settled {took:?} after the last alert; {doubled} messages went out twice");
    fleet.assert_running();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_hangs_for_half_a_minute_costs_no_alert_and_ends_no_worker() {
    let (mut fleet, redis, _scratch, urls) = with_redis(Fsync::EverySecond).await;
    let load = tokio::spawn(STORM.post(fleet.http.clone(), urls));
    tokio::time::sleep(STORM.lasts() / 3).await;
    redis.freeze();
    tokio::time::sleep(HANG).await;
    redis.thaw();
    load.await.unwrap();
    // A lease passes before what was handed out to nobody is taken over, and then one more.
    let took = fleet.settled(STORM.alerts(), 2 * SETTLED).await;
    let doubled = fleet.assert_all_counted_once(STORM).await;
    eprintln!("settled {took:?} after the last alert; {doubled} messages went out twice");
    fleet.assert_running();
}
