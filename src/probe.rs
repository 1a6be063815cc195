//! Whether the store and the queue take what is written, which is tried: reading says nothing about a full
//! disk, a standby or a Redis without memory. It is tried at most once a second for all who ask.

use std::time::{Duration, Instant};

use sea_orm::DbErr;
use tokio::sync::Mutex;

use crate::context::Context;
use crate::redis::Memory;
use crate::store::maintenance;
use crate::store::marks::{self, Mark, TICK};

/// How long what was found is shown.
const GOOD_FOR: Duration = Duration::from_secs(1);
/// How long a part may take to take something.
const PATIENCE: Duration = Duration::from_secs(2);
/// The row that is written.
const MARK: &str = "probe";
/// Recount is done once a minute; if it was not for so long, it stands still.
const OVERDUE: Duration = Duration::from_secs(180);

/// How a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Takes {
    /// It took what was written.
    All,
    /// It answers, and takes nothing.
    Nothing,
    /// It does not answer.
    Silent,
}

/// What was found.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    /// How the store is.
    pub store: Takes,
    /// How the queue is.
    pub queue: Takes,
    /// How long ago the last recount began that was done, if that is known.
    pub recount: Option<Duration>,
    /// How much of the queue's memory is used, where that is bounded.
    pub memory: Option<Memory>,
}

impl Found {
    /// Whether no recount was done for longer than can be.
    #[must_use]
    pub fn is_recount_overdue(&self) -> bool {
        self.recount.is_some_and(|ago| ago > OVERDUE)
    }
}

/// What was found last.
#[derive(Debug, Default)]
pub struct Probe(Mutex<Option<(Instant, Found)>>);

impl Probe {
    /// Tries, or says what was found within the last second. Who asks meanwhile waits for the same try.
    pub async fn look(&self, context: &Context) -> Found {
        let mut last = self.0.lock().await;
        if let Some((_, found)) = last.filter(|(at, _)| at.elapsed() < GOOD_FOR) {
            return found;
        }
        let store = tried(write(context), async {
            maintenance::now(context.db.read()).await.is_ok()
        });
        let queue = context.queues.store();
        let queue = tried(async { queue.takes().await.is_ok() }, async {
            queue.now().await.is_ok()
        });
        let recount = async {
            let ago = recount(context);
            let ago = tokio::time::timeout(PATIENCE, ago).await;
            ago.ok().and_then(Result::ok).flatten()
        };
        let memory = async {
            let memory = tokio::time::timeout(PATIENCE, context.queues.store().memory()).await;
            memory.ok().and_then(Result::ok).flatten()
        };
        let (store, queue, recount, memory) = tokio::join!(store, queue, recount, memory);
        let found = Found {
            store,
            queue,
            recount,
            memory,
        };
        *last = Some((Instant::now(), found));
        found
    }
}

async fn tried(write: impl Future<Output = bool>, read: impl Future<Output = bool>) -> Takes {
    let within = async |work| tokio::time::timeout(PATIENCE, work).await.unwrap_or(false);
    let answered = async { tokio::time::timeout(PATIENCE, read).await.unwrap_or(false) };
    match tokio::join!(within(write), answered) {
        (true, _) => Takes::All,
        (false, true) => Takes::Nothing,
        (false, false) => Takes::Silent,
    }
}

async fn write(context: &Context) -> bool {
    let mark = Mark {
        at: context.clock.now(),
        ..Mark::default()
    };
    marks::set(context.db.write(), MARK, &mark).await.is_ok()
}

/// How long ago the last recount began that was done, if one was.
///
/// # Errors
/// What the database says.
pub async fn recount(context: &Context) -> Result<Option<Duration>, DbErr> {
    let db = context.db.read();
    let now = context.clock.of_store(maintenance::now(db).await?);
    let last = marks::find(db, TICK).await?;
    Ok(last.map(|last| now.since(last.at)))
}
