//! A week as it was seen: 182 alerts of 12 anomalies, 94 firings of which 88 end, in 82 incidents.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;
use tocsin::config::{Config, Span};
use tocsin::time::Timestamp;

use crate::harness::{Harness, On, alert, resolved};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const AGAIN: u64 = 12 * HOUR;
/// How long each firing lasts: an incident can be joined no more after that.
const LASTS: u64 = 15 * MINUTE;

/// Incidents of one anomaly: so many, so far apart, from a moment on, in seconds of the week.
const BURSTS: [(&str, usize, u64, u64); 13] = [
    ("LinkFlapping", 21, 40 * MINUTE, 2 * DAY + 8 * HOUR),
    ("CrashLooping", 16, 2 * HOUR, 3 * DAY),
    ("BackupSlow", 7, DAY, DAY + 3 * HOUR),
    ("DiskFull", 12, 5 * HOUR, 10 * HOUR),
    ("QueueBacklog", 5, 90 * MINUTE, DAY + 9 * HOUR),
    ("QueueBacklog", 4, 90 * MINUTE, 5 * DAY + 14 * HOUR),
    ("HighLatency", 6, HOUR, 4 * DAY + 12 * HOUR),
    ("CertificateCheck", 4, 3 * HOUR, 6 * DAY + 6 * HOUR),
    ("JobFailed", 3, 20 * MINUTE, 2 * DAY + 15 * HOUR),
    ("NodeNotReady", 1, HOUR, 5 * HOUR),
    ("TargetDown", 1, HOUR, 3 * DAY + 7 * HOUR),
    ("ClockSkew", 1, HOUR, 5 * DAY + HOUR),
    ("VolumeFull", 1, HOUR, 7 * DAY + 2 * HOUR),
];
/// These of them never end; of an anomaly with several incidents, the last.
const ENDLESS: [&str; 6] = [
    "NodeNotReady",
    "TargetDown",
    "ClockSkew",
    "VolumeFull",
    "BackupSlow",
    "CertificateCheck",
];
/// Of this anomaly, so many incidents have a second firing.
const TWOFOLD: (&str, usize) = ("CrashLooping", 12);

/// When the incidents of each anomaly open, by its name, in seconds of the week.
fn openings() -> BTreeMap<&'static str, Vec<u64>> {
    let mut openings: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for (name, times, apart, from) in BURSTS {
        let at = (0..times as u64).map(|n| from + n * apart);
        openings.entry(name).or_default().extend(at);
    }
    openings
}

/// What is delivered at each moment of the week: what ends, and what begins.
fn week(began: Timestamp) -> BTreeMap<u64, (Vec<Value>, Vec<Value>)> {
    let at = |seconds| began.after(Duration::from_secs(seconds));
    let mut week: BTreeMap<u64, (Vec<Value>, Vec<Value>)> = BTreeMap::new();
    let openings = openings();
    let steps: BTreeSet<u64> = openings.values().flatten().copied().collect();
    for (name, times) in &openings {
        for (n, opens) in times.iter().enumerate() {
            let is_twofold = *name == TWOFOLD.0 && n < TWOFOLD.1;
            let pods = if is_twofold { &["a", "b"][..] } else { &["a"] };
            for pod in pods {
                let alert = alert(name, pod, at(*opens));
                week.entry(*opens).or_default().1.push(alert.clone());
                let is_last = n + 1 == times.len();
                if is_last && ENDLESS.contains(name) {
                    continue;
                }
                // It is delivered with what begins next.
                let over = opens + LASTS;
                let when = steps.range(over..).next().copied().unwrap_or(over);
                let ended = resolved(alert, at(over));
                week.entry(when).or_default().0.push(ended);
            }
        }
    }
    week
}

/// Plays the week; returns how many messages it was.
async fn play(h: &Harness) -> usize {
    let began = h.now();
    let (mut last, mut alerts, mut recounted) = (0, 0, 0);
    for (at, (ended, new)) in week(began) {
        h.advance(Duration::from_secs(at - last));
        last = at;
        alerts += ended.len() + new.len();
        if !ended.is_empty() {
            h.send(ended).await;
        }
        if !new.is_empty() {
            h.send(new).await;
        }
        h.drain().await;
        if at - recounted > 6 * HOUR {
            recounted = at;
            h.recount().await;
            h.drain().await;
        }
    }
    assert_eq!(alerts, 182);
    for (what, expected) in [("anomalies", 12), ("incidents", 82), ("occurrences", 94)] {
        let found = h.sql(&format!("SELECT count(*) FROM {what}")).await;
        assert_eq!(found, expected, "{what}");
    }
    h.telegram.messages().len()
}

impl Harness {
    /// How many messages that an incident opened are of the n-th of this anomaly and hold `condition`.
    async fn openings_of(&self, name: &str, number: usize, condition: &str) -> i64 {
        let count = format!(
            "SELECT count(*) FROM notifications n JOIN incidents i ON i.id = n.incident_id \
             JOIN anomalies a ON a.key = i.anomaly_key LEFT JOIN notifications c ON c.id = n.card_id \
             WHERE a.alert_name = '{name}' AND i.number = {number} AND n.kind = 'opened' AND ({condition})"
        );
        self.sql(&count).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_week_of_182_alerts_is_fewer_than_30_messages_and_nothing_is_lost() {
    let h = Harness::start_with(On::Sqlite, super::again).await;
    let messages = play(&h).await;
    assert!(messages < 30, "{messages}: {:#?}", h.telegram.headlines());
    // Each incident has a message of its own, or is on a card that was sent, is there, and shows it or a later one.
    for (name, times) in openings() {
        let mut before = None;
        for (n, at) in times.iter().enumerate() {
            let is_new = before.is_none_or(|before| at - before > AGAIN);
            before = Some(*at);
            let sent = h.openings_of(name, n + 1, "n.state = 'sent'").await;
            if is_new {
                assert_eq!(sent, 1, "{name} {n}: it is new, or its day was quiet");
                continue;
            }
            let on_card = "n.state = 'muted' AND n.suppressed_by = 'card' AND c.state = 'sent' \
                           AND c.edits_ended IS NULL AND c.shows_id IS NOT NULL AND c.shown_seq = c.edit_seq";
            let on_card = h.openings_of(name, n + 1, on_card).await;
            assert_eq!(sent + on_card, 1, "{name} {n}");
        }
    }
    // And each rise makes a sound.
    let told = h.telegram.taken();
    let says = |name: &str, level: &str| {
        told.iter()
            .any(|text| text.contains(name) && text.contains(level))
    };
    let levels = [
        ("LinkFlapping", "ESCALATE"),
        ("LinkFlapping", "NEEDS PERMANENT FIX"),
        ("CrashLooping", "ESCALATE"),
        ("CrashLooping", "NEEDS PERMANENT FIX"),
        ("BackupSlow", "ESCALATE"),
        ("DiskFull", "ESCALATE"),
        ("QueueBacklog", "ESCALATE"),
        ("HighLatency", "ESCALATE"),
    ];
    for (name, level) in levels {
        assert!(
            says(name, level),
            "{name} {level}: {:#?}",
            h.telegram.headlines()
        );
    }
    h.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_week_without_is_a_message_for_each_incident() {
    let off = |config: &mut Config| config.telegram.again = Span(Duration::ZERO);
    let h = Harness::start_with(On::Sqlite, off).await;
    let messages = play(&h).await;
    assert!(messages >= 82, "{messages}: {:#?}", h.telegram.headlines());
    h.finish().await;
}
