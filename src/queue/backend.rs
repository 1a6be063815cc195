//! The queue as an apalis [`Backend`]: hands out decoded tasks and never fails.

use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use apalis_core::backend::finalize::Ephemeral;
use apalis_core::backend::{Backend, BackendConfig};
use apalis_core::task::Task;
use apalis_core::task::builder::TaskBuilder;
use apalis_core::task::task_id::TaskId;
use apalis_core::worker::context::WorkerContext;

use super::ack::AckLayer;
use super::consumer::{Consumer, Inbox, Parts, Running};
use crate::jobs::{Job, Policy};

/// One consumer of one queue, for apalis. The [`Consumer`]'s tasks handle the store's errors, because an `Err` here
/// would end the worker.
pub struct JobBackend<J> {
    inbox: Inbox,
    job: PhantomData<fn() -> J>,
}

impl<J: Job> JobBackend<J> {
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

/// Never happens.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub enum Never {}

impl<J: Job> Backend for JobBackend<J> {
    type Task = Task<J>;
    type Error = Never;

    fn poll_ready(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Never>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Option<Result<Task<J>, Never>>> {
        loop {
            let Some(held) = ready!(self.inbox.poll_take_one(cx)) else {
                return Poll::Ready(None);
            };
            match serde_json::from_slice::<J>(&held.payload) {
                Ok(job) => {
                    let task = TaskBuilder::new(job)
                        .task_id(TaskId::from_string(held.lease.id.to_string()))
                        .attempt(held.failed.len())
                        .data(held)
                        .build();
                    return Poll::Ready(Some(Ok(task)));
                }
                Err(error) => self.inbox.consumer.bury_undecodable(held, &error),
            }
        }
    }

    fn poll_close(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Never>> {
        self.inbox.close();
        Poll::Ready(Ok(()))
    }
}

impl<J: Job> BackendConfig for JobBackend<J> {
    type Args = J;
    type Id = String;
    type Kind = Ephemeral;
    type Config = Policy;
    type Layer = AckLayer;

    fn config(&self) -> &Policy {
        &self.inbox.consumer.policy
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> AckLayer {
        AckLayer(Arc::clone(&self.inbox.consumer))
    }
}
