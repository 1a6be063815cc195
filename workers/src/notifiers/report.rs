//! The text of a report, line by line: a long one loses the end of its lists.

use tocsin::report::said::{self, number, sentences, trend};
use tocsin::report::{Report, fix_says};
use tocsin::text::words::{level_word, moment};
use tocsin::text::{Lang, Text, address, fill};

use super::markup::Line;
use super::text::tidy;

/// The longest name, in UTF-16 code units.
const NAME: usize = 80;
/// New anomalies that a message names.
const NEW: usize = 5;

/// The lines of a report.
pub(super) fn lines(report: &Report, page: Option<&str>, lang: Lang) -> Vec<Line> {
    let text = lang.text();
    let mut lines = vec![headline(report, text)];
    lines.extend(sentences(report, lang).into_iter().map(|one| {
        let name = format!("{}{}", one.name, text.colon);
        Line::new().text(name).bold(one.says)
    }));
    let incomplete = said::incomplete(report, lang);
    lines.extend(incomplete.into_iter().map(|one| Line::new().text(one)));
    if let Some(url) = page.and_then(address) {
        lines.push(Line::new().link(text.report, url));
    }
    if !report.returning.is_empty() {
        lines.push(Line::new().bold(text.rp_returning));
    }
    for one in &report.returning {
        let mut line = named(&one.alert_name, &one.service, &one.namespace, text);
        line = line.dot().text(number(one.occurrences.count));
        if let Some(trend) = trend(lang, one.occurrences) {
            line = line.dot().text(trend);
        }
        if one.level > tocsin::domain::escalation::Level::None {
            line = line.dot().text(level_word(text, one.level));
        }
        lines.push(line);
    }
    if !report.failed_fixes.is_empty() {
        lines.push(Line::new().bold(text.rp_fixes));
    }
    for fix in &report.failed_fixes {
        let line = named(&fix.alert_name, &fix.service, &fix.namespace, text);
        let mut line = line.dot().text(fix_says(fix, lang));
        if let Some(reference) = &fix.reference {
            line = line.dot().code(tidy(reference, NAME));
        }
        lines.push(line);
    }
    if !report.newest.is_empty() {
        lines.push(Line::new().bold(text.rp_new));
    }
    let newest = report.newest.iter().take(NEW);
    lines.extend(newest.map(|one| named(&one.alert_name, &one.service, &one.namespace, text)));
    lines
}

fn headline(report: &Report, text: &Text) -> Line {
    let [from, to] = [report.from, report.to].map(moment);
    let day = |moment: &str| moment.get(..10).unwrap_or_default().to_owned();
    let (from, to) = (day(&from), day(&to));
    let said = fill(text.rp_headline, &[("from", &from), ("to", &to)]);
    Line::new().symbol("📊").bold(said)
}

fn named(alert_name: &str, service: &str, namespace: &str, text: &Text) -> Line {
    let name = match tidy(alert_name, NAME) {
        name if name.is_empty() => text.msg_untitled.to_owned(),
        name => name,
    };
    let places = [service, namespace].map(|name| tidy(name, NAME));
    let places = places.into_iter().filter(|name| !name.is_empty());
    places.fold(Line::new().code(name), |line, name| line.dot().code(name))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::notifiers::markup::{html, plain};

    /// The report that the description of the API has as its example.
    fn sample() -> Report {
        let examples = include_str!("../../../src/web/api/openapi/examples.json");
        let examples: Value = serde_json::from_str(examples).unwrap();
        serde_json::from_value(examples["show_report"]["answer"].clone()).unwrap()
    }

    #[test]
    fn a_report_says_its_figures_and_what_came_back() {
        let page = "https://tocsin.example/report";
        let each = Lang::ALL.map(|lang| html(&lines(&sample(), Some(page), lang), 4096));
        insta::assert_snapshot!(each.join("\n\n"));
    }

    #[test]
    fn names_from_alerts_stay_names() {
        let mut report = sample();
        report.returning[0].alert_name = "a\n<b>\u{202e}".repeat(100);
        let lines = lines(&report, None, Lang::English);
        assert!(!plain(&lines).contains('\u{202e}'));
        let written = html(&lines, 4096);
        assert!(
            !written.contains("<b>a") && written.contains("&lt;b&gt;"),
            "{written}"
        );
        assert_eq!(written.lines().count(), lines.len());
    }
}
