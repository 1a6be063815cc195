//! Lists: the jobs of one queue that were fetched together, as one apalis task. What is done for each task is done once
//! for a list, and each job of it is answered by itself, as soon as its outcome is known.
//!
//! A list whose handler panics is split until the job to blame is alone, so that this one alone fails. A job that the
//! handler drops without an answer comes again, and that costs it no attempt.

mod ack;

use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Instant;
use std::vec;

use apalis_core::backend::finalize::Ephemeral;
use apalis_core::backend::{Backend, BackendConfig};
use apalis_core::task::Task;
use apalis_core::task::builder::TaskBuilder;
use apalis_core::task::task_id::TaskId;
use apalis_core::worker::context::WorkerContext;
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use uuid::Uuid;

use super::ack::span_of;
use super::backend::Never;
use super::consumer::{Consumer, Inbox, JobHandle, Outcome, Parts, Running};
use crate::jobs::{Job, JobError, Policy};
use crate::telemetry::spans::Span;
use crate::telemetry::task_context::TaskContext;
use crate::telemetry::trace_context::Trace;
pub use ack::{AckList, AckListLayer};

/// The most jobs of a list. To decode them takes a millisecond or two, in which their thread does nothing else.
const MAX_LIST: usize = 256;

/// Jobs that were fetched together.
#[derive(Debug)]
pub struct List<J> {
    jobs: Vec<(J, Unanswered)>,
    run: Option<Arc<Run>>,
}

/// A job that its handler has not answered yet.
#[derive(Debug)]
pub struct Unanswered {
    held: Arc<JobHandle>,
    trace: Option<Trace>,
    to: Receiver,
}

/// Who gets the answer.
#[derive(Debug)]
enum Receiver {
    /// The queue, for the job at this place of the list.
    Queue {
        run: Arc<Run>,
        place: usize,
        /// Counts the job among those that are not answered, until this is dropped.
        _unanswered: TaskTrackerToken,
    },
    /// The caller that made the list of this one job.
    Caller(oneshot::Sender<Result<(), JobError>>),
}

/// One run of a list's handler.
struct Run {
    consumer: Arc<Consumer>,
    started: Instant,
    /// The jobs that have no answer yet, by their places.
    jobs: Vec<Mutex<Option<Fetched>>>,
    /// The jobs that somebody may still answer for.
    unanswered: TaskTracker,
    /// The answers that are not stored yet.
    unstored: TaskTracker,
}

/// A job of a list, and the span of its attempt.
struct Fetched {
    held: Arc<JobHandle>,
    span: Span,
}

impl Run {
    /// Answers for the job at a place, unless it has an answer.
    fn answer(&self, place: usize, outcome: impl FnOnce(&JobHandle) -> Outcome) {
        // Before the job is taken: who finds none without an answer waits for this one to be stored.
        let unstored = self.unstored.token();
        let Some(Fetched { held, mut span }) = self.take(place) else {
            return;
        };
        let (id, outcome) = (held.id(), outcome(&held));
        if let Outcome::Failed(error) = &outcome {
            span.fail(|| error.to_string());
        }
        let trace = span.trace();
        drop(span);
        self.consumer.observe(self.started.elapsed());
        let answer = || self.consumer.answer_until(held, outcome, unstored);
        self.context_of(id, trace).within(answer);
    }

    /// Answers for every job that has no answer.
    fn answer_rest(&self, outcome: impl Fn(&JobHandle) -> Outcome) {
        for place in 0..self.jobs.len() {
            self.answer(place, &outcome);
        }
    }

    /// Takes the jobs that have no answer: one that comes later changes nothing.
    fn take_rest(&self) -> Vec<Fetched> {
        let places = 0..self.jobs.len();
        places.filter_map(|place| self.take(place)).collect()
    }

    fn take(&self, place: usize) -> Option<Fetched> {
        self.job(place).take()
    }

    fn job(&self, place: usize) -> MutexGuard<'_, Option<Fetched>> {
        let job = self.jobs[place].lock();
        job.unwrap_or_else(PoisonError::into_inner)
    }

    /// How many jobs there are, answered or not.
    const fn len(&self) -> usize {
        self.jobs.len()
    }

    /// The context of the work, where it is for one job alone.
    fn task_context(&self) -> TaskContext {
        if self.len() != 1 {
            return TaskContext::default();
        }
        match self.job(0).as_ref() {
            Some(job) => self.context_of(job.held.id(), job.span.trace()),
            None => TaskContext::default(),
        }
    }

    fn context_of(&self, job: Uuid, trace: Option<Trace>) -> TaskContext {
        TaskContext {
            request: None,
            job: Some((job, self.consumer.policy().queue)),
            trace,
        }
    }

    /// Whether every job without an answer only waits for the store.
    fn rest_waits(&self) -> bool {
        let waits = |place| self.job(place).as_ref().is_none_or(|job| job.held.waits());
        (0..self.jobs.len()).all(waits)
    }

    /// Answers for those without an answer that only wait for the store.
    fn answer_waiting(&self, outcome: impl Fn(&JobHandle) -> Outcome) {
        for place in 0..self.jobs.len() {
            if self.job(place).as_ref().is_some_and(|job| job.held.waits()) {
                self.answer(place, &outcome);
            }
        }
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").finish_non_exhaustive()
    }
}

