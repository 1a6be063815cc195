//! The text of a card, line by line: most important first, for a person who is woken by it. What is not known
//! is left out.

mod again;
mod background;
mod comment;
mod recommended;
mod tried;

use chrono::DateTime;
use tocsin::domain::aggregation::{ResolvedBy, Status};
use tocsin::domain::escalation::Level;
use tocsin::domain::frequency::{Window, figure};
use tocsin::domain::notification::Kind;
use tocsin::domain::reason::{Reason, TierRule};
use tocsin::domain::severity;
use tocsin::entity::incidents;
use tocsin::text::{Text, address, fill, plural, words};
use tocsin::time::Timestamp;

use self::again::{again, flapping, flapping_hint, muted, says_flapping};
use self::background::{analysis, description, generated, links, values};
pub(super) use self::comment::{of_analysis, of_comment};
use self::recommended::{failed_fix, recommended, tier};
use self::tried::{held_last, repairs};
use super::markup::Line;
use super::text::tidy;
use super::{Card, TestMessage};

/// The longest title, in UTF-16 code units, as all of these.
const TITLE: usize = 250;
/// The longest label, name or action.
const NAME: usize = 100;
/// The longest reason.
const REASON: usize = 200;

/// The lines of a card. Together they stay far below 4,096 UTF-16 code units.
///
/// The first says what happened and how bad it is, the second where; the id is last.
pub(super) fn lines(card: &Card, text: &Text) -> Vec<Line> {
    let lines = [
        Some(headline(card, text)),
        place(card, text),
        together(card, text),
        again(card, text),
        reopening(card, text),
        status_line(card, text),
        unheard(card, text),
        muted(card, text),
        flapping(card, text),
        flapping_hint(card, text),
        calmed(card, text),
        level(card, text),
        tier(card, text),
        restarts(card, text),
        failed_fix(card, text),
        recommended(card, text),
        figures(card, text),
        repairs(card, text),
        held_last(card, text),
        analysis(card, text),
        generated(card, text),
        description(card),
        values(card, text),
        links(card, text),
        opening(card, text),
        Some(identity(card, text)),
    ];
    lines.into_iter().flatten().collect()
}

/// The lines of a message that is sent to see that it arrives. It is about no incident, and says so.
pub(super) fn of_test(test: &TestMessage, text: &Text) -> Vec<Line> {
    let by = test.by.as_deref().and_then(|who| known(who, NAME));
    let asked = match by {
        Some(who) => fill(text.msg_test_by, &[("who", &who)]),
        None => text.msg_test_asked.to_owned(),
    };
    let mut line = Line::new().text(asked);
    if let Some(at) = utc(test.at) {
        line = line.dot().text(at);
    }
    let page = test.page.as_deref().and_then(address);
    let page = page.map(|url| Line::new().link(text.msg_open, url));
    let headline = Line::new().symbol("🧪").bold(text.msg_test);
    [headline, line].into_iter().chain(page).collect()
}

