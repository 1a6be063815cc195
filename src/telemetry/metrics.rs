//! The process' metrics, in Prometheus' format.

mod alerts;
mod labels;
mod process;
mod register;

use std::sync::Arc;

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::domain::analysis::NotGenerated;
use crate::domain::canary::{self, Link};
use crate::domain::execution;
use crate::domain::figure::Figure;
use crate::domain::incident_counts::IncidentCounts;
use crate::domain::verdict::Verdict;
use crate::jobs::{Part, QUEUES};
use crate::sources::SOURCES;
use crate::time::Timestamp;
pub use alerts::{Alerts, BySourceAndOutcome, Outcome, Tally};
pub use labels::{
    ByAnalysis, ByChannel, ByDecision, ByExecution, ByFigure, ByFigureStore, ByIncident, ByLink,
    ByMessage, ByOutcome, ByPart, ByQueue, ByResolver, ByRole, BySchedule, BySource,
    BySourceAndReason, ByVerdict, ByWarning,
};

/// Why a delivery is refused, in one word: all that there are.
pub(crate) const REFUSALS: [&str; 8] = [
    "malformed",
    "unauthorized",
    "forbidden",
    "method",
    "too_large",
    "encoding",
    "unavailable",
    "other",
];

/// All metrics, cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Registry>,
    process: Arc<Registry>,
    /// Alerts of requests that were accepted, usable or not, with tests and events that are not used.
    pub received: Family<BySource, Counter>,
    /// Alerts that the sender left out of its requests.
    pub truncated: Family<BySource, Counter>,
    /// Alerts with a time that cannot be read.
    pub misdated: Family<BySource, Counter>,
    /// Alerts by what became of them.
    pub alerts: Alerts,
    /// Jobs by outcome.
    pub jobs: Family<ByOutcome, Counter>,
    /// How long handlers took.
    pub job_seconds: Family<ByQueue, Histogram>,
    /// How many alerts were committed together.
    pub batch: Histogram,
    /// How long a commit of a batch took.
    pub batch_seconds: Histogram,
    /// How long requests to webhooks took.
    pub accept_seconds: Family<BySource, Histogram>,
    /// From receipt to the incident being committed.
    pub ingest_seconds: Histogram,
    /// Messages by outcome.
    pub messages: Family<ByMessage, Counter>,
    /// Analyses of incidents by what became of them.
    pub analyses: Family<ByAnalysis, Counter>,
    /// Figures that were not what the rows say, when they were last compared.
    pub drift: Family<ByFigure, Gauge>,
    /// When that was, in seconds since 1970.
    pub verified: Gauge,
    /// Times that the comparison was deferred because alerts waited.
    pub verification_deferred: Counter,
    /// Parts of recount that could not be done.
    pub recount_failures: Family<ByPart, Counter>,
    /// How long each part of recount took.
    pub recount_seconds: Family<ByPart, Histogram>,
    /// When each part was last done, in seconds since 1970.
    pub recount_done: Family<ByPart, Gauge>,
    /// What each part worked on.
    pub recount_items: Family<ByPart, Counter>,
    /// Verdicts on repairs, those that replace another included.
    pub verdicts: Family<ByVerdict, Counter>,
    /// Executions by what became of them.
    pub executions: Family<ByExecution, Counter>,
    /// Jobs that the queue's store lost, or never took although their sender was answered.
    pub jobs_lost: Family<ByQueue, Counter>,
    /// Times that a store could not be reached.
    pub store_errors: Family<ByQueue, Counter>,
    /// Sets of the counter that were dropped to leave the queue its memory.
    pub counter_evicted: Counter,
    /// Alerts that were counted with others of their name, because there was no room for more anomalies.
    pub overflowed: Counter,
    /// Deliveries that were refused.
    pub refused: Family<BySourceAndReason, Counter>,
    /// Requests without the token or the signature that they need.
    pub auth_failures: Family<ByRole, Counter>,
    /// Jobs that could run now.
    pub ready: Family<ByQueue, Gauge>,
    /// Jobs that wait for their time.
    pub delayed: Family<ByQueue, Gauge>,
    /// Jobs that a worker holds.
    pub in_flight: Family<ByQueue, Gauge>,
    /// Workers with a recent heartbeat.
    pub workers: Family<ByQueue, Gauge>,
    /// 1 while the queue is paused.
    pub paused: Family<ByQueue, Gauge>,
    /// How long the oldest ready job has waited.
    pub oldest_seconds: Family<ByQueue, Gauge<f64, std::sync::atomic::AtomicU64>>,
    /// Dead letters that were neither replayed nor discarded.
    pub dead: Family<ByQueue, Gauge>,
    /// How long ago the oldest of them died.
    pub dead_seconds: Family<ByQueue, Gauge<f64, std::sync::atomic::AtomicU64>>,
    /// Dead letters by what was decided about them.
    pub decided: Family<ByDecision, Counter>,
    /// How long ago what schedules bring back was last done.
    pub schedule_seconds: Family<BySchedule, Gauge<f64, std::sync::atomic::AtomicU64>>,
    /// How long the last canary took at each link that it passed.
    pub link_seconds: Family<ByLink, Gauge<f64, std::sync::atomic::AtomicU64>>,
    /// Whether it passed that link.
    pub link_up: Family<ByLink, Gauge<f64, std::sync::atomic::AtomicU64>>,
    /// Sources of which it is told that something is unusual.
    pub source_warnings: Family<ByWarning, Gauge>,
    /// How old the figures are of what the stores hold.
    pub figures_age: Family<ByFigureStore, Gauge<f64, std::sync::atomic::AtomicU64>>,
    /// How much of Redis' `maxmemory` is used.
    pub redis_memory: Gauge<f64, std::sync::atomic::AtomicU64>,
    /// How far the read replica is behind.
    pub replica_behind: Gauge<f64, std::sync::atomic::AtomicU64>,
    /// Times that Alertmanager was asked about firings and did not answer.
    pub alertmanager_errors: Counter,
    /// Times that a Prometheus was asked what fires and did not answer.
    pub prometheus_errors: Counter,
    /// Alerts that Alertmanager or Prometheus had and that were not received, taken in.
    pub reconciled_missed: Counter,
    /// Firings that Alertmanager or Prometheus has no more, closed.
    pub reconciled_gone: Counter,
    /// 1 if the settings that were read last are used, as far as they can be reloaded; else 0.
    pub config_reloaded: Gauge,
    /// When settings were last read that are used, in seconds since 1970.
    pub config_reloaded_at: Gauge,
    /// Incidents that are not resolved.
    pub incidents: Family<ByIncident, Gauge>,
    /// Incidents that opened.
    pub incidents_opened: Counter,
    /// From the opening of incidents until somebody acknowledged them.
    pub acknowledge_seconds: Histogram,
    /// From the opening of incidents until they were resolved.
    pub resolve_seconds: Family<ByResolver, Histogram>,
    /// From the receipt of alerts that open incidents until the provider took the message.
    pub message_seconds: Family<ByChannel, Histogram>,
    /// When each source last delivered, in seconds since 1970.
    pub last_alert: Family<BySource, Gauge>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

