//! Live pages: one task looks what changed, for as long as a page is open, and notifies all of them.
//!
//! It asks the store some seven times a second, whichever process took the alert: the newest ids, and what
//! the incidents that are shown look like; and less often what other pages show. A page that is notified
//! loads itself again in the background, so nothing is rendered for pages that nothing happened to.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{Extension, Query, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::Stream;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::topics::Topic;
use super::{PageError, PageRequest, Pages};
use crate::context::Context;
use crate::store::views::changes;

/// How often is looked.
const EVERY: Duration = Duration::from_millis(150);
/// Looking takes at most this part of the time: where it is slow, it is done less often.
const SHARE: u32 = 10;
/// New incidents are searched for among the newest of this number.
const NEWEST: u64 = 100;
/// Incidents that one page may watch.
const WATCHED: usize = 200;
/// How many events a slow page may miss before it must load everything.
const BEHIND: usize = 64;
/// How often a silent connection is shown to be alive.
const ALIVE: Duration = Duration::from_secs(15);

/// Says when connections end that never do by themselves.
#[derive(Clone, Debug, Default)]
pub(in crate::web) struct Stopping {
    /// The server stops.
    pub(in crate::web) stop: Arc<CancellationToken>,
    /// Other routes take the place of those that the request came to: who may look is asked again.
    pub(in crate::web) ends: Arc<CancellationToken>,
}

impl Stopping {
    async fn cancelled(&self) {
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = self.ends.cancelled() => {}
        }
    }
}

/// What changed.
#[derive(Debug, Default)]
struct Change {
    /// Whether it was the first look: what happened before it is not known.
    is_first: bool,
    new: Vec<Uuid>,
    changed: HashSet<Uuid>,
    topics: Vec<Topic>,
}

impl Change {
    fn is_nothing(&self) -> bool {
        !self.is_first && self.new.is_empty() && self.changed.is_empty() && self.topics.is_empty()
    }
}

/// What open pages listen to.
#[derive(Clone)]
pub(super) struct Live(Arc<Inner>);

struct Inner {
    context: Context,
    sender: broadcast::Sender<Arc<Change>>,
    watched: Mutex<Watched>,
}

/// What is shown, and on how many pages; whether the task runs.
#[derive(Debug, Default)]
struct Watched {
    pages: HashMap<Uuid, usize>,
    topics: HashMap<Topic, usize>,
    running: bool,
}

/// One page less shows it.
fn leave<K: Eq + Hash>(shown: &mut HashMap<K, usize>, what: &K) {
    if let Some(pages) = shown.get_mut(what) {
        *pages -= 1;
        if *pages == 0 {
            shown.remove(what);
        }
    }
}

impl Live {
    pub(super) fn new(context: &Context) -> Self {
        Self(Arc::new(Inner {
            context: context.clone(),
            sender: broadcast::channel(BEHIND).0,
            watched: Mutex::default(),
        }))
    }

    fn open(&self, ids: HashSet<Uuid>, topic: Option<Topic>) -> Open {
        let receiver = self.0.sender.subscribe();
        let mut watched = self.0.watched();
        for id in &ids {
            *watched.pages.entry(*id).or_default() += 1;
        }
        if let Some(topic) = topic {
            *watched.topics.entry(topic).or_default() += 1;
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
            topic,
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
    topic: Option<Topic>,
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut watched = self.inner.watched();
        for id in &self.ids {
            leave(&mut watched.pages, id);
        }
        if let Some(topic) = &self.topic {
            leave(&mut watched.topics, topic);
        }
    }
}

async fn look_while_open(inner: Arc<Inner>) {
    let mut known = LastState::default();
    while !inner.is_over() {
        let began = Instant::now();
        let (ids, topics) = {
            let watched = inner.watched();
            let ids: Vec<Uuid> = watched.pages.keys().copied().collect();
            (ids, watched.topics.keys().copied().collect::<Vec<_>>())
        };
        let mut change = match known.look(&inner.context, ids).await {
            Ok(change) => change,
            Err(error) => {
                tracing::debug!("cannot query changes for live pages: {error}");
                Change::default()
            }
        };
        change.topics = known.look_at(&inner.context, topics).await;
        if !change.is_nothing() {
            // Without a receiver the loop ends.
            let _ = inner.sender.send(Arc::new(change));
        }
        tokio::time::sleep(EVERY.max(began.elapsed() * SHARE)).await;
    }
}

/// What was seen the last time.
#[derive(Debug, Default)]
struct LastState {
    newest: Option<HashSet<Uuid>>,
    looks: HashMap<Uuid, u64>,
    topics: HashMap<Topic, TopicState>,
}

/// A topic's last state, and when it may be read again.
#[derive(Debug)]
struct TopicState {
    look: Option<u64>,
    next: Instant,
}

impl LastState {
    /// Of these topics, those that changed.
    async fn look_at(&mut self, context: &Context, topics: Vec<Topic>) -> Vec<Topic> {
        self.topics.retain(|topic, _| topics.contains(topic));
        let mut changed = Vec::new();
        for topic in topics {
            let began = Instant::now();
            let seen = self.topics.get(&topic);
            if seen.is_some_and(|seen| seen.next > began) {
                continue;
            }
            // That it cannot be seen is a change, too: the page says so.
            let look = topic.look(context).await.ok();
            if seen.is_none_or(|seen| seen.look != look) {
                changed.push(topic);
            }
            let next = Instant::now() + topic.every().max(began.elapsed() * SHARE);
            self.topics.insert(topic, TopicState { look, next });
        }
        changed
    }

    async fn look(&mut self, context: &Context, ids: Vec<Uuid>) -> Result<Change, sea_orm::DbErr> {
        let db = context.db.view();
        let newest: HashSet<Uuid> = changes::newest(db, NEWEST).await?.into_iter().collect();
        let looks = if ids.is_empty() {
            HashMap::new()
        } else {
            changes::looks(db, ids).await?
        };
        let mut change = Change {
            is_first: self.newest.is_none(),
            ..Change::default()
        };
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
        Ok(change)
    }
}

/// What a page subscribes to.
#[derive(Debug, Deserialize)]
pub(super) struct LiveQuery {
    /// The incidents that it shows, with commas between them.
    #[serde(default)]
    ids: String,
    /// Whether new incidents matter to it.
    #[serde(default)]
    new: bool,
    /// What it is about, beside incidents.
    of: Option<Topic>,
}

/// One event of the stream.
#[derive(Debug, Serialize)]
struct LiveUpdate<'a> {
    new: usize,
    changed: Vec<&'a Uuid>,
    of: Option<Topic>,
}

pub(super) async fn events(
    State(pages): State<Pages>,
    _visit: PageRequest,
    stop: Option<Extension<Stopping>>,
    Query(query): Query<LiveQuery>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, PageError> {
    let ids = query.ids.split(',').filter_map(|id| id.parse().ok());
    let open = pages.live.open(ids.take(WATCHED).collect(), query.of);
    let stop = stop.map_or_else(Stopping::default, |Extension(stop)| stop);
    let state = (open, stop, query.new, true);
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
            if change.is_first {
                return Some(Event::default().event("all").data("{}"));
            }
            let update = LiveUpdate {
                new: if new { change.new.len() } else { 0 },
                changed: self.ids.intersection(&change.changed).collect(),
                of: self.topic.filter(|topic| change.topics.contains(topic)),
            };
            if update.new > 0 || !update.changed.is_empty() || update.of.is_some() {
                let event = Event::default().event("change");
                // Numbers and ids: they can be written.
                return event.json_data(update).ok();
            }
        }
    }
}
