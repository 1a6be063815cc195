//! Jobs that the clock pushes.

use std::time::Duration;

use super::Job;

/// A clock that pushes a job at every multiple of its period.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// Its name, under which a store remembers the last tick that was claimed.
    pub name: &'static str,
    /// The period.
    pub every: Duration,
}

/// A job that a schedule pushes, as it is stored.
#[derive(Debug)]
pub struct Scheduled {
    /// When.
    pub schedule: Schedule,
    /// On which queue.
    pub queue: &'static str,
    /// The job; an error if it cannot be written as JSON.
    pub payload: Result<String, serde_json::Error>,
}

impl Scheduled {
    /// Those of one queue.
    pub fn all_of<J: Job>() -> impl Iterator<Item = Self> {
        J::schedules().into_iter().map(|(schedule, job)| Self {
            schedule,
            queue: J::POLICY.queue,
            payload: serde_json::to_string(&job),
        })
    }
}
