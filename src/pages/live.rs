//! Live pages: one task looks what changed, for as long as a page is open, and tells all of them.
//!
//! It asks the store some seven times a second, whichever process took the alert: the newest ids, and what
//! the incidents that are shown look like. A page that is told loads itself again in the background,
//! so nothing is rendered for pages that nothing happened to.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::{Extension, Query, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::Stream;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Fault, Pages, Visit};
use crate::context::Context;
use crate::store::watch;

/// How often is looked.
const EVERY: Duration = Duration::from_millis(150);
/// Looking takes at most this part of the time: where it is slow, it is done less often.
const SHARE: u32 = 10;
/// New incidents are looked for among so many.
const NEWEST: u64 = 100;
/// Incidents that one page may watch.
const WATCHED: usize = 200;
/// What a page that is behind may miss before it is told to load everything.
const BEHIND: usize = 64;
/// How often a silent connection is shown to be alive.
const ALIVE: Duration = Duration::from_secs(15);

/// Says when the server stops, so that connections that never end by themselves do.
#[derive(Clone, Debug)]
pub struct Stopping(pub CancellationToken);

/// Ids that changed.
#[derive(Debug, Default)]
struct Change {
    new: Vec<Uuid>,
    changed: HashSet<Uuid>,
}

/// What open pages listen to.
#[derive(Clone)]
pub(super) struct Live(Arc<Inner>);

struct Inner {
    context: Context,
    sender: broadcast::Sender<Arc<Change>>,
    watched: Mutex<Watched>,
}

/// Which incidents are shown, and on how many pages; whether the task runs.
#[derive(Debug, Default)]
struct Watched {
    pages: HashMap<Uuid, usize>,
    running: bool,
}

impl Live {
    pub(super) fn new(context: &Context) -> Self {
        Self(Arc::new(Inner {
            context: context.clone(),
            sender: broadcast::channel(BEHIND).0,
            watched: Mutex::default(),
        }))
    }

    fn open(&self, ids: HashSet<Uuid>) -> Open {
        let receiver = self.0.sender.subscribe();
        let mut watched = self.0.watched();
        for id in &ids {
            *watched.pages.entry(*id).or_default() += 1;
        }
        if !watched.running {
            watched.running = true;
            tokio::spawn(look_while_open(Arc::clone(&self.0)));
        }
        drop(watched);
        Open {
            inner: Arc::clone(&self.0),
            receiver,
            ids,
        }
    }
}

impl Inner {
    fn watched(&self) -> MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the task if no page is open, so that the next one starts it again.
    fn is_over(&self) -> bool {
        let mut watched = self.watched();
        watched.running = self.sender.receiver_count() > 0;
        !watched.running
    }
}

/// An open page.
struct Open {
    inner: Arc<Inner>,
    receiver: broadcast::Receiver<Arc<Change>>,
    ids: HashSet<Uuid>,
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut watched = self.inner.watched();
        for id in &self.ids {
            if let Some(pages) = watched.pages.get_mut(id) {
                *pages -= 1;
                if *pages == 0 {
                    watched.pages.remove(id);
                }
            }
        }
    }
}

async fn look_while_open(inner: Arc<Inner>) {
    let mut known = Known::default();
    while !inner.is_over() {
        let began = std::time::Instant::now();
        let ids: Vec<Uuid> = inner.watched().pages.keys().copied().collect();
        match known.look(&inner.context, ids).await {
            Ok(Some(change)) => {
                // Nobody listens any more: the loop ends.
                let _ = inner.sender.send(Arc::new(change));
            }
            Ok(None) => {}
            Err(error) => tracing::debug!("cannot look what changed on the pages: {error}"),
        }
        tokio::time::sleep(EVERY.max(began.elapsed() * SHARE)).await;
    }
}

/// What was seen the last time.
#[derive(Debug, Default)]
struct Known {
    newest: Option<HashSet<Uuid>>,
    looks: HashMap<Uuid, u64>,
}

impl Known {
    async fn look(
        &mut self,
        context: &Context,
        ids: Vec<Uuid>,
    ) -> Result<Option<Change>, sea_orm::DbErr> {
        let db = context.db.read();
        let newest: HashSet<Uuid> = watch::newest(db, NEWEST).await?.into_iter().collect();
        let looks = if ids.is_empty() {
            HashMap::new()
        } else {
            watch::looks(db, ids).await?
        };
        let mut change = Change::default();
        if let Some(known) = &self.newest {
            change.new.extend(newest.difference(known));
        }
        // What is watched only since now was rendered a moment ago: it may have changed in between.
        let changed = looks
            .iter()
            .filter(|(id, look)| self.looks.get(*id) != Some(*look));
        change.changed.extend(changed.map(|(id, _)| *id));
        self.newest = Some(newest);
        self.looks = looks;
        let nothing = change.new.is_empty() && change.changed.is_empty();
        Ok((!nothing).then_some(change))
    }
}

/// What a page asks to be told.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    /// The incidents that it shows, with commas between them.
    #[serde(default)]
    ids: String,
    /// Whether new incidents matter to it.
    #[serde(default)]
    new: bool,
}

/// What it is told.
#[derive(Debug, Serialize)]
struct Told<'a> {
    new: usize,
    changed: Vec<&'a Uuid>,
}

pub(super) async fn events(
    State(pages): State<Pages>,
    _visit: Visit,
    stop: Option<Extension<Stopping>>,
    Query(asked): Query<Asked>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Fault> {
    let ids = asked.ids.split(',').filter_map(|id| id.parse().ok());
    let open = pages.live.open(ids.take(WATCHED).collect());
    let stop = stop.map_or_else(CancellationToken::new, |Extension(Stopping(stop))| stop);
    let state = (open, stop, asked.new, true);
    let stream = futures::stream::unfold(state, |(mut open, stop, new, first)| async move {
        if first {
            let hello = Event::default().event("hello").data("{}");
            return Some((Ok(hello), (open, stop, new, false)));
        }
        let event = tokio::select! {
            event = open.next(new) => event,
            () = stop.cancelled() => None,
        }?;
        Some((Ok(event), (open, stop, new, false)))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(ALIVE)))
}

impl Open {
    /// The next thing that matters to this page.
    async fn next(&mut self, new: bool) -> Option<Event> {
        loop {
            let change = match self.receiver.recv().await {
                Ok(change) => change,
                Err(broadcast::error::RecvError::Lagged(_)) => {
                    return Some(Event::default().event("all").data("{}"));
                }
                Err(broadcast::error::RecvError::Closed) => return None,
            };
            let told = Told {
                new: if new { change.new.len() } else { 0 },
                changed: self.ids.intersection(&change.changed).collect(),
            };
            if told.new > 0 || !told.changed.is_empty() {
                let event = Event::default().event("change");
                // Numbers and ids: they can be written.
                return event.json_data(told).ok();
            }
        }
    }
}
