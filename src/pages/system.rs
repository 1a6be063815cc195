//! The system: what is connected, what it may lose, and whether what came in is accounted for.

use std::time::{Duration, Instant};

use axum::extract::State;
use maud::{Markup, html};

use super::layout::{self, Frame, Section};
use super::topics::Topic;
use super::{Fault, Pages, Visit, charts};
use crate::jobs::QUEUES;
use crate::metrics::{ByMessage, ByOutcome, ByQueue, BySource, Outcome};
use crate::redis::{Redis, Standing};
use crate::sources::SOURCES;
use crate::store::dead_letters;
use crate::store::standing::{self, Books};
use crate::text::{Text, fill};

/// How long a part may take to say that it is there.
const PATIENCE: Duration = Duration::from_secs(2);
/// How old the count of all rows may be.
const BOOKS: Duration = Duration::from_secs(10);

/// One part of the system.
struct Part {
    name: &'static str,
    what: String,
    /// How long it took to answer; `None` if it did not.
    took: Option<Duration>,
}

/// What the parts say.
struct Found {
    parts: Vec<Part>,
    warnings: Vec<String>,
    books: Option<Books>,
    queued: u64,
    dead: u64,
}

pub(super) async fn page(State(pages): State<Pages>, visit: Visit) -> Result<Markup, Fault> {
    let text = visit.text();
    let found = look(&pages, text).await;
    let frame = Frame {
        section: Section::System,
        title: text.system,
        watch: Topic::System.watch(),
    };
    let content = html! {
        h1 { (text.system) }
        div #system data-live {
            section aria-labelledby="connected" {
                h2 #connected { (text.connected) }
                (parts(text, &found.parts))
            }
            section aria-labelledby="warnings" {
                h2 #warnings { (text.warnings) }
                @for warning in &found.warnings { p.warn { span aria-hidden="true" { "⚠ " } (warning) } }
                @if found.warnings.is_empty() {
                    p.good { span aria-hidden="true" { "✓ " } (text.no_warnings) }
                }
            }
            div.cols {
                section aria-labelledby="accounting" {
                    h2 #accounting { (text.accounting) }
                    p.hint { (text.accounting_lead) }
                    (accounting(text, &pages))
                }
                section aria-labelledby="books" {
                    h2 #books { (text.acc_books) }
                    (books(text, &found))
                }
                section aria-labelledby="metrics" {
                    h2 #metrics { (text.metrics) }
                    p.hint { (text.metrics_lead) }
                    (metrics(text, &pages))
                }
                section aria-labelledby="settings" {
                    h2 #settings { (text.settings) }
                    (settings(&pages))
                }
            }
        }
    };
    Ok(layout::page(&visit, &frame, &content))
}

async fn timed<T, E>(work: impl Future<Output = Result<T, E>>) -> Option<(T, Duration)> {
    let began = Instant::now();
    let answer = tokio::time::timeout(PATIENCE, work).await.ok()?.ok()?;
    Some((answer, began.elapsed()))
}

