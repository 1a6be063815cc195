//! What must hold after every fault, whatever it was: each accepted alert is counted once, nothing
//! is in flight, no message is missing, and none went out twice but where its sender died.

use std::collections::HashMap;
use std::io::Write as _;
use std::ops::Range;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::task::JoinHandle;

use super::storm::{Refusal, Storm};
use crate::fleet::processes::Fleet;
use crate::harness::On;
use crate::process::{alone, beside_few};

/// A lease of 15 s, and what it takes to catch up.
pub const RECOVERY: Duration = Duration::from_secs(30);
/// Messages that one process sends at once: so many can be doubled by one kill.
pub const SENT_AT_ONCE: usize = 4;

/// One fault, from the first alert to the verdict.
pub struct Scenario {
    pub fleet: Fleet,
    /// Decides what the scenario leaves to chance.
    pub random: StdRng,
    /// Alerts of which it is known that they were lost.
    pub lost: usize,
    seed: u64,
}

/// What must be in the database at the end.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// Alerts that were accepted, each a firing of its own; all are counted that were not given up
    /// and are not known to be lost.
    pub accepted: usize,
    pub anomalies: usize,
    pub incidents: usize,
    /// Alerts that belong to an incident; None where that is left to chance. Then levels and figures
    /// are, too: no tier is worked out for what belongs to none.
    pub joined: Option<usize>,
    /// Series that they are of.
    pub series: usize,
    /// Jobs that were given up.
    pub dead: usize,
    /// Messages that may have gone out twice.
    pub doubled: usize,
    /// How long it may take, from the end of the fault, until nothing is left to do.
    pub within: Duration,
}

impl Storm {
    /// A storm that is over, and all of it in the database.
    pub const fn expected(&self) -> Expected {
        Expected {
            accepted: self.alerts(),
            anomalies: self.anomalies,
            incidents: self.anomalies,
            joined: Some(self.alerts()),
            series: self.alerts(),
            dead: 0,
            doubled: 0,
            within: RECOVERY,
        }
    }
}

impl Expected {
    pub const fn within(self, within: Duration) -> Self {
        Self { within, ..self }
    }

    pub const fn doubled(self, doubled: usize) -> Self {
        Self { doubled, ..self }
    }
}

/// In the middle of an outage, a process says what is missing. Returns when it has lasted so long.
pub async fn say_what_is_missing(fleet: &Fleet, url: &str, missing: &str, lasts: Duration) {
    tokio::time::sleep(lasts / 2).await;
    let answer = fleet.http.get(format!("{url}/readyz")).send().await;
    let answer = answer.unwrap();
    assert_eq!(answer.status(), 503);
    let text = answer.text().await.unwrap();
    assert!(text.contains(missing), "{text}");
    tokio::time::sleep(lasts / 2).await;
}

/// What could not be stored was refused so that its sender tries again.
pub fn refused_clearly(refused: &[Option<Refusal>]) {
    let clear = (503, "application/problem+json".to_owned(), true);
    for refusal in refused {
        assert_eq!(refusal.as_ref(), Some(&clear));
    }
}

/// Settings by which a job that fails twice is given up: so an attempt that is taken for nothing shows.
pub fn two_attempts() -> Vec<(&'static str, String)> {
    let attempts = [
        "TOCSIN_QUEUES__INGEST__ATTEMPTS",
        "TOCSIN_QUEUES__TIER__ATTEMPTS",
        "TOCSIN_QUEUES__NOTIFY__ATTEMPTS",
        "TOCSIN_QUEUES__ANALYZE__ATTEMPTS",
        "TOCSIN_QUEUES__REPAIR__ATTEMPTS",
        "TOCSIN_QUEUES__RECOUNT__ATTEMPTS",
    ];
    attempts.map(|name| (name, "2".to_owned())).to_vec()
}

/// The test's name: where it stands in the table, and on what.
pub fn name() -> String {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or_default();
    name.trim_start_matches("faults::").to_owned()
}

/// What is left to chance: `TOCSIN_TEST_SEED`, or another each time.
fn seed() -> u64 {
    let given = std::env::var("TOCSIN_TEST_SEED");
    given.map_or_else(|_| rand::rng().random(), |seed| seed.parse().unwrap())
}

impl Scenario {
    /// On servers that all tests share.
    pub async fn new(on: On) -> Self {
        let turn = beside_few().await;
        Self::of(Fleet::in_turn(on, turn).await)
    }

    /// While no other test runs, for what is about how long something takes.
    pub async fn alone(on: On) -> Self {
        Self::of(Fleet::in_turn(on, alone().await).await)
    }

    /// On these processes, of which none runs yet.
    pub fn of(fleet: Fleet) -> Self {
        let seed = seed();
        eprintln!("TOCSIN_TEST_SEED={seed}");
        Self {
            fleet,
            random: StdRng::seed_from_u64(seed),
            lost: 0,
            seed,
        }
    }

    /// Starts everything in one process on SQLite, an ingress and so many workers elsewhere. Returns
    /// where alerts are taken, and which processes work.
    pub async fn start(&mut self, on: On, workers: usize) -> (Vec<String>, Range<usize>) {
        if on == On::Sqlite {
            return (self.fleet.start("serve", 1).await, 0..1);
        }
        let urls = self.fleet.start("ingress", 1).await;
        self.fleet.start("work", workers).await;
        (urls, 1..1 + workers)
    }

