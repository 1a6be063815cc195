//! Texts that senders chose, made safe to keep: bounded, and without NUL, which PostgreSQL's text
//! cannot hold.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use crate::domain::alert::Labels;
use crate::domain::signature::hex;

/// What a text that was cut ends with.
const CUT: &str = "…[cut]";
/// The name of the entry that says how many were left out.
const LEFT_OUT: &str = "tocsin_left_out";
/// Labels that identify the series of an alert, and annotations that people read.
const TELLING: [&str; 18] = [
    "instance",
    "pod",
    "container",
    "node",
    "host",
    "device",
    "mountpoint",
    "persistentvolumeclaim",
    "job",
    "service",
    "namespace",
    "cluster",
    "summary",
    "title",
    "message",
    "description",
    "runbook_url",
    "dashboard_url",
];

/// Cuts `text` to `most` bytes, on a character's border, and marks that.
pub(super) fn bounded(text: Cow<'_, str>, most: usize) -> Cow<'_, str> {
    cut(text, most, |_| CUT.to_owned())
}

/// Cuts `text` likewise, and so that texts which differ behind the cut do so before it, too.
pub(super) fn told_apart(text: Cow<'_, str>, most: usize) -> Cow<'_, str> {
    cut(text, most, |text| {
        let digest = Sha256::digest(text.as_bytes());
        format!("…[cut {}]", hex(&digest[..8]))
    })
}

fn cut(text: Cow<'_, str>, most: usize, mark: impl Fn(&str) -> String) -> Cow<'_, str> {
    let text = if text.contains('\0') {
        Cow::Owned(text.replace('\0', "\u{fffd}"))
    } else {
        text
    };
    if text.len() <= most {
        return text;
    }
    let mark = mark(&text);
    let end = text.floor_char_boundary(most.saturating_sub(mark.len()));
    Cow::Owned(format!("{}{mark}", &text[..end]))
}

/// Bytes of a label's or an annotation's name, at most.
const NAME: usize = 256;

/// Bounds names, values and their number. Those of `first` are kept before all others, by their whole name,
/// and their values stay as different as they were; then those that are telling; then the first of the
/// alphabet, whatever order they come in.
pub(super) fn bounded_map(
    mut entries: Vec<(Cow<'_, str>, Cow<'_, str>)>,
    first: &[&str],
    most: usize,
    bytes: usize,
) -> Labels {
    let is_first = |name: &str| first.contains(&name);
    let left_out = if entries.len() > most {
        let rank = |name: &str| (!is_first(name), !TELLING.contains(&name));
        entries.sort_by(|(a, _), (b, _)| (rank(a), a).cmp(&(rank(b), b)));
        let firsts = entries.iter().filter(|(name, _)| is_first(name)).count();
        let kept = most.max(firsts);
        let left_out = entries.len().saturating_sub(kept);
        entries.truncate(kept);
        left_out
    } else {
        0
    };
    let mut kept: Labels = entries
        .into_iter()
        .map(|(name, value)| {
            if is_first(&name) {
                (name, told_apart(value, bytes))
            } else {
                (told_apart(name, bytes.min(NAME)), bounded(value, bytes))
            }
        })
        .collect();
    if left_out > 0 {
        kept.insert(LEFT_OUT, &left_out.to_string());
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries<'a>(entries: &[(&'a str, &'a str)]) -> Vec<(Cow<'a, str>, Cow<'a, str>)> {
        let entries = entries.iter();
        entries.map(|(n, v)| ((*n).into(), (*v).into())).collect()
    }

    #[test]
    fn identifying_labels_are_kept_first_and_distinguishing_labels_next() {
        let many = entries(&[
            ("a", "1"),
            ("b", "2"),
            ("namespace", "prod"),
            ("pod", "p"),
            ("severity", "critical"),
            ("z_name", "N"),
        ]);
        let first = ["z_name", "severity"];
        for (most, kept) in [
            (5, vec!["a", "namespace", "pod", "severity", "z_name"]),
            (4, vec!["namespace", "pod", "severity", "z_name"]),
            (2, vec!["severity", "z_name"]),
            // What identifies an alert is kept, whatever the bound.
            (1, vec!["severity", "z_name"]),
        ] {
            let mut labels = bounded_map(many.clone(), &first, most, 100);
            assert_eq!(&labels[LEFT_OUT], (6 - kept.len()).to_string());
            labels.retain(|name, _| name != LEFT_OUT);
            assert_eq!(labels.keys().collect::<Vec<_>>(), kept, "{most}");
        }
        assert_eq!(bounded_map(many, &first, 6, 100).len(), 6);
    }

    #[test]
    fn truncated_identifying_labels_stay_distinct() {
        let (one, other) = (format!("{}1", "x".repeat(2000)), "x".repeat(2000));
        let kept = |value: &str| {
            let labels = bounded_map(entries(&[("reason", value)]), &["reason"], 64, 1024);
            labels["reason"].to_owned()
        };
        assert_ne!(kept(&one), kept(&other));
        assert_eq!(kept(&one), kept(&one));
        assert_eq!(kept(&one).len(), 1024);
        assert!(kept(&one).ends_with(']') && kept(&one).contains("…[cut "));
        assert_eq!(kept("short"), "short");
    }
}
