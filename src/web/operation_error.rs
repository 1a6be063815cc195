//! The API's answers to operations that failed.

use super::Problem;
use crate::domain::refusal::Code;
use crate::operations::{Invalid, OperationError};

impl From<OperationError> for Problem {
    fn from(error: OperationError) -> Self {
        if let Some(refusal) = error.refusal() {
            return refusal.into();
        }
        match error {
            OperationError::Store(error) => error.into(),
            OperationError::Queue(error) => error.into(),
            OperationError::Counter(_)
            | OperationError::NotFound(_)
            | OperationError::Conflict(_)
            | OperationError::Invalid(_) => {
                tracing::warn!("a request failed at the counter: {error}");
                let detail = "the counter is unavailable: retry later";
                Self::new(Code::CounterUnavailable, detail)
            }
        }
    }
}

impl From<Invalid> for Problem {
    fn from(invalid: Invalid) -> Self {
        OperationError::from(invalid).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operations::{Conflict, Resource};

    #[test]
    fn each_error_has_its_status_and_code() {
        for (error, status, code) in [
            (
                OperationError::NotFound(Resource::Incident),
                404,
                Code::NotFound,
            ),
            (
                Conflict::IncidentResolved.into(),
                409,
                Code::AlreadyResolved,
            ),
            (Conflict::InProgress.into(), 409, Code::RequestInProgress),
            (Invalid::NoMuteEnd.into(), 409, Code::MuteEndMissing),
            (Invalid::EmptyAction.into(), 400, Code::ActionMissing),
            (Invalid::AllAndFilter.into(), 400, Code::AmbiguousSelection),
            (
                OperationError::Store(sea_orm::DbErr::Custom("away".to_owned())),
                503,
                Code::DatabaseUnavailable,
            ),
        ] {
            let said = error.to_string();
            let (found, refusal) = Problem::from(error).said();
            assert_eq!((found.as_u16(), refusal.code), (status, code), "{said}");
        }
    }
}