    /// Posts a storm in the background.
    pub fn post(&self, storm: Storm, urls: &[String]) -> JoinHandle<Vec<Option<Refusal>>> {
        tokio::spawn(storm.post(self.fleet.http.clone(), urls.to_vec()))
    }

    /// The oracle: waits until nothing is left to do, compares the database and the messages
    /// with what was sent, and says so in one line. `over` is when the fault ended.
    pub async fn verdict(&mut self, over: Instant, expected: &Expected) {
        let counted = expected.accepted - expected.dead - self.lost;
        let left = expected.within.saturating_sub(over.elapsed());
        self.fleet.nothing_left(counted, expected.dead, left).await;
        let took = over.elapsed();
        self.compare_counts(counted, expected).await;
        let doubled = self.compare_messages(expected).await;
        self.fleet.assert_running();
        self.report(counted, expected, doubled, took);
    }

    fn report(&self, counted: usize, expected: &Expected, doubled: usize, took: Duration) {
        let line = format!(
            "fault {}: seed {}, {} accepted, {counted} counted, {} lost, {} dead, {doubled} \
             doubled, recovered in {:.1} s of {} s\n",
            name(),
            self.seed,
            expected.accepted,
            self.lost,
            expected.dead,
            took.as_secs_f64(),
            expected.within.as_secs(),
        );
        // Past the capture of what tests print: a run that went well prints its seeds, too.
        let _ = std::io::stderr().write_all(line.as_bytes());
    }

    /// Every alert is counted once, in the database and by the counter; every incident has a tier.
    async fn compare_counts(&self, counted: usize, expected: &Expected) {
        let found = self
            .fleet
            .look([
                "SELECT count(*) FROM occurrences",
                "SELECT count(DISTINCT counted_id) FROM occurrences",
                "SELECT count(DISTINCT fingerprint) FROM occurrences",
                "SELECT CAST(sum(total) AS BIGINT) FROM anomalies",
                "SELECT count(*) FROM anomalies",
                "SELECT count(*) FROM anomalies WHERE (total >= 10) <> (level = 'PERMANENT_FIX')",
                "SELECT count(*) FROM incidents",
                "SELECT count(*) FROM incidents WHERE tier_due_since IS NOT NULL OR tier IS NULL",
                "SELECT COALESCE(CAST(sum(aggregated_count) AS BIGINT), 0) FROM incidents",
                "SELECT count(*) FROM incidents i JOIN anomalies a ON a.key = i.anomaly_key \
                 WHERE CAST(i.frequency_stats->>'count_1h' AS BIGINT) <> \
                     CASE WHEN a.total < 100000 THEN a.total ELSE 100000 END",
            ])
            .await;
        let of = |n: usize| i64::try_from(n).unwrap();
        let (counted, anomalies) = (of(counted), of(expected.anomalies));
        let (incidents, series) = (of(expected.incidents), of(expected.series - self.lost));
        let [.., level, _, _, joined, figures] = found;
        let (level, joined, figures) = match expected.joined {
            Some(joined) => (0, of(joined - self.lost), 0),
            None => (level, joined, figures),
        };
        let right = [
            counted, counted, series, counted, anomalies, level, incidents, 0, joined, figures,
        ];
        assert_eq!(found, right);
    }

    /// Every incident was sent, and the level that its anomaly reached; every message that was pending was
    /// taken, not more often than it was tried. Returns how many were taken more than once.
    async fn compare_messages(&self, expected: &Expected) -> usize {
        let mut taken: HashMap<String, i64> = HashMap::new();
        for text in self.fleet.telegram.taken() {
            *taken.entry(text).or_default() += 1;
        }
        let of = |n: usize| i64::try_from(n).unwrap();
        let [opened, unsent] = self
            .fleet
            .look([
                "SELECT count(DISTINCT incident_id) FROM notifications WHERE kind = 'opened'",
                "SELECT count(*) FROM notifications WHERE state <> 'sent'",
            ])
            .await;
        assert_eq!((opened, unsent), (of(expected.incidents), 0));
        // Whoever takes webhooks sees for itself what it took.
        let tried = "SELECT body, attempts FROM notifications WHERE channel NOT LIKE 'webhook:%'";
        let tried = self.fleet.pairs::<String, i64>(tried).await;
        assert_eq!(tried.len(), taken.len(), "what was taken was owed");
        for (body, attempts) in &tried {
            let times = taken.get(body).copied().unwrap_or(0);
            assert!(
                (1..=*attempts).contains(&times),
                "taken {times} times, tried {attempts} times: {body}"
            );
        }
        let worst = "SELECT count(*) FROM anomalies a \
                     WHERE level = 'PERMANENT_FIX' AND newest_incident IS NOT NULL \
                         AND 1 <> (SELECT count(*) FROM notifications n \
                                   JOIN incidents i ON i.id = n.incident_id \
                                   WHERE i.anomaly_key = a.key AND n.body LIKE '%PERMANENT_FIX%' \
                                       AND n.channel NOT LIKE 'webhook:%')";
        assert_eq!(self.fleet.sql(worst).await, 0, "the worst is told once");
        let doubled = taken.values().filter(|times| **times > 1).count();
        let most = expected.doubled;
        assert!(
            doubled <= most,
            "{doubled} messages went out twice, {most} may"
        );
        doubled
    }
}
