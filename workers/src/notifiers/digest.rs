//! The text of a digest, line by line: a long one loses the end of its list.

use chrono::DateTime;
use tocsin::domain::escalation::Level;
use tocsin::store::digests::{DigestEntry, Figures};
use tocsin::text::words::level_word;
use tocsin::text::{Text, fill, plural};
use tocsin::time::Timestamp;

use super::markup::Line;
use super::text::tidy;
use tocsin::text::address;

/// The longest name, in UTF-16 code units.
const NAME: usize = 80;

/// What a digest is made from.
#[derive(Clone, Debug)]
pub struct Digest {
    /// How much it tells.
    pub figures: Figures,
    /// The worst anomalies of these.
    pub worst: Vec<DigestEntry>,
    /// Since when messages are sent in digests.
    pub since: Timestamp,
    /// Whether from now on they are not.
    pub is_over: bool,
    /// Of one that is the last: how many incidents are unresolved, so that it does not read as an all-clear.
    pub unresolved: i64,
    /// The address of the page that lists all, if people can reach the pages.
    pub page: Option<String>,
}

/// The lines of a digest.
pub(super) fn lines(digest: &Digest, text: &Text) -> Vec<Line> {
    let mut lines = vec![headline(text, digest)];
    if digest.figures.messages > 0 {
        lines.extend(lead(text, digest));
    }
    let next = match digest.is_over {
        true => text.digest_over,
        false => text.digest_goes_on,
    };
    lines.push(Line::new().text(next));
    if digest.is_over && digest.unresolved > 0 {
        lines.push(Line::new().text(plural(text.digest_unresolved, digest.unresolved)));
    }
    if let Some(url) = digest.page.as_deref().and_then(address) {
        lines.push(Line::new().link(text.digest_page, url));
    }
    if !digest.worst.is_empty() {
        lines.push(Line::new().text(text.digest_worst));
    }
    lines.extend(digest.worst.iter().map(|entry| anomaly(text, entry)));
    let shown = i64::try_from(digest.worst.len()).unwrap_or(i64::MAX);
    let rest = digest.figures.anomalies - shown;
    if rest > 0 {
        lines.push(Line::new().text(plural(text.digest_rest, rest)));
    }
    lines
}

fn headline(text: &Text, digest: &Digest) -> Line {
    let symbol = if digest.is_over { "🌤" } else { "🌩" };
    let said = match digest.figures.incidents {
        0 => text.digest_none.to_owned(),
        n => plural(text.digest_incidents, n),
    };
    Line::new().symbol(symbol).bold(said)
}

fn lead(text: &Text, digest: &Digest) -> Option<Line> {
    let at = DateTime::from_timestamp_millis(digest.since.0)?;
    let figures = &digest.figures;
    let places = [
        ("messages", figures.messages.to_string()),
        ("anomalies", figures.anomalies.to_string()),
        ("at", at.format("%Y-%m-%d %H:%M UTC").to_string()),
    ];
    let places: Vec<(&str, &str)> = places.iter().map(|(k, v)| (*k, v.as_str())).collect();
    Some(Line::new().text(fill(text.digest_lead, &places)))
}

fn anomaly(text: &Text, entry: &DigestEntry) -> Line {
    let line = Line::new().bold(match tidy(&entry.alert_name, NAME) {
        name if name.is_empty() => text.msg_untitled.to_owned(),
        name => name,
    });
    let places = [&entry.service, &entry.namespace].map(|name| tidy(name, NAME));
    let places = places.into_iter().filter(|name| !name.is_empty());
    let line = places.fold(line, |line, name| line.dot().code(name));
    let line = match entry.severity_word() {
        "" => line,
        severity => line.dot().text(severity),
    };
    let line = match entry.level {
        Level::None => line,
        level => line.dot().text(level_word(text, level)),
    };
    line.dot().text(plural(text.digest_times, entry.incidents))
}

#[cfg(test)]
mod tests {
    use tocsin::text::EN;

    use super::*;
    use crate::notifiers::markup::html;

    fn entry(name: &str, level: Level, incidents: i64) -> DigestEntry {
        DigestEntry {
            alert_name: name.to_owned(),
            service: "checkout".to_owned(),
            namespace: "prod".to_owned(),
            level,
            total: 7,
            incidents,
            severity: 10,
        }
    }

    fn digest(is_over: bool) -> Digest {
        Digest {
            figures: Figures {
                messages: 503,
                incidents: 500,
                anomalies: 12,
            },
            worst: vec![
                entry("Disk<Full>", Level::PermanentFix, 1),
                entry("HighErrorRate", Level::None, 3),
            ],
            since: Timestamp(1_795_382_909_102),
            is_over,
            unresolved: 23,
            page: Some("https://tocsin.example/incidents".to_owned()),
        }
    }

    #[test]
    fn a_digest_says_how_many_and_names_the_worst() {
        insta::assert_snapshot!(html(&lines(&digest(false), &EN), 4096));
    }

    #[test]
    fn unknown_fields_leave_no_gap() {
        let nameless = DigestEntry {
            service: String::new(),
            namespace: "\u{7}\n".to_owned(),
            severity: 0,
            ..entry("", Level::None, 1)
        };
        let line = anomaly(&EN, &nameless).plain();
        let parts: Vec<&str> = line.split(" · ").collect();
        assert_eq!(parts.len(), 2, "{line}");
        assert_eq!(parts[0], EN.msg_untitled);
    }

    #[test]
    fn the_last_says_that_it_is_over() {
        let over = Digest {
            figures: Figures::default(),
            worst: Vec::new(),
            page: None,
            ..digest(true)
        };
        insta::assert_snapshot!(html(&lines(&over, &EN), 4096));
    }

    #[test]
    fn the_longest_fits_and_loses_the_end_of_its_list() {
        let mut long = digest(false);
        long.worst = (0..10)
            .map(|_| DigestEntry {
                alert_name: "𝒜&<".repeat(1000),
                service: "\u{1F525}".repeat(1000),
                namespace: "<b>".repeat(1000),
                ..entry("", Level::Escalate, 1)
            })
            .collect();
        let all = lines(&long, &EN);
        let written = html(&all, 4096);
        let count = written.lines().count();
        assert_eq!(count, all.len(), "ten names of the longest kind fit");
        let short = html(&all, 600);
        assert!(short.lines().count() < count, "{short}");
        assert!(all.iter().map(Line::plain).any(|line| line.contains('…')));
    }
}
