//! A page of the SQLite file that holds nonsense.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::health::{Health, READY};
use super::oracle::{Scenario, refused_clearly};
use super::storm::{Refusal, Storm};
use crate::fleet::processes::Fleet;
use crate::harness::On;
use crate::process::{PATIENCE, free_port};

/// So long that what is tried once a second is tried more often than a job may fail.
const DAMAGED: Duration = Duration::from_secs(9);
const NOTICED: Duration = Duration::from_secs(5);

const STORM: Storm = Storm {
    anomalies: 30,
    pods: 30,
    together: 30,
    pace: Duration::from_millis(50),
};

/// A third of the storm.
const PART: usize = 300;

scenarios! {
    async fn a_damaged_page_of_the_queue(on: sqlite) {
        let (mut scenario, port, alerts) = with_a_third(on).await;
        let urls = [format!("http://127.0.0.1:{port}")];
        let page = Page::of(&scenario.fleet, "jobs").await;
        page.damage();
        scenario.fleet.processes[0].restart().unwrap();
        let health = Health::watch(&urls[0]);
        health.says("not ready: queue rejects writes", PATIENCE).await;
        let load = tokio::spawn(sent(&scenario, &urls, &alerts[PART..]));
        tokio::time::sleep(DAMAGED).await;
        says_so(&scenario, &urls[0], 0).await;
        stop(&mut scenario.fleet).await;
        page.restore();
        scenario.fleet.processes[0].restart().unwrap();
        let over = Instant::now();
        let refused = load.await.unwrap();
        let (answered, unanswered): (Vec<_>, Vec<_>) = refused.into_iter().partition(Option::is_some);
        assert!(!answered.is_empty(), "nothing was refused");
        eprintln!("{} requests met a process that was not there", unanswered.len());
        refused_clearly(&answered);
        scenario.verdict(over, &STORM.expected()).await;
        health.says(READY, NOTICED).await;
    }

    async fn a_damaged_page_of_what_is_counted(on: sqlite) {
        let (mut scenario, port, alerts) = with_a_third(on).await;
        let urls = [format!("http://127.0.0.1:{port}")];
        let page = Page::of(&scenario.fleet, "occurrences").await;
        page.damage();
        scenario.fleet.processes[0].restart().unwrap();
        let health = Health::watch(&urls[0]);
        health.says(READY, PATIENCE).await;
        // The queue takes them, and they wait.
        let refused = sent(&scenario, &urls, &alerts[PART..]).await;
        assert!(refused.is_empty(), "{refused:?}");
        tokio::time::sleep(DAMAGED).await;
        says_so(&scenario, &urls[0], alerts.len() - PART).await;
        assert_eq!(health.said().last().unwrap(), READY);
        let (is_ready, said) = scenario.fleet.asks(&urls[0], &["health"]);
        assert!(is_ready && said.contains("warning: no alert was stored for "), "{said}");
        assert!(!said.contains("malformed"), "{said}");
        stop(&mut scenario.fleet).await;
        page.restore();
        scenario.fleet.processes[0].restart().unwrap();
        let over = Instant::now();
        health.says(READY, PATIENCE).await;
        scenario.verdict(over, &STORM.expected()).await;
    }
}

/// The log names the damage, no job was given up for it, and so many wait.
async fn says_so(scenario: &Scenario, url: &str, wait: usize) {
    let said = scenario.fleet.processes[0].said();
    assert!(said.contains("database disk image is malformed"), "{said}");
    let dead = "SELECT count(*) FROM dead_letters";
    assert_eq!(scenario.fleet.sql(dead).await, 0);
    if wait > 0 {
        let metrics = scenario.fleet.http.get(format!("{url}/metrics"));
        let metrics = metrics.send().await.unwrap().text().await.unwrap();
        let of = |name: &str| -> usize {
            let name = format!("tocsin_queue_{name}{{queue=\"ingest\"}} ");
            let value = metrics.lines().find_map(|line| line.strip_prefix(&name));
            value
                .unwrap_or_else(|| panic!("{metrics}"))
                .parse()
                .unwrap()
        };
        assert_eq!(of("ready") + of("delayed") + of("in_flight"), wait);
    }
}

/// A process that counted a third of the storm and was stopped; its port, and the storm.
async fn with_a_third(on: On) -> (Scenario, u16, Vec<Value>) {
    let mut scenario = Scenario::new(on).await;
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}");
    let number = scenario.fleet.run(&["serve"], port);
    scenario.fleet.ready(number, &url).await;
    let alerts: Vec<Value> = STORM.all().collect();
    assert!(sent(&scenario, &[url], &alerts[..PART]).await.is_empty());
    scenario.fleet.settled(PART, PATIENCE).await;
    stop(&mut scenario.fleet).await;
    (scenario, port, alerts)
}

async fn stop(fleet: &mut Fleet) {
    fleet.processes[0].signal("TERM").unwrap();
    assert_eq!(fleet.processes[0].ended().await.unwrap().code(), Some(0));
}

/// Sends these; returns what was answered but 200.
fn sent(
    scenario: &Scenario,
    urls: &[String],
    alerts: &[Value],
) -> impl Future<Output = Vec<Option<Refusal>>> + Send + 'static {
    let (http, alerts) = (scenario.fleet.http.clone(), alerts.to_vec());
    STORM.post_these(alerts.into_iter(), http, urls.to_vec())
}

/// The first page of a table, as it was.
struct Page {
    file: PathBuf,
    at: u64,
    was: Vec<u8>,
}

impl Page {
    async fn of(fleet: &Fleet, table: &str) -> Self {
        // What is in the log beside the file would cover the damage.
        let busy = "PRAGMA wal_checkpoint(TRUNCATE)";
        assert_eq!(fleet.sql(busy).await, 0);
        let root = format!("SELECT rootpage FROM sqlite_schema WHERE name = '{table}'");
        let [root, size] = [fleet.sql(&root).await, fleet.sql("PRAGMA page_size").await];
        let file = PathBuf::from(fleet.database.strip_prefix("sqlite://").unwrap());
        let (at, size) = ((root - 1) * size, usize::try_from(size).unwrap());
        let (at, mut was) = (at.unsigned_abs(), vec![0; size]);
        File::open(&file)
            .unwrap()
            .read_exact_at(&mut was, at)
            .unwrap();
        Self { file, at, was }
    }

    fn damage(&self) {
        self.write(&vec![0xa5; self.was.len()]);
    }

    fn restore(&self) {
        self.write(&self.was);
    }

    fn write(&self, bytes: &[u8]) {
        let file = File::options().write(true).open(&self.file).unwrap();
        file.write_all_at(bytes, self.at).unwrap();
        file.sync_all().unwrap();
    }
}
