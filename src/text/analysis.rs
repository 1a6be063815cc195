//! The findings of an analysis, in sentences.

use super::{Text, fill, plural};
use crate::domain::analysis::{
    Analysis, Direction, Finding, Frequency, Hours, NotGenerated, OPENINGS, Pace, Share, Together,
    Trend, Tried, Weekday,
};
use crate::time::Timestamp;

/// Incidents that opened within this many seconds count as simultaneous: which was first says nothing.
const AT_ONCE: i64 = 5;

/// The sentences of an analysis, without what a model wrote.
#[must_use]
pub fn sentences(text: &Text, analysis: &Analysis) -> Vec<String> {
    let findings = analysis.findings.iter();
    findings.map(|finding| sentence(text, finding)).collect()
}

/// One finding as a sentence.
#[must_use]
pub fn sentence(text: &Text, finding: &Finding) -> String {
    match finding {
        Finding::First => text.an_first.to_owned(),
        Finding::Thin { incidents } => plural(text.an_thin, *incidents),
        Finding::Frequency(found) => frequency(text, found),
        Finding::Trend(found) => trend(text, found),
        Finding::Hours(found) => hours(text, found),
        Finding::Weekday(found) => weekday(text, found),
        Finding::Together(found) => together(text, found),
        Finding::Before(found) => {
            let other = name(&found.alert_name, &found.service);
            match age(text, found.seconds) {
                Some(age) => fill(text.an_before, &[("other", &other), ("age", &age)]),
                None => fill(text.an_at_once, &[("other", &other)]),
            }
        }
        Finding::Repairs { tried } => {
            let list: Vec<String> = tried.iter().map(|tried| repair(text, tried)).collect();
            fill(text.an_repairs, &[("list", &list.join(text.an_and))])
        }
        Finding::Runbook { url } => fill(text.an_runbook, &[("url", url)]),
    }
}

/// Why a language model contributed nothing.
#[must_use]
pub fn why_not_generated(text: &Text, why: NotGenerated) -> String {
    let why = match why {
        NotGenerated::Budget => text.an_no_budget,
        NotGenerated::Timeout => text.an_no_time,
        NotGenerated::Unreachable => text.an_no_contact,
        NotGenerated::Refused => text.an_no_refused,
        NotGenerated::Unusable => text.an_no_use,
    };
    fill(text.an_not_generated, &[("why", why)])
}

fn frequency(text: &Text, found: &Frequency) -> String {
    let incidents = incidents(text, found.incidents);
    let share = found.service.as_ref();
    let share = share.map(|share| self::share(text, found, share));
    let places = [
        ("incidents", &*incidents),
        ("share", share.as_deref().unwrap_or_default()),
        ("date", &minute(found.first_at)),
    ];
    match (found.pace, found.previous_at) {
        (Pace::New, _) => fill(text.an_new, &places),
        (Pace::Rare, None) => text.an_rare_unknown.to_owned(),
        (Pace::Rare, Some(previous)) => fill(text.an_rare, &[("date", &minute(previous))]),
        (Pace::Occasional, _) => fill(text.an_occasional, &places),
        (Pace::Frequent, _) => fill(text.an_frequent, &places),
    }
}

fn share(text: &Text, found: &Frequency, share: &Share) -> String {
    let percent = found.incidents * 100 / share.incidents.max(1);
    let said = match found.pace {
        _ if percent >= 100 => text.an_share_all,
        // What it is a share of may be older than the anomaly.
        Pace::New => text.an_share_month,
        _ => text.an_share,
    };
    let service = match &*share.namespace {
        "" => share.service.clone(),
        namespace => {
            let places = [("service", &*share.service), ("namespace", namespace)];
            fill(text.an_service_in, &places)
        }
    };
    let places = [
        ("percent", &*percent.to_string()),
        ("all", &self::incidents(text, share.incidents)),
        ("service", &service),
    ];
    fill(said, &places)
}

/// How long before something opened; none if that counts as simultaneous.
fn age(text: &Text, seconds: i64) -> Option<String> {
    match seconds {
        ..AT_ONCE => None,
        seconds @ ..60 => Some(plural(text.an_seconds, seconds)),
        seconds => Some(plural(text.an_minutes, seconds / 60)),
    }
}

fn trend(text: &Text, found: &Trend) -> String {
    let places = [
        ("incidents", &*incidents(text, found.week)),
        ("before", &found.before.to_string()),
    ];
    let said = match found.direction {
        Direction::Up => text.an_up,
        Direction::Down => text.an_down,
    };
    fill(said, &places)
}

fn hours(text: &Text, found: &Hours) -> String {
    let clock = |minute: i64| format!("{:02}:{:02}", minute / 60, minute % 60);
    let places = [
        ("from", &*clock(found.from_minute)),
        ("to", &clock(found.to_minute)),
        ("days", &found.days.to_string()),
        ("all", &found.of_days.to_string()),
    ];
    match found.from_minute == found.to_minute {
        true => fill(text.an_hour, &places),
        false => fill(text.an_hours, &places),
    }
}

fn weekday(text: &Text, found: &Weekday) -> String {
    let weekday = match found.weekday {
        0 => text.weekday_0,
        1 => text.weekday_1,
        2 => text.weekday_2,
        3 => text.weekday_3,
        4 => text.weekday_4,
        5 => text.weekday_5,
        _ => text.weekday_6,
    };
    let places = [
        ("weekday", weekday),
        ("days", &*found.days.to_string()),
        ("all", &found.of_days.to_string()),
    ];
    fill(text.an_weekday, &places)
}

fn together(text: &Text, found: &Together) -> String {
    let first = match found.first {
        0 => String::new(),
        n => plural(text.an_together_first, n),
    };
    let now = found
        .seconds_before
        .map(|seconds| match age(text, seconds) {
            Some(age) => fill(text.an_together_now, &[("age", &age)]),
            None => text.an_together_at_once.to_owned(),
        });
    let places = [
        ("other", &*name(&found.alert_name, &found.service)),
        ("times", &found.times.to_string()),
        ("all", &found.of.to_string()),
        ("lift", &found.lift.to_string()),
        ("first", &first),
        ("now", &now.unwrap_or_default()),
    ];
    fill(text.an_together, &places)
}

fn repair(text: &Text, tried: &Tried) -> String {
    // What followed counts more than what was said.
    let (said, good, all) = match tried.judged {
        0 => (text.an_repair, tried.successes, tried.attempts),
        judged => (text.held_first, tried.held, judged),
    };
    let places = [
        ("action", &*tried.action),
        ("held", &good.to_string()),
        ("n", &all.to_string()),
    ];
    fill(said, &places)
}

fn incidents(text: &Text, n: i64) -> String {
    let said = plural(text.n_incidents, n);
    // The maximum that is counted.
    match usize::try_from(n).is_ok_and(|n| n >= OPENINGS) {
        true => said.replacen(&n.to_string(), &format!("{n}+"), 1),
        false => said,
    }
}

/// An alert, with the service that it is about.
fn name(alert_name: &str, service: &str) -> String {
    match service.is_empty() {
        true => alert_name.to_owned(),
        false => format!("{alert_name} ({service})"),
    }
}

/// To the minute, in UTC.
fn minute(at: Timestamp) -> String {
    let text = super::words::moment(at);
    format!("{} UTC", text.get(..16).unwrap_or(&text))
}
