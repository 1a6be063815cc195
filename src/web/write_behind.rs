//! Write-behind: entries are gathered for a few seconds and written together by a background task, so that no request
//! waits for a write of its own. A process that is killed loses the last seconds; a write that was committed without an
//! answer is repeated. So it is for figures that people read, and for what is soon said again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sea_orm::DbErr;

use crate::context::Context;
use crate::telemetry::log_throttle::LogThrottle;

/// How long one write may take.
const WRITE: Duration = Duration::from_secs(10);
/// The pause after a write that failed.
const RETRY: Duration = Duration::from_secs(10);
/// How long the last write may take, before the process ends.
const LAST: Duration = Duration::from_secs(2);
/// Minimum time between two warnings about failed writes.
const SAID: Duration = Duration::from_secs(60);

/// An entry that is gathered: what happened since the last write, of one key.
pub(super) trait Gathered: Clone + Send + Sync + 'static {
    /// Entries with the same key are merged into one.
    type Key: Ord + Send + 'static;

    /// What they are, for the log.
    const WHAT: &'static str;
    /// How long they are gathered before they are written.
    const GATHER: Duration;
    /// The most in one write.
    const TOGETHER: usize;

    fn key(&self) -> Self::Key;

    /// Merges an older entry with the same key into this one.
    fn add_older(&mut self, older: Self);

    /// Adds them to the store, all or none.
    fn write(context: &Context, some: &[Self]) -> impl Future<Output = Result<(), DbErr>> + Send;
}

/// Entries on their way to the store.
pub(super) struct WriteBehind<T: Gathered>(Arc<Inner<T>>);

impl<T: Gathered> Clone for WriteBehind<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

struct Inner<T: Gathered> {
    context: Context,
    failed: LogThrottle<()>,
    state: Mutex<State<T>>,
    /// Held during a write, so that [`WriteBehind::finish`] waits for one that has begun.
    writing: tokio::sync::Mutex<()>,
}

struct State<T: Gathered> {
    gathered: BTreeMap<T::Key, T>,
    /// Those that are being written. They are gathered again if the write fails.
    under_way: Vec<T>,
    /// Whether the task that writes runs.
    is_running: bool,
}

impl<T: Gathered> WriteBehind<T> {
    pub(super) fn new(context: &Context) -> Self {
        let state = State {
            gathered: BTreeMap::new(),
            under_way: Vec::new(),
            is_running: false,
        };
        Self(Arc::new(Inner {
            context: context.clone(),
            failed: LogThrottle::new(SAID),
            state: Mutex::new(state),
            writing: tokio::sync::Mutex::default(),
        }))
    }

    /// Gathers an entry, which is newer than all before.
    pub(super) fn add(&self, mut new: T) {
        let mut state = self.state();
        if let Some(older) = state.gathered.remove(&new.key()) {
            new.add_older(older);
        }
        state.gathered.insert(new.key(), new);
        if !state.is_running {
            state.is_running = true;
            tokio::spawn(self.clone().run());
        }
    }

    /// The entries that are not in the store yet.
    pub(super) fn unwritten(&self) -> Vec<T> {
        let state = self.state();
        let gathered = state.gathered.values().cloned();
        gathered.chain(state.under_way.iter().cloned()).collect()
    }

    /// Writes what is gathered, before the process ends. Nothing may be added meanwhile.
    pub(super) async fn finish(&self) {
        if tokio::time::timeout(LAST, self.write()).await != Ok(true) {
            tracing::warn!("cannot store the last {}", T::WHAT);
        }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes until nothing is gathered any more.
    async fn run(self) {
        let mut pause = T::GATHER;
        loop {
            tokio::time::sleep(pause).await;
            {
                let mut state = self.state();
                state.is_running = !state.gathered.is_empty();
                if !state.is_running {
                    return;
                }
            }
            pause = match self.write().await {
                true => T::GATHER,
                false => RETRY,
            };
        }
    }

    /// Writes what is gathered; returns whether all of it was written.
    async fn write(&self) -> bool {
        let _turn = self.0.writing.lock().await;
        let all = self.state().begin();
        let mut is_written = true;
        for some in all.chunks(T::TOGETHER) {
            let written = tokio::time::timeout(WRITE, T::write(&self.0.context, some));
            let why = match written.await {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(error.to_string()),
                Err(_) => Some("the database does not respond".to_owned()),
            };
            let mut state = self.state();
            state.under_way.drain(..some.len());
            let Some(why) = why else { continue };
            is_written = false;
            some.iter().cloned().for_each(|one| state.give_back(one));
            if self.0.failed.says(()).is_some() {
                tracing::warn!("cannot store {} yet, will retry: {why}", T::WHAT);
            }
        }
        is_written
    }
}

impl<T: Gathered> State<T> {
    /// Takes all that is gathered, to write it.
    fn begin(&mut self) -> Vec<T> {
        self.under_way = std::mem::take(&mut self.gathered).into_values().collect();
        self.under_way.clone()
    }

    /// Gathers an entry again that could not be written, beneath what was added since.
    fn give_back(&mut self, older: T) {
        match self.gathered.get_mut(&older.key()) {
            Some(newer) => newer.add_older(older),
            None => {
                self.gathered.insert(older.key(), older);
            }
        }
    }
}