fn latencies() -> Histogram {
    Histogram::new(exponential_buckets(0.0005, 2.0, 18))
}

/// What people take for: from a minute to a week.
fn at_work() -> Histogram {
    Histogram::new([
        60.0, 300.0, 900.0, 1800.0, 3600.0, 14_400.0, 43_200.0, 86_400.0, 604_800.0,
    ])
}

/// What objectives of messages are set by.
fn told() -> Histogram {
    Histogram::new([1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0])
}

impl Metrics {
    /// All at zero.
    #[must_use]
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Arc::default(),
            process: Arc::new(process::registry()),
            received: Family::default(),
            truncated: Family::default(),
            misdated: Family::default(),
            alerts: Alerts::default(),
            jobs: Family::default(),
            job_seconds: Family::new_with_constructor(latencies),
            batch: Histogram::new(exponential_buckets(1.0, 2.0, 11)),
            batch_seconds: latencies(),
            accept_seconds: Family::new_with_constructor(latencies),
            ingest_seconds: latencies(),
            messages: Family::default(),
            analyses: Family::default(),
            drift: Family::default(),
            verified: Gauge::default(),
            verification_deferred: Counter::default(),
            recount_failures: Family::default(),
            recount_seconds: Family::new_with_constructor(latencies),
            recount_done: Family::default(),
            recount_items: Family::default(),
            verdicts: Family::default(),
            executions: Family::default(),
            jobs_lost: Family::default(),
            store_errors: Family::default(),
            counter_evicted: Counter::default(),
            overflowed: Counter::default(),
            refused: Family::default(),
            auth_failures: Family::default(),
            ready: Family::default(),
            delayed: Family::default(),
            in_flight: Family::default(),
            workers: Family::default(),
            paused: Family::default(),
            oldest_seconds: Family::default(),
            dead: Family::default(),
            dead_seconds: Family::default(),
            decided: Family::default(),
            schedule_seconds: Family::default(),
            link_seconds: Family::default(),
            link_up: Family::default(),
            source_warnings: Family::default(),
            figures_age: Family::default(),
            redis_memory: Gauge::default(),
            replica_behind: Gauge::default(),
            alertmanager_errors: Counter::default(),
            prometheus_errors: Counter::default(),
            reconciled_missed: Counter::default(),
            reconciled_gone: Counter::default(),
            config_reloaded: Gauge::default(),
            config_reloaded_at: Gauge::default(),
            incidents: Family::default(),
            incidents_opened: Counter::default(),
            acknowledge_seconds: at_work(),
            resolve_seconds: Family::new_with_constructor(at_work),
            message_seconds: Family::new_with_constructor(told),
            last_alert: Family::default(),
        };
        metrics.registry = Arc::new(metrics.register());
        metrics.begin();
        metrics
    }

    /// Adds `n` to the messages of this outcome that were suppressed before a channel was asked.
    pub fn count_suppressed(&self, outcome: &'static str, n: u64) {
        if n > 0 {
            let channel = "";
            let by = ByMessage { channel, outcome };
            self.messages.get_or_create(&by).inc_by(n);
        }
    }

    /// The settings that were read last are used from now on.
    pub fn settings_are_used(&self) {
        self.config_reloaded.set(1);
        self.config_reloaded_at.set(Timestamp::now().0 / 1000);
    }

    /// Counts what became of incidents.
    pub fn count_incidents(&self, counts: &IncidentCounts) {
        self.incidents_opened.inc_by(counts.opened);
        for after in &counts.acknowledged {
            self.acknowledge_seconds.observe(after.as_secs_f64());
        }
        for (by, after) in &counts.resolved {
            let by = ByResolver { by };
            let seconds = self.resolve_seconds.get_or_create(&by);
            seconds.observe(after.as_secs_f64());
        }
    }

    /// Has messages to channels of this kind counted from zero.
    pub fn begin_channel(&self, channel: &'static str) {
        for outcome in [
            "sent",
            "delayed",
            "failed",
            "given_up",
            "muted",
            "maintenance",
        ] {
            drop(self.messages.get_or_create(&ByMessage { channel, outcome }));
        }
        drop(self.message_seconds.get_or_create(&ByChannel { channel }));
    }

    /// Counts what became of an execution.
    pub fn count_execution(&self, state: execution::State, reason: Option<execution::Reason>) {
        let by = ByExecution {
            outcome: state.name(),
            reason: reason.map_or("", execution::Reason::name),
        };
        self.executions.get_or_create(&by).inc();
    }

    /// Nothing is known of any link.
    pub fn forget_links(&self) {
        for link in Link::ALL {
            let by = ByLink { link: link.name() };
            self.link_seconds.get_or_create(&by).set(f64::NAN);
            self.link_up.get_or_create(&by).set(f64::NAN);
        }
    }

    /// Counters are there before anything is counted: what appears with its first value has no
    /// rate at that moment.
    fn begin(&self) {
        self.settings_are_used();
        for source in SOURCES {
            let by = BySource {
                source: source.name,
            };
            drop(self.received.get_or_create(&by));
            drop(self.truncated.get_or_create(&by));
            drop(self.misdated.get_or_create(&by));
            for reason in REFUSALS {
                let source = by.source;
                let by = BySourceAndReason { source, reason };
                drop(self.refused.get_or_create(&by));
            }
        }
        let source = canary::SOURCE;
        drop(self.received.get_or_create(&BySource { source }));
        for queue in QUEUES {
            drop(self.store_errors.get_or_create(&ByQueue { queue }));
            drop(self.jobs_lost.get_or_create(&ByQueue { queue }));
            for decision in ["replayed", "discarded"] {
                drop(self.decided.get_or_create(&ByDecision { queue, decision }));
            }
            for outcome in ["done", "failed", "delayed", "dead", "stale"] {
                drop(self.jobs.get_or_create(&ByOutcome { queue, outcome }));
            }
        }
        for what in Figure::ALL {
            drop(self.drift.get_or_create(&ByFigure { what: what.name() }));
        }
        for verdict in Verdict::ALL {
            let by = ByVerdict {
                verdict: verdict.name(),
            };
            drop(self.verdicts.get_or_create(&by));
        }
        for state in execution::State::COUNTED {
            let (outcome, reason) = (state.name(), "");
            drop(
                self.executions
                    .get_or_create(&ByExecution { outcome, reason }),
            );
        }
        for part in Part::ALL {
            let by = ByPart { part: part.name() };
            drop(self.recount_failures.get_or_create(&by));
            drop(self.recount_seconds.get_or_create(&by));
            drop(self.recount_done.get_or_create(&by));
            drop(self.recount_items.get_or_create(&by));
        }
        for outcome in ["muted", "on_card", "flapping", "maintenance"] {
            let channel = "";
            drop(self.messages.get_or_create(&ByMessage { channel, outcome }));
        }
        for by in ["itself", "person"] {
            drop(self.resolve_seconds.get_or_create(&ByResolver { by }));
        }
        let reasons = NotGenerated::ALL.map(NotGenerated::name);
        for outcome in ["built_in", "generated"].into_iter().chain(reasons) {
            drop(self.analyses.get_or_create(&ByAnalysis { outcome }));
        }
        self.forget_links();
        for role in ["webhook", "read", "operate", "page", "telegram", "proxy"] {
            drop(self.auth_failures.get_or_create(&ByRole { role }));
        }
    }

    /// Prometheus' (OpenMetrics') text.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = text::encode_registry(&mut out, &self.registry)
            .and_then(|()| text::encode_registry(&mut out, &self.process))
            .and_then(|()| text::encode_eof(&mut out));
        out
    }
}
