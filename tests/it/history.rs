//! Histories of alerts, delivered several times over, to machines that lose their power while they work
//! on them: what is in the database afterwards is what an oracle says, which knows the rules from the
//! description of the rules alone.
//!
//! A seed that failed is printed; `TOCSIN_TEST_SEED` repeats it. `scripts/soak` runs others.

mod database;
mod generator;
mod machines;
mod oracle;

use std::collections::BTreeSet;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;

use crate::harness::On;
use crate::on_all;
use database::StoredHistory;
use generator::{Shape, Story};
use machines::Machines;
use oracle::{DAY, HOUR, Oracle, Received, Status, Unit};

/// Histories of each kind on each combination.
const HISTORIES: u64 = 3;
/// How often power is lost in each. A job that five machines died with is given up.
const LOSSES: usize = 4;
const NEVER: i64 = 400 * DAY;

on_all! {
    async fn a_scrambled_history_is_counted_as_the_oracle_counts_it(on) {
        for n in 0..HISTORIES {
            scrambled(on, seed(n)).await;
        }
    }

    async fn a_history_in_order_comes_to_the_incidents_that_the_oracle_sees(on) {
        for n in 0..HISTORIES {
            in_order(on, seed(n)).await;
        }
    }
}

fn seed(n: u64) -> u64 {
    let seed = std::env::var("TOCSIN_TEST_SEED").map_or_else(
        |_| rand::rng().random::<u64>(),
        |seed| seed.parse::<u64>().unwrap(),
    );
    seed.wrapping_add(n)
}

/// Alerts in any order, by two ingresses whose clocks differ by as much as a month. What depends on
/// the order of processing is held against itself, everything else against the oracle.
async fn scrambled(on: On, seed: u64) {
    eprintln!("TOCSIN_TEST_SEED={seed}");
    let random = &mut StdRng::seed_from_u64(seed);
    let slots = *[20, 250, 2000, 6250].choose(random).unwrap();
    let shape = Shape {
        anomalies: 5,
        series: 4,
        firings: 6,
        slots,
        late: *[0, 5, slots].choose(random).unwrap(),
        in_order: false,
    };
    let unit = *[Unit::Episode, Unit::Episode, Unit::Delivery]
        .choose(random)
        .unwrap();
    let story = Story::new(random, shape, unit);
    let mut oracle = Oracle::new(unit, NEVER);
    story.told.iter().for_each(|told| oracle.hear(told));

    let mut machines = machines(on, &story, NEVER).await;
    let ingresses = machines.ingresses();
    let mut requests: Vec<Vec<Vec<&Received>>> = vec![Vec::new(); ingresses.len()];
    let mut rest = &story.told[..];
    while let Some(first) = rest.first() {
        let same = rest
            .iter()
            .take_while(|told| told.received_at == first.received_at);
        let n = random.random_range(1..=20).min(same.count());
        let (request, later) = rest.split_at(n);
        let ingress = random.random_range(0..requests.len());
        requests[ingress].push(request.iter().collect());
        rest = later;
    }
    let mut losses: Vec<f64> = (0..LOSSES).map(|_| random.random_range(0.1..1.2)).collect();
    losses.sort_by(f64::total_cmp);
    let mut posted = 0.0;
    for until in losses {
        let posts = ingresses.iter().zip(&requests).map(|(ingress, requests)| {
            let part = |share: f64| ((requests.len() as f64 * share) as usize).min(requests.len());
            let requests = &requests[part(posted)..part(until)];
            send(&machines, *ingress, requests)
        });
        futures::future::join_all(posts).await;
        posted = until;
        tokio::time::sleep(Duration::from_millis(random.random_range(0..60))).await;
        machines.lose_one(random.random_range(0..9)).await;
    }
    for (ingress, requests) in ingresses.iter().zip(&requests) {
        let sent = ((requests.len() as f64 * posted) as usize).min(requests.len());
        send(&machines, *ingress, &requests[sent..]).await;
    }
    somebody_looks(&machines, &mut oracle).await;
    machines.look_after(story.look_at()).await;
    let found = StoredHistory::read(&machines, &story).await;
    found.agrees_with_itself();
    found.episodes_are(&oracle);
    found.counts_are(&oracle);
}

async fn send(machines: &Machines, ingress: usize, requests: &[Vec<&Received>]) {
    for request in requests {
        let received_at = request[0].received_at;
        machines.send(ingress, received_at, request).await;
    }
}

