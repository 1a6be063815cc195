//! Lists: the jobs of one queue that were fetched together, as one apalis task. What is done for each task is done once
//! for a list, and each job of it is answered by itself, as soon as its outcome is known.
//!
//! A list whose handler panics is split until the job to blame is alone, so that this one alone fails. A job that the
//! handler drops without an answer comes again, and that costs it no attempt.

use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};
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

use super::ack::span_of;
use super::ack_list::AckListLayer;
use super::backend::Never;
use super::consumer::{Consumer, JobHandle, Outcome, Parts, Running};
use super::inbox::Inbox;
use crate::jobs::{Job, JobError, Policy};
use crate::telemetry::spans::Span;
use crate::telemetry::task_context::TaskContext;
use crate::telemetry::trace_context::Trace;

/// The most jobs of a list. To decode them takes a millisecond or two, in which their thread does nothing else.
const MOST: usize = 256;

/// Jobs that were fetched together.
#[derive(Debug)]
pub struct List<J> {
    jobs: Vec<(J, Unanswered)>,
    pub(super) run: Option<Arc<Run>>,
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
        /// Dropped with this: then the handler has the job no more.
        _kept: TaskTrackerToken,
    },
    /// Whoever made the list of this one job.
    Caller(oneshot::Sender<Result<(), JobError>>),
}

/// One run of a list's handler.
pub(super) struct Run {
    consumer: Arc<Consumer>,
    started: Instant,
    jobs: Vec<Open>,
    /// The jobs that the handler still has.
    pub(super) kept: TaskTracker,
    /// The answers that are not stored yet.
    pub(super) unstored: TaskTracker,
}

/// A job of a run, and its span until it is answered.
struct Open {
    held: Arc<JobHandle>,
    span: Mutex<Option<Span>>,
}

impl Run {
    /// Answers for the job at a place, unless it was answered already.
    fn answer(&self, place: usize, outcome: Outcome) {
        let job = &self.jobs[place];
        let Some(mut span) = job.take() else {
            return;
        };
        if let Outcome::Failed(error) = &outcome {
            span.fail(|| error.to_string());
        }
        drop(span);
        self.consumer.observe(self.started.elapsed());
        let unstored = self.unstored.token();
        let held = Arc::clone(&job.held);
        self.consumer.answer_until(held, outcome, unstored);
    }

    /// Answers for every job that has no answer.
    pub(super) fn answer_rest(&self, outcome: impl Fn(&JobHandle) -> Outcome) {
        for (place, job) in self.jobs.iter().enumerate() {
            self.answer(place, outcome(&job.held));
        }
    }

    /// Takes what has no answer: whatever the handler says of it from now on comes too late.
    pub(super) fn take_rest(&self) -> Vec<Arc<JobHandle>> {
        let rest = self.jobs.iter().filter(|job| job.take().is_some());
        rest.map(|job| Arc::clone(&job.held)).collect()
    }

    /// How many jobs there are, answered or not.
    pub(super) fn len(&self) -> usize {
        self.jobs.len()
    }

    /// What the work belongs to, where it is for one job alone.
    pub(super) fn task_context(&self) -> TaskContext {
        let [job] = self.jobs.as_slice() else {
            return TaskContext::default();
        };
        TaskContext {
            request: None,
            job: Some((job.held.id(), self.consumer.policy().queue)),
            trace: job.held.trace(),
        }
    }

    /// Whether each job without an answer only waits for the store; none if all have one.
    pub(super) fn rest_waits(&self) -> bool {
        let mut rest = self.jobs.iter().filter(|job| job.is_open());
        rest.all(|job| job.held.waits())
    }
}

impl Open {
    fn take(&self) -> Option<Span> {
        let mut span = self.span.lock().unwrap_or_else(PoisonError::into_inner);
        span.take()
    }

    fn is_open(&self) -> bool {
        let span = self.span.lock().unwrap_or_else(PoisonError::into_inner);
        span.is_some()
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
            Receiver::Queue { run, place, .. } => run.jobs[*place].is_open(),
            Receiver::Caller(caller) => !caller.is_closed(),
        }
    }

    /// Answers for the job.
    pub fn answer(self, result: Result<(), JobError>) {
        match self.to {
            Receiver::Queue { run, place, .. } => {
                let outcome = result.map_or_else(Outcome::Failed, |()| Outcome::Done);
                run.answer(place, outcome);
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
    pub(super) fn of(consumer: &Arc<Consumer>, held: Vec<Arc<JobHandle>>) -> Self {
        let (mut decoded, mut open) = (Vec::with_capacity(held.len()), Vec::new());
        open.reserve_exact(held.len());
        for held in held {
            match serde_json::from_slice::<J>(&held.payload) {
                Ok(job) => {
                    let span = span_of(consumer, &held);
                    decoded.push((job, span.trace()));
                    let span = Mutex::new(Some(span));
                    open.push(Open { held, span });
                }
                Err(error) => consumer.bury_undecodable(held, &error),
            }
        }
        let run = Arc::new(Run {
            consumer: Arc::clone(consumer),
            started: Instant::now(),
            jobs: open,
            kept: TaskTracker::new(),
            unstored: TaskTracker::new(),
        });
        let unanswered = |(place, (job, trace)): (usize, (J, Option<Trace>))| {
            let unanswered = Unanswered {
                held: Arc::clone(&run.jobs[place].held),
                trace,
                to: Receiver::Queue {
                    run: Arc::clone(&run),
                    place,
                    _kept: run.kept.token(),
                },
            };
            (job, unanswered)
        };
        let jobs = decoded.into_iter().enumerate().map(unanswered).collect();
        run.kept.close();
        run.unstored.close();
        Self {
            jobs,
            run: Some(run),
        }
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
    job: PhantomData<fn() -> J>,
}

impl<J: Job> ListBackend<J> {
    /// Starts a consumer called `name` (a new name for every start) of `J`'s queue.
    #[must_use]
    pub fn start(name: String, parts: Parts) -> (Self, Running) {
        let (inbox, running) = Consumer::start(name, parts);
        let backend = Self {
            inbox,
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
        loop {
            let Some(held) = ready!(self.inbox.poll_take(cx, MOST)) else {
                return Poll::Ready(None);
            };
            let first = held.first().map(|held| held.id());
            let list = List::of(&self.inbox.consumer, held);
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
