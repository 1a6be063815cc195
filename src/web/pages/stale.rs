//! Stale incidents and silences of Alertmanager on the pages.

use std::time::Duration;

use maud::{Markup, html};

use super::parts;
use super::request::PageRequest;
use crate::alertmanager::{self, Silence};
use crate::config::Config;
use crate::domain::aggregation::Status;
use crate::domain::episode::EndedBy;
use crate::domain::stale::Heard;
use crate::entity::incidents::Model as Incident;
use crate::entity::occurrences::Model as Firing;
use crate::text::{Text, fill};
use crate::time::Timestamp;

/// How long it takes until its sender was asked, at most, if recount runs.
const CHECK_DELAY: Duration = Duration::from_secs(120);
/// Silences that are shown.
const SHOWN: usize = 5;

/// What Alertmanager says of silences that match an incident.
pub(super) enum Silences {
    /// Alertmanager is not asked.
    NotQueried,
    /// It does not answer.
    Unknown,
    /// These hold now.
    Active(Vec<Silence>),
}

impl Silences {
    /// Of what is over, nothing is asked.
    pub(super) async fn of(
        alertmanager: Option<&alertmanager::Alertmanager>,
        incident: &Incident,
    ) -> Self {
        match alertmanager {
            Some(alertmanager) if incident.status != Status::Resolved => {
                let found = alertmanager.silences(&incident.labels).await;
                found.map_or(Self::Unknown, Self::Active)
            }
            _ => Self::NotQueried,
        }
    }
}

/// What happens next to a stale incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// It is closed then.
    Closes(Timestamp),
    /// Its sender is asked then.
    ChecksSilence(Timestamp),
    /// Its sender still has it.
    Kept,
    /// Its sender does not answer; then it is closed without.
    Waits(Timestamp),
}

fn next(
    config: &Config,
    source: &str,
    (since, at): (Timestamp, Timestamp),
    now: Timestamp,
    says: &Silences,
) -> Next {
    let families = &config.counting.families;
    match says {
        Silences::NotQueried => Next::Closes(at),
        _ if !families.are_one(source, alertmanager::SOURCE) => Next::Closes(at),
        _ if now < at.after(CHECK_DELAY) => Next::ChecksSilence(at),
        Silences::Active(_) => Next::Kept,
        Silences::Unknown => Next::Waits(at.after(at.since(since))),
    }
}

/// For how long an incident has been stale, for a list; nothing if it is not.
pub(super) fn brief(visit: &PageRequest, incident: &Incident) -> Markup {
    let age = incident
        .unheard_since
        .map(|since| visit.lang.age(visit.now.since(since)));
    html! {
        @if let Some(age) = age { b.mu { (fill(visit.text().unheard_for, &[("age", &age)])) } }
    }
}

/// Since when an incident is stale, what happens next, and what silences it.
pub(super) fn note(
    visit: &PageRequest,
    config: &Config,
    incident: &Incident,
    firings: &[Firing],
    says: &Silences,
) -> Markup {
    let text = visit.text();
    html! {
        @if let Some(since) = incident.unheard_since {
            @let at = unseen_at(config, since, firings);
            p.again {
                (parts::around(text.unheard_since, "time", &parts::at(since))) " "
                @match next(config, &incident.source, (since, at), visit.now, says) {
                    Next::Closes(at) => (parts::around(text.unheard_closes, "time", &parts::at(at))),
                    Next::ChecksSilence(at) => (parts::around(text.unheard_asks, "time", &parts::at(at))),
                    Next::Kept => (text.unheard_kept),
                    Next::Waits(at) => (parts::around(text.unheard_no_answer, "time", &parts::at(at))),
                }
            }
        }
        @match says {
            Silences::NotQueried => {},
            Silences::Unknown => p.hint { (text.silences_unknown) },
            Silences::Active(silences) => {
                @for silence in silences.iter().take(SHOWN) { p.again { (silence_link(text, silence)) } }
            },
        }
    }
}

/// By whom, until when and why.
fn silence_link(text: &Text, silence: &Silence) -> Markup {
    let until = parts::at_or_dash(silence.ends_at);
    let who = silence.created_by.trim();
    let said = match who.is_empty() {
        true => text.silenced.to_owned(),
        false => fill(text.silenced_by, &[("who", who), ("time", "{time}")]),
    };
    let comment = silence.comment.trim();
    html! {
        a href=(silence.url) rel="noreferrer" { (parts::around(&said, "time", &until)) }
        @if !comment.is_empty() { (text.colon) (comment) }
    }
}

/// When the last of these that is open is to be closed.
fn unseen_at(config: &Config, since: Timestamp, firings: &[Firing]) -> Timestamp {
    let patience = config.counting.stale_limits();
    let open = firings.iter().filter(|firing| is_open(firing));
    let last = open
        .map(|firing| patience.unseen_at(&Heard::from(firing)))
        .max();
    last.unwrap_or_else(|| since.after(patience.unseen))
}

fn is_open(firing: &Firing) -> bool {
    firing.ended_at.is_none() && firing.series.is_some()
}

/// How a firing ended, or that it is not heard of.
pub(super) fn ending(visit: &PageRequest, config: &Config, firing: &Firing) -> Markup {
    let text = visit.text();
    let patience = config.counting.stale_limits();
    let is_unheard = is_open(firing) && patience.is_unheard(&Heard::from(firing), visit.now);
    html! {
        @if is_unheard { b.mu { (text.unheard) } }
        @else if firing.ended_by == Some(EndedBy::Unseen) { b.mu { (text.unseen) } }
        @else { (parts::at_or_dash(firing.ended_at)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fate_of_a_stale_incident_follows_the_answer_of_alertmanager() {
        let (config, hour) = (Config::default(), std::time::Duration::from_secs(3600));
        let since = Timestamp(0);
        let after = |hours: u32| since.after(hour * hours);
        let known = || Silences::Active(Vec::new());
        for (source, hours, says, expected) in [
            (
                "alertmanager",
                13,
                Silences::NotQueried,
                Next::Closes(after(48)),
            ),
            ("alertmanager", 13, known(), Next::ChecksSilence(after(48))),
            (
                "alertmanager",
                13,
                Silences::Unknown,
                Next::ChecksSilence(after(48)),
            ),
            ("alertmanager", 49, known(), Next::Kept),
            (
                "alertmanager",
                49,
                Silences::Unknown,
                Next::Waits(after(96)),
            ),
            ("prometheus", 13, known(), Next::ChecksSilence(after(48))),
            ("other", 13, known(), Next::Closes(after(48))),
        ] {
            let next = next(&config, source, (since, after(48)), after(hours), &says);
            assert_eq!(next, expected, "{source}, {hours} h");
        }
    }
}