/// Each alert when the one before it is in the database, and people who have their say in between: the
/// oracle sees the same incidents.
async fn in_order(on: On, seed: u64) {
    eprintln!("TOCSIN_TEST_SEED={seed}");
    let random = &mut StdRng::seed_from_u64(seed);
    let shape = Shape {
        anomalies: 3,
        series: 3,
        firings: 5,
        slots: *[6, 40, 300].choose(random).unwrap(),
        late: 0,
        in_order: true,
    };
    let unit = *[Unit::Episode, Unit::Delivery, Unit::Incident]
        .choose(random)
        .unwrap();
    let story = Story::new(random, shape, unit);
    let open_for = 4 * HOUR;
    let mut oracle = Oracle::new(unit, open_for);
    let mut machines = machines(on, &story, open_for).await;
    let steps = steps(random, &story.told);
    let losses: BTreeSet<usize> = (0..LOSSES)
        .map(|_| random.random_range(0..steps.len()))
        .collect();
    for (number, step) in steps.iter().enumerate() {
        // By the clock of one ingress, so that what comes later is received later.
        let ingress = machines.ingresses()[0];
        let received_at = step[0].received_at;
        machines.send(ingress, received_at, step).await;
        for told in step {
            // Within its slot each step is a little later than the one before.
            let received_at = told.received_at + number as i64;
            oracle.hear(&Received {
                received_at,
                ..(*told).clone()
            });
        }
        if losses.contains(&number) {
            tokio::time::sleep(Duration::from_millis(random.random_range(0..30))).await;
            machines.lose_one(random.random_range(0..9)).await;
        }
        machines.drained("ingest").await;
        if random.random_bool(0.2) {
            somebody_acts(random, &machines, &mut oracle, received_at + number as i64).await;
        }
    }
    somebody_looks(&machines, &mut oracle).await;
    machines.look_after(story.look_at()).await;
    oracle.look(story.look_at());
    let found = StoredHistory::read(&machines, &story).await;
    found.agrees_with_itself();
    found.episodes_are(&oracle);
    found.counts_are(&oracle);
    found.incidents_are(&oracle);
}

/// Requests of alerts that may be processed in any order: of no series two, and of no anomaly some
/// that begin and some that end.
fn steps<'a>(random: &mut StdRng, told: &'a [Received]) -> Vec<Vec<&'a Received>> {
    let mut steps: Vec<Vec<&Received>> = Vec::new();
    let mut most = 0;
    for told in told {
        let goes_with = |other: &&Received| {
            other.received_at == told.received_at
                && other.labels != told.labels
                && other.resolved == told.resolved
        };
        match steps.last_mut() {
            Some(step) if step.len() < most && step.iter().all(goes_with) => step.push(told),
            _ => {
                most = random.random_range(1..=6);
                steps.push(vec![told]);
            }
        }
    }
    steps
}

/// A person does something about the newest incident of some anomaly, now.
async fn somebody_acts(random: &mut StdRng, machines: &Machines, oracle: &mut Oracle, now: i64) {
    let anomalies: Vec<_> = oracle.anomalies().into_iter().collect();
    let Some(anomaly) = anomalies.choose(random) else {
        return;
    };
    let Some(newest) = oracle.newest(anomaly) else {
        return;
    };
    let ingress = machines.ingresses()[0];
    let (id, key) = database::incident(machines, anomaly, oracle.incidents[newest].number).await;
    let of_incident = |what: &str| format!("/api/v1/incidents/{id}/{what}");
    let is_open = matches!(
        oracle.incidents[newest].status,
        Status::Open | Status::Acknowledged
    );
    match random.random_range(0..5) {
        0 if is_open => {
            machines
                .post(ingress, &of_incident("acknowledge"), None, json!({}))
                .await;
            oracle.acknowledge(newest);
        }
        1 | 2 if is_open => {
            machines
                .post(ingress, &of_incident("resolve"), None, json!({}))
                .await;
            oracle.resolve(newest, now);
        }
        3 => {
            let path = format!("/api/v1/anomalies/{key}/permanent-fix");
            machines.post(ingress, &path, None, json!({})).await;
            oracle.fix(anomaly, now);
        }
        _ => {
            let actions = ["restart_pod", "restart_container", "scale_up"];
            let action = *actions.choose(random).unwrap();
            let success = random.random();
            let report = json!({"action": action, "success": success});
            let repair = format!("repair-{now}");
            for _ in 0..random.random_range(1..=2) {
                let path = of_incident("repairs");
                machines
                    .post(ingress, &path, Some(&repair), report.clone())
                    .await;
            }
            oracle.repair(&repair, anomaly, action, success);
        }
    }
}

/// Somebody tries something on every newest incident, which so is due for a tier: what was over when
/// it was heard of first is counted, and is no reason to work out a level.
async fn somebody_looks(machines: &Machines, oracle: &mut Oracle) {
    machines.drain().await;
    let ingress = machines.ingresses()[0];
    for (anomaly, incident) in database::newest_incidents(machines).await {
        let path = format!("/api/v1/incidents/{incident}/repairs");
        let key = format!("look-at-{incident}");
        let report = json!({"action": "look", "success": false});
        machines.post(ingress, &path, Some(&key), report).await;
        oracle.repair(&key, &anomaly, "look", false);
    }
    machines.drain().await;
}

/// Machines that will work on a story; for their workers it is over.
async fn machines(on: On, story: &Story, open_for: i64) -> Machines {
    let over = story.began + story.slots * generator::SLOT;
    Machines::start(on, over, |config| {
        config.counting.unit = match story.unit {
            Unit::Episode => tocsin::domain::aggregation::Unit::Episode,
            Unit::Delivery => tocsin::domain::aggregation::Unit::Delivery,
            Unit::Incident => tocsin::domain::aggregation::Unit::Incident,
        };
        config.escalation.open_for.0 = Duration::from_millis(open_for.unsigned_abs());
    })
    .await
}
