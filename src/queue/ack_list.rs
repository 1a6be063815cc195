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
use tower::{Layer, Service, ServiceExt as _};

use super::ack::{failed, panic_message};
use super::consumer::{Consumer, JobHandle, Outcome};
use super::list::{List, Run};
use crate::jobs::{Job, JobError};
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
            let mut lists = vec![list];
            while let Some(list) = lists.pop() {
                let Some(run) = list.run.clone() else {
                    return Err("a list came from somewhere else than this queue".into());
                };
                let task = Task::new_with_ctx(list, Arc::clone(&context));
                let handler = AssertUnwindSafe(inner.clone().oneshot(task)).catch_unwind();
                let work = consumer.run_list(handler, &run);
                let mut first = run.task_context().follow(work).await;
                let second = first.split_off(first.len().div_ceil(2));
                let halves = [second, first].into_iter();
                lists.extend(
                    halves
                        .filter(|half| !half.is_empty())
                        .map(|half| List::of(&consumer, half)),
                );
                run.unstored.wait().await;
            }
            Ok(())
        })
    }
}

impl Consumer {
    /// Runs a list's handler until each of its jobs has an answer. Returns those that are to run again, in smaller
    /// lists, because it panicked.
    async fn run_list<T, E: Into<BoxDynError>>(
        &self,
        handler: impl Future<Output = std::thread::Result<Result<T, E>>>,
        run: &Run,
    ) -> Vec<Arc<JobHandle>> {
        let work = async {
            let ended = handler.await;
            // Others may have got some of its jobs, and answer for them.
            run.kept.wait().await;
            ended
        };
        match tokio::time::timeout(self.policy().timeout, work).await {
            Ok(Ok(Ok(_))) => run.answer_rest(|_| {
                Outcome::Failed(JobError::RetryAfter {
                    after: STORE_DELAY,
                    why: "its batch ended".to_owned(),
                })
            }),
            Ok(Ok(Err(error))) => {
                let error = error.into().to_string();
                run.answer_rest(|_| failed(error.clone()));
            }
            Ok(Err(_)) if run.len() > 1 => return run.take_rest(),
            Ok(Err(panic)) => {
                let error = format!("panicked: {}", panic_message(&*panic));
                run.answer_rest(|_| failed(error.clone()));
            }
            Err(_) => {
                let answers = run.rest_waits() || self.store_answers().await;
                run.answer_rest(|held| self.timed_out(held, answers));
            }
        }
        Vec::new()
    }
}
