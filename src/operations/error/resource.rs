//! The resources that operations and errors name.

use crate::jobs::QUEUES;

/// What operations are done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// An incident.
    Incident,
    /// An anomaly.
    Anomaly,
    /// A dead letter.
    DeadLetter,
    /// A queue.
    Queue,
    /// A repair.
    Repair,
    /// An execution.
    Execution,
    /// A canary.
    Canary,
    /// A maintenance window.
    Maintenance,
    /// A stored playbook.
    Playbook,
    /// A version of a stored playbook.
    PlaybookVersion,
    /// A proposal for a playbook.
    Proposal,
}

impl std::fmt::Display for Resource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Incident => f.write_str("no incident has this ID: look for it in the list of incidents of every status"),
            Self::Anomaly => f.write_str("no anomaly has this key: look for it in the list of anomalies"),
            Self::DeadLetter => f.write_str("no dead letter has this ID: look for it in the list of dead letters in every state"),
            Self::Execution => f.write_str("no execution has this ID: look for it at its incident"),
            Self::Repair => f.write_str("no repair has this ID: look for it in the list of repairs"),
            Self::Canary => f.write_str("no canary has this ID: it is known for a day"),
            Self::Maintenance => f.write_str("no maintenance window has this ID: look for it in the list of maintenance windows"),
            Self::Playbook => f.write_str("no stored playbook has this name: look for it in the list of playbooks"),
            Self::PlaybookVersion => f.write_str("the playbook has no such version: look for it among its versions"),
            Self::Proposal => f.write_str("the playbook has no such proposal now: read the playbook again"),
            Self::Queue => write!(f, "unknown queue; known: {}", QUEUES.join(", ")),
        }
    }
}

impl Resource {
    /// As it is named in a refusal.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Incident => "incident",
            Self::Anomaly => "anomaly",
            Self::DeadLetter => "dead_letter",
            Self::Queue => "queue",
            Self::Repair => "repair",
            Self::Execution => "execution",
            Self::Canary => "canary",
            Self::Maintenance => "maintenance",
            Self::Playbook => "playbook",
            Self::PlaybookVersion => "playbook_version",
            Self::Proposal => "proposal",
        }
    }
}
