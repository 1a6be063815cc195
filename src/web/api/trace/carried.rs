//! The alert that a job carries: its trace is found by the job's ID or trace ID.

use uuid::Uuid;

use super::LOOKED_AT;
use crate::context::Context;
use crate::entity::dead_letters;
use crate::jobs::{QUEUES, Subject, subject};
use crate::store::notifications;
use crate::store::views::trace;
use crate::web::Problem;

/// What every payload has in it.
const ANY: &str = "{";

/// A name that a trace goes by, and of a fingerprint its source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) name: String,
    pub(super) source: Option<String>,
}

/// What the dead letter, or else the queued job, is about whose ID or trace ID `name` is. Of several with one
/// trace ID, the newest dead letter, else the first job that is found.
pub(super) async fn named(context: &Context, name: &str) -> Result<Option<Name>, Problem> {
    let Ok(id) = name.parse::<Uuid>() else {
        return Ok(None);
    };
    let db = context.db.view();
    let letter = trace::dead_letter_of(db, id).await?;
    let about = match letter {
        Some(letter) => match subject(&letter.queue, &letter.payload) {
            None => return Err(nameless(&letter)),
            about => about,
        },
        None => queued(context, id).await?,
    };
    let incident = match about {
        None => return Ok(None),
        Some(Subject::Alert {
            source,
            fingerprint,
        }) => {
            return Ok(Some(Name {
                name: fingerprint,
                source: Some(source),
            }));
        }
        Some(Subject::Incident(id)) => Some(id),
        Some(Subject::Notification(id)) => {
            let notification = notifications::find(db, id).await?;
            notification.map(|notification| notification.incident_id)
        }
    };
    Ok(incident.map(|id| Name {
        name: id.to_string(),
        source: None,
    }))
}

/// What is answered of a dead letter with an alert that was rejected, or with what is no payload: it names nothing
/// that has a history.
fn nameless(letter: &dead_letters::Model) -> Problem {
    let id = letter.id;
    Problem::not_found(
        "trace",
        format!(
            "dead letter {id} names no alert, so it has no history: nothing of it was counted, and nobody was \
             notified. It shows what was received, and why that was rejected"
        ),
    )
}

async fn queued(context: &Context, id: Uuid) -> Result<Option<Subject>, Problem> {
    let trace_id = id.simple().to_string();
    for queue in QUEUES {
        let jobs = context.queues.store().search(queue, ANY, LOOKED_AT).await?;
        let found = jobs.into_iter().map(|queued| queued.job).find(|job| {
            let trace = job.trace_id.as_deref();
            job.lease.id == id || trace.is_some_and(|trace| trace.contains(&trace_id))
        });
        if let Some(job) = found {
            return Ok(subject(queue, &job.payload));
        }
    }
    Ok(None)
}
