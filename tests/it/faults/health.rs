//! The health that a process reports while something is wrong with it.

use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::oracle::name;

/// How often it is asked, and how long it may take to answer: a store that is silent is waited for.
const ASKED: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(6));

/// What it says when all is well.
pub const READY: &str = "ready";

/// Asks `/readyz` for as long as this is held, and prints every change in the end.
pub struct Health {
    said: Arc<Mutex<Vec<(Duration, String)>>>,
    asking: JoinHandle<()>,
}

impl Health {
    /// Begins to ask the process at this address.
    pub fn watch(url: &str) -> Self {
        let said: Arc<Mutex<Vec<(Duration, String)>>> = Arc::default();
        let (notes, url, began) = (Arc::clone(&said), format!("{url}/readyz"), Instant::now());
        let asking = tokio::spawn(async move {
            let http = tocsin::tls::client().timeout(ASKED.1).build().unwrap();
            loop {
                let now = asked(&http, &url).await;
                note(&notes, began.elapsed(), now);
                tokio::time::sleep(ASKED.0).await;
            }
        });
        Self { said, asking }
    }

    /// What it said so far, each change once.
    pub fn said(&self) -> Vec<String> {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.iter().map(|(_, what)| what.clone()).collect()
    }

    /// Waits until it says something with this in it.
    pub async fn says(&self, what: &str, within: Duration) {
        let began = Instant::now();
        while !self.said().last().is_some_and(|said| said.contains(what)) {
            let said = self.said();
            assert!(began.elapsed() < within, "it never says {what}: {said:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// It was ready all the time.
    pub fn was_always_ready(&self) {
        assert_eq!(self.said(), [READY]);
    }

    /// It was ready, then not, then again; once each. Returns what it said between.
    pub fn was_not_ready_once(&self) -> Vec<String> {
        let said = self.said();
        let [first, between @ .., last] = &said[..] else {
            panic!("{said:?}");
        };
        assert!(first == READY && last == READY, "{said:?}");
        let is_short = !between.is_empty() && between.iter().all(|said| said != READY);
        assert!(is_short, "{said:?}");
        between.to_vec()
    }
}

impl Drop for Health {
    fn drop(&mut self) {
        self.asking.abort();
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let said: Vec<String> = said
            .iter()
            .map(|(at, what)| format!("{:.1} s {what}", at.as_secs_f64()))
            .collect();
        let line = format!("health of {}: {}\n", name(), said.join("; "));
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
}

fn note(notes: &Mutex<Vec<(Duration, String)>>, at: Duration, now: String) {
    let mut notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
    if notes.last().is_none_or(|(_, last)| *last != now) {
        notes.push((at, now));
    }
}

async fn asked(http: &reqwest::Client, url: &str) -> String {
    let Ok(answer) = http.get(url).send().await else {
        return "no answer".to_owned();
    };
    let is_ready = answer.status() == 200;
    let body: serde_json::Value = answer.json().await.unwrap_or_default();
    match (is_ready, body["detail"].as_str()) {
        (true, _) => READY.to_owned(),
        (false, Some(detail)) => detail.to_owned(),
        (false, None) => body.to_string(),
    }
}

/// How long each of many took.
pub struct Took(Vec<Duration>);

impl Took {
    /// In whatever order.
    pub fn new(mut each: Vec<Duration>) -> Self {
        assert!(!each.is_empty(), "none was measured");
        each.sort_unstable();
        Self(each)
    }

    /// So many of a hundred took no longer.
    pub fn percent(&self, of_hundred: usize) -> Duration {
        let at = (self.0.len() * of_hundred).div_ceil(100);
        self.0[at.clamp(1, self.0.len()) - 1]
    }

    /// Says so past the capture of what tests print.
    pub fn report(&self, what: &str) {
        let [half, most, all] = [50, 99, 100].map(|n| self.percent(n));
        let line = format!(
            "measured by {}: {what}: {} times, p50 {half:?}, p99 {most:?}, longest {all:?}\n",
            name(),
            self.0.len()
        );
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
}
