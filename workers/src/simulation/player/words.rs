//! The steps of a scenario in words.

use super::Player;
use crate::simulation::Entry;
use crate::simulation::report;
use crate::simulation::scenario::{By, What};

impl<T: FnMut(&Entry) + Send> Player<'_, T> {
    /// What somebody reads of a step; nothing of what is expected.
    pub(super) fn in_words(&self, what: &What) -> String {
        let alerts = |name: &str| match self.scenario.alerts[name].copies() {
            1 => name.to_owned(),
            n => format!("{name} ({n} copies)"),
        };
        let by = |by: &By| {
            by.operator
                .as_ref()
                .map_or(String::new(), |who| format!(" by {who}"))
        };
        let on = |by: &By| match self.scenario.alerts.len() {
            1 => String::new(),
            _ => format!(" of {}", by.alert),
        };
        match what {
            What::Note(note) => note.clone(),
            What::Fires(alert) => format!("{} fires", alerts(alert)),
            What::Ends(alert) => format!("{} ends", alerts(alert)),
            What::GoesSilent(alert) => {
                format!("the source of {} stops sending it", alerts(alert))
            }
            What::Repaired(repair) | What::Finished(repair) => {
                let said = match (what, repair.success) {
                    (_, Some(true)) => "finished, reported as a success",
                    (_, Some(false)) => "finished, reported as a failure",
                    (_, None) => "started",
                };
                let note = repair.note.as_ref();
                let note = note.map_or(String::new(), |note| format!(": {note}"));
                let (action, on, by) = (&repair.action, on(&repair.by), by(&repair.by));
                format!("repair{on}{by}: {action} {said}{note}")
            }
            What::Fixed(fix) => {
                let reference = fix.reference.as_ref();
                let reference = reference.map_or(String::new(), |at| format!(": {at}"));
                format!(
                    "permanent fix{}{} is marked{reference}",
                    on(&fix.by),
                    by(&fix.by)
                )
            }
            What::Acknowledged(who) => {
                format!("the incident{} is acknowledged{}", on(who), by(who))
            }
            What::Resolved(who) => format!("the incident{} is resolved{}", on(who), by(who)),
            What::Muted(who, time) => {
                let time = report::in_words(*time);
                format!("the anomaly{} is muted for {time}{}", on(who), by(who))
            }
            What::Expect(_) => String::new(),
        }
    }
}