async fn look(pages: &Pages, text: &Text) -> Found {
    let context = &pages.context;
    let db = context.db.read();
    let queued = async {
        let mut queued = 0;
        for queue in QUEUES {
            let depth = context.queues.store().depth(queue).await?;
            queued += depth.ready + depth.delayed + depth.in_flight;
        }
        Ok::<_, crate::queue::store::QueueError>(queued)
    };
    let dead = async {
        let mut dead = 0;
        for queue in QUEUES {
            dead += dead_letters::count(db, queue).await?;
        }
        Ok::<_, sea_orm::DbErr>(dead)
    };
    let (store, queue, redis, books, dead) = tokio::join!(
        timed(standing::ask(db)),
        timed(queued),
        redis(pages),
        timed(pages.shared.books.get(BOOKS, standing::books(db))),
        timed(dead),
    );
    let redis_says = redis.as_ref().map(|answer| {
        let version = answer.as_ref().map_or("", |(s, _)| s.version.as_str());
        format!("Redis {version}")
    });
    let own = store.as_ref().map_or_else(
        || format!("{:?}", context.config.database_url),
        |(store, _)| store.version.clone(),
    );
    let queue_in = redis_says.unwrap_or_else(|| own.clone());
    let mut parts = vec![
        Part {
            name: text.store,
            what: own,
            took: store.as_ref().map(|(_, took)| *took),
        },
        Part {
            name: text.queue_store,
            what: queue_in.clone(),
            took: queue.as_ref().map(|(_, took)| *took),
        },
        Part {
            name: text.counter,
            what: queue_in,
            took: match &redis {
                Some(answer) => answer.as_ref().map(|(_, took)| *took),
                None => store.as_ref().map(|(_, took)| *took),
            },
        },
    ];
    for channel in context.config.all_channels() {
        parts.push(Part {
            name: text.channel,
            what: channel,
            took: Some(Duration::ZERO),
        });
    }
    let standing = redis.flatten().map(|(standing, _)| standing);
    let synchronous = store.map(|(store, _)| store.synchronous);
    Found {
        warnings: warnings(text, pages, standing.as_ref(), synchronous.as_deref()),
        parts,
        books: books.map(|(books, _)| books),
        queued: queue.map_or(0, |(queued, _)| queued),
        dead: dead.map_or(0, |(dead, _)| dead),
    }
}

/// What Redis says, where there is one; `Some(None)` if it does not answer.
async fn redis(pages: &Pages) -> Option<Option<(Standing, Duration)>> {
    let config = &pages.context.config;
    let url = config.redis_url.as_ref()?;
    let made = Redis::at(url, config.redis_ca.as_deref(), &config.redis_prefix);
    let Ok((redis, _)) = made else {
        return Some(None);
    };
    Some(timed(redis.standing()).await)
}

fn warnings(
    text: &Text,
    pages: &Pages,
    redis: Option<&Standing>,
    synchronous: Option<&str>,
) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(policy) = redis.and_then(|redis| redis.evicts.as_deref()) {
        warnings.push(fill(text.warn_evict, &[("policy", policy)]));
    }
    if redis.is_some_and(|redis| redis.keeps_no_log) {
        warnings.push(text.warn_aof.to_owned());
    }
    if let Some(value) = synchronous.filter(|value| matches!(*value, "off" | "fsync off")) {
        warnings.push(fill(text.warn_fsync, &[("value", value)]));
    }
    if pages.context.config.all_channels() == ["log"] {
        warnings.push(text.warn_log_only.to_owned());
    }
    if pages.gate.is_full() {
        warnings.push(text.warn_full.to_owned());
    }
    warnings
}

fn parts(text: &Text, parts: &[Part]) -> Markup {
    html! {
        table {
            thead { tr {
                th scope="col" { (text.part) }
                th scope="col" { (text.version) }
                th scope="col" { (text.status) }
                th.n scope="col" { (text.answer_time) }
            } }
            tbody {
                tr {
                    th scope="row" { "Tocsin" } td { (crate::VERSION) }
                    td { span.good { span aria-hidden="true" { "✓" } " " (text.fine) } } td.n {}
                }
                @for part in parts {
                    tr {
                        th scope="row" { (part.name) }
                        td { (part.what) }
                        @match part.took {
                            Some(took) => {
                                td { span.good { span aria-hidden="true" { "✓" } " " (text.fine) } }
                                td.n { @if !took.is_zero() { (format!("{:.1} ms", took.as_secs_f64() * 1000.0)) } }
                            }
                            None => {
                                td { span.bad { span aria-hidden="true" { "✗" } " " (text.no_answer) } }
                                td.n {}
                            }
                        }
                    }
                }
            }
        }
    }
}

