//! A new version comes in: every process is restarted in turn while alerts come in, behind a load
//! balancer that asks who is ready.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait as _, DatabaseConnection, Statement};
use serde_json::Value;
use tokio::task::JoinSet;

use super::oracle::Scenario;
use super::storm::Storm;
use crate::fleet::processes::Fleet;
use crate::harness::body;

/// 200 alerts a second.
const STORM: Storm = Storm {
    anomalies: 100,
    pods: 60,
    together: 10,
    pace: Duration::from_millis(50),
};
/// How often the balancer asks, and how long it waits for an answer.
const PROBE: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(2));
/// How often is looked what is in the database.
const LOOK: Duration = Duration::from_millis(100);
/// From the moment that a request is sent until its incident can be read; or four times what half of
/// them take, on a computer that is busy with other things.
const NOTICEABLE: Duration = Duration::from_secs(2);
/// How long an ingress that was signalled to stop goes on at least: the setting's default.
const NOTICED: Duration = Duration::from_secs(2);
const SETTLED: Duration = Duration::from_secs(20);

/// Sends each request to the next process that was ready when it was last asked, once.
#[derive(Clone)]
struct Balancer {
    http: reqwest::Client,
    ready: Arc<Mutex<Vec<String>>>,
}

impl Balancer {
    /// In front of these addresses, for as long as the test runs.
    fn start(urls: &[String]) -> Self {
        let balancer = Self {
            http: tocsin::tls::client().build().unwrap(),
            ready: Arc::new(Mutex::new(urls.to_vec())),
        };
        for url in urls {
            let (of, url) = (balancer.clone(), url.clone());
            tokio::spawn(async move {
                loop {
                    let probe = of.http.get(format!("{url}/readyz")).timeout(PROBE.1);
                    let is_ready = probe
                        .send()
                        .await
                        .is_ok_and(|answer| answer.status() == 200);
                    of.note(&url, is_ready);
                    tokio::time::sleep(PROBE.0).await;
                }
            });
        }
        balancer
    }

    fn note(&self, url: &String, is_ready: bool) {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        match (is_ready, ready.iter().position(|other| other == url)) {
            (true, None) => ready.push(url.clone()),
            (false, Some(at)) => drop(ready.remove(at)),
            _ => {}
        }
    }

    /// Sends one request; says what went wrong with it.
    async fn send(&self, n: usize, body: &Value) -> Result<(), String> {
        let url = {
            let ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
            let url = ready.get(n % ready.len().max(1)).cloned();
            url.ok_or("nobody is ready")?
        };
        let request = self.http.post(format!("{url}/api/v1/alertmanager"));
        let answer = request.json(body).send().await;
        match answer {
            Ok(answer) if answer.status() == 200 => Ok(()),
            Ok(answer) => Err(format!("{url} answered {}", answer.status())),
            Err(error) => Err(format!("{url}: {error:?}")),
        }
    }
}

/// When each alert was sent, by its fingerprint.
type Sent = Arc<Mutex<HashMap<String, Instant>>>;

/// Sends the storm, each request once; returns what went wrong.
async fn send(balancer: Balancer, sent: Sent) -> Vec<String> {
    let mut requests = JoinSet::new();
    let mut clock = tokio::time::interval(STORM.pace);
    let alerts: Vec<Value> = STORM.all().collect();
    for (n, alerts) in alerts.chunks(STORM.together).enumerate() {
        clock.tick().await;
        let body = body(alerts);
        let (balancer, now) = (balancer.clone(), Instant::now());
        let names = alerts
            .iter()
            .map(|alert| alert["fingerprint"].as_str().unwrap().to_owned());
        sent.lock().unwrap().extend(names.map(|name| (name, now)));
        requests.spawn(async move { balancer.send(n, &body).await });
    }
    let results = requests.join_all().await;
    results.into_iter().filter_map(Result::err).collect()
}

/// Looks at the database until all is in them; returns how long each alert took to get there, at most,
/// the slowest last.
async fn watch(db: DatabaseConnection, sent: Sent, alerts: usize) -> Vec<Duration> {
    let (began, mut took) = (Instant::now(), HashMap::new());
    while took.len() < alerts && began.elapsed() < STORM.lasts() + SETTLED {
        let known = "SELECT fingerprint FROM occurrences";
        let known = Statement::from_string(db.get_database_backend(), known);
        let rows = db.query_all_raw(known).await.unwrap();
        let now = Instant::now();
        for row in rows {
            let name: String = row.try_get_by_index(0).unwrap();
            let at = sent.lock().unwrap()[&name];
            took.entry(name).or_insert(now - at);
        }
        tokio::time::sleep(LOOK).await;
    }
    let mut took: Vec<Duration> = took.into_values().collect();
    took.sort();
    took
}

/// Restarts one process as an orchestrator does: SIGTERM, its end, its successor, ready.
async fn restart(fleet: &mut Fleet, number: usize, url: &str) -> Duration {
    let began = Instant::now();
    fleet.processes[number].signal("TERM").unwrap();
    let status = fleet.processes[number].ended().await.unwrap();
    assert_eq!(status.code(), Some(0), "{status}");
    let took = began.elapsed();
    fleet.processes[number].restart().unwrap();
    fleet.ready(number, url).await;
    took
}

scenarios! {
    async fn a_rolling_restart_refuses_nothing_loses_nothing_and_delays_nothing(on: postgres fleet) {
        let mut scenario = Scenario::alone(on).await;
        let fleet = &mut scenario.fleet;
        let ingresses = fleet.start("ingress", 2).await;
        let workers = fleet.start("work", 2).await;
        let (balancer, sent) = (Balancer::start(&ingresses), Sent::default());
        let load = tokio::spawn(send(balancer, Arc::clone(&sent)));
        let books = tokio::spawn(watch(fleet.connect().await, sent, STORM.alerts()));

        let mut ended = Vec::new();
        for (n, (ingress, worker)) in ingresses.iter().zip(&workers).enumerate() {
            let took = restart(fleet, n, ingress).await;
            assert!(took >= NOTICED, "{took:?} are too short for a balancer to notice");
            ended.push(took);
            ended.push(restart(fleet, ingresses.len() + n, worker).await);
        }
        assert!(!load.is_finished(), "the restarts took longer than the load");

        assert_eq!(load.await.unwrap(), [""; 0], "requests went wrong");
        let took = books.await.unwrap();
        assert_eq!(took.len(), STORM.alerts());
        let (half, slowest) = (took[took.len() / 2], took[took.len() - 1]);
        eprintln!(
            "{on:?}: ended in {ended:?}; from the request to the books {half:?} for half of the \
             alerts, {slowest:?} for the slowest"
        );
        assert!(slowest < NOTICEABLE.max(half * 4), "{slowest:?}");
        scenario.verdict(Instant::now(), &STORM.expected()).await;
        let deliveries = "SELECT max(deliveries) FROM occurrences";
        assert_eq!(scenario.fleet.sql(deliveries).await, 1, "none was sent again, or run again");
    }
}
