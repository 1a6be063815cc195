//! The outbox: what must follow a commit. Tiers to work out, messages to send, cards to edit and analyses are
//! written in the transaction that makes them due ([`crate::store::outbox`]; which messages there are is
//! decided in [`crate::domain::messages`]), pushed after its commit, and pushed again once they are
//! [`overdue`]: so neither a crash between commit and push, nor a queue that lost its jobs, loses any.
//!
//! | what | where it is due | its job | when |
//! |---|---|---|---|
//! | a tier | `incidents.tier_due_since` | a new one at each push; overdue: one at a time for each incident | 250 ms after what comes in bursts, `escalation.figures` where figures alone change, else at once |
//! | a message | `notifications.state` | one at a time for each message | when it may go out |
//! | an analysis | `incidents.analyze_due_since` | one for each incident and moment since which it is due | at once |
//! | a request to an executor | `executions.state` | one at a time for each execution | at once |
//! | an edit | `notifications.edit_due_since` | one for each card and moment since which it is due | after `telegram.fold`; overdue: at once |

pub mod overdue;

use std::collections::HashMap;
use std::time::Duration;

use uuid::Uuid;

use crate::context::Context;
use crate::domain::aggregation::Due;
use crate::ids::derived_id;
use crate::jobs::{Analyze, CalculateTier, Execute, Notify};
use crate::queue::Push;
use crate::queue::store::QueueError;
use crate::store::analysis::DueAnalysis;
use crate::store::cards::DueCard;
pub use crate::store::outbox::{DueExecution, DueMessage, FollowUp};
use crate::telemetry::task_context;
use crate::telemetry::trace_context::Trace;

/// How long an incident is left to settle after it was marked: a storm on one incident costs a few tier
/// jobs a second.
const SETTLE: Duration = Duration::from_millis(250);
/// How often a push is tried again on the spot by those who wait for it, at growing distances.
const TRIES: u32 = 8;

/// What makes something due, which decides when it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Alerts, repairs, or a tier of the same anomaly: more of them may come within moments.
    Burst,
    /// What an operator does, or the clock brings about: once.
    Single,
    /// It was due before and is not done: its process died, or the queue lost it.
    Overdue,
}

/// Which trace tiers and messages belong to. Edits belong to none: one shows the changes of several.
#[derive(Clone, Copy, Debug)]
pub enum Traces<'a> {
    /// None.
    None,
    /// All belong to the trace of the present request or job.
    OfTask,
    /// The trace of their incident, where there is one.
    OfIncidents(&'a HashMap<Uuid, Trace>),
}

impl Traces<'_> {
    fn of(self, incident: Uuid) -> Option<Trace> {
        match self {
            Self::None => None,
            Self::OfTask => task_context::trace(),
            Self::OfIncidents(traces) => traces.get(&incident).copied(),
        }
    }
}

impl FollowUp {
    /// Of a change that makes tiers due and nothing else.
    #[must_use]
    pub fn of_tiers(tiers: Vec<Uuid>) -> Self {
        Self {
            tiers,
            ..Self::default()
        }
    }

    /// These incidents are due for a tier, too.
    pub fn made_due(&mut self, incidents: impl IntoIterator<Item = Uuid>, due: Due) {
        match due {
            Due::Soon => self.tiers.extend(incidents),
            Due::Figures => self.figures.extend(incidents),
        }
    }

    /// Of a digest that goes out after a while.
    #[must_use]
    pub fn of_digest(digest: Uuid, after: Duration) -> Self {
        Self {
            messages: vec![DueMessage {
                id: digest,
                incident: Uuid::nil(),
                after,
            }],
            ..Self::default()
        }
    }

    /// Pushes what follows an operation, which is done: that it cannot be pushed now is logged.
    pub async fn push(&self, context: &Context) {
        let pushed = self.try_push(context, Cause::Single, Traces::OfTask);
        if let Err(error) = pushed.await {
            tracing::warn!("enqueueing failed; recount will retry: {error}");
        }
    }

    /// Pushes what follows alerts, and waits for a queue that is starting again: else nobody would hear of
    /// them before the next recount. That it cannot be pushed after half a minute is logged.
    pub async fn push_patiently(&self, context: &Context, traces: Traces<'_>) {
        self.count(context);
        let pushed = patiently(|| self.enqueue(context, Cause::Burst, traces));
        if let Err(error) = pushed.await {
            tracing::warn!(
                tiers = self.tiers.len() + self.figures.len(),
                messages = self.messages.len(),
                edits = self.edits.len(),
                analyses = self.analyses.len(),
                executions = self.executions.len(),
                "enqueueing failed; recount will retry: {error}"
            );
        }
    }

