//! More than anybody expects.

use std::time::{Duration, Instant};

use serde_json::json;
use tocsin::jobs::IngestAlert;
use tocsin::time::Timestamp;

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
const AT_ONCE: usize = 10_000;
/// Adds jobs with these payloads, whose numbers follow on what is there.
const ADD: &str = "
for n = 1, ARGV[1] do
  local id = string.format('%032x', redis.call('XLEN', KEYS[1]) + 1)
  redis.call('XADD', KEYS[1], '*', 'j', id .. '\\n' .. ARGV[2 + n % (#ARGV - 1)])
end";

scenarios! {
    async fn ten_thousand_anomalies_in_a_second(on: fleet) {
        storm(on, WIDE).await;
    }

    #[ignore = "soak"]
    async fn ten_thousand_anomalies_in_a_second_without_redis(on: sqlite postgres) {
        storm(on, WIDE).await;
    }

    async fn one_anomaly_100_000_times(on: fleet) {
        deep_storm(on).await;
    }

    #[ignore = "soak"]
    async fn one_anomaly_100_000_times_without_redis(on: sqlite postgres) {
        deep_storm(on).await;
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

async fn deep_storm(on: On) {
    let scenario = storm(on, DEEP).await;
    let shown = "SELECT CAST(frequency_stats->>'count_24h' AS BIGINT) FROM incidents";
    assert_eq!(scenario.fleet.sql(shown).await, 100_000);
}

async fn storm(on: On, storm: Storm) -> Scenario {
    let mut scenario = Scenario::new(on).await;
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
        let content = translate(text.as_bytes(), &config)
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
