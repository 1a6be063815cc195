//! Clocks that are wrong, and alerts that come when nobody expects them.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rand::seq::SliceRandom as _;
use serde_json::{Value, json};
use tocsin::time::Timestamp;

use super::health::Health;
use super::oracle::{Expected, Scenario};
use super::storm::Storm;
use crate::fleet::processes::Launch;
use crate::harness::resolved;
use crate::process::free_port;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
/// Nothing fails, so nothing has to be waited for.
const SOON: Duration = Duration::from_secs(20);

const STORM: Storm = Storm {
    anomalies: 30,
    pods: 30,
    together: 30,
    pace: Duration::from_millis(50),
};

/// The clock is looked at every five seconds.
const LOOKED_AT: Duration = Duration::from_secs(6);

/// Four of one anomaly are too few for a level that has a message.
const DRIZZLE: Storm = Storm {
    anomalies: 40,
    pods: 4,
    together: 10,
    pace: Duration::from_millis(20),
};

/// A third of a storm: each part has anomalies of its own.
const PARTS: [std::ops::Range<usize>; 3] = [0..10, 10..20, 20..30];

scenarios! {
    async fn a_computer_whose_clock_was_8_hours_ahead(on: sqlite) {
        let mut scenario = Scenario::new(on).await;
        let clock = TurnedClock::new(scenario.fleet.folder.path());
        let port = free_port();
        let number = scenario.fleet.run_as(&["serve"], port, &clock.launch());
        let urls = vec![format!("http://127.0.0.1:{port}")];
        scenario.fleet.ready(number, &urls[0]).await;
        let health = Health::watch(&urls[0]);
        let [before, meanwhile, after] = PARTS.map(part);
        post(&scenario, &urls, before).await;
        clock.turn("+8h");
        tokio::time::sleep(LOOKED_AT).await;
        // With as much of it undone as can be.
        post(&scenario, &urls, meanwhile).await;
        clock.turn("+0");
        let over = Instant::now();
        post(&scenario, &urls, after).await;
        // That the clock is right is noticed; figures that it left behind are for the next recount.
        let edge = Timestamp::now().after(HOUR).0;
        let ahead = format!("SELECT count(*) FROM occurrences WHERE occurred_at > {edge}");
        while scenario.fleet.sql(&ahead).await > 0 {
            assert!(over.elapsed() < 5 * LOOKED_AT, "nobody noticed");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let recount = scenario.fleet.http.post(format!("{}/api/v1/recount", urls[0]));
        let asked = recount.json(&json!({})).send().await.unwrap();
        assert_eq!(asked.status(), 202);
        scenario.verdict(over, &STORM.expected()).await;
        health.was_always_ready();
        let ahead = Timestamp::now().after(MINUTE).0;
        let ahead = |table: &str, column: &str| {
            format!("SELECT count(*) FROM {table} WHERE {column} > {ahead}")
        };
        let everies = tocsin::jobs::scheduled().into_iter().map(|scheduled| {
            let (name, every) = (scheduled.schedule.name, scheduled.schedule.every);
            format!("WHEN '{name}' THEN {}", every.as_millis())
        });
        let everies: Vec<String> = everies.collect();
        let ticks = format!("tick * CASE name {} END", everies.join(" "));
        let found = scenario
            .fleet
            .look([
                &ahead("incidents", "opened_at"),
                &ahead("occurrences", "last_seen_at"),
                &ahead("notifications", "owed_since"),
                &ahead("schedules", &ticks),
            ])
            .await;
        assert_eq!(found, [0; 4], "rows that lie ahead");
    }

    // The store's clock is the server's, which is right: what an ingress stamps is held against it.
    async fn an_ingress_whose_clock_was_8_hours_ahead(on: fleet; soak postgres) {
        let mut scenario = Scenario::new(on).await;
        let clock = TurnedClock::new(scenario.fleet.folder.path());
        let port = free_port();
        let number = scenario.fleet.run_as(&["ingress"], port, &clock.launch());
        let urls = vec![format!("http://127.0.0.1:{port}")];
        scenario.fleet.ready(number, &urls[0]).await;
        scenario.fleet.start_as(&["work"], &clock.launch()).await;
        let health = Health::watch(&urls[0]);
        let [before, meanwhile, after] = PARTS.map(part);
        post(&scenario, &urls, before).await;
        clock.turn("+8h");
        post(&scenario, &urls, meanwhile).await;
        tokio::time::sleep(LOOKED_AT).await;
        clock.turn("+0");
        let over = Instant::now();
        post(&scenario, &urls, after).await;
        scenario.verdict(over, &STORM.expected().within(SOON)).await;
        health.was_always_ready();
        let now = Timestamp::now().0;
        let ahead = |table: &str, column: &str| {
            format!("SELECT count(*) FROM {table} WHERE {column} > {now}")
        };
        let found = scenario
            .fleet
            .look([
                &ahead("occurrences", "occurred_at"),
                &ahead("occurrences", "last_seen_at"),
                &ahead("occurrences", "starts_at"),
                &ahead("anomalies", "last_seen"),
                &ahead("incidents", "opened_at"),
                &ahead("incidents", "last_firing_at"),
                &ahead("notifications", "owed_since"),
                &ahead("notifications", "sent_at"),
            ])
            .await;
        assert_eq!(found, [0; 8], "rows that lie ahead");
    }

    async fn workers_whose_clocks_are_10_minutes_wrong(on: postgres fleet) {
        let mut scenario = Scenario::new(on).await;
        let urls = scenario.fleet.start("ingress", 1).await;
        for wrong in ["+10m", "-10m"] {
            let number = scenario.fleet.start_as(&["work"], &with_clock(wrong)).await;
            let said = scenario.fleet.processes[number].said();
            let line: Value = serde_json::from_str(said.lines().next().unwrap()).unwrap();
            let now = Timestamp::parse(line["timestamp"].as_str().unwrap()).unwrap();
            let off = now.since(Timestamp::now()) + Timestamp::now().since(now);
            assert!(off > 9 * MINUTE, "its clock is off by {off:?}: {said}");
        }
        let began = Timestamp::now();
        scenario.post(STORM, &urls).await.unwrap();
        scenario.verdict(Instant::now(), &STORM.expected().within(SOON)).await;
        let (from, to) = (began.0, Timestamp::now().0);
        let elsewhen = |table: &str, column: &str| {
            format!("SELECT count(*) FROM {table} WHERE {column} NOT BETWEEN {from} AND {to}")
        };
        let wrong = scenario
            .fleet
            .look([
                &elsewhen("occurrences", "occurred_at"),
                &elsewhen("occurrences", "last_seen_at"),
                &elsewhen("anomalies", "first_seen"),
                &elsewhen("incidents", "opened_at"),
                &elsewhen("notifications", "owed_since"),
            ])
            .await;
        assert_eq!(wrong, [0; 5], "whose clock was it?");
    }

    async fn dated_in_the_future_and_a_year_ago(on: sqlite postgres fleet) {
        let mut scenario = Scenario::new(on).await;
        let (urls, _) = scenario.start(on, 1).await;
        let now = Timestamp::now();
        let dates = [now.after(YEAR), now.before(YEAR), now];
        let mut alerts: Vec<Value> = STORM.all().collect();
        for (n, alert) in alerts.iter_mut().enumerate() {
            alert["startsAt"] = json!(dates[n % dates.len()].to_rfc3339());
        }
        post(&scenario, &urls, alerts.clone()).await;
        scenario.verdict(Instant::now(), &STORM.expected().within(SOON)).await;

        let over = |alert: Value| {
            let began = Timestamp::parse(alert["startsAt"].as_str().unwrap()).unwrap();
            resolved(alert, began.after(HOUR))
        };
        post(&scenario, &urls, alerts.into_iter().map(over).collect()).await;
        scenario.verdict(Instant::now(), &STORM.expected().within(SOON)).await;
        let open = "SELECT count(*) FROM incidents WHERE status <> 'RESOLVED'";
        assert_eq!(scenario.fleet.sql(open).await, 0);
    }

    async fn out_of_order(on: sqlite postgres fleet) {
        let mut scenario = Scenario::new(on).await;
        let (urls, _) = scenario.start(on, 1).await;
        // Each series fires three times, and every firing is delivered twice.
        let now = Timestamp::now();
        let mut alerts = Vec::new();
        for hours in 1..=3 {
            for mut alert in DRIZZLE.all() {
                let start = now.before(hours * HOUR);
                alert["startsAt"] = json!(start.to_rfc3339());
                // All but the last are over before the next begins.
                if hours > 1 {
                    alert = resolved(alert, start.after(HOUR / 2));
                }
                alerts.push(alert.clone());
                alerts.push(alert);
            }
        }
        alerts.shuffle(&mut scenario.random);
        post(&scenario, &urls, alerts).await;
        // A firing that is heard of after a later one of its series is over: it is counted, and joins
        // nothing. How many these are is a matter of chance.
        let expected = Expected {
            accepted: 3 * DRIZZLE.alerts(),
            joined: None,
            series: DRIZZLE.alerts(),
            ..DRIZZLE.expected()
        };
        scenario.verdict(Instant::now(), &expected.within(SOON)).await;
    }

    async fn resolved_before_they_fire(on: sqlite postgres fleet) {
        let mut scenario = Scenario::new(on).await;
        let (urls, _) = scenario.start(on, 1).await;
        let firing: Vec<Value> = DRIZZLE.all().collect();
        // The first half of each request's anomalies is over before anybody heard of it, and then fires.
        let is_late = |alert: &Value| {
            let name = alert["labels"]["alertname"].as_str().unwrap();
            name < "Storm020"
        };
        let now = Timestamp::now();
        let late = firing.iter().filter(|alert| is_late(alert));
        let over: Vec<Value> = late.map(|alert| resolved(alert.clone(), now.after(HOUR))).collect();
        post(&scenario, &urls, over.clone()).await;
        scenario.fleet.settled(over.len(), SOON).await;
        post(&scenario, &urls, firing).await;
        // Each is counted once, and opens what it would have opened.
        let expected = DRIZZLE.expected();
        scenario.verdict(Instant::now(), &expected.within(SOON)).await;
    }
}

/// The alerts of some of the storm's anomalies.
fn part(anomalies: std::ops::Range<usize>) -> Vec<Value> {
    let of: Vec<String> = anomalies.map(|n| format!("Storm{n:03}")).collect();
    let all = STORM.all();
    all.filter(|alert| of.iter().any(|name| alert["labels"]["alertname"] == **name))
        .collect()
}

/// A process whose clock is another one, and whose stopwatch is right.
fn faked(more: [(&'static str, String); 1]) -> Vec<(&'static str, String)> {
    let library = std::env::var("TOCSIN_TEST_FAKETIME")
        .expect("TOCSIN_TEST_FAKETIME is not set: run ./scripts/test, which finds libfaketime");
    let always = [
        ("LD_PRELOAD", library),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ("FAKETIME_DISABLE_SHM", "1".to_owned()),
        ("FAKETIME_NO_CACHE", "1".to_owned()),
    ];
    always.into_iter().chain(more).collect()
}

/// A process whose clock is wrong from the start on.
fn with_clock(wrong: &str) -> Launch {
    Launch {
        settings: faked([("FAKETIME", wrong.to_owned())]),
        ..Launch::default()
    }
}

/// A clock that is turned while processes run by it.
struct TurnedClock(PathBuf);

impl TurnedClock {
    fn new(folder: &Path) -> Self {
        let clock = Self(folder.join("clock"));
        clock.turn("+0");
        clock
    }

    /// By so much it is wrong from now on.
    fn turn(&self, wrong: &str) {
        let new = self.0.with_extension("new");
        std::fs::write(&new, wrong).unwrap();
        std::fs::rename(&new, &self.0).unwrap();
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        let file = self.0.to_str().unwrap().to_owned();
        faked([("FAKETIME_TIMESTAMP_FILE", file)])
    }

    fn launch(&self) -> Launch {
        Launch {
            settings: self.settings(),
            ..Launch::default()
        }
    }
}

async fn post(scenario: &Scenario, urls: &[String], alerts: Vec<Value>) {
    let http = scenario.fleet.http.clone();
    let pace = Storm {
        together: 30,
        ..STORM
    };
    pace.post_these(alerts.into_iter(), http, urls.to_vec())
        .await;
}
