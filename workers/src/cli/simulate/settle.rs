//! Waiting until the instance has processed what it accepted.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::super::client::Client;
use super::super::fields::{number, text};
use super::bar::Bar;

/// An alert's way through the queues.
const QUEUES: [&str; 3] = ["ingest", "tier", "notify"];
/// How long to wait at most.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long between two looks.
const INTERVAL: Duration = Duration::from_millis(100);
/// How often in a row all queues must be empty: they are read one after the other, and a job may move meanwhile.
const TWICE: u32 = 2;

/// How the wait ended.
#[derive(Debug)]
pub(super) struct Settled {
    /// How long it took until the queues were empty, or until waiting was given up.
    pub(super) took: Duration,
    /// The jobs that were left, by queue; none if all was processed.
    pub(super) left: BTreeMap<String, i64>,
}

/// Waits until the queues are empty, for a minute at most, or until it is interrupted.
pub(super) async fn wait(client: &Client, stop: &CancellationToken) -> anyhow::Result<Settled> {
    // An interrupted storm is waited for all the same.
    let stop = if stop.is_cancelled() {
        CancellationToken::new()
    } else {
        stop.clone()
    };
    let bar = Bar::of_wait()?;
    let began = Instant::now();
    let mut empty_since = None;
    let mut empty = 0;
    loop {
        let left = left(&client.whole(&["queues"]).await?);
        let took = began.elapsed();
        if left.is_empty() {
            empty += 1;
            empty_since.get_or_insert(took);
        } else {
            (empty, empty_since) = (0, None);
        }
        bar.wait_for(&left);
        if empty == TWICE || took > PATIENCE || stop.is_cancelled() {
            return Ok(Settled {
                took: empty_since.unwrap_or(took),
                left,
            });
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
}

/// The jobs in the queues that alerts go through, by queue, empty ones left out. A message that may go out
/// later only is not on its way.
fn left(queues: &[Value]) -> BTreeMap<String, i64> {
    queues
        .iter()
        .map(|queue| {
            let name = text(queue, "/name");
            let jobs = ["/ready", "/delayed", "/in_flight"]
                .into_iter()
                .filter(|field| name != "notify" || *field != "/delayed")
                .filter_map(|field| number(queue, field))
                .sum();
            (name, jobs)
        })
        .filter(|(name, jobs)| *jobs > 0 && QUEUES.contains(&name.as_str()))
        .collect()
}

/// "ingest 12, tier 3".
pub(super) fn in_words(left: &BTreeMap<String, i64>) -> String {
    let words: Vec<String> = left
        .iter()
        .map(|(name, jobs)| format!("{name} {jobs}"))
        .collect();
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_jobs_on_the_way_of_an_alert_are_waited_for() {
        let queues = [
            json!({"name": "ingest", "ready": 2, "delayed": 1, "in_flight": 4, "dead": 9}),
            json!({"name": "tier", "ready": 0, "delayed": 0, "in_flight": 0, "dead": 9}),
            json!({"name": "notify", "ready": 5, "delayed": 8}),
            json!({"name": "recount", "ready": 7}),
        ];
        assert_eq!(in_words(&left(&queues)), "ingest 7, notify 5");
    }
}
