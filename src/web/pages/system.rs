//! The system: what is connected, what it may lose, and whether what came in is accounted for.

use std::time::{Duration, Instant};

use axum::extract::State;
use maud::{Markup, html};

use super::accounting::{Balance, accounting, balance};
use super::layout::{self, Frame, Section};
use super::topics::Topic;
use super::{PageError, PageRequest, Pages, charts, parts};
use crate::domain::aggregation::Unit;
use crate::jobs::QUEUES;
use crate::probe::{Standstill, Takes};
use crate::queue::store::QueueError;
use crate::redis::{Redis, RedisInfo};
use crate::routines::Routine;
use crate::store::dead_letters;
use crate::store::refusals::{self, Refusal};
use crate::store::views::stats::{self, ChannelStanding, StoredTotals};
use crate::telemetry::metrics::{ByMessage, ByOutcome, ByQueue};
use crate::text::{Text, fill, plural};
use crate::time::Timestamp;

/// Its place in the navigation.
pub(super) const SECTION: Section = Section {
    path: "/system",
    name: |text| text.system,
};

/// How long a part may take to say that it is there.
const PATIENCE: Duration = Duration::from_secs(2);
/// What is younger than this is told as just now.
const JUST_NOW: Duration = Duration::from_secs(1);
/// How old the count of all rows may be.
const BOOKS: Duration = Duration::from_secs(10);

/// One part of the system.
struct Part {
    name: &'static str,
    what: String,
    is: Is,
}

/// How a part is, as far as is known.
enum Is {
    /// It answered, after so long.
    Fine(Duration),
    /// It answers, and does not take what is written.
    TakesNothing,
    /// It was asked, and did not.
    Silent,
    /// What a schedule brings back: when the last one began that was done; `None` if that is not known.
    Routine(Routine, Option<Option<Duration>>),
    /// A channel, which is not asked: what came of the newest messages; `None` if that is not known.
    Channel(Option<ChannelStanding>),
}

impl Is {
    fn answered(took: Option<Duration>) -> Self {
        took.map_or(Self::Silent, Self::Fine)
    }

    fn tried(takes: Takes, took: Option<Duration>) -> Self {
        match takes {
            Takes::All => Self::answered(took),
            Takes::Nothing => Self::TakesNothing,
            Takes::Silent => Self::Silent,
        }
    }
}

/// What the parts say.
struct Found {
    parts: Vec<Part>,
    warnings: Vec<String>,
    /// How much is in the books, and when it was counted.
    totals: Option<(Timestamp, StoredTotals)>,
    queued: Option<u64>,
    dead: Option<u64>,
    balance: Option<Balance>,
    refused: Refused,
}

/// Deliveries that were refused.
struct Refused {
    rows: Vec<Refusal>,
    /// Whether there can be no others.
    is_all: bool,
}