fn figures(rows: &[(String, String)]) -> Markup {
    html! { dl.facts { @for (name, value) in rows { (charts::fact(name, &html! { span.n { (value) } })) } } }
}

fn accounting(text: &Text, pages: &Pages) -> Markup {
    let m = &pages.context.metrics;
    let of_sources = |family: &prometheus_client::metrics::family::Family<
        BySource,
        prometheus_client::metrics::counter::Counter,
    >|
     -> u64 {
        let sources = SOURCES.iter();
        sources
            .map(|source| {
                family
                    .get_or_create(&BySource {
                        source: source.name,
                    })
                    .get()
            })
            .sum()
    };
    let rows = [
        (text.acc_accepted, of_sources(&m.received)),
        (text.acc_new, m.alerts.total(Outcome::Counted)),
        (text.acc_resent, m.alerts.total(Outcome::Resent)),
        (text.acc_ignored, m.alerts.total(Outcome::Ignored)),
        (text.acc_rejected, m.alerts.total(Outcome::Rejected)),
        (text.acc_buried, m.alerts.total(Outcome::Dead)),
        (text.acc_truncated, of_sources(&m.truncated)),
    ];
    figures(&rows.map(|(name, n)| (name.to_owned(), n.to_string())))
}

fn books(text: &Text, found: &Found) -> Markup {
    let books = found.books.unwrap_or_default();
    let rows = [
        (text.acc_counted, books.counted.to_string()),
        (text.acc_occurrences, books.occurrences.to_string()),
        (text.acc_incidents, books.incidents.to_string()),
        (text.acc_anomalies, books.anomalies.to_string()),
        (text.acc_queued, found.queued.to_string()),
        (text.acc_dead, found.dead.to_string()),
    ];
    figures(&rows.map(|(name, n)| (name.to_owned(), n)))
}

/// What is not zero and should be looked at when it grows.
fn metrics(text: &Text, pages: &Pages) -> Markup {
    let m = &pages.context.metrics;
    let mut rows = Vec::new();
    for queue in QUEUES {
        for outcome in ["done", "failed", "delayed", "dead", "stale"] {
            let n = m.jobs.get_or_create(&ByOutcome { queue, outcome }).get();
            rows.push((format!("jobs_total {queue} {outcome}"), n));
        }
        let n = m.store_errors.get_or_create(&ByQueue { queue }).get();
        rows.push((format!("store_errors_total {queue}"), n));
    }
    for outcome in ["sent", "delayed", "failed", "given_up", "muted"] {
        let n = m.messages.get_or_create(&ByMessage { outcome }).get();
        rows.push((format!("messages_total {outcome}"), n));
    }
    rows.retain(|(_, n)| *n > 0);
    let rows: Vec<_> = rows.into_iter().map(|(k, n)| (k, n.to_string())).collect();
    html! { @if rows.is_empty() { p { (text.nothing_here) } } @else { (figures(&rows)) } }
}

/// The settings that decide what becomes an incident and a level.
fn settings(pages: &Pages) -> Markup {
    let config = &pages.context.config;
    let span = |span: crate::config::Span| {
        let json = serde_json::to_value(span).unwrap_or_default();
        json.as_str().unwrap_or_default().to_owned()
    };
    let mut rows = vec![
        (
            "counting.unit".to_owned(),
            config.counting.unit.name().to_owned(),
        ),
        (
            "aggregation.window".to_owned(),
            span(config.aggregation.window),
        ),
        (
            "escalation.open_for".to_owned(),
            span(config.escalation.open_for),
        ),
    ];
    for rule in &config.escalation.rules {
        let (window, count) = (rule.window.name(), rule.count);
        rows.push((rule.level.name().to_owned(), format!("{window} ≥ {count}")));
    }
    rows.push((
        "retention.occurrences".to_owned(),
        span(config.retention.occurrences),
    ));
    rows.push(("retention.rest".to_owned(), span(config.retention.rest)));
    figures(&rows)
}
