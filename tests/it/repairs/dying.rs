//! Workers and judges that die: in the midst of their work, or after it and before anybody knows.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use rand::RngExt as _;
use tocsin::context::Context;
use tocsin::jobs::{IngestAlert, Job as _, JobError, RecordRepair};
use tocsin_workers::fleet::Worker;
use tocsin_workers::{ingest, recount, repair, workers};

use crate::harness::{Harness, ingest_one};

/// Every worker; those of alerts and of repairs die at every other job, which is delivered again.
pub fn dying_workers(context: &Context) -> Vec<Worker> {
    let dying = [IngestAlert::POLICY.queue, RecordRepair::POLICY.queue];
    let mut all = workers(context);
    all.retain(|worker| !dying.contains(&worker.queue()));
    let batchers = ingest::Batchers::start(context);
    all.push(Worker::new(
        context,
        batchers,
        |job: IngestAlert, held, data| dying_at_times(ingest_one(job, held, data)),
    ));
    all.push(Worker::new(
        context,
        context.clone(),
        |job: RecordRepair, held, data| dying_at_times(repair::handle(job, held, data)),
    ));
    all
}

async fn dying_at_times(work: impl Future<Output = Result<(), JobError>>) -> Result<(), JobError> {
    let died = || {
        Err(JobError::RetryAfter {
            after: Duration::ZERO,
            why: "it died".to_owned(),
        })
    };
    let (steps, is_answered) = {
        let mut random = rand::rng();
        let steps = random.random_bool(0.3).then(|| random.random_range(0..12));
        (steps, random.random_bool(0.8))
    };
    match until_death(work, steps.unwrap_or(u32::MAX)).await {
        Some(done) if is_answered => done,
        Some(_) | None => died(),
    }
}

/// A pass of the judge that dies after so many steps, if it is not done before.
pub async fn die_while_judging(h: &Harness, steps: u32) {
    if let Some(done) = until_death(recount::judge(&h.context), steps).await {
        done.unwrap();
    }
}

/// Works for so many steps; what is under way then is dropped, and with it its transaction.
async fn until_death<T>(work: impl Future<Output = T>, steps: u32) -> Option<T> {
    let mut work = pin!(work);
    let mut left = steps;
    poll_fn(|cx| {
        let Some(less) = left.checked_sub(1) else {
            return Poll::Ready(None);
        };
        left = less;
        work.as_mut().poll(cx).map(Some)
    })
    .await
}