impl Unanswered {
    /// The job.
    #[must_use]
    pub fn held(&self) -> &JobHandle {
        &self.held
    }

    /// What comes of the job belongs under this.
    #[must_use]
    pub const fn trace(&self) -> Option<Trace> {
        self.trace
    }

    /// Whether somebody waits for the answer. If not, the job comes again.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        match &self.to {
            Receiver::Queue { run, place, .. } => run.job(*place).is_some(),
            Receiver::Caller(caller) => !caller.is_closed(),
        }
    }

    /// Answers for the job.
    pub fn answer(self, result: Result<(), JobError>) {
        match self.to {
            Receiver::Queue { run, place, .. } => {
                let outcome = result.map_or_else(Outcome::Failed, |()| Outcome::Done);
                run.answer(place, |_| outcome);
            }
            // Fails if nobody waits any more.
            Receiver::Caller(caller) => drop(caller.send(result)),
        }
    }
}

impl<J> List<J> {
    /// A list of one job, whose answer the caller gets; none if it is dropped without one.
    #[must_use]
    pub fn one(job: J, held: Arc<JobHandle>) -> (Self, oneshot::Receiver<Result<(), JobError>>) {
        let (caller, answer) = oneshot::channel();
        let unanswered = Unanswered {
            trace: held.trace(),
            held,
            to: Receiver::Caller(caller),
        };
        let jobs = vec![(job, unanswered)];
        (Self { jobs, run: None }, answer)
    }

    /// How many jobs there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }
}

impl<J: Job> List<J> {
    /// Decodes jobs. What cannot be decoded becomes a dead letter.
    fn of(consumer: &Arc<Consumer>, fetched: Vec<Fetched>) -> Self {
        let mut decoded = Vec::with_capacity(fetched.len());
        let mut open = Vec::with_capacity(fetched.len());
        for fetched in fetched {
            match serde_json::from_slice::<J>(&fetched.held.payload) {
                Ok(job) => {
                    let (held, trace) = (Arc::clone(&fetched.held), fetched.span.trace());
                    decoded.push((job, held, trace));
                    open.push(Mutex::new(Some(fetched)));
                }
                Err(error) => consumer.bury_undecodable(fetched.held, &error),
            }
        }
        let run = Arc::new(Run {
            consumer: Arc::clone(consumer),
            started: Instant::now(),
            jobs: open,
            unanswered: TaskTracker::new(),
            unstored: TaskTracker::new(),
        });
        let mut jobs = Vec::with_capacity(decoded.len());
        for (place, (job, held, trace)) in decoded.into_iter().enumerate() {
            let to = Receiver::Queue {
                run: Arc::clone(&run),
                place,
                _unanswered: run.unanswered.token(),
            };
            jobs.push((job, Unanswered { held, trace, to }));
        }
        run.unanswered.close();
        run.unstored.close();
        let run = Some(run);
        Self { jobs, run }
    }
}

impl<J> IntoIterator for List<J> {
    type Item = (J, Unanswered);
    type IntoIter = vec::IntoIter<(J, Unanswered)>;

    fn into_iter(self) -> Self::IntoIter {
        self.jobs.into_iter()
    }
}

/// One consumer of one queue, for apalis, whose tasks are lists.
pub struct ListBackend<J> {
    inbox: Inbox,
    /// Whether the next poll lets others run first.
    yields: bool,
    job: PhantomData<fn() -> J>,
}

impl<J: Job> ListBackend<J> {
    /// Starts a consumer called `name` (a new name for every start) of `J`'s queue.
    #[must_use]
    pub fn start(name: String, parts: Parts) -> (Self, Running) {
        let (inbox, running) = Consumer::start(name, parts);
        let backend = Self {
            inbox,
            yields: false,
            job: PhantomData,
        };
        (backend, running)
    }
}

impl<J: Job> Backend for ListBackend<J> {
    type Task = Task<List<J>>;
    type Error = Never;

    fn poll_ready(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Never>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Option<Result<Self::Task, Never>>> {
        if std::mem::take(&mut self.yields) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        loop {
            let Some(held) = ready!(self.inbox.poll_take(cx, MAX_LIST)) else {
                return Poll::Ready(None);
            };
            self.yields = true;
            let first = held.first().map(|held| held.id());
            let consumer = &self.inbox.consumer;
            let fetched = held.into_iter().map(|held| Fetched {
                span: span_of(consumer, &held),
                held,
            });
            let list = List::of(consumer, fetched.collect());
            if let Some(id) = first.filter(|_| !list.is_empty()) {
                let id = TaskId::from_string(id.to_string());
                let task = TaskBuilder::new(list).task_id(id).build();
                return Poll::Ready(Some(Ok(task)));
            }
        }
    }

    fn poll_close(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Never>> {
        self.inbox.close();
        Poll::Ready(Ok(()))
    }
}

impl<J: Job> BackendConfig for ListBackend<J> {
    type Args = List<J>;
    type Id = String;
    type Kind = Ephemeral;
    type Config = Policy;
    type Layer = AckListLayer<J>;

    fn config(&self) -> &Policy {
        self.inbox.consumer.policy()
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> AckListLayer<J> {
        AckListLayer::new(Arc::clone(&self.inbox.consumer))
    }
}
