//! Pushes replayed dead letters: the job as its letter has it, under its own ID and the number of the replay. So a
//! push whose result is unknown can be repeated.

use std::time::Duration;

use sea_orm::DbErr;

use super::Queues;
use super::store::{NewJob, QueueError};
use crate::domain::refusal::{Code, Refusal};
use crate::entity::dead_letters::Model;
use crate::jobs::{QUEUES, rejected};
use crate::store::Db;
use crate::store::dead_letters::{as_text, pushed};

/// Why a dead letter cannot be replayed as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotReplayableReason {
    /// No queue can carry it.
    #[error(
        "the payload is not text, so the job cannot be replayed unchanged: replay it with another payload"
    )]
    Binary,
    /// It carries rejected data, which would be rejected again.
    #[error(
        "a rejected alert is rejected again on replay: edit the payload (tocsin dead edit), or discard the dead \
         letter"
    )]
    Rejected,
    /// It carries several rejected alerts, and a job takes one alert.
    #[error(
        "the dead letter holds {0} rejected alerts, and a job takes one: correct them (tocsin dead show \
         --sent), send them to the webhook again, and discard the dead letter"
    )]
    RejectedTogether(u64),
}

impl From<NotReplayableReason> for Refusal {
    fn from(futile: NotReplayableReason) -> Self {
        let code = match futile {
            NotReplayableReason::Binary => Code::PayloadNotText,
            NotReplayableReason::Rejected => Code::RejectedAlert,
            NotReplayableReason::RejectedTogether(_) => Code::RejectedAlerts,
        };
        let refusal = Self::new(code, futile.to_string());
        match futile {
            NotReplayableReason::RejectedTogether(alerts) => refusal.alerts(alerts),
            NotReplayableReason::Binary | NotReplayableReason::Rejected => refusal,
        }
    }
}

/// Whether a dead letter can be replayed, as it is or with an operator's payload. A letter of several alerts cannot:
/// the alerts that the new payload leaves out would be lost.
///
/// # Errors
/// See [`NotReplayableReason`].
pub fn check(queue: &str, payload: &[u8], is_edited: bool) -> Result<(), NotReplayableReason> {
    match rejected(queue, payload) {
        Some(alerts) if alerts > 1 => Err(NotReplayableReason::RejectedTogether(alerts)),
        _ if is_edited => Ok(()),
        Some(_) => Err(NotReplayableReason::Rejected),
        None if can_be_pushed(queue, payload).is_some() => Ok(()),
        None => Err(NotReplayableReason::Binary),
    }
}

/// Why replays are still pending: they may or may not have been pushed.
#[derive(Debug, thiserror::Error)]
pub enum Unpushed {
    /// The queue did not confirm them.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The database did not record that they were pushed.
    #[error(transparent)]
    Store(#[from] DbErr),
}

/// The letter's queue, and its payload as text if it is valid UTF-8.
fn can_be_pushed<'a>(queue: &str, payload: &'a [u8]) -> Option<(&'static str, &'a str)> {
    let queue = QUEUES.into_iter().find(|name| *name == queue)?;
    Some((queue, as_text(payload)?))
}

/// Pushes the jobs of replayed letters, and records that their push is no longer pending.
///
/// # Errors
/// See [`Unpushed`]; they may have been pushed all the same.
pub async fn push(queues: &Queues, db: &Db, letters: &[Model]) -> Result<(), Unpushed> {
    let mut jobs: Vec<NewJob> = letters.iter().filter_map(job).collect();
    jobs.sort_by_key(|job| (job.queue, job.id));
    if !jobs.is_empty() {
        queues.store().push(&jobs).await?;
    }
    if !letters.is_empty() {
        pushed(db.write(), letters).await?;
    }
    Ok(())
}

fn job(letter: &Model) -> Option<NewJob> {
    let (queue, payload) = can_be_pushed(&letter.queue, &letter.payload)?;
    Some(NewJob {
        queue,
        id: letter.id,
        named: true,
        payload: payload.to_owned(),
        delay: Duration::ZERO,
        trace_id: letter.trace_id.clone(),
        replay: letter.replay.unsigned_abs(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejected_alert_is_not_replayed_unchanged() {
        let job = |content: &str| {
            format!(
                r#"{{"source":"alertmanager","received_at":"2026-11-22T21:28:29Z","content":{content}}}"#
            )
        };
        let alert = job(r#"{"alert":{"status":"firing","labels":{},"fingerprint":"a"}}"#);
        let one = job(r#"{"rejected":{"reason":"no labels","raw":"{}"}}"#);
        let three = job(r#"{"rejected":{"reason":"no labels","raw":"[1,2,3]","alerts":3}}"#);
        let table: [(&str, &[u8], _, _); 6] = [
            ("ingest", alert.as_bytes(), Ok(()), Ok(())),
            (
                "ingest",
                one.as_bytes(),
                Err(NotReplayableReason::Rejected),
                Ok(()),
            ),
            (
                "ingest",
                three.as_bytes(),
                Err(NotReplayableReason::RejectedTogether(3)),
                Err(NotReplayableReason::RejectedTogether(3)),
            ),
            ("ingest", b"\xff", Err(NotReplayableReason::Binary), Ok(())),
            ("tier", one.as_bytes(), Ok(()), Ok(())),
            ("gone", b"{}", Err(NotReplayableReason::Binary), Ok(())),
        ];
        for (queue, payload, as_it_is, edited) in table {
            assert_eq!(check(queue, payload, false), as_it_is, "{queue}");
            assert_eq!(check(queue, payload, true), edited, "{queue}, edited");
        }
    }
}
