//! Conversion of the rows of a period into the figures of a report.

use super::{
    ActionOutcomes, Compared, DeadLetters, DeadLettersOf, FailedFix, NewAnomaly, Outcomes, Repairs,
    ReturningAnomaly, Took,
};
use crate::store::views::report::{self as rows, Names};

pub(super) fn returned(found: rows::Returned, has_before: bool) -> ReturningAnomaly {
    let Names {
        key,
        alert_name,
        service,
        namespace,
    } = found.names;
    ReturningAnomaly {
        key,
        alert_name,
        service,
        namespace,
        level: found.level,
        occurrences: Compared {
            count: found.counted.total(),
            before: has_before.then_some(found.counted.before),
        },
        days: found.counted.days,
    }
}

impl From<rows::NewAnomaly> for NewAnomaly {
    fn from(found: rows::NewAnomaly) -> Self {
        Self {
            key: found.names.key,
            alert_name: found.names.alert_name,
            service: found.names.service,
            namespace: found.names.namespace,
            first_seen: found.first_seen,
            count: found.total,
        }
    }
}

impl From<rows::FailedFix> for FailedFix {
    fn from(found: rows::FailedFix) -> Self {
        Self {
            key: found.names.key,
            alert_name: found.names.alert_name,
            service: found.names.service,
            namespace: found.names.namespace,
            fixed_at: found.fixed_at,
            reference: found.reference,
            failed_at: found.failed_at,
        }
    }
}

impl From<rows::Work> for Repairs {
    fn from(found: rows::Work) -> Self {
        let outcomes = |of: &rows::Repairs| Outcomes {
            attempts: of.attempts,
            verified: of.verified,
            disproved: of.disproved,
            superseded: of.superseded,
            unknown: of.unknown,
        };
        let action = |of: &rows::Repairs| ActionOutcomes {
            action: of.action.clone(),
            outcomes: outcomes(of),
        };
        Self {
            all: outcomes(&found.all),
            actions: found.actions.iter().map(action).collect(),
        }
    }
}

impl From<Option<rows::Median>> for Took {
    fn from(found: Option<rows::Median>) -> Self {
        Self {
            incidents: found.map_or(0, |found| found.n),
            median_ms: found.map(|found| found.took),
        }
    }
}

impl From<Vec<rows::DeadLetters>> for DeadLetters {
    fn from(found: Vec<rows::DeadLetters>) -> Self {
        Self {
            count: found.iter().map(|of| of.n).sum(),
            undecided: found.iter().map(|of| of.undecided).sum(),
            queues: found
                .into_iter()
                .map(|of| DeadLettersOf {
                    queue: of.queue,
                    count: of.n,
                })
                .collect(),
        }
    }
}
