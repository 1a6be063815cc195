//! More than anybody expects.

use std::time::{Duration, Instant};

use serde_json::json;
use tocsin::jobs::IngestAlert;
use tocsin::time::Timestamp;

use super::health::Health;
use super::oracle::{Expected, Scenario};
use super::storm::Storm;
use crate::harness::{On, alert, body};

/// How long the program that these tests are built with, without optimisation, may take.
const BOUND: Duration = Duration::from_secs(120);

const WIDE: Storm = Storm {
    anomalies: 10_000,
    pods: 1,
    together: 100,
    pace: Duration::from_millis(10),
};

const DEEP: Storm = Storm {
    anomalies: 1,
    pods: 100_000,
    together: 1000,
    pace: Duration::from_millis(20),
};

const MILLION: usize = 1_000_000;
/// New anomalies of a process in a minute, and in all.
const NAMES: (usize, usize) = (1_000, 3_000);
const AT_ONCE: usize = 10_000;
/// Adds jobs with these payloads, whose numbers follow on what is there.
const ADD: &str = "
for n = 1, ARGV[1] do
  local id = string.format('%032x', redis.call('XLEN', KEYS[1]) + 1)
  redis.call('XADD', KEYS[1], '*', 'j', id .. '\\n' .. ARGV[2 + n % (#ARGV - 1)])
end";

scenarios! {
    async fn ten_thousand_anomalies_in_a_second(on: fleet; soak sqlite postgres) {
        storm(Scenario::alone(on).await, on, WIDE).await;
    }

    async fn one_anomaly_100_000_times(on: fleet; soak sqlite postgres) {
        let scenario = storm(Scenario::new(on).await, on, DEEP).await;
        let shown = "SELECT CAST(frequency_stats->>'count_24h' AS BIGINT) FROM incidents";
        assert_eq!(scenario.fleet.sql(shown).await, 100_000);
    }

    #[ignore = "soak"]
    async fn a_million_names(on: fleet) {
        let mut scenario = Scenario::new(on).await;
        scenario.fleet.settings = vec![
            ("TOCSIN_ANOMALIES__PER_MINUTE", NAMES.0.to_string()),
            ("TOCSIN_ANOMALIES__TOTAL", NAMES.1.to_string()),
        ];
        let (urls, _) = scenario.start(on, 2).await;
        let health = Health::watch(&urls[0]);
        let began = Timestamp::now();
        let alerts = (0..MILLION).map(move |n| {
            let mut alert = alert("Named", &format!("pod-{n}"), began);
            alert["labels"]["job"] = json!(format!("build-{n}"));
            alert
        });
        let pace = Storm { pods: MILLION, pace: Duration::from_millis(250), ..DEEP };
        let refused = pace.post_these(alerts, scenario.fleet.http.clone(), urls.clone()).await;
        let over = Instant::now();
        scenario.fleet.nothing_left(MILLION, 0, 10 * BOUND).await;
        let [anomalies, counted, shared, open, told] = scenario
            .fleet
            .look([
                "SELECT count(*) FROM anomalies",
                "SELECT CAST(sum(total) AS BIGINT) FROM anomalies",
                "SELECT total FROM anomalies WHERE error_type = 'too many names'",
                "SELECT CAST(sum(open_episodes) AS BIGINT) FROM incidents",
                "SELECT count(*) FROM notifications WHERE kind = 'opened' AND state = 'sent'",
            ])
            .await;
        eprintln!(
            "{anomalies} anomalies of {MILLION} names, {shared} firings counted together, {told} told, {} requests \
             again, done {:?} after the last",
            refused.len(),
            over.elapsed()
        );
        assert_eq!((counted, open), (MILLION as i64, MILLION as i64));
        // Two processes count at their own times what the other makes.
        assert!(anomalies <= (NAMES.1 + 2 * NAMES.0) as i64, "{anomalies} anomalies");
        let (is_right, said) = scenario.fleet.asks(&urls[0], &["recount", "--verify"]);
        assert!(is_right, "{said}");
        health.was_always_ready();
    }

    #[ignore = "soak"]
    async fn a_million_jobs_queued(on: fleet) {
        let mut scenario = Scenario::new(on).await;
        let (urls, _) = scenario.start(on, 1).await;
        let fleet = &scenario.fleet;
        fleet.do_to_queue(&urls[0], "ingest", "pause").await;
        let payloads = payloads(10 * 20);
        let keys = fleet.redis.as_ref().unwrap();
        let stream = format!("{}:{{ingest}}:stream", keys.prefix);
        let (mut connection, add) = (keys.connect(), redis::Script::new(ADD));
        for _ in 0..MILLION / AT_ONCE {
            let mut add = add.key(&stream);
            add.arg(AT_ONCE).arg(&payloads).invoke::<()>(&mut connection).unwrap();
        }
        // The depth is looked at once a second.
        let alerts = body(&[alert("OneMore", "a", Timestamp::now())]);
        let full = Instant::now();
        loop {
            let post = fleet.http.post(format!("{}/api/v1/alertmanager", urls[0])).json(&alerts);
            if post.send().await.unwrap().status() == 503 {
                break;
            }
            assert!(full.elapsed() < Duration::from_secs(20), "it is never full");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        fleet.do_to_queue(&urls[0], "ingest", "resume").await;
        let over = Instant::now();
        let expected = Expected {
            accepted: 201,
            anomalies: 11,
            incidents: 11,
            joined: Some(201),
            series: 201,
            ..DEEP.expected()
        };
        scenario.verdict(over, &expected.within(10 * BOUND)).await;
    }
}

async fn storm(mut scenario: Scenario, on: On, storm: Storm) -> Scenario {
    let (urls, _) = scenario.start(on, 2).await;
    let began = Instant::now();
    let refused = scenario.post(storm, &urls).await.unwrap();
    eprintln!(
        "posted in {:?}, {} requests again",
        began.elapsed(),
        refused.len()
    );
    scenario
        .verdict(Instant::now(), &storm.expected().within(BOUND))
        .await;
    scenario
}

/// Jobs of so many firings of ten anomalies, as the ingress writes them.
fn payloads(firings: usize) -> Vec<String> {
    let now = Timestamp::now();
    let payload = |n: usize| {
        let alert = alert(
            &format!("Queued{}", n % 10),
            &format!("pod-{}", n / 10),
            now,
        );
        let text = json!({"alerts": [alert]}).to_string();
        let config = tocsin::config::Config::default();
        let translate = tocsin::sources::alertmanager::SOURCE.translate;
        let content = translate(&tocsin::sources::Delivery::of(text), &config)
            .unwrap()
            .alerts
            .remove(0);
        let job = IngestAlert {
            source: "alertmanager".to_owned(),
            received_at: now,
            content,
        };
        serde_json::to_string(&job).unwrap()
    };
    (0..firings).map(payload).collect()
}
