//! Messages, and edits of cards.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{About, Policy, Subject};

/// What to do about a row of `notifications`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Payload", into = "Payload")]
pub enum Notify {
    /// Send the message.
    Send(Uuid),
    /// Edit the card, which is out of date.
    Edit(Uuid),
    /// Render the message of this canary. An older version finds no message of that ID and is done.
    Canary(Uuid),
}

impl Notify {
    /// The least `queues.notify.timeout`: 10 s to call a provider and up to 30 s to record that it took the message.
    /// An attempt that is cut off between the two sends the message again.
    pub const LEAST: Duration = Duration::from_secs(45);

    /// The row; of a canary, its ID.
    #[must_use]
    pub const fn notification(self) -> Uuid {
        match self {
            Self::Send(notification) | Self::Edit(notification) | Self::Canary(notification) => {
                notification
            }
        }
    }
}

impl About for Notify {
    /// Retried for more than half a day, so that a provider that was down gets the messages when it is back.
    const RUN: Policy = Policy {
        attempts: 200,
        ..Policy::USUAL
    };

    fn subject(&self) -> Option<Subject> {
        match self {
            Self::Send(id) | Self::Edit(id) => Some(Subject::Notification(*id)),
            Self::Canary(_) => None,
        }
    }
}

/// A job as it is stored. Another kind must be one that this cannot be read as: else a worker of an older
/// version would do something else.
#[derive(Serialize, Deserialize)]
struct Payload {
    notification: Uuid,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    edit: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    canary: bool,
}

impl From<Payload> for Notify {
    fn from(payload: Payload) -> Self {
        match (payload.canary, payload.edit) {
            (true, _) => Self::Canary(payload.notification),
            (false, true) => Self::Edit(payload.notification),
            (false, false) => Self::Send(payload.notification),
        }
    }
}

impl From<Notify> for Payload {
    fn from(job: Notify) -> Self {
        Self {
            notification: job.notification(),
            edit: matches!(job, Notify::Edit(_)),
            canary: matches!(job, Notify::Canary(_)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_stored_as_older_versions_store_and_read_them() {
        let id = Uuid::from_u128(1);
        for (payload, job) in [
            (format!(r#"{{"notification":"{id}"}}"#), Notify::Send(id)),
            (
                format!(r#"{{"notification":"{id}","edit":true}}"#),
                Notify::Edit(id),
            ),
            (
                format!(r#"{{"notification":"{id}","canary":true}}"#),
                Notify::Canary(id),
            ),
        ] {
            assert_eq!(serde_json::to_string(&job).unwrap(), payload);
            assert_eq!(serde_json::from_str::<Notify>(&payload).unwrap(), job);
        }
        let explicit = format!(r#"{{"notification":"{id}","edit":false}}"#);
        assert_eq!(
            serde_json::from_str::<Notify>(&explicit).unwrap(),
            Notify::Send(id)
        );
        serde_json::from_str::<Notify>("{}").unwrap_err();
    }
}