pub(super) async fn page(
    State(pages): State<Pages>,
    visit: PageRequest,
) -> Result<Markup, PageError> {
    let text = visit.text();
    let found = look(&pages, text).await;
    let frame = Frame {
        section: SECTION,
        title: text.system,
        watch: Topic::System.watch(),
    };
    let content = html! {
        h1 { (text.system) }
        div #system data-live {
            section aria-labelledby="connected" {
                h2 #connected { (text.connected) }
                (parts(&visit, &found.parts))
            }
            section aria-labelledby="warnings" {
                h2 #warnings { (text.warnings) }
                @for warning in &found.warnings { p.warn { span aria-hidden="true" { "⚠ " } (warning) } }
                @if found.warnings.is_empty() {
                    p.good { span aria-hidden="true" { "✓ " } (text.no_warnings) }
                }
            }
            section aria-labelledby="refused" {
                h2 #refused { (text.refused) }
                p.hint { (text.refused_lead) }
                (refused(&visit, &found.refused))
            }
            div.cols {
                section aria-labelledby="accounting" {
                    h2 #accounting { (text.accounting) }
                    p.hint { (text.accounting_lead) }
                    (accounting(text, &pages, found.balance))
                }
                section aria-labelledby="books" {
                    h2 #totals { (text.acc_books) }
                    (totals(&visit, &found))
                }
                section aria-labelledby="metrics" {
                    h2 #metrics { (text.metrics) }
                    p.hint { (text.metrics_lead) }
                    (metrics(text, &pages))
                }
                section aria-labelledby="settings" {
                    h2 #settings { (text.settings) }
                    (settings(&pages, text))
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
    let db = context.db.view();
    let queued = async {
        let mut queued = 0;
        for queue in QUEUES {
            let depth = context.queues.store().depth(queue).await?;
            queued += depth.ready + depth.delayed + depth.in_flight;
        }
        Ok::<_, QueueError>(queued)
    };
    let dead = async {
        let mut dead = 0;
        for queue in QUEUES {
            dead += dead_letters::count(db, queue).await?;
        }
        Ok::<_, sea_orm::DbErr>(dead)
    };
    let counting = {
        let db = context.db.clone();
        async move { stats::totals(db.read()).await }
    };
    let totals = &pages.shared.totals;
    let (now, unwritten) = (context.clock.now(), pages.refusals.unwritten());
    let (probed, store, queue, redis, totals, dead, channels, balance, refused) = tokio::join!(
        context.probe.look(context),
        timed(stats::ask(db)),
        timed(queued),
        redis(pages),
        totals.get((BOOKS, PATIENCE), &context.clock, counting),
        timed(dead),
        timed(stats::channels(db)),
        timed(balance(pages)),
        timed(refusals::lately(db, now)),
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
            is: Is::tried(probed.store, store.as_ref().map(|(_, took)| *took)),
        },
        Part {
            name: text.queue_store,
            what: queue_in.clone(),
            is: Is::tried(probed.queue, queue.as_ref().map(|(_, took)| *took)),
        },
        Part {
            name: text.counter,
            what: queue_in,
            is: Is::answered(match &redis {
                Some(answer) => answer.as_ref().map(|(_, took)| *took),
                None => store.as_ref().map(|(_, took)| *took),
            }),
        },
    ];
    for (routine, ago) in probed.last.unwrap_or_default().each() {
        parts.push(Part {
            name: routine_words(text, routine).0,
            what: String::new(),
            is: Is::Routine(routine, probed.last.map(|_| ago)),
        });
    }
    for channel in context.config.all_channels() {
        parts.push(Part {
            name: text.channel,
            is: Is::Channel(channels.as_ref().map(|(known, _)| {
                let standing = known.get(&channel);
                standing.cloned().unwrap_or_default()
            })),
            what: channel,
        });
    }
    let standing = redis.flatten().map(|(standing, _)| standing);
    let synchronous = store.map(|(store, _)| store.synchronous);
    Found {
        warnings: warnings(text, pages, standing.as_ref(), synchronous.as_deref())
            .into_iter()
            .chain(probed.stands.map(|stands| not_counted(text, &stands)))
            .collect(),
        parts,
        totals,
        queued: queue.map(|(queued, _)| queued),
        dead: dead.map(|(dead, _)| dead),
        balance: balance.map(|(balance, _)| balance),
        refused: Refused {
            // What cannot be written is known to who refused it alone.
            is_all: refused.is_some() && probed.store == Takes::All,
            rows: refusals::with(
                refused.map(|(known, _)| known).unwrap_or_default(),
                unwritten,
            ),
        },
    }
}

/// What Redis says, where there is one; `Some(None)` if it does not answer.
async fn redis(pages: &Pages) -> Option<Option<(RedisInfo, Duration)>> {
    let config = &pages.context.config;
    let url = config.redis_url.as_ref()?;
    let asking = pages.shared.redis.get_or_init(|| {
        let made = Redis::at(url, config.redis_ca.as_deref(), &config.redis_prefix);
        made.ok().and_then(|(redis, _)| redis.asking().ok())
    });
    match asking {
        Some(redis) => Some(timed(redis.standing()).await),
        None => Some(None),
    }
}

fn warnings(
    text: &Text,
    pages: &Pages,
    redis: Option<&RedisInfo>,
    synchronous: Option<&str>,
) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(policy) = redis.and_then(|redis| redis.evicts.as_deref()) {
        warnings.push(fill(text.warn_evict, &[("policy", policy)]));
    }
    if redis.is_some_and(|redis| redis.keeps_no_log) {
        warnings.push(text.warn_aof.to_owned());
    }
    let most = pages.context.config.counter.memory;
    let memory = redis.and_then(|redis| redis.memory);
    let about_memory = memory.and_then(|memory| match memory.percent() >= most {
        true => Some((memory, text.warn_memory)),
        false => memory
            .is_nearly_full()
            .then_some((memory, text.warn_memory_soon)),
    });
    if let Some((memory, said)) = about_memory {
        let percent = memory.percent().to_string();
        warnings.push(fill(said, &[("percent", &percent)]));
    }
    if let Some(value) = synchronous.filter(|value| matches!(*value, "off" | "fsync off")) {
        warnings.push(fill(text.warn_fsync, &[("value", value)]));
    }
    if pages.context.config.all_channels() == ["log"] {
        warnings.push(text.warn_log_only.to_owned());
    }
    for (queue, stands) in pages.context.figures.standing_still() {
        let (said, waits) = match stands {
            Standstill::Stuck { lasts: waits, .. } | Standstill::Idle { waits } => {
                (text.warn_jobs_idle, waits)
            }
            Standstill::Unattended { waits } => (text.warn_jobs_unattended, waits),
        };
        let seconds = waits.as_secs().to_string();
        warnings.push(fill(said, &[("queue", queue), ("seconds", &seconds)]));
    }
    if pages.gate.is_full() {
        warnings.push(text.warn_full.to_owned());
    }
    warnings
}

fn parts(visit: &PageRequest, parts: &[Part]) -> Markup {
    let text = visit.text();
    html! {
        div.wide tabindex="0" role="region" aria-labelledby="connected" { table {
            thead { tr {
                th scope="col" { (text.part) }
                th scope="col" { (text.version_or_name) }
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
                        @match &part.is {
                            Is::Fine(took) => {
                                td { span.good { span aria-hidden="true" { "✓" } " " (text.fine) } }
                                td.n { (format!("{:.1} ms", took.as_secs_f64() * 1000.0)) }
                            }
                            Is::TakesNothing => {
                                td { span.bad { span aria-hidden="true" { "✗" } " " (text.takes_nothing) } }
                                td.n {}
                            }
                            Is::Routine(routine, ago) => {
                                td { (last_done(visit, *routine, *ago)) }
                                td.n {}
                            }
                            Is::Silent => {
                                td { span.bad { span aria-hidden="true" { "✗" } " " (text.no_answer) } }
                                td.n {}
                            }
                            Is::Channel(standing) => {
                                td { (channel(visit, standing.as_ref())) }
                                td.n {}
                            }
                        }
                    }
                }
            }
        } }
    }
}

