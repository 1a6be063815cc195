//! A report as Markdown (CommonMark with the tables of GitHub), to keep or to paste.
//!
//! Names come from alerts, which anybody can send: nothing in them acts.

use std::fmt::Write as _;
use std::time::Duration;

use super::said::{self, sentences, trend};
use super::{FailedFix, Report};
use crate::text::words::{counted, level_word, moment};
use crate::text::{Lang, Text, acts_unseen, fill};

/// What acts in Markdown, where a backslash before it keeps it from that.
const ACTS: &str = "\\`*_{}[]<>()#+-.!|~@&:";
/// The longest name, in characters.
const NAME: usize = 200;

/// The report as Markdown.
#[must_use]
pub fn markdown(report: &Report, lang: Lang) -> String {
    let text = lang.text();
    let mut out = String::new();
    let period = said::period(lang, report.from, report.to);
    let _ = write!(out, "# {}\n\n{period}\n\n", text.report);
    for sentence in sentences(report, lang) {
        let _ = writeln!(out, "- {}{}{}", sentence.name, text.colon, sentence.says);
    }
    for sentence in said::incomplete(report, lang) {
        let _ = write!(out, "\n> {sentence}\n");
    }
    returning(&mut out, report, lang);
    new_anomalies(&mut out, report, text);
    repairs(&mut out, report, text);
    failed_fixes(&mut out, report, lang);
    days(&mut out, report, text);
    out
}

fn returning(out: &mut String, report: &Report, lang: Lang) {
    let text = lang.text();
    heading(out, text.rp_returning);
    if report.returning.is_empty() {
        let _ = writeln!(out, "{}", text.rp_returning_none);
        return;
    }
    head(
        out,
        &[
            text.anomaly,
            text.level,
            text.count,
            text.rp_before,
            text.rp_trend,
        ],
    );
    for one in &report.returning {
        let before = one.occurrences.before.map(|n| n.to_string());
        row(
            out,
            &[
                name(&one.alert_name, &one.service, &one.namespace),
                level_word(text, one.level).to_owned(),
                one.occurrences.count.to_string(),
                before.unwrap_or_else(|| "–".to_owned()),
                trend(lang, one.occurrences).unwrap_or_else(|| "–".to_owned()),
            ],
        );
    }
}

fn new_anomalies(out: &mut String, report: &Report, text: &Text) {
    heading(out, text.rp_new);
    if report.newest.is_empty() {
        let _ = writeln!(out, "{}", text.rp_new_none);
        return;
    }
    head(out, &[text.anomaly, text.first_seen, text.count]);
    for one in &report.newest {
        row(
            out,
            &[
                name(&one.alert_name, &one.service, &one.namespace),
                moment(one.first_seen),
                one.count.to_string(),
            ],
        );
    }
}

fn repairs(out: &mut String, report: &Report, text: &Text) {
    heading(out, text.repairs);
    if report.repairs.actions.is_empty() {
        let _ = writeln!(out, "{}", text.rp_repairs_none);
        return;
    }
    head(
        out,
        &[text.action, text.attempts, text.held, text.rp_did_not_hold],
    );
    for one in &report.repairs.actions {
        row(
            out,
            &[
                escaped(&one.action),
                one.outcomes.attempts.to_string(),
                one.outcomes.verified.to_string(),
                one.outcomes.disproved.to_string(),
            ],
        );
    }
}

fn failed_fixes(out: &mut String, report: &Report, lang: Lang) {
    if report.failed_fixes.is_empty() {
        return;
    }
    heading(out, lang.text().rp_fixes);
    for fix in &report.failed_fixes {
        let named = name(&fix.alert_name, &fix.service, &fix.namespace);
        let _ = write!(out, "- {named}{}{}", lang.text().colon, fix_says(fix, lang));
        if let Some(reference) = &fix.reference {
            let _ = write!(out, " ({})", escaped(reference));
        }
        out.push('\n');
    }
}

/// When a fix was made, when it turned out not to hold, and how long that took.
#[must_use]
pub fn fix_says(fix: &FailedFix, lang: Lang) -> String {
    let ms = (fix.failed_at.0 - fix.fixed_at.0).max(0).unsigned_abs();
    let age = lang.age(Duration::from_millis(ms));
    let (fixed, failed) = (moment(fix.fixed_at), moment(fix.failed_at));
    let places = [("fixed", &*fixed), ("failed", &*failed), ("age", &*age)];
    fill(lang.text().rp_fix_says, &places)
}

fn days(out: &mut String, report: &Report, text: &Text) {
    heading(out, text.rp_days);
    let of_unit = fill(
        text.rp_occurrences,
        &[("counted", counted(text, report.unit))],
    );
    head(
        out,
        &[
            text.rp_day,
            text.rp_alerts,
            &of_unit,
            text.rp_incidents,
            text.rp_messages,
        ],
    );
    for day in &report.days {
        let counts = [day.alerts, day.occurrences, day.incidents, day.messages];
        let counts = counts.map(|count| count.to_string());
        let cells: Vec<String> = [moment(day.from)].into_iter().chain(counts).collect();
        row(out, &cells);
    }
}

fn heading(out: &mut String, title: &str) {
    let _ = write!(out, "\n## {title}\n\n");
}

fn head(out: &mut String, names: &[&str]) {
    let _ = writeln!(out, "| {} |", names.join(" | "));
    let _ = writeln!(out, "|{}", "---|".repeat(names.len()));
}

fn row(out: &mut String, cells: &[String]) {
    let _ = writeln!(out, "| {} |", cells.join(" | "));
}

/// What an anomaly is called, on one line.
fn name(alert_name: &str, service: &str, namespace: &str) -> String {
    let parts = [alert_name, service, namespace].map(escaped);
    let parts: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    match parts.is_empty() {
        true => "–".to_owned(),
        false => parts.join(" · "),
    }
}

/// Foreign text on one line, in which nothing acts.
fn escaped(value: &str) -> String {
    let words: Vec<&str> = value.split_whitespace().collect();
    let mut escaped = String::new();
    let shown = words.join(" ");
    for c in shown.chars().filter(|c| !acts_unseen(*c)).take(NAME) {
        if ACTS.contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::sample::sample;
    use super::*;

    #[test]
    fn a_report_reads_well_in_every_language() {
        for lang in Lang::ALL {
            insta::assert_snapshot!(format!("report_{}", lang.tag()), markdown(&sample(), lang));
        }
    }

    #[test]
    fn nothing_in_a_name_acts() {
        let hostile = "a|b\n# c [d](http://e) <script> `f` \u{202e}@all";
        let told = escaped(hostile);
        assert!(!told.contains('\n') && !told.contains('\u{202e}'), "{told}");
        let mut chars = told.chars();
        while let Some(c) = chars.next() {
            if c == '\\' {
                chars.next();
            } else {
                assert!(!ACTS.contains(c), "{c} acts in {told}");
            }
        }
    }
}
