//! The ack layer of lists: runs a list's handler, answers for what it leaves without an answer, and waits until all
//! answers are stored.

use std::future::Future;
use std::marker::PhantomData;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use apalis_core::error::BoxDynError;
use apalis_core::task::Task;
use futures::FutureExt as _;
use tower::{Layer, Service};

use super::{Fetched, List, Run};
use crate::jobs::{Job, JobError};
use crate::queue::ack::{failed, panic_message};
use crate::queue::consumer::{Consumer, Outcome};
use crate::store::error::STORE_DELAY;

/// Makes [`AckList`] services.
pub struct AckListLayer<J> {
    consumer: Arc<Consumer>,
    job: PhantomData<fn() -> J>,
}

impl<J> AckListLayer<J> {
    pub(super) const fn new(consumer: Arc<Consumer>) -> Self {
        let job = PhantomData;
        Self { consumer, job }
    }
}

impl<J> Clone for AckListLayer<J> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.consumer))
    }
}

impl<S, J> Layer<S> for AckListLayer<J> {
    type Service = AckList<S>;

    fn layer(&self, inner: S) -> AckList<S> {
        AckList {
            inner,
            consumer: Arc::clone(&self.consumer),
        }
    }
}

/// A service that answers for each job of a list. It never fails.
#[derive(Clone)]
pub struct AckList<S> {
    inner: S,
    consumer: Arc<Consumer>,
}

impl<S, J> Service<Task<List<J>>> for AckList<S>
where
    J: Job,
    S: Service<Task<List<J>>> + Clone + Send + 'static,
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

    fn call(&mut self, task: Task<List<J>>) -> Self::Future {
        let (consumer, inner) = (Arc::clone(&self.consumer), self.inner.clone());
        Box::pin(async move {
            let (list, context) = task.take();
            let (mut next, mut waiting) = (Some(list), Vec::new());
            while let Some(list) = next {
                let Some(run) = list.run.clone() else {
                    return Err("a list came from somewhere else than this queue".into());
                };
                let _abandoned = Abandoned(Arc::clone(&run));
                let task = Task::new_with_ctx(list, Arc::clone(&context));
                let mut inner = inner.clone();
                // Whether it is ready does not matter: a worker that stops never is, and finishes what it has begun.
                let handler = AssertUnwindSafe(async move { inner.call(task).await });
                let work = consumer.run_list(handler.catch_unwind(), &run);
                let mut first = run.task_context().follow(work).await;
                run.unstored.wait().await;
                let second = first.split_off(first.len().div_ceil(2));
                waiting.extend([second, first].into_iter().filter(|half| !half.is_empty()));
                next = waiting.pop().map(|half| List::of(&consumer, half));
            }
            Ok(())
        })
    }
}

/// Sees to it that nobody answers for what is left of a run that is over. What is left of one that was dropped in the
/// middle has been given back.
struct Abandoned(Arc<Run>);

impl Drop for Abandoned {
    fn drop(&mut self) {
        self.0.take_rest();
    }
}

impl Consumer {
    /// Runs a list's handler until each of its jobs has an answer. Returns those that are to run again, in smaller
    /// lists, because it panicked.
    async fn run_list<T, E: Into<BoxDynError>>(
        &self,
        handler: impl Future<Output = std::thread::Result<Result<T, E>>>,
        run: &Run,
    ) -> Vec<Fetched> {
        let mut panic = None;
        let work = async {
            match handler.await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => {
                    let error = error.into().to_string();
                    run.answer_rest(|_| failed(error.clone()));
                }
                Err(said) => panic = Some(panic_message(&*said).to_owned()),
            }
            // Others may have got some of its jobs, and answer for them.
            run.unanswered.wait().await;
        };
        let is_in_time = tokio::time::timeout(self.policy().timeout, work).await;
        match (is_in_time, panic) {
            (Err(_), None) => {
                let answers = run.rest_waits() || self.store_answers().await;
                run.answer_rest(|held| self.timed_out(held, answers));
            }
            (Ok(()), None) => run.answer_rest(|_| {
                Outcome::Failed(JobError::RetryAfter {
                    after: STORE_DELAY,
                    why: "its handler dropped it without an answer".to_owned(),
                })
            }),
            (_, Some(message)) if run.len() == 1 => {
                run.answer_rest(|_| failed(format!("panicked: {message}")));
            }
            (is_in_time, Some(_)) => {
                if is_in_time.is_err() {
                    run.answer_waiting(|held| self.timed_out(held, true));
                }
                return run.take_rest();
            }
        }
        Vec::new()
    }
}
