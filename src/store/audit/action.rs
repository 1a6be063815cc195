//! Operations, by the names under which the audit stores them.

/// One kind of operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// An incident is acknowledged.
    AcknowledgeIncident,
    /// An acknowledged incident is taken over by somebody else.
    TakeOverIncident,
    /// An incident is resolved.
    ResolveIncident,
    /// A note about an incident is written.
    NoteIncident,
    /// An incident's analysis is asked for.
    AnalyzeIncident,
    /// A repair of an incident is reported.
    RecordRepair,
    /// A repair of an incident is reported as started.
    StartRepair,
    /// A repair that was started is reported as finished.
    FinishRepair,
    /// An action that is stopped is allowed again.
    AllowAction,
    /// An executor is asked to run an action, by a person or by itself.
    AskExecution,
    /// An executor was not asked, or did not take the request.
    FailExecution,
    /// An executor said that it started.
    StartExecution,
    /// An executor said that it finished.
    FinishExecution,
    /// A permanent fix of an anomaly is marked.
    MarkFix,
    /// A permanent fix is withdrawn.
    WithdrawFix,
    /// An anomaly is muted.
    Mute,
    /// An anomaly is unmuted.
    Unmute,
    /// A maintenance window is planned.
    PlanMaintenance,
    /// A maintenance window is ended.
    EndMaintenance,
    /// A queue is paused.
    PauseQueue,
    /// A queue is resumed.
    ResumeQueue,
    /// Dead letters are replayed.
    ReplayDeadLetter,
    /// Dead letters are discarded.
    DiscardDeadLetter,
    /// Recount is enqueued.
    PushRecount,
    /// Drifted figures are set to what the rows say.
    RepairFigures,
    /// A test message is sent to a channel.
    TestChannel,
    /// A canary is made.
    SendCanary,
    /// A stored playbook is set.
    SetPlaybook,
    /// A stored playbook is withdrawn.
    WithdrawPlaybook,
    /// A version of a stored playbook is restored.
    RestorePlaybook,
    /// A proposal for a playbook is accepted.
    AcceptProposal,
    /// A proposal for a playbook is rejected.
    RejectProposal,
    /// A button press of a person who is not in `telegram.people` is refused.
    RefusePress,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 33] = [
        Self::AcknowledgeIncident,
        Self::TakeOverIncident,
        Self::ResolveIncident,
        Self::NoteIncident,
        Self::AnalyzeIncident,
        Self::RecordRepair,
        Self::StartRepair,
        Self::FinishRepair,
        Self::AllowAction,
        Self::AskExecution,
        Self::FailExecution,
        Self::StartExecution,
        Self::FinishExecution,
        Self::MarkFix,
        Self::WithdrawFix,
        Self::Mute,
        Self::Unmute,
        Self::PlanMaintenance,
        Self::EndMaintenance,
        Self::PauseQueue,
        Self::ResumeQueue,
        Self::ReplayDeadLetter,
        Self::DiscardDeadLetter,
        Self::PushRecount,
        Self::RepairFigures,
        Self::TestChannel,
        Self::SendCanary,
        Self::SetPlaybook,
        Self::WithdrawPlaybook,
        Self::RestorePlaybook,
        Self::AcceptProposal,
        Self::RejectProposal,
        Self::RefusePress,
    ];

    /// As it is stored, and as the API and `tocsin audit` show it. These names do not change.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AcknowledgeIncident => "incident.acknowledge",
            Self::TakeOverIncident => "incident.take_over",
            Self::ResolveIncident => "incident.resolve",
            Self::NoteIncident => "incident.note",
            Self::AnalyzeIncident => "incident.analyze",
            Self::RecordRepair => "incident.repair",
            Self::StartRepair => "incident.repair_start",
            Self::FinishRepair => "incident.repair_finish",
            Self::AllowAction => "action.allow",
            Self::AskExecution => "execution.ask",
            Self::FailExecution => "execution.fail",
            Self::StartExecution => "execution.start",
            Self::FinishExecution => "execution.finish",
            Self::MarkFix => "anomaly.fix",
            Self::WithdrawFix => "anomaly.unfix",
            Self::Mute => "anomaly.mute",
            Self::Unmute => "anomaly.unmute",
            Self::PlanMaintenance => "maintenance.plan",
            Self::EndMaintenance => "maintenance.end",
            Self::PauseQueue => "queue.pause",
            Self::ResumeQueue => "queue.resume",
            Self::ReplayDeadLetter => "dead_letter.replay",
            Self::DiscardDeadLetter => "dead_letter.discard",
            Self::PushRecount => "recount.push",
            Self::RepairFigures => "recount.repair",
            Self::TestChannel => "channel.test",
            Self::SendCanary => "canary.send",
            Self::SetPlaybook => "playbook.set",
            Self::WithdrawPlaybook => "playbook.withdraw",
            Self::RestorePlaybook => "playbook.restore",
            Self::AcceptProposal => "playbook.accept",
            Self::RejectProposal => "playbook.reject",
            Self::RefusePress => "telegram.refused",
        }
    }

    /// Reads a stored name; `None` for one of another version.
    #[must_use]
    pub fn read(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn stored_names_are_distinct_and_read_back() {
        let names: HashSet<&str> = Action::ALL.iter().map(|action| action.as_str()).collect();
        assert_eq!(names.len(), Action::ALL.len());
        for action in Action::ALL {
            assert_eq!(Action::read(action.as_str()), Some(action));
        }
        assert_eq!(Action::read("incident.reopen"), None);
    }
}
