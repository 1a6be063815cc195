//! The reminder that queues are paused, on every page until they are resumed.

use maud::{Markup, html};

use super::{PageRequest, QUEUES, parts};
use crate::probe::Paused;
use crate::text::words::paused_effect;
use crate::text::{Text, fill};

/// What is paused, in one box. Empty where nothing is.
pub(super) fn reminder(visit: &PageRequest) -> Markup {
    let text = visit.text();
    let sign = html! { span aria-hidden="true" { "⚠ " } };
    let link = html! { " " a href=(QUEUES.path) { (text.queues) } };
    html! {
        div #paused data-live {
            @match &visit.paused[..] {
                [] => {}
                [paused] => p.warn { (sign) (warning(text, paused)) (link) },
                several => div.warn {
                    p { (sign) strong { (fill(text.many_paused, &[("n", &several.len().to_string())])) } (link) }
                    ul { @for paused in several { li { (line(text, paused)) } } }
                },
            }
        }
    }
}

/// Since when it is paused, by whom, what that means, and how to resume it.
pub(super) fn warning(text: &Text, paused: &Paused) -> Markup {
    at_its_time(&sentence(text, paused, "{time}"), paused)
}

/// The same with the time as it is given.
pub(super) fn sentence(text: &Text, paused: &Paused, time: &str) -> String {
    filled(text, text.warn_paused, paused, time)
}

/// The same in a list of several.
fn line(text: &Text, paused: &Paused) -> Markup {
    at_its_time(&filled(text, text.paused_line, paused, "{time}"), paused)
}

fn at_its_time(sentence: &str, paused: &Paused) -> Markup {
    parts::around(sentence, "time", &parts::at(paused.since))
}

fn filled(text: &Text, sentence: &str, paused: &Paused, time: &str) -> String {
    let by = paused.by.as_deref();
    let by = by.map_or_else(String::new, |name| fill(text.paused_by, &[("name", name)]));
    let places = [
        ("queue", paused.queue),
        ("time", time),
        ("by", &*by),
        ("effect", paused_effect(text, paused.queue)),
    ];
    fill(sentence, &places)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::QUEUES;
    use crate::text::words::queue_does;
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
                "The queue repair is paused since T: reported repairs are not recorded. To resume: tocsin queues resume repair",
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
            for text in [&EN, &ZH_TW] {
                assert_ne!(queue_does(text, queue), "", "{queue}");
                assert_ne!(paused_effect(text, queue), text.paused_other, "{queue}");
            }
        }
    }
}
