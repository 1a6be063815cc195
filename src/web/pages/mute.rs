//! Mutes on pages: the mark that says so, the forms, and who muted what before.

use std::time::Duration;

use maud::{Markup, html};
use uuid::Uuid;

use super::request::PageRequest;
use super::{charts, layout, parts, timeline};
use crate::entity::anomalies::Model as Anomaly;
use crate::entity::audit::Model as AuditEntry;
use crate::entity::windows::holding;
use crate::text::{Text, fill};

/// How long a mute may last, as it is offered.
const OFFERED: [&str; 4] = ["30m", "1h", "4h", "24h"];

const fn name(text: &Text, offered: usize) -> &'static str {
    match offered {
        0 => text.mute_30m,
        1 => text.mute_1h,
        2 => text.mute_4h,
        _ => text.mute_24h,
    }
}

/// How long a mute may last, to choose from.
pub(super) fn spans(text: &Text) -> Markup {
    html! {
        @for (at, offered) in OFFERED.into_iter().enumerate() {
            option value=(offered) selected[offered == "1h"] { (name(text, at)) }
        }
    }
}

/// That an anomaly is muted or in maintenance, and until when, and since when it flaps; nothing if it does neither.
pub(super) fn mark(visit: &PageRequest, anomaly: &Anomaly) -> Markup {
    let until = anomaly
        .muted_until
        .filter(|_| anomaly.mute().holds(visit.now));
    html! {
        @if let Some(until) = until {
            span.mu { (parts::around(visit.text().muted_until, "time", &parts::at(until))) }
        }
        @if let Some((window, found)) = holding(&visit.windows, anomaly.names(), visit.now) {
            " " span.mu {
                (parts::around(visit.text().maintenance_until, "time", &parts::at(found.until)))
                " (" (window.reason) ")"
            }
        }
        @if let Some(since) = anomaly.flapping_since {
            " " span.mu { (parts::around(visit.text().flapping_since, "time", &parts::at(since))) }
        }
    }
}

/// The same for a list, in few bytes: how long it still is.
pub(super) fn brief(visit: &PageRequest, anomaly: &Anomaly) -> Markup {
    let until = anomaly
        .muted_until
        .filter(|_| anomaly.mute().holds(visit.now));
    let left = until.map(|until| visit.lang.age(about(until.since(visit.now))));
    html! {
        @if let Some(left) = left { b.mu { (fill(visit.text().muted_left, &[("left", &left)])) } }
        @if let Some((window, found)) = holding(&visit.windows, anomaly.names(), visit.now) {
            " " b.mu {
                (fill(visit.text().maintenance_left, &[("left", &visit.lang.age(about(found.until.since(visit.now))))]))
                " (" (window.reason) ")"
            }
        }
    }
}

/// To the nearest of the unit that it is shown in, which an age would round down to.
fn about(left: Duration) -> Duration {
    let unit = match left.as_secs() {
        0..60 => 1,
        60..3600 => 60,
        3600..172_800 => 3600,
        _ => 86_400,
    };
    Duration::from_secs((left.as_secs() + unit / 2) / unit * unit)
}

/// Until when, by whom and why; nothing if it is not muted.
fn mute_status(visit: &PageRequest, anomaly: &Anomaly) -> Option<Markup> {
    let text = visit.text();
    let until = anomaly
        .muted_until
        .filter(|_| anomaly.mute().holds(visit.now))?;
    let by = anomaly.muted_by.as_deref();
    let by = by.map(|name| fill(text.by_person, &[("name", name)]));
    Some(html! {
        (parts::around(text.muted_until, "time", &parts::at(until)))
        @if let Some(by) = by { " " (by) }
        @if let Some(why) = &anomaly.muted_why { (text.colon) (why) }
    })
}

/// The mute as one of the facts.
pub(super) fn fact(visit: &PageRequest, anomaly: &Anomaly) -> Option<Markup> {
    let status = mute_status(visit, anomaly)?;
    Some(charts::fact(visit.text().muted, &status))
}

/// What people did about muting an anomaly, newest first; the rows of the audit.
pub(super) fn history(text: &Text, entries: &[AuditEntry], is_cut: bool) -> Markup {
    let mut done = entries
        .iter()
        .filter(|operation| timeline::did_mute(operation))
        .peekable();
    html! {
        @if done.peek().is_none() {
            @if !is_cut { p { (text.no_mutes) } }
        } @else {
            (timeline::list(done.map(|operation| timeline::muted(text, operation))))
        }
        @if is_cut { p.hint { (text.timeline_cut) } }
    }
}

/// To mute an anomaly, and to end that; leads back to the incident, if it stands on its page.
pub(super) fn forms(visit: &PageRequest, anomaly: &Anomaly, incident: Option<Uuid>) -> Markup {
    let text = visit.text();
    let action = |operation: &str| format!("/anomalies/{}/{operation}", anomaly.key);
    let back = incident.map(|id| html! { input type="hidden" name="incident" value=(id); });
    let status = mute_status(visit, anomaly);
    let who = visit.session.name.as_deref().unwrap_or_default();
    html! {
        @if let Some(status) = &status {
            form method="post" action=(action("unmute")) {
                (layout::stamp(visit)) @if let Some(back) = &back { (back) }
                p { (status) }
                button { (text.unmute) }
            }
        }
        form method="post" action=(action("mute")) {
            (layout::stamp(visit)) @if let Some(back) = &back { (back) }
            @if status.is_some() { p.hint { (text.mute_replaces) } }
            label for="mute-for" { (text.mute_for) }
            select #mute-for name="for" { (spans(text)) }
            label for="mute-own" { (text.mute_own) (text.optional) }
            input #mute-own type="text" name="own" maxlength="50" autocomplete="off"
                placeholder="2h 30m";
            label for="mute-why" { (text.mute_why) (text.optional) }
            input #mute-why type="text" name="why" maxlength="1000" autocomplete="off"
                aria-describedby="mute-hint";
            p.hint #mute-hint { (text.mute_hint) }
            label for="by-mute" { (text.your_name_mute) }
            input #by-mute type="text" name="operator" value=(who) maxlength="100"
                autocomplete="name" data-name;
            button { (text.mute) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Lang;

    #[test]
    fn the_remaining_time_of_a_mute_is_rounded() {
        for (seconds, expected) in [
            (4 * 3600 - 1, "4 h"),
            (3600 - 1, "1 h"),
            (1800 - 1, "30 min"),
            (59, "59 s"),
            (7 * 86_400 - 3600, "7 d"),
            (3 * 86_400 + 3600, "3 d"),
        ] {
            let left = about(Duration::from_secs(seconds));
            assert_eq!(Lang::English.age(left), expected, "{seconds} s");
        }
    }
}