/// What senders were told that sent in vain.
fn refused(visit: &PageRequest, refused: &Refused) -> Markup {
    let text = visit.text();
    html! {
        @if !refused.is_all {
            p.warn { span aria-hidden="true" { "⚠ " } (text.refused_unknown) }
        }
        @if !refused.rows.is_empty() {
            (refusals_table(visit, &refused.rows))
        } @else if refused.is_all {
            p.good { span aria-hidden="true" { "✓ " } (text.refused_none) }
        }
    }
}

fn refusals_table(visit: &PageRequest, refused: &[Refusal]) -> Markup {
    let text = visit.text();
    let unread = refused.iter().filter_map(|one| {
        let (body, at) = (one.body.as_ref()?, one.body_at?);
        Some((one, body, at))
    });
    html! {
        div.wide tabindex="0" role="region" aria-labelledby="refused" { table {
            thead { tr {
                th scope="col" { (text.source) }
                th scope="col" { (text.refused_answer) }
                th.n scope="col" { (text.refused_deliveries) }
                th scope="col" { (text.refused_last) }
                th scope="col" { (text.refused_from) }
            } }
            tbody {
                @for one in refused {
                    tr {
                        th scope="row" { (one.source) }
                        td lang="en" { (one.status) " " (one.detail) }
                        td.n { (one.deliveries) }
                        td { (parts::ago(visit, one.last_at)) }
                        td { (one.client) }
                    }
                }
            }
        } }
        @for (one, body, at) in unread {
            details {
                summary { (one.source) (text.colon) (parts::around(text.refused_body, "time", &parts::ago(visit, at))) }
                pre tabindex="0" { (body) }
            }
        }
    }
}

/// What it is called, and what is said where it is not done any more.
const fn routine_words(text: &Text, routine: Routine) -> (&'static str, &'static str) {
    match routine {
        Routine::Recount => (text.recount_part, text.recount_overdue),
        Routine::Verify => (text.verify_part, text.verify_overdue),
        Routine::Pruning => (text.pruning_part, text.pruning_overdue),
    }
}

/// When it was last done.
fn last_done(visit: &PageRequest, routine: Routine, ago: Option<Option<Duration>>) -> Markup {
    let text = visit.text();
    let Some(ago) = ago else {
        return html! { (text.not_known) };
    };
    let Some(ago) = ago else {
        return html! { (text.never_done) };
    };
    let time = parts::ago(visit, visit.now.before(ago));
    match routine.is_overdue(ago) {
        true => html! {
            span.bad { span aria-hidden="true" { "✗ " }
                (parts::around(routine_words(text, routine).1, "time", &time)) }
        },
        false => html! {
            span.good { span aria-hidden="true" { "✓ " } (parts::around(text.last_done, "time", &time)) }
        },
    }
}

/// What is said where alerts are taken and not counted.
fn not_counted(text: &Text, stands: &Standstill) -> String {
    let (said, lasts, why) = match stands {
        Standstill::Stuck { lasts, why } => (text.warn_stuck, lasts, why.as_str()),
        Standstill::Idle { waits } => (text.warn_idle, waits, ""),
        Standstill::Unattended { waits } => (text.warn_unattended, waits, ""),
    };
    let seconds = lasts.as_secs().to_string();
    fill(said, &[("seconds", &seconds), ("why", why)])
}

