//! The result of a storm, for people and for programs.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::ledger::Comparison;
use super::settle::{Settled, in_words};
use super::stored::Stored;
use super::storm::Storm;
use super::tally::Tally;

/// The levels, lowest first.
const LEVELS: [&str; 4] = ["NONE", "REPEAT", "ESCALATE", "PERMANENT_FIX"];

/// Which storm it was.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Run {
    /// The namespace that all its alerts are in.
    pub(super) namespace: String,
    /// What makes the same storm again.
    pub(super) seed: u64,
    /// Where it was posted to.
    pub(super) instance: String,
}

/// The summary. Its text is what a person reads.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    #[serde(flatten)]
    run: Run,
    alerts: Alerts,
    latency_ms: Latency,
    episodes: Episodes,
    anomalies: u64,
    incidents: Incidents,
    processed: Processed,
    /// Whether all was accepted and every episode counted once.
    pub(super) ok: bool,
    verdict: String,
    problems: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Alerts {
    planned: u64,
    sent: u64,
    accepted: u64,
    rejected: u64,
    lost: u64,
    posts: u64,
    retries: u64,
    seconds: f64,
    per_second: f64,
}

#[derive(Debug, Serialize)]
struct Latency {
    p50: f64,
    p99: f64,
    max: f64,
}

#[derive(Debug, Serialize)]
struct Episodes {
    made: u64,
    counted: u64,
}

#[derive(Debug, Serialize)]
struct Incidents {
    total: u64,
    by_level: BTreeMap<String, u64>,
    by_tier: BTreeMap<String, u64>,
}

#[derive(Debug, Serialize)]
struct Processed {
    /// After the last alert was accepted; null if it was not seen to be.
    after_ms: Option<f64>,
    /// Jobs that were left, by queue.
    left: BTreeMap<String, i64>,
}

impl Report {
    pub(super) fn new(
        run: Run,
        storm: &Storm,
        tally: &Tally,
        settled: &Settled,
        found: &Stored,
    ) -> Self {
        let comparison = tally.ledger.compare(storm, &found.anomalies);
        let problems = problems(tally, &comparison, settled);
        let is_all_accepted = tally.accepted == tally.sent;
        let ok = is_all_accepted && comparison.differences.is_empty();
        Self {
            run,
            alerts: Alerts {
                planned: storm.plan().alerts,
                sent: tally.sent,
                accepted: tally.accepted,
                rejected: tally.rejected,
                lost: tally.lost(),
                posts: tally.posts,
                retries: tally.retries,
                seconds: tally.took.as_secs_f64(),
                per_second: tally.rate(),
            },
            latency_ms: Latency {
                p50: ms(tally.latency(0.5)),
                p99: ms(tally.latency(0.99)),
                max: ms(tally.latency(1.0)),
            },
            episodes: Episodes {
                made: comparison.made,
                counted: comparison.counted,
            },
            anomalies: found.anomalies.len() as u64,
            incidents: Incidents {
                total: found.incidents,
                by_level: found.by_level.clone(),
                by_tier: found.by_tier.clone(),
            },
            processed: Processed {
                after_ms: settled.left.is_empty().then(|| ms(settled.took)),
                left: settled.left.clone(),
            },
            ok,
            verdict: verdict(is_all_accepted, &comparison).to_owned(),
            problems,
        }
    }
}

fn verdict(is_all_accepted: bool, comparison: &Comparison) -> &'static str {
    match (is_all_accepted, comparison.differences.is_empty()) {
        (true, true) => "every firing was counted once",
        (false, true) => {
            "some alerts were not accepted; every firing of the accepted ones was counted once"
        }
        (_, false) => "the counts do not match the alerts that were sent",
    }
}

fn problems(tally: &Tally, comparison: &Comparison, settled: &Settled) -> Vec<String> {
    let mut problems = Vec::new();
    if tally.rejected > 0 {
        problems.push(format!("{} alerts were rejected", tally.rejected));
    }
    if tally.lost() > 0 {
        let why = tally
            .failure
            .as_deref()
            .unwrap_or("the response does not mention them");
        problems.push(format!("{} alerts were not accepted: {why}", tally.lost()));
    }
    if !settled.left.is_empty() {
        let left = in_words(&settled.left);
        problems.push(format!(
            "some jobs were not processed in time; left: {left}"
        ));
    }
    problems.extend(comparison.differences.iter().cloned());
    problems
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (run, alerts, latency) = (&self.run, &self.alerts, &self.latency_ms);
        let (namespace, anomalies) = (&run.namespace, self.anomalies);
        writeln!(
            f,
            "run        {namespace} on {}, seed {}",
            run.instance, run.seed
        )?;
        write!(f, "alerts     {} sent", alerts.sent)?;
        if alerts.sent < alerts.planned {
            write!(f, " of {}", alerts.planned)?;
        }
        write!(
            f,
            ", {} accepted, {} rejected",
            alerts.accepted, alerts.rejected
        )?;
        writeln!(f, ", {} lost; {} retries", alerts.lost, alerts.retries)?;
        writeln!(
            f,
            "rate       {:.1}/s for {:.1} s",
            alerts.per_second, alerts.seconds
        )?;
        write!(
            f,
            "latency    p50 {:.1} ms, p99 {:.1} ms",
            latency.p50, latency.p99
        )?;
        writeln!(f, ", max {:.1} ms, in {} posts", latency.max, alerts.posts)?;
        let Episodes { made, counted } = self.episodes;
        writeln!(
            f,
            "firings    {made} sent, {counted} counted, of {anomalies} anomalies"
        )?;
        writeln!(f, "incidents  {} opened", self.incidents.total)?;
        writeln!(f, "  level    {}", levels(&self.incidents.by_level))?;
        writeln!(f, "  tier     {}", in_order(self.incidents.by_tier.iter()))?;
        match self.processed.after_ms {
            Some(ms) => writeln!(f, "processed  {:.1} s after the last answer", ms / 1000.0)?,
            None => writeln!(f, "processed  incomplete")?,
        }
        writeln!(
            f,
            "see        tocsin incidents --all --namespace {namespace}"
        )?;
        let page = run.instance.trim_end_matches('/');
        writeln!(f, "           {page}/incidents?namespace={namespace}\n")?;
        write!(f, "{}", self.verdict)?;
        for problem in &self.problems {
            write!(f, "\n  - {problem}")?;
        }
        Ok(())
    }
}

/// "4 NONE, 3 REPEAT", lowest first.
fn levels(counts: &BTreeMap<String, u64>) -> String {
    let rank = |level: &str| LEVELS.iter().position(|known| *known == level);
    let mut counts: Vec<(&String, &u64)> = counts.iter().collect();
    counts.sort_by_key(|(level, _)| rank(level));
    in_order(counts.into_iter())
}

fn in_order<'a>(counts: impl Iterator<Item = (&'a String, &'a u64)>) -> String {
    let words: Vec<String> = counts
        .map(|(name, count)| format!("{name}: {count}"))
        .collect();
    words.join(", ")
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
