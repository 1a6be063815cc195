//! The table of metrics is what is served, and the other way round.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use sea_orm::DbBackend;
use serde_json::json;
use tocsin::config::Tokens;
use tocsin::queue::store::NewJob;
use uuid::Uuid;

use crate::harness::{Harness, On, alert, firing, resolved};
use crate::on_all;
use crate::process::PATIENCE;

/// Type and labels, by name.
type Metrics = BTreeMap<String, (String, BTreeSet<String>)>;

/// Jobs that wait, and dead letters: many more than a scrape could count.
const BACKLOG: (u64, u64) = (20_000, 10_000);
/// How long one of a few scrapes may take that counts nothing, in whatever build.
const SCRAPE: Duration = Duration::from_millis(20);

/// The rows of `docs/metrics.md`.
fn listed() -> Metrics {
    let table = include_str!("../../docs/metrics.md");
    let words = |text: &str| -> BTreeSet<String> {
        let words = text.split(',').map(|word| word.trim().trim_matches('`'));
        words
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let name = cells.get(1)?.strip_prefix('`')?.strip_suffix('`')?;
        Some((name.to_owned(), (cells[2].to_owned(), words(cells[3]))))
    };
    table.lines().filter_map(row).collect()
}

/// What `/metrics` says, and the labels of those that have a sample.
fn served(text: &str) -> (Metrics, BTreeSet<String>) {
    let mut metrics = Metrics::new();
    let mut sampled = BTreeSet::new();
    let kinds = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let kinds: Vec<(&str, &str)> = kinds.filter_map(|line| line.split_once(' ')).collect();
    for (name, kind) in &kinds {
        let suffix = match *kind {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        let name = format!("{name}{suffix}");
        metrics.insert(name, ((*kind).to_owned(), BTreeSet::new()));
    }
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let end = line.find(['{', ' ']).unwrap();
        let name = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|part| line[..end].strip_suffix(part))
            .unwrap_or(&line[..end]);
        let Some((_, labels)) = metrics.get_mut(name) else {
            panic!("{line} is of no metric");
        };
        sampled.insert(name.to_owned());
        let inside = line[end..]
            .strip_prefix('{')
            .and_then(|rest| rest.split_once('}'));
        let names = inside.into_iter().flat_map(|(inside, _)| inside.split(','));
        let names = names
            .filter_map(|label| label.split_once('='))
            .map(|(name, _)| name);
        labels.extend(names.filter(|name| *name != "le").map(str::to_owned));
    }
    (metrics, sampled)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_of_metrics_is_what_is_served() {
    let h = Harness::start_with(On::Sqlite, |config| {
        config.webhook_token = Tokens::from("hook");
    })
    .await;
    let post = || h.http.post(format!("{}/api/v1/alertmanager", h.url));
    let alerts = json!({"truncatedAlerts": 1, "alerts": [firing("a", h.now())]});
    assert_eq!(post().json(&alerts).send().await.unwrap().status(), 401);
    let sent = post()
        .bearer_auth("hook")
        .json(&alerts)
        .send()
        .await
        .unwrap();
    assert_eq!(sent.status(), 200);
    h.drain().await;

    let listed = listed();
    let (served, sampled) = served(&h.metrics().await);
    for (name, (kind, labels)) in &served {
        let row = listed.get(name);
        let (known, known_labels) = row.unwrap_or_else(|| panic!("docs/metrics.md lacks {name}"));
        assert_eq!(kind, known, "the type of {name}");
        if sampled.contains(name) {
            assert_eq!(labels, known_labels, "the labels of {name}");
        }
        // Base units, and none in the name's middle.
        assert!(
            !["_ms", "_millis", "_minutes"]
                .iter()
                .any(|unit| name.contains(unit)),
            "{name}"
        );
    }
    for name in listed.keys() {
        assert!(
            served.contains_key(name),
            "{name} is in docs/metrics.md and is not served: what counts nothing yet begins in Metrics::begin"
        );
    }
    assert!(sampled.len() > 12, "{sampled:?}");
    h.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn incidents_are_counted_from_their_opening_to_their_end() {
    let h = Harness::start(On::Sqlite).await;
    let began = h.now();
    let firing = ["One", "Two"].map(|name| alert(name, "a", began));
    h.send_and_drain(firing.to_vec()).await;
    let incidents = h.incidents().await;
    let path = |n: usize, what: &str| {
        let id = incidents[n]["id"].as_str().unwrap();
        format!("/api/v1/incidents/{id}/{what}")
    };
    h.advance(Duration::from_secs(120));
    h.post(&path(0, "acknowledge"), json!({})).await;
    // Again is not another time.
    h.post(&path(0, "acknowledge"), json!({})).await;
    h.post(&path(0, "resolve"), json!({})).await;
    let name = incidents[1]["alert_name"].as_str().unwrap();
    let over = resolved(alert(name, "a", began), h.now());
    h.send_and_drain(vec![over]).await;
    h.send_and_drain(vec![alert("Three", "a", h.now())]).await;
    let metrics = h.metrics().await;
    let line = |of: &str| {
        let line = metrics.lines().find(|line| line.starts_with(of));
        let line = line.unwrap_or_else(|| panic!("no {of} in {metrics}"));
        line.rsplit(' ').next().unwrap().to_owned()
    };
    for (of, expected) in [
        ("tocsin_incidents_opened_total ", "3"),
        ("tocsin_incident_acknowledge_seconds_count ", "1"),
        (
            "tocsin_incident_acknowledge_seconds_bucket{le=\"60.0\"} ",
            "0",
        ),
        (
            "tocsin_incident_acknowledge_seconds_bucket{le=\"300.0\"} ",
            "1",
        ),
        ("tocsin_incident_resolve_seconds_count{by=\"person\"} ", "1"),
        ("tocsin_incident_resolve_seconds_count{by=\"itself\"} ", "1"),
        (
            "tocsin_message_latency_seconds_count{channel=\"telegram\"} ",
            "3",
        ),
        (
            "tocsin_incidents{status=\"open\",level=\"none\",severity=\"critical\"} ",
            "1",
        ),
    ] {
        assert_eq!(line(of), expected, "{of}");
    }
    let sent = line("tocsin_messages_total{channel=\"telegram\",outcome=\"sent\"} ");
    assert!(sent.parse::<u64>().unwrap() >= 3, "{sent}");
    h.finish().await;
}

impl Harness {
    /// So many jobs that nobody works on, and dead letters that nobody has dealt with.
    async fn leave_behind(&self, (jobs, letters): (u64, u64)) {
        let job = |_| NewJob {
            queue: "repair",
            id: Uuid::now_v7(),
            payload: "{}".to_owned(),
            ..NewJob::default()
        };
        let jobs: Vec<NewJob> = (0..jobs).map(job).collect();
        for some in jobs.chunks(2000) {
            self.context.queues.store().push(some).await.unwrap();
        }
        let (id, nothing, numbers) = match self.context.db.backend() {
            DbBackend::Postgres => (
                "gen_random_uuid()",
                "'\\x7b7d'::bytea",
                format!("generate_series(1, {letters}) AS numbers (n)"),
            ),
            _ => (
                "randomblob(16)",
                "x'7b7d'",
                format!(
                    "(WITH RECURSIVE counted (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted \
                     WHERE n < {letters}) SELECT n FROM counted) AS numbers"
                ),
            ),
        };
        self.execute(&format!(
            "INSERT INTO dead_letters (id, queue, payload, attempts, errors, reason, state, enqueued_at, died_at) \
             SELECT {id}, 'tier', {nothing}, 1, '[]', 'no', 'dead', n, n FROM {numbers}"
        ))
        .await;
    }
}

on_all! {
    async fn a_scrape_queries_no_store(on) {
        let mut h = Harness::without_workers(on, |_| {}).await;
        let ready = |n: u64| format!("tocsin_queue_ready{{queue=\"repair\"}} {n}\n");
        let dead = |n: u64| format!("tocsin_dead_letters{{queue=\"tier\"}} {n}\n");
        assert!(!h.metrics_as_they_are().await.contains("tocsin_queue_ready{"), "nothing is measured yet");
        let metrics = h.metrics().await;
        assert!(metrics.contains(&ready(0)) && metrics.contains(&dead(0)), "{metrics}");

        h.leave_behind(BACKLOG).await;
        let mut took = Vec::new();
        for _ in 0..21 {
            let began = Instant::now();
            let metrics = h.metrics_as_they_are().await;
            took.push(began.elapsed());
            assert!(metrics.contains(&ready(0)) && metrics.contains(&dead(0)), "{metrics}");
        }
        took.sort_unstable();
        eprintln!("a scrape took {:?}", took[10]);
        assert!(took[10] < SCRAPE, "{took:?}");

        let metrics = h.metrics().await;
        assert!(metrics.contains(&ready(BACKLOG.0)) && metrics.contains(&dead(BACKLOG.1)), "{metrics}");
        h.leave().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_of_a_store_that_hangs_stay_what_they_were_and_those_of_the_other_do_not() {
    let mut h = Harness::without_workers(On::Postgres, |_| {}).await;
    h.metrics().await;
    let ready = |n: u64| format!("tocsin_queue_ready{{queue=\"repair\"}} {n}\n");
    let age = |metrics: &str, part: &str| -> f64 {
        let name = format!("tocsin_figures_age_seconds{{part=\"{part}\"}} ");
        let age = metrics.lines().find_map(|line| line.strip_prefix(&name));
        age.unwrap().parse().unwrap()
    };
    h.leave_behind((1, 0)).await;
    let locked = h.context.db.begin().await.unwrap();
    let lock = "LOCK TABLE dead_letters IN ACCESS EXCLUSIVE MODE";
    sea_orm::ConnectionTrait::execute_unprepared(&locked, lock)
        .await
        .unwrap();
    let measuring = {
        let context = h.context.clone();
        let stores = context.stores();
        tokio::spawn(async move { context.figures.pass(&stores, &context.metrics).await })
    };
    let began = Instant::now();
    loop {
        let asked = Instant::now();
        let metrics = h.metrics_as_they_are().await;
        assert!(
            asked.elapsed() < Duration::from_secs(1),
            "{:?}",
            asked.elapsed()
        );
        let is_measured = metrics.contains(&ready(1));
        if is_measured && age(&metrics, "store") > 1.0 {
            assert!(age(&metrics, "queue") < age(&metrics, "store"));
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{metrics}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    locked.rollback().await.unwrap();
    measuring.await.unwrap();
    assert!(age(&h.metrics().await, "store") < 1.0);
    h.leave().await;
}