fn headline(card: &Card, text: &Text) -> Line {
    let (symbol, happened) = match card.kind {
        // A card is edited as its incident goes on.
        Kind::Opened if card.incident.reopened > 0 => ("🔁", text.msg_reopened),
        Kind::Opened if card.again.is_some() => ("🔂", text.msg_again),
        Kind::Opened if is_info(&card.incident.severity) => ("🔹", text.msg_opened),
        Kind::Opened => ("🚨", text.msg_opened),
        Kind::Escalated => ("🔺", text.msg_escalated),
        Kind::Reopened => ("🔁", text.msg_reopened),
        Kind::Worsened => ("🔺", text.msg_worsened),
        Kind::Resolved => ("✅", text.ev_resolved),
        Kind::Repeated => ("🔂", text.msg_repeated),
        Kind::Flapping if card.anomaly.flapping_since.is_none() => ("🚨", text.msg_opened),
        Kind::Flapping => ("🎚", text.msg_flapping),
        Kind::Steady => ("🟢", text.msg_steady),
        // These are about no single incident, and have lines of their own.
        Kind::Digest => ("🌩", text.incidents),
        Kind::Report => ("📊", text.report),
        Kind::Playbook => ("📒", text.playbooks),
    };
    let status = card.incident.status;
    let severity = known(&card.incident.severity, NAME);
    let is_open = matches!(status, Status::Open | Status::Analyzing);
    let and_state = || {
        let state = words::status_word(text, status);
        fill(text.msg_and_state, &[("what", happened), ("state", state)])
    };
    let (symbol, mut what) = match status {
        // It is said of the anomaly, however its incident stands.
        _ if !is_open && says_flapping(card) => (symbol, and_state()),
        Status::Resolved if card.incident.resolved_by == Some(ResolvedBy::Unseen) => {
            ("❔", text.ev_closed_unseen.to_owned())
        }
        Status::Resolved => ("✅", text.ev_resolved.to_owned()),
        // The first message of an incident that an operator has already taken.
        Status::Acknowledged if card.kind == Kind::Opened => {
            (symbol, text.ev_acknowledged.to_owned())
        }
        Status::Acknowledged => (symbol, and_state()),
        Status::Open | Status::Analyzing => (symbol, happened.to_owned()),
    };
    match severity {
        Some(severity) if card.kind == Kind::Worsened && is_open => {
            what = fill(text.msg_worsened_to, &[("severity", &severity)]);
        }
        Some(severity) => what.push_str(&format!(" · {severity}")),
        None => {}
    }
    // That it escalated is said; only of the highest level it says too little.
    let level = match (card.kind, card.anomaly.level) {
        (_, Level::None) | (Kind::Escalated, Level::Repeat | Level::Escalate) => None,
        (_, level) => Some(words::level_word(text, level)),
    };
    if let Some(level) = level {
        what.push_str(&format!(" · {level}"));
    }
    let title = known(&card.incident.title, TITLE)
        .or_else(|| known(&card.anomaly.alert_name, TITLE))
        .unwrap_or_else(|| text.msg_untitled.to_owned());
    Line::new().symbol(symbol).bold(pair(text, &what, &title))
}

/// Whether a severity needs no quick response.
fn is_info(severity: &str) -> bool {
    severity::rank(severity) == severity::rank("info")
}

fn place(card: &Card, text: &Text) -> Option<Line> {
    let anomaly = &card.anomaly;
    let line = [
        (text.service, &anomaly.service),
        (text.namespace, &anomaly.namespace),
        (text.error_type, &anomaly.error_type),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, known(value, NAME)?)))
    .fold(Line::new(), |line, (name, value)| {
        line.dot().text(format!("{name} ")).code(value)
    });
    (!line.is_empty()).then_some(line)
}

/// What one is about that counts alerts of many names.
fn together(card: &Card, text: &Text) -> Option<Line> {
    let is_overflow = card.anomaly.is_overflow();
    is_overflow.then(|| Line::new().text(text.msg_too_many_names))
}

/// What a reopened one is about.
fn reopening(card: &Card, text: &Text) -> Option<Line> {
    let incident = &card.incident;
    if card.kind != Kind::Reopened {
        return None;
    }
    let mut line = Line::new().text(match operator(incident) {
        Some(who) => fill(text.msg_still_fires_by, &[("who", &who)]),
        None => text.msg_still_fires.to_owned(),
    });
    if let Some(at) = utc(incident.last_firing_at) {
        line = line.dot().text(pair(text, text.last_delivered, &at));
    }
    if incident.reopened > 1 {
        line = line
            .dot()
            .text(plural(text.reopened_times, incident.reopened));
    }
    Some(line)
}

/// The person who acknowledged it, or what became of it before the message went out.
fn status_line(card: &Card, text: &Text) -> Option<Line> {
    let incident = &card.incident;
    let by = |with: &str, without: &str| match operator(incident) {
        Some(who) => fill(with, &[("who", &who)]),
        None => without.to_owned(),
    };
    let (said, at) = match (incident.status, incident.resolved_by) {
        (Status::Open | Status::Analyzing, _) => return None,
        (Status::Acknowledged, _) => (
            by(text.msg_acknowledged_by, text.msg_acknowledged_by_unnamed),
            incident.acknowledged_at,
        ),
        (Status::Resolved, Some(ResolvedBy::Itself)) => {
            (text.msg_resolved_itself.to_owned(), incident.resolved_at)
        }
        (Status::Resolved, Some(ResolvedBy::Unseen)) => {
            (text.msg_resolved_unseen.to_owned(), incident.resolved_at)
        }
        (Status::Resolved, Some(ResolvedBy::Person)) => (
            by(text.msg_resolved_by, text.msg_resolved_by_unnamed),
            incident.resolved_at,
        ),
        (Status::Resolved, None) => (
            by(text.msg_resolved_by, text.ev_resolved),
            incident.resolved_at,
        ),
    };
    let line = Line::new().text(said);
    Some(match at.and_then(utc) {
        Some(at) => line.dot().text(at),
        None => line,
    })
}

