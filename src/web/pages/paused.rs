//! The reminder that queues are paused, on every page until they are resumed.

use maud::{Markup, html};

use super::{PageRequest, QUEUES, parts};
use crate::jobs::{CalculateTier, IngestAlert, Job as _, Notify};
use crate::probe::Paused;
use crate::text::{Text, fill};

/// One line for each queue that is paused. Empty where none is.
pub(super) fn reminder(visit: &PageRequest) -> Markup {
    html! {
        div #paused data-live {
            @for paused in &*visit.paused {
                p.warn { span aria-hidden="true" { "⚠ " } (warning(visit.text(), paused)) " "
                    a href=(QUEUES.path) { (visit.text().queues) } }
            }
        }
    }
}

/// Since when it is paused, by whom, what that means, and how to resume it.
pub(super) fn warning(text: &Text, paused: &Paused) -> Markup {
    let sentence = sentence(text, paused, "{time}");
    parts::around(&sentence, "time", &parts::at(paused.since))
}

/// The same with the time as it is given.
pub(super) fn sentence(text: &Text, paused: &Paused, time: &str) -> String {
    let by = paused.by.as_deref();
    let by = by.map_or_else(String::new, |name| fill(text.paused_by, &[("name", name)]));
    let effect = match paused.queue {
        queue if queue == IngestAlert::POLICY.queue => text.paused_ingest,
        queue if queue == CalculateTier::POLICY.queue => text.paused_tier,
        queue if queue == Notify::POLICY.queue => text.paused_notify,
        _ => text.paused_other,
    };
    let places = [
        ("queue", paused.queue),
        ("time", time),
        ("by", &*by),
        ("effect", effect),
    ];
    fill(text.warn_paused, &places)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::QUEUES;
    use crate::text::{EN, ZH_TW};
    use crate::time::Timestamp;

    #[test]
    fn a_paused_queue_is_told_with_what_that_means_and_how_to_resume_it() {
        let paused = |queue, by: Option<&str>| Paused {
            queue,
            since: Timestamp(0),
            by: by.map(str::to_owned),
        };
        for (queue, by, text, expected) in [
            (
                "notify",
                Some("ann"),
                &EN,
                "The queue notify is paused since T by ann: no notifications are sent. To resume: tocsin queues resume notify",
            ),
            (
                "repair",
                None,
                &EN,
                "The queue repair is paused since T: its jobs wait. To resume: tocsin queues resume repair",
            ),
            (
                "notify",
                Some("ann"),
                &ZH_TW,
                "notify 佇列自 T 起由 ann 暫停：不會送出任何通知。恢復指令：tocsin queues resume notify",
            ),
        ] {
            assert_eq!(sentence(text, &paused(queue, by), "T"), expected);
        }
        for queue in QUEUES {
            assert!(!sentence(&EN, &paused(queue, None), "T").contains('{'));
        }
    }
}
