//! Answers to a job's outcome: remove it, retry it later, or make it a dead letter.

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt as _;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::{Consumer, JobHandle};
use crate::jobs::{JobError, Policy};
use crate::queue::store::{Answer, FailedAttempt};
use crate::telemetry::metrics::ByOutcome;

/// A handler's outcome.
#[derive(Debug)]
pub(in crate::queue) enum Outcome {
    Done,
    Failed(JobError),
}

/// What the acker does with the job.
pub(super) enum Verdict {
    Settle(Answer),
    Bury {
        reason: String,
        failed: Vec<FailedAttempt>,
    },
    /// It is a dead letter already: remove it.
    Forget,
}

pub(super) struct Ack {
    pub(super) held: Arc<JobHandle>,
    pub(super) verdict: Verdict,
    /// Dropped with this when the answer is stored, or given up.
    #[expect(dead_code, reason = "dropping it is what it is for")]
    pub(super) durable: Option<TaskTrackerToken>,
}

impl Consumer {
    /// Answers for `held`; returns when the answer is stored, or dropped because the lease was lost.
    pub(in crate::queue) async fn answer(&self, held: Arc<JobHandle>, outcome: Outcome) {
        let durable = TaskTracker::new();
        self.answer_until(held, outcome, durable.token());
        durable.close();
        durable.wait().await;
    }

    /// Answers for `held`, and drops `durable` when the answer is stored, or dropped because the lease was lost.
    pub(in crate::queue) fn answer_until(
        &self,
        held: Arc<JobHandle>,
        outcome: Outcome,
        durable: TaskTrackerToken,
    ) {
        let verdict = match outcome {
            Outcome::Done => {
                self.done.inc();
                Verdict::Settle(Answer::Remove)
            }
            Outcome::Failed(error) => self.judge(&held, error),
        };
        self.send(held, verdict, Some(durable));
    }

    pub(in crate::queue) fn give_back(&self, held: Arc<JobHandle>) {
        self.send(held, Verdict::Settle(Answer::GiveBack), None);
    }

    pub(in crate::queue) fn bury_undecodable(
        &self,
        held: Arc<JobHandle>,
        error: &serde_json::Error,
    ) {
        self.bury(held, format!("cannot parse the payload: {error}"));
    }

    pub(super) fn bury(&self, held: Arc<JobHandle>, reason: String) {
        let failed = held.failed.clone();
        self.count("dead");
        self.send(held, Verdict::Bury { reason, failed }, None);
    }

    fn judge(&self, held: &JobHandle, error: JobError) -> Verdict {
        let queue = self.policy.queue;
        match error {
            JobError::RetryAfter { after, why } => {
                self.count("delayed");
                tracing::debug!(queue, job.id = %held.id(), "deferred for {after:?}: {why}");
                Verdict::Settle(Answer::Again {
                    delay: after,
                    failed: held.failed.clone(),
                })
            }
            JobError::Retry(error) => {
                let mut failed = held.failed.clone();
                failed.push(self.failure(&error));
                let attempts = failed.len();
                if attempts >= self.policy.attempts as usize {
                    self.count("dead");
                    let reason = format!("failed {attempts} times, the last time: {error}");
                    return Verdict::Bury { reason, failed };
                }
                self.count("failed");
                tracing::warn!(queue, job.id = %held.id(), attempts, "a job failed, will retry: {error}");
                let delay = backoff(&self.policy, attempts);
                Verdict::Settle(Answer::Again { delay, failed })
            }
            JobError::GiveUp(reason) => {
                self.count("dead");
                let mut failed = held.failed.clone();
                failed.push(self.failure(&reason));
                Verdict::Bury { reason, failed }
            }
        }
    }

    fn failure(&self, error: &str) -> FailedAttempt {
        FailedAttempt {
            at: self.clock.now(),
            // PostgreSQL's JSON refuses NUL, and an error may quote a payload.
            error: error.replace('\0', "\u{fffd}"),
        }
    }

    pub(super) fn send(
        &self,
        held: Arc<JobHandle>,
        verdict: Verdict,
        durable: Option<TaskTrackerToken>,
    ) {
        // Fails if the acker has ended, after all other tasks: then the lease expires.
        let _ = self.acks.send(Ack {
            held,
            verdict,
            durable,
        });
    }

    pub(super) fn count(&self, outcome: &'static str) {
        let outcome = of(self.policy.queue, outcome);
        self.metrics.jobs.get_or_create(&outcome).inc();
    }
}

pub(super) const fn of(queue: &'static str, outcome: &'static str) -> ByOutcome {
    ByOutcome { queue, outcome }
}

/// The delay before the next attempt: doubled with every failed one up to `max_backoff`, plus or minus a quarter.
fn backoff(policy: &Policy, attempts: usize) -> Duration {
    let doublings = u32::try_from(attempts.saturating_sub(1))
        .unwrap_or(u32::MAX)
        .min(20);
    let delay = policy
        .backoff
        .saturating_mul(1 << doublings)
        .min(policy.max_backoff);
    delay.mul_f64(rand::rng().random_range(0.75..1.25))
}