/// What its newest messages say of a channel.
fn channel(visit: &PageRequest, standing: Option<&ChannelStanding>) -> Markup {
    let text = visit.text();
    let Some(standing) = standing else {
        return html! { "–" };
    };
    // A failure is over when something was sent after it.
    let failed = standing.failed.as_ref();
    let failed = failed.filter(|(at, _)| standing.sent_at.is_none_or(|sent| sent <= *at));
    html! {
        @if let Some((at, error)) = failed {
            span.bad { span aria-hidden="true" { "✗" } " "
                (parts::around(text.channel_failed, "time", &parts::ago(visit, *at))) (text.colon)
                span lang="en" { (error) } }
            @if standing.sent_at.is_some() { " · " }
        }
        @if let Some(at) = standing.sent_at {
            span.good[failed.is_none()] {
                @if failed.is_none() { span aria-hidden="true" { "✓ " } }
                (parts::around(text.channel_sent, "time", &parts::ago(visit, at)))
            }
        }
        @if failed.is_none() && standing.sent_at.is_none() { (text.channel_untried) }
    }
}

fn totals(visit: &PageRequest, found: &Found) -> Markup {
    let text = visit.text();
    let or_dash = |n: Option<String>| n.unwrap_or_else(|| "–".to_owned());
    let counted = |of: fn(&StoredTotals) -> i64| {
        let totals = found.totals.as_ref();
        or_dash(totals.map(|(_, totals)| of(totals).to_string()))
    };
    let rows = [
        (text.acc_counted, counted(|totals| totals.counted)),
        (text.acc_occurrences, counted(|totals| totals.occurrences)),
        (text.acc_incidents, counted(|totals| totals.incidents)),
        (text.acc_anomalies, counted(|totals| totals.anomalies)),
        (
            text.acc_queued,
            or_dash(found.queued.map(|n| n.to_string())),
        ),
        (text.acc_dead, or_dash(found.dead.map(|n| n.to_string()))),
    ];
    html! {
        (charts::figures(&rows.map(|(name, n)| (name.to_owned(), n))))
        @if let Some((at, _)) = &found.totals {
            @if visit.now.since(*at) < JUST_NOW { p.hint { (text.acc_counted_now) } }
            @else { p.hint { (parts::around(text.acc_counted_at, "time", &parts::ago(visit, *at))) } }
        }
    }
}

/// What is not zero and should be looked at when it grows.
fn metrics(text: &Text, pages: &Pages) -> Markup {
    let m = &pages.context.metrics;
    let mut rows = Vec::new();
    for queue in QUEUES {
        for outcome in ["done", "failed", "delayed", "dead", "stale"] {
            let n = m.jobs.get_or_create(&ByOutcome { queue, outcome }).get();
            rows.push((format!("tocsin_jobs_total {queue} {outcome}"), n));
        }
        let n = m.store_errors.get_or_create(&ByQueue { queue }).get();
        rows.push((format!("tocsin_store_errors_total {queue}"), n));
    }
    for outcome in ["sent", "delayed", "failed", "given_up", "muted"] {
        let n = m.messages.get_or_create(&ByMessage { outcome }).get();
        rows.push((format!("tocsin_messages_total {outcome}"), n));
    }
    rows.retain(|(_, n)| *n > 0);
    let rows: Vec<_> = rows.into_iter().map(|(k, n)| (k, n.to_string())).collect();
    html! { @if rows.is_empty() { p { (text.nothing_here) } } @else { (charts::figures(&rows)) } }
}

/// The settings that decide what becomes an incident and a level.
fn settings(pages: &Pages, text: &Text) -> Markup {
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
        let counted = match config.counting.unit {
            Unit::Episode => text.n_firings,
            Unit::Delivery => text.n_deliveries,
            Unit::Incident => text.n_incidents,
        };
        let (counts, incidents) = (
            plural(counted, rule.count),
            plural(text.n_incidents, rule.incidents),
        );
        let told = match rule.incidents {
            ..=1 => text.rule_counts,
            _ => text.rule_spread,
        };
        let places = [
            ("counts", &*counts),
            ("window", parts::window(text, rule.window)),
            ("incidents", &*incidents),
        ];
        let rule = (rule.level.name().to_owned(), fill(told, &places));
        rows.push(rule);
    }
    rows.push((
        "retention.occurrences".to_owned(),
        span(config.retention.occurrences),
    ));
    rows.push(("retention.rest".to_owned(), span(config.retention.rest)));
    charts::figures(&rows)
}
