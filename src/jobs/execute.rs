//! Requests to executors. Handler: `workers/src/execute.rs`.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{About, Policy, Subject};

/// "Ask the executor to run this." The job's id is the execution's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Execute {
    /// The execution.
    pub execution: Uuid,
    /// Its incident.
    pub incident: Uuid,
}

impl About for Execute {
    /// A few attempts within a minute or two: an action that is run much later may do harm.
    const RUN: Policy = Policy {
        attempts: 5,
        backoff: Duration::from_secs(2),
        max_backoff: Duration::from_secs(60),
        timeout: Duration::from_secs(30),
        ..Policy::USUAL
    };

    fn subject(&self) -> Option<Subject> {
        Some(Subject::Incident(self.incident))
    }
}
