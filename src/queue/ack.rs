//! The ack layer: runs a handler, turns its result into an outcome, and waits until the outcome is stored. A drain
//! that waits for handlers therefore waits for their acks.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use apalis_core::error::BoxDynError;
use apalis_core::task::Task;
use futures::FutureExt;
use tower::{Layer, Service};

use super::consumer::{Consumer, JobHandle, Outcome};
use crate::jobs::JobError;
use crate::store::error::STORE_DELAY;
use crate::telemetry::spans::{Span, SpanKind};
use crate::telemetry::task_context::TaskContext;

/// Makes [`Ack`] services.
#[derive(Clone)]
pub struct AckLayer(pub(super) Arc<Consumer>);

impl<S> Layer<S> for AckLayer {
    type Service = Ack<S>;

    fn layer(&self, inner: S) -> Ack<S> {
        Ack {
            inner,
            consumer: Arc::clone(&self.0),
        }
    }
}

/// A service that answers for each job. It never fails: a handler's error is an outcome.
#[derive(Clone)]
pub struct Ack<S> {
    inner: S,
    consumer: Arc<Consumer>,
}

impl<S, J> Service<Task<J>> for Ack<S>
where
    S: Service<Task<J>>,
    S::Future: Send + 'static,
    S::Response: Send,
    S::Error: Into<BoxDynError> + Send,
{
    type Response = ();
    type Error = BoxDynError;
    type Future = Pin<Box<dyn Future<Output = Result<(), BoxDynError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxDynError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, task: Task<J>) -> Self::Future {
        let consumer = Arc::clone(&self.consumer);
        let held = task
            .ctx()
            .data()
            .get_checked::<Arc<JobHandle>>()
            .ok()
            .cloned();
        let handler = AssertUnwindSafe(self.inner.call(task)).catch_unwind();
        Box::pin(async move {
            let held = held.ok_or("a task came from somewhere else than this queue")?;
            let policy = consumer.policy();
            let mut span = span_of(&consumer, &held);
            let task_context = TaskContext {
                request: None,
                job: Some((held.id(), policy.queue)),
                trace: span.trace(),
            };
            let work = async {
                let started = Instant::now();
                let result = tokio::time::timeout(policy.timeout, handler).await;
                consumer.observe(started.elapsed());
                let outcome = match result {
                    Ok(Ok(Ok(_))) => Outcome::Done,
                    Ok(Ok(Err(error))) => Outcome::Failed(as_job_error(error.into())),
                    Ok(Err(panic)) => failed(format!("panicked: {}", panic_message(&*panic))),
                    Err(_) => {
                        let answers = held.waits() || consumer.store_answers().await;
                        consumer.timed_out(&held, answers)
                    }
                };
                if let Outcome::Failed(error) = &outcome {
                    span.fail(|| error.to_string());
                }
                // The time of the handler alone, without the ack.
                drop(span);
                consumer.answer(held, outcome).await;
            };
            task_context.follow(work).await;
            Ok(())
        })
    }
}

impl Consumer {
    /// The outcome of a timeout: a failed attempt, unless the handler only waited for the store or the database does
    /// not answer. Then it costs no attempt.
    pub(super) fn timed_out(&self, held: &JobHandle, store_answers: bool) -> Outcome {
        let why = format!("timed out after {:?}", self.policy().timeout);
        let why = if held.waits() {
            format!("{why} waiting for the database")
        } else if store_answers {
            return failed(why);
        } else {
            format!("{why}, and the database does not respond")
        };
        Outcome::Failed(JobError::RetryAfter {
            after: STORE_DELAY,
            why,
        })
    }
}

/// The span of one attempt.
pub(super) fn span_of(consumer: &Consumer, held: &JobHandle) -> Span {
    let (tracer, queue) = (&consumer.tracer, consumer.policy().queue);
    let mut span = tracer.start(SpanKind::Consumer, || queue.into(), held.trace());
    span.note("messaging.destination.name", || queue);
    span.note("messaging.message.id", || held.id().to_string());
    span.note("job.attempt", || held.failed.len() as i64 + 1);
    span
}

pub(super) const fn failed(error: String) -> Outcome {
    Outcome::Failed(JobError::Retry(error))
}

fn as_job_error(error: BoxDynError) -> JobError {
    match error.downcast::<JobError>() {
        Ok(error) => *error,
        Err(error) => JobError::Retry(error.to_string()),
    }
}

/// What was said at a panic.
#[must_use]
pub fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
}
