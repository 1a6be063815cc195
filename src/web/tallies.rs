//! What each source delivers, on its way to the store: it gathers for a few seconds, so that an alert's way has no
//! write of its own for it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sea_orm::DbErr;

use crate::context::Context;
use crate::sources::WebhookAnswer;
use crate::store::source_tallies::{self, Tally};
use crate::store::{maintenance, watches};
use crate::telemetry::seldom::LogThrottle;
use crate::time::Timestamp;

/// How long tallies gather before they are written, and how long it is waited after a write that failed.
const GATHER: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(10));
/// How long the store may take for what is written last.
const LAST: Duration = Duration::from_secs(2);
/// How long the store may take otherwise.
const WRITE: Duration = Duration::from_secs(10);
/// Minimum time between two warnings about a write that failed.
const SAID: Duration = Duration::from_secs(60);

/// Tallies on their way to the store.
#[derive(Clone)]
pub(crate) struct Tallies(Arc<Inner>);

struct Inner {
    context: Context,
    failed: LogThrottle<()>,
    state: Mutex<State>,
    /// Held by who writes, so that who waits for it knows that it is written.
    writing: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    unwritten: BTreeMap<(String, i64), Tally>,
    /// Alerts that are expected, and when each was received last.
    seen: BTreeMap<String, Timestamp>,
    /// What is being written: it may come back.
    under_way: Vec<Tally>,
    /// Whether a task writes them.
    is_written: bool,
}

impl Tallies {
    pub(super) fn new(context: &Context) -> Self {
        Self(Arc::new(Inner {
            context: context.clone(),
            failed: LogThrottle::new(SAID),
            state: Mutex::default(),
            writing: tokio::sync::Mutex::default(),
        }))
    }

    /// Notes that a delivery was taken, and what was wrong with the alerts of it that cannot be used.
    pub(super) fn taken(&self, source: &str, taken: &WebhookAnswer, wrong: Option<String>) {
        let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        self.note(source, |tally, now| {
            tally.alerts = number(taken.enqueued);
            tally.rejected = number(taken.rejected);
            tally.tests = number(taken.tests);
            tally.unused = number(taken.unused);
            tally.delivered_at = Some(now);
            tally.error = wrong.map(|why| (now, why));
        });
    }

    /// Notes that a delivery was refused.
    pub(super) fn refused(&self, source: &str, why: String) {
        self.note(source, |tally, now| {
            tally.refused = 1;
            tally.error = Some((now, why));
        });
    }

    /// Notes that a sender asked for an address to be fetched; an empty one was.
    pub(super) fn asked(&self, source: &str, url: String) {
        self.note(source, |tally, now| tally.confirm = Some((now, url)));
    }

    /// Notes that an alert was received that is expected.
    pub(super) fn seen(&self, name: String, at: Timestamp) {
        let mut state = self.state();
        state.see(name, at);
        self.start_writing(&mut state);
    }

    fn start_writing(&self, state: &mut State) {
        if !state.is_written {
            state.is_written = true;
            tokio::spawn(self.clone().write());
        }
    }

    fn note(&self, source: &str, set: impl FnOnce(&mut Tally, Timestamp)) {
        let now = self.0.context.clock.now();
        let mut new = Tally {
            source: source.to_owned(),
            hour: source_tallies::hour(now),
            ..Tally::default()
        };
        set(&mut new, now);
        let mut state = self.state();
        state.add(new);
        self.start_writing(&mut state);
    }

    /// What the store does not know yet.
    pub(crate) fn unwritten(&self) -> Vec<Tally> {
        let state = self.state();
        let gathered = state.unwritten.values().cloned();
        gathered.chain(state.under_way.iter().cloned()).collect()
    }

    /// Writes what gathered, before the process ends. Nothing more may be delivered meanwhile.
    pub(super) async fn finish(&self) {
        if tokio::time::timeout(LAST, self.write_once()).await != Ok(true) {
            tracing::warn!("cannot store the last figures of what the sources delivered");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes what gathers until nothing more does.
    async fn write(self) {
        let mut pause = GATHER.0;
        loop {
            tokio::time::sleep(pause).await;
            {
                let mut state = self.state();
                state.is_written = !state.unwritten.is_empty() || !state.seen.is_empty();
                if !state.is_written {
                    return;
                }
            }
            pause = match self.write_once().await {
                true => GATHER.0,
                false => GATHER.1,
            };
        }
    }

    /// Writes what has gathered, in one statement; says whether it is written.
    async fn write_once(&self) -> bool {
        let _turn = self.0.writing.lock().await;
        let (tallies, seen) = {
            let mut state = self.state();
            state.under_way = std::mem::take(&mut state.unwritten).into_values().collect();
            (state.under_way.clone(), std::mem::take(&mut state.seen))
        };
        let written = async {
            let context = &self.0.context;
            write_seen(context, &seen).await?;
            source_tallies::add(context.db.write(), &tallies).await
        };
        let why = match tokio::time::timeout(WRITE, written).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("the database does not respond".to_owned()),
        };
        let mut state = self.state();
        state.under_way.clear();
        let Some(why) = why else {
            return true;
        };
        tallies.into_iter().for_each(|tally| state.add(tally));
        seen.into_iter().for_each(|(name, at)| state.see(name, at));
        if self.0.failed.says(()).is_some() {
            tracing::warn!("cannot store what the sources delivered yet, will retry: {why}");
        }
        false
    }
}

/// Writes when expected alerts were received: none later than now by the store's clock, whatever this computer's says.
async fn write_seen(context: &Context, seen: &BTreeMap<String, Timestamp>) -> Result<(), DbErr> {
    if seen.is_empty() {
        return Ok(());
    }
    let now = context
        .clock
        .of_store(maintenance::now(context.db.read()).await?);
    let seen = seen.iter().map(|(name, at)| (name.clone(), (*at).min(now)));
    watches::see(context.db.write(), &seen.collect()).await
}

impl State {
    fn see(&mut self, name: String, at: Timestamp) {
        let last = self.seen.entry(name).or_insert(at);
        *last = (*last).max(at);
    }

    fn add(&mut self, tally: Tally) {
        let key = (tally.source.clone(), tally.hour);
        match self.unwritten.get_mut(&key) {
            Some(known) => known.add(&tally),
            None => {
                self.unwritten.insert(key, tally);
            }
        }
    }
}