/// That it is stale.
fn unheard(card: &Card, text: &Text) -> Option<Line> {
    let at = utc(card.incident.unheard_since?)?;
    Some(
        Line::new()
            .symbol("⌛")
            .text(fill(text.msg_unheard, &[("at", &at)])),
    )
}

/// That a rise is over by the time its message is sent.
fn calmed(card: &Card, text: &Text) -> Option<Line> {
    let level = card.anomaly.level;
    let is_calm = card.kind == Kind::Escalated && level < Level::Escalate;
    let said = || {
        fill(
            text.msg_calmed,
            &[("level", words::level_word(text, level))],
        )
    };
    is_calm.then(|| Line::new().text(said()))
}

fn level(card: &Card, text: &Text) -> Option<Line> {
    let level = card.anomaly.level;
    let reason = card.anomaly.reason.clone().and_then(shown);
    let stats = card.incident.frequency_stats.as_ref();
    let counts = stats.and_then(|stats| stats.counts_at(level));
    let said = match (level, reason) {
        (Level::None, _) => return None,
        (_, Some(reason)) => words::why_level(text, level, Some(&reason), counts.as_ref()),
        (_, None) => pair(text, text.level, words::level_word(text, level)),
    };
    Some(Line::new().text(said))
}

/// Why to do it, where that is said nowhere else.
fn restarts(card: &Card, text: &Text) -> Option<Line> {
    if card.incident.status == Status::Resolved {
        return None;
    }
    let reason = card.incident.tier_reason.clone().and_then(shown)?;
    match reason {
        Reason::Rule(TierRule::Level { .. } | TierRule::FixFailed | TierRule::Default) => None,
        Reason::Rule(TierRule::Restarts { .. }) | Reason::Text(_) => {
            let said = words::why_tier(text, card.anomaly.level, Some(&reason));
            Some(Line::new().text(said))
        }
    }
}

fn figures(card: &Card, text: &Text) -> Option<Line> {
    let stats = card.incident.frequency_stats.as_ref()?;
    let counts = [
        (Window::Hour, stats.count_1h),
        (Window::Day, stats.count_24h),
        (Window::Week, stats.count_7d),
        (Window::Month, stats.count_30d),
    ]
    .map(|(window, count)| {
        let window = words::window(text, window);
        fill(text.msg_count, &[("n", &figure(count)), ("window", window)])
    });
    Some(Line::new().text(pair(text, text.frequency, &counts.join(" · "))))
}

fn opening(card: &Card, text: &Text) -> Option<Line> {
    let at = utc(card.incident.opened_at)?;
    let line = Line::new().text(pair(text, text.opened, &at));
    let firings = card.incident.aggregated_count;
    Some(if firings > 1 {
        line.dot().text(plural(text.aggregated, firings))
    } else {
        line
    })
}

fn identity(card: &Card, text: &Text) -> Line {
    let line = match known(&card.anomaly.alert_name, NAME) {
        Some(name) => Line::new().code(name),
        None => Line::new(),
    };
    let number = card.incident.number.to_string();
    line.dot()
        .text(fill(text.incident_no, &[("n", &number)]))
        .dot()
        .id(card.incident.id)
}

/// The operator who acknowledged or resolved it last.
fn operator(incident: &incidents::Model) -> Option<String> {
    known(incident.operator.as_deref()?, NAME)
}

pub(super) fn annotation<'a>(incident: &'a incidents::Model, name: &str) -> Option<&'a str> {
    incident.annotations.get(name)?.as_str()
}

fn pair(text: &Text, name: &str, value: &str) -> String {
    fill(text.msg_pair, &[("name", name), ("value", value)])
}

/// The value, tidied, if anything is left of it.
fn known(value: &str, max: usize) -> Option<String> {
    Some(tidy(value, max)).filter(|text| !text.is_empty())
}

/// A reason as a message can show it: a sentence that was stored may be anything.
fn shown<R>(reason: Reason<R>) -> Option<Reason<R>> {
    match reason {
        Reason::Text(text) => known(&text, REASON).map(Reason::Text),
        rule => Some(rule),
    }
}

/// To the minute.
fn utc(at: Timestamp) -> Option<String> {
    let at = DateTime::from_timestamp_millis(at.0)?;
    Some(at.format("%Y-%m-%d %H:%M UTC").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_at_the_counters_maximum_are_marked() {
        assert_eq!(figure(99_999), "99999");
        assert_eq!(figure(100_000), "100000+");
        assert_eq!(figure(250_000), "100000+");
    }
}
