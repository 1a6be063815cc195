//! A report's figures as people read them: each with its name, in a language.

use std::time::Duration;

use super::{Compared, Figures, KeptAway, Outcomes, Report, Took};
use crate::text::words::{counted, moment};
use crate::text::{Lang, fill, plural};
use crate::time::Timestamp;

/// A figure with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentence {
    /// What it is the figure of.
    pub name: String,
    /// The figure.
    pub says: String,
}

/// How something went compared with before; none if that is not known.
#[must_use]
pub fn trend(lang: Lang, compared: Compared) -> Option<String> {
    let (text, now, before) = (lang.text(), compared.count, compared.before?);
    if before == 0 {
        return (now > 0).then(|| text.rp_none_before.to_owned());
    }
    let percent = (now - before).saturating_mul(100) / before;
    let n = percent.abs().to_string();
    Some(match percent {
        1.. => format!("↗ {}", fill(text.trend_up, &[("n", &n)])),
        0 => text.trend_same.to_owned(),
        _ => format!("↘ {}", fill(text.trend_down, &[("n", &n)])),
    })
}

/// A number with its thousands apart.
#[must_use]
pub fn number(n: i64) -> String {
    let digits = n.unsigned_abs().to_string();
    let mut said = if n < 0 { "-".to_owned() } else { String::new() };
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            said.push(',');
        }
        said.push(digit);
    }
    said
}

/// The period of a report, in words.
#[must_use]
pub fn period(lang: Lang, from: Timestamp, to: Timestamp) -> String {
    let (from, to) = (moment(from), moment(to));
    fill(lang.text().rp_period, &[("from", &from), ("to", &to)])
}

/// The figures of a report, each with its name: first what came in, then what came of it.
#[must_use]
pub fn sentences(report: &Report, lang: Lang) -> Vec<Sentence> {
    let text = lang.text();
    let unit = counted(text, report.unit);
    let occurrences = fill(text.rp_occurrences, &[("counted", unit)]);
    let mut said = Vec::new();
    let mut say = |name: &str, says: String| {
        let name = name.to_owned();
        said.push(Sentence { name, says });
    };
    say(text.rp_alerts, compared(lang, report.alerts));
    say(&occurrences, compared(lang, report.occurrences));
    say(text.rp_incidents, compared(lang, report.incidents));
    say(text.rp_messages, compared(lang, report.messages));
    let kept = report.kept_away;
    say(text.rp_kept_away, kept_away(lang, kept));
    if kept.failed > 0 {
        say(text.rp_failed, number(kept.failed));
    }
    say(text.rp_new, number(report.new_anomalies));
    say(text.rp_repairs, outcomes(lang, report.repairs.all));
    say(
        text.rp_fixes,
        number(i64::try_from(report.failed_fixes.len()).unwrap_or(i64::MAX)),
    );
    let acknowledged = took(lang, report.acknowledge);
    say(
        text.rp_acknowledge,
        acknowledged.unwrap_or_else(|| text.rp_none_acknowledged.to_owned()),
    );
    let resolved = took(lang, report.resolve);
    say(
        text.rp_resolve,
        resolved.unwrap_or_else(|| text.rp_none_resolved.to_owned()),
    );
    let dead = &report.dead_letters;
    let (n, open) = (number(dead.count), number(dead.undecided));
    let places = [("n", &*n), ("open", &*open)];
    say(
        text.dead_letters,
        match dead.count {
            0 => n,
            _ => fill(text.rp_dead_says, &places),
        },
    );
    said
}

/// What is not complete, and from when on it is.
#[must_use]
pub fn incomplete(report: &Report, lang: Lang) -> Vec<String> {
    let text = lang.text();
    let figures = |figures| match figures {
        Figures::Alerts => text.rp_of_alerts,
        Figures::Occurrences => text.rp_of_occurrences,
        Figures::Rest => text.rp_of_rest,
        Figures::DeadLetters => text.rp_of_dead_letters,
    };
    let each = report.incomplete.iter().map(|one| {
        let since = moment(one.since);
        let places = [("since", &*since), ("figures", figures(one.figures))];
        fill(text.rp_incomplete, &places)
    });
    each.collect()
}

/// How often repairs held.
fn outcomes(lang: Lang, outcomes: Outcomes) -> String {
    if outcomes.attempts == 0 {
        return number(0);
    }
    let text = lang.text();
    let n = [outcomes.attempts, outcomes.verified, outcomes.disproved];
    let [n, held, not] = n.map(number);
    let places = [("n", &*n), ("held", &*held), ("not", &*not)];
    let said = fill(text.rp_repairs_says, &places);
    match outcomes.attempts - outcomes.verified - outcomes.disproved {
        0 => said,
        rest => {
            let rest = fill(text.rp_repairs_rest, &[("n", &number(rest))]);
            format!("{said}{}{rest}", text.comma)
        }
    }
}

fn compared(lang: Lang, compared: Compared) -> String {
    let count = number(compared.count);
    match trend(lang, compared) {
        Some(trend) => format!("{count} · {trend}"),
        None => count,
    }
}

/// How many messages were kept away, and by what; reasons that kept none away are left out.
fn kept_away(lang: Lang, kept: KeptAway) -> String {
    let text = lang.text();
    let reasons = [
        (kept.digested, text.rp_kept_digest),
        (kept.muted, text.rp_kept_mute),
        (kept.on_card, text.rp_kept_card),
        (kept.flapping, text.rp_kept_flapping),
    ];
    let all: i64 = reasons.iter().map(|(n, _)| n).sum();
    let each = reasons.into_iter().filter(|(n, _)| *n > 0);
    let each: Vec<String> = each
        .map(|(n, reason)| fill(reason, &[("n", &number(n))]))
        .collect();
    if each.is_empty() {
        return number(all);
    }
    format!("{}{}{}", number(all), text.colon, each.join(text.comma))
}

/// The median, and of how many incidents; none if there is none.
fn took(lang: Lang, took: Took) -> Option<String> {
    let age = lang.age(Duration::from_millis(took.median_ms?.max(0).unsigned_abs()));
    let n = plural(lang.text().n_incidents, took.incidents);
    Some(fill(
        lang.text().rp_median,
        &[("age", &age), ("incidents", &n)],
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_apart() {
        let said = [0, 7, 999, 1000, 1_234_567, -4321].map(number);
        assert_eq!(said, ["0", "7", "999", "1,000", "1,234,567", "-4,321"]);
    }

    #[test]
    fn a_trend_is_said_only_of_what_is_known() {
        let of = |count, before| trend(Lang::English, Compared { count, before });
        for (count, before, expected) in [
            (5, None, None),
            (0, Some(0), None),
            (5, Some(0), Some("none before")),
            (5, Some(5), Some("unchanged")),
            (9, Some(6), Some("↗ up 50 %")),
            (0, Some(6), Some("↘ down 100 %")),
        ] {
            assert_eq!(of(count, before).as_deref(), expected, "{count} {before:?}");
        }
    }
}