    /// Pushes what follows a commit, in one round trip.
    ///
    /// # Errors
    /// The queue did not confirm it; it may have been pushed all the same.
    pub async fn try_push(
        &self,
        context: &Context,
        cause: Cause,
        traces: Traces<'_>,
    ) -> Result<(), QueueError> {
        self.count(context);
        self.enqueue(context, cause, traces).await
    }

    fn count(&self, context: &Context) {
        let (metrics, suppressed) = (&context.metrics, self.suppressed);
        metrics.count_suppressed("muted", suppressed.muted);
        metrics.count_suppressed("on_card", suppressed.on_card);
        metrics.count_suppressed("flapping", suppressed.flapping);
        metrics.count_suppressed("maintenance", suppressed.maintenance);
        metrics.count_incidents(&self.incidents);
    }

    async fn enqueue(
        &self,
        context: &Context,
        cause: Cause,
        traces: Traces<'_>,
    ) -> Result<(), QueueError> {
        let (settle, fold) = match cause {
            Cause::Burst => (SETTLE, context.config.telegram.fold.0),
            Cause::Single => (Duration::ZERO, context.config.telegram.fold.0),
            Cause::Overdue => (Duration::ZERO, Duration::ZERO),
        };
        let figures = settle.max(context.config.escalation.figures.0);
        let soon = self.tiers.iter().map(|incident| (incident, settle));
        let later = self.figures.iter().map(|incident| (incident, figures));
        let tiers = soon.chain(later).map(|(incident, after)| {
            let tier = tier(*incident, cause);
            tier.after(after).trace(traces.of(*incident))
        });
        let messages = self.messages.iter().map(|due| {
            let message = message(due.id).after(due.after);
            message.trace(traces.of(due.incident))
        });
        let edits = self.edits.iter().map(|card| edit(card).after(fold));
        let analyses = self.analyses.iter().map(|due| {
            let push = analysis(due);
            push.trace(traces.of(due.incident))
        });
        let executions = self.executions.iter().map(|due| {
            let push = execution(due);
            push.trace(traces.of(due.incident))
        });
        let all = tiers.chain(messages).chain(edits).chain(analyses);
        let all = all.chain(executions);
        context.queues.push_all(all).await
    }
}

/// The job of a tier. One that is overdue has the incident's id, so that one that keeps failing is one
/// dead letter.
fn tier(incident: Uuid, cause: Cause) -> Push {
    let push = Push::new(&CalculateTier::of(incident));
    match cause {
        Cause::Burst | Cause::Single => push,
        Cause::Overdue => push.id(incident),
    }
}

/// The job of a message: a message has one at a time.
fn message(id: Uuid) -> Push {
    Push::new(&Notify::Send(id)).id(id)
}

/// The job of an edit. Beside the one that edits it, a card has one for each moment since which it is due:
/// a change that comes when all is shown, and the job not removed yet, has another.
pub fn edit(card: &DueCard) -> Push {
    let (id, since) = (card.id.to_string(), card.since.0.to_string());
    Push::new(&Notify::Edit(card.id)).id(derived_id(&["edit", &id, &since]))
}

/// The job of a request to an executor: an execution has one at a time.
fn execution(due: &DueExecution) -> Push {
    let job = Execute {
        execution: due.id,
        incident: due.incident,
    };
    Push::new(&job).id(due.id)
}

/// The job of an analysis.
fn analysis(due: &DueAnalysis) -> Push {
    let (id, since) = (due.incident.to_string(), due.since.0.to_string());
    let job = Analyze {
        incident: due.incident,
    };
    Push::new(&job).id(derived_id(&["analyze", &id, &since]))
}

/// Does what must follow a commit; a server that is starting again is waited for, for half a minute.
///
/// # Errors
/// Those of the last try.
pub async fn patiently<T, E, F>(work: impl Fn() -> F) -> Result<T, E>
where
    F: Future<Output = Result<T, E>>,
    E: std::fmt::Display,
{
    let mut pause = Duration::from_millis(100);
    for _ in 0..TRIES {
        match work().await {
            Ok(done) => return Ok(done),
            Err(error) => tracing::debug!("retrying the work after a commit: {error}"),
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
    work().await
}
