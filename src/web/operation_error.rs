//! What the API answers where an operation was not done.

use super::Problem;
use crate::operations::{Invalid, OperationError};

impl From<OperationError> for Problem {
    fn from(error: OperationError) -> Self {
        match error {
            OperationError::NotFound(what) => Self::not_found(what.to_string()),
            OperationError::Conflict(conflict) => Self::conflict(conflict.to_string()),
            OperationError::Invalid(invalid) => Self::from(invalid),
            OperationError::Store(error) => error.into(),
            OperationError::Queue(error) => error.into(),
            OperationError::Counter(error) => {
                tracing::warn!("a request failed at the counter: {error}");
                Self::unavailable("the counter is unavailable: retry later")
            }
        }
    }
}

impl From<Invalid> for Problem {
    fn from(invalid: Invalid) -> Self {
        let detail = invalid.to_string();
        match invalid {
            // What is too late now was not when it was written.
            Invalid::MuteEnd(_) | Invalid::NoMuteEnd | Invalid::TwoMuteEnds => {
                Self::conflict(detail)
            }
            Invalid::EmptyAction
            | Invalid::NegativeDuration
            | Invalid::StatusResolved
            | Invalid::ReplayNumber
            | Invalid::UnknownQueue { .. }
            | Invalid::NothingSelected { .. }
            | Invalid::AllAndFilter => Self::bad_request(detail),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::mute::EndError;
    use crate::operations::{Conflict, Resource};

    #[test]
    fn each_error_has_its_status() {
        for (error, status) in [
            (OperationError::NotFound(Resource::Incident), 404),
            (Conflict::IncidentResolved.into(), 409),
            (Conflict::InProgress.into(), 409),
            (Invalid::MuteEnd(EndError::TooFar).into(), 409),
            (Invalid::EmptyAction.into(), 400),
            (Invalid::AllAndFilter.into(), 400),
            (
                OperationError::Store(sea_orm::DbErr::Custom("away".to_owned())),
                503,
            ),
        ] {
            let said = error.to_string();
            let (found, _) = Problem::from(error).said();
            assert_eq!(found.as_u16(), status, "{said}");
        }
    }
}
