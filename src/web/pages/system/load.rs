//! Loads the state of each part of the system, each within a bounded time.

use std::time::{Duration, Instant};

use super::warnings::{not_counted, warnings};
use crate::domain::canary::SCHEDULE;
use crate::jobs::QUEUES;
use crate::probe::PartState;
use crate::queue::store::QueueError;
use crate::redis::{Redis, RedisInfo};
use crate::routines::Routine;
use crate::sources::SOURCES;
use crate::store::canaries::Canary;
use crate::store::refusals::{self, Refusal};
use crate::store::views::stats::{self, ChannelHealth, StoredTotals};
use crate::store::{canaries, dead_letters, source_tallies};
use crate::text::Text;
use crate::time::Timestamp;
use crate::web::pages::Pages;
use crate::web::pages::accounting::{Balance, balance};
use crate::web::source_states::{SourceState, states};

/// How long a part may take to say that it is there.
const PATIENCE: Duration = Duration::from_secs(2);

/// Maximum age of the count of all rows.
const TOTALS_AGE: Duration = Duration::from_secs(10);

/// One part of the system.
pub(super) struct Part {
    pub(super) name: &'static str,
    pub(super) what: String,
    pub(super) is: PartStatus,
}

/// The state of a part, as far as it is known.
pub(super) enum PartStatus {
    /// It answered, after this time.
    Fine(Duration),
    /// It answers, and does not take what is written.
    TakesNothing,
    /// It was asked, and did not.
    Unreachable,
    /// What a schedule brings back: when the last one began that was done; `None` if that is not known.
    Routine(Routine, Option<Option<Duration>>),
    /// A channel, which is not asked: what came of the newest messages; `None` if that is not known.
    Channel(Option<ChannelHealth>),
}

impl PartStatus {
    fn answered(took: Option<Duration>) -> Self {
        took.map_or(Self::Unreachable, Self::Fine)
    }

    fn tried(takes: PartState, took: Option<Duration>) -> Self {
        match takes {
            PartState::Up => Self::answered(took),
            PartState::ReadOnly => Self::TakesNothing,
            PartState::Unreachable => Self::Unreachable,
        }
    }
}

/// What the parts say.
pub(super) struct SystemData {
    pub(super) parts: Vec<Part>,
    pub(super) warnings: Vec<String>,
    /// How many rows are stored, and when they were counted.
    pub(super) totals: Option<(Timestamp, StoredTotals)>,
    pub(super) queued: Option<u64>,
    pub(super) dead: Option<u64>,
    pub(super) balance: Option<Balance>,
    pub(super) refused: Refused,
    /// The last canary that Tocsin sent by itself.
    pub(super) canary: Option<Canary>,
    /// The sources; `None` if the store does not say what they delivered.
    pub(super) sources: Option<Vec<SourceState>>,
}

/// Deliveries that were refused.
pub(super) struct Refused {
    pub(super) rows: Vec<Refusal>,
    /// Whether there can be no others.
    pub(super) is_all: bool,
}

async fn timed<T, E>(work: impl Future<Output = Result<T, E>>) -> Option<(T, Duration)> {
    let began = Instant::now();
    let answer = tokio::time::timeout(PATIENCE, work).await.ok()?.ok()?;
    Some((answer, began.elapsed()))
}

/// What it is called, and what is said where it is not done any more.
pub(super) const fn routine_words(text: &Text, routine: Routine) -> (&'static str, &'static str) {
    match routine {
        Routine::Recount => (text.recount_part, text.recount_overdue),
        Routine::Verify => (text.verify_part, text.verify_overdue),
        Routine::Pruning => (text.pruning_part, text.pruning_overdue),
    }
}

pub(super) async fn load(pages: &Pages, text: &Text) -> SystemData {
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
    let stores = context.stores();
    let (now, unwritten) = (context.clock.now(), pages.refusals.unwritten());
    let (probed, store, queue, redis, totals, dead, channels, balance, refused, delivered, canary) = tokio::join!(
        context.probe.look(&stores),
        timed(stats::ask(db)),
        timed(queued),
        redis(pages),
        totals.get((TOTALS_AGE, PATIENCE), &context.clock, counting),
        timed(dead),
        timed(stats::channels(db)),
        timed(balance(pages)),
        timed(refusals::lately(db, now)),
        timed(source_tallies::lately(db, now)),
        timed(canaries::newest(db, SCHEDULE)),
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
            is: PartStatus::tried(probed.store, store.as_ref().map(|(_, took)| *took)),
        },
        Part {
            name: text.queue_store,
            what: queue_in.clone(),
            is: PartStatus::tried(probed.queue, queue.as_ref().map(|(_, took)| *took)),
        },
        Part {
            name: text.counter,
            what: queue_in,
            is: PartStatus::answered(match &redis {
                Some(answer) => answer.as_ref().map(|(_, took)| *took),
                None => store.as_ref().map(|(_, took)| *took),
            }),
        },
    ];
    for (routine, ago) in probed.last.unwrap_or_default().each() {
        parts.push(Part {
            name: routine_words(text, routine).0,
            what: String::new(),
            is: PartStatus::Routine(routine, probed.last.map(|_| ago)),
        });
    }
    for channel in context.config.all_channels() {
        parts.push(Part {
            name: text.channel,
            is: PartStatus::Channel(channels.as_ref().map(|(known, _)| {
                let info = known.get(&channel);
                info.cloned().unwrap_or_default()
            })),
            what: channel,
        });
    }
    let info = redis.flatten().map(|(info, _)| info);
    let synchronous = store.map(|(store, _)| store.synchronous);
    SystemData {
        warnings: warnings(text, pages, info.as_ref(), synchronous.as_deref())
            .into_iter()
            .chain(probed.standstill.map(|it| not_counted(text, &it)))
            .collect(),
        parts,
        totals,
        queued: queue.map(|(queued, _)| queued),
        dead: dead.map(|(dead, _)| dead),
        balance: balance.map(|(balance, _)| balance),
        canary: canary.and_then(|(canary, _)| canary),
        sources: delivered.map(|(delivered, _)| {
            let tallies = pages.refusals.tallies();
            states(context, &SOURCES, delivered, tallies)
        }),
        refused: Refused {
            // What cannot be written is known to who refused it alone.
            is_all: refused.is_some() && probed.store == PartState::Up,
            rows: refusals::with(
                refused.map(|(known, _)| known).unwrap_or_default(),
                unwritten,
            ),
        },
    }
}

/// What Redis says, where there is one; `Some(None)` if it does not answer.
pub(super) async fn redis(pages: &Pages) -> Option<Option<(RedisInfo, Duration)>> {
    let config = &pages.context.config;
    let url = config.redis_url.as_ref()?;
    let asking = pages.shared.redis.get_or_init(|| {
        let made = Redis::at(url, config.redis_ca.as_deref(), &config.redis_prefix);
        made.ok().and_then(|(redis, _)| redis.asking().ok())
    });
    match asking {
        Some(redis) => Some(timed(redis.info()).await),
        None => Some(None),
    }
}
