//! What a consumer fetched and apalis has not taken yet.

use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::vec::IntoIter;

use tokio::sync::mpsc;

use super::{Consumer, JobHandle};

/// Jobs that wait for their handler, in the order in which they were fetched.
pub(in crate::queue) struct Inbox {
    pub(in crate::queue) consumer: Arc<Consumer>,
    fetched: mpsc::Receiver<Vec<Arc<JobHandle>>>,
    /// The rest of what was fetched together.
    rest: IntoIter<Arc<JobHandle>>,
}

impl Inbox {
    pub(in crate::queue) fn new(
        consumer: Arc<Consumer>,
        fetched: mpsc::Receiver<Vec<Arc<JobHandle>>>,
    ) -> Self {
        Self {
            consumer,
            fetched,
            rest: IntoIter::default(),
        }
    }

    /// The next job; none once the consumer has ended.
    pub(in crate::queue) fn poll_take_one(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Arc<JobHandle>>> {
        ready!(self.poll_fetched(cx));
        Poll::Ready(self.rest.next())
    }

    /// The next jobs that were fetched together, at most so many; none once the consumer has ended.
    pub(in crate::queue) fn poll_take(
        &mut self,
        cx: &mut Context<'_>,
        most: usize,
    ) -> Poll<Option<Vec<Arc<JobHandle>>>> {
        ready!(self.poll_fetched(cx));
        let jobs: Vec<_> = self.rest.by_ref().take(most).collect();
        Poll::Ready((!jobs.is_empty()).then_some(jobs))
    }

    /// Ready once there are jobs, or the consumer has ended.
    fn poll_fetched(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.rest.len() == 0 {
            match ready!(self.fetched.poll_recv(cx)) {
                Some(jobs) => self.rest = jobs.into_iter(),
                None => break,
            }
        }
        Poll::Ready(())
    }

    /// Gives back what was not taken.
    pub(in crate::queue) fn close(&mut self) {
        self.fetched.close();
        self.rest
            .by_ref()
            .for_each(|held| self.consumer.give_back(held));
        while let Ok(jobs) = self.fetched.try_recv() {
            jobs.into_iter()
                .for_each(|held| self.consumer.give_back(held));
        }
    }
}
