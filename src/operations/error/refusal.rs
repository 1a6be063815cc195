//! How the API says which argument makes no sense.

use super::Invalid;
use crate::domain::refusal::{Code, Refusal};

impl Invalid {
    pub(super) fn refusal(&self) -> Refusal {
        let with = |code| Refusal::new(code, self.to_string());
        match self {
            Self::MuteEnd(refusal) => refusal.clone(),
            Self::NoMuteEnd => with(Code::MuteEndMissing),
            Self::TwoMuteEnds => with(Code::MuteEndAmbiguous),
            Self::EmptyAction => with(Code::ActionMissing),
            Self::NoOutcome => with(Code::OutcomeMissing),
            Self::NoOperator => with(Code::OperatorMissing),
            Self::DurationOutOfRange
            | Self::ReplayNumber
            | Self::RepairInFuture { .. }
            | Self::RepairEndsBeforeStart
            | Self::NoAlertName { .. } => with(Code::InvalidBody).parameter(self.field()),
            Self::Playbook(wrong) => {
                with(Code::InvalidBody).parameter(format!("definition.{}", wrong.field))
            }
            Self::PlaybookName { .. } => with(Code::InvalidBody).parameter("definition.name"),
            Self::PlaybookText { .. }
            | Self::NoWhy
            | Self::EmptyNote
            | Self::IdsAndFilter
            | Self::Window { .. } => with(Code::InvalidBody).parameter(self.field()),
            Self::TooManyIds { limit } => with(Code::InvalidBody)
                .parameter(self.field())
                .limit(*limit as u64),
            Self::StatusResolved => with(Code::InvalidBody)
                .parameter(self.field())
                .value("RESOLVED"),
            Self::UnknownQueue { name } => with(Code::InvalidParameter)
                .parameter(self.field())
                .value(name),
            Self::NoCanary { name, .. }
            | Self::UnknownSource { name }
            | Self::UnknownChannel { name, .. } => {
                with(Code::InvalidBody).parameter(self.field()).value(name)
            }
            Self::NothingSelected { .. } => with(Code::NothingSelected),
            Self::AllAndFilter => with(Code::AmbiguousSelection),
        }
    }
}
