//! Histories, made up: a few anomalies of a few series that fire again and again, each firing delivered
//! several times.
//!
//! Moments of receipt lie on a grid of [`SLOT`]s, so that it does not matter for any rule in which
//! second of its slot an alert is received. The sender's times are as fine as they come.

use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use serde_json::{Value, json};
use tocsin::time::Timestamp;

use super::oracle::{Labels, MINUTE, Received, SKEW, Unit};

/// No rule's edge lies on a multiple of it, nor within a minute behind one, as seen from [`LOOK`].
pub const SLOT: i64 = 7 * MINUTE;
/// How long after a slot's beginning the database are looked at.
pub const LOOK: i64 = 6 * MINUTE;

pub struct Story {
    pub unit: Unit,
    /// When slot 0 begins.
    pub began: i64,
    /// The last slot.
    pub slots: i64,
    /// In the order of receipt.
    pub told: Vec<Received>,
}

/// How a story is made.
#[derive(Clone, Copy)]
pub struct Shape {
    pub anomalies: usize,
    pub series: usize,
    pub firings: usize,
    pub slots: i64,
    /// Ends are received up to so many slots late.
    pub late: i64,
    /// Whether each series is delivered in order, from its start to its end.
    pub in_order: bool,
}

struct Series {
    labels: Labels,
    fingerprint: Option<String>,
    has_starts: bool,
}

impl Story {
    pub fn new(random: &mut StdRng, shape: Shape, unit: Unit) -> Self {
        let began = Timestamp::now().0;
        let mut told = Vec::new();
        for labels in anomalies(random, shape.anomalies) {
            for n in 0..random.random_range(1..=shape.series) {
                let series = series(&labels, n, told.len());
                told.extend(series.deliver(random, shape));
            }
        }
        told.extend(beside_the_point(random, shape));
        told.retain(|told| told.received_at <= shape.slots);
        for told in &mut told {
            told.received_at = began + told.received_at * SLOT;
            told.starts_at = told.starts_at.map(|at| began + at);
            told.ends_at = told.ends_at.map(|at| began + at);
        }
        if !shape.in_order {
            told.shuffle(random);
        }
        told.sort_by_key(|told| told.received_at);
        Self {
            unit,
            began,
            slots: shape.slots,
            told,
        }
    }

    /// Which slot a moment is in.
    pub fn slot(&self, at: i64) -> i64 {
        (at - self.began).div_euclid(SLOT)
    }

    /// When the database are looked at.
    pub fn look_at(&self) -> i64 {
        self.began + self.slots * SLOT + LOOK
    }
}

/// Signatures of which some differ in one field only, written with the labels that senders use.
fn anomalies(random: &mut StdRng, n: usize) -> Vec<Labels> {
    let mut fields: Vec<[&str; 4]> = Vec::new();
    for name in ["DiskFull", "Crash"] {
        for service in ["", "checkout", "cart"] {
            for namespace in ["", "prod"] {
                for kind in ["", "OOM"] {
                    fields.push([name, service, namespace, kind]);
                }
            }
        }
    }
    fields.shuffle(random);
    let names = [
        vec!["alertname"],
        vec!["job", "service", "service.name"],
        vec!["namespace", "k8s.namespace.name"],
        vec!["reason", "error_type"],
    ];
    let mut labels = |fields: &[&str; 4]| {
        let mut labels = Labels::new();
        for (value, names) in fields.iter().zip(&names) {
            let name = names.choose(random).unwrap();
            if !value.is_empty() || random.random_bool(0.5) {
                labels.insert((*name).to_owned(), (*value).to_owned());
            }
        }
        labels.insert("alertname".to_owned(), fields[0].to_owned());
        labels
    };
    fields.iter().take(n).map(&mut labels).collect()
}

/// The `n`th series of an anomaly. One is called as one of every other anomaly is; one has no name;
/// one does not say since when it fires.
fn series(labels: &Labels, n: usize, unique: usize) -> Series {
    let mut labels = labels.clone();
    labels.insert("replica".to_owned(), n.to_string());
    Series {
        labels,
        fingerprint: match n {
            0 => Some("everybody's".to_owned()),
            1 => None,
            _ => Some(format!("{unique:x}-{n}")),
        },
        has_starts: n != 2,
    }
}

impl Series {
    /// All its deliveries; times since the story began, receipts in slots. Nothing contradicts
    /// anything, but for what is sent for a while after it was over.
    fn deliver(&self, random: &mut StdRng, shape: Shape) -> Vec<Received> {
        let mut told = Vec::new();
        let mut first = random.random_range(0..shape.slots);
        for _ in 0..random.random_range(1..=shape.firings) {
            // As short as can be, minutes, hours.
            let length = *[0, random.random_range(0..3), random.random_range(0..77)]
                .choose(random)
                .unwrap();
            let last = first + length;
            told.extend(self.tell_firing(random, first, last, shape));
            let pause = *[0, random.random_range(0..5)].choose(random).unwrap();
            // It is over before the next slot, and the next one begins in the slot behind that.
            first = last + 2 + pause;
            if first > shape.slots {
                break;
            }
        }
        told
    }

    /// The deliveries of a firing that is seen in the slots from `first` to `last`.
    fn tell_firing(
        &self,
        random: &mut StdRng,
        first: i64,
        last: i64,
        shape: Shape,
    ) -> Vec<Received> {
        let ends = random.random_bool(0.6) && (self.has_starts || shape.in_order);
        // A little before it is first seen, whichever start is sent; and over when it was last seen.
        let began = first * SLOT - SKEW - random.random_range(0..2 * MINUTE);
        let end = last * SLOT + random.random_range(MINUTE..=SLOT);
        let mut moments: Vec<i64> = (0..random.random_range(1..=4))
            .map(|_| random.random_range(first..=last))
            .collect();
        moments.sort_unstable();
        // Without a start, only what is open can be over.
        if ends && self.has_starts && random.random_bool(0.1) {
            moments.clear();
        }
        let overs = if ends { random.random_range(1..=2) } else { 0 };
        // In whole seconds or not, and as far apart as may be.
        let start = |random: &mut StdRng| {
            let jitter = [0, SKEW, random.random_range(0..=SKEW)];
            let jitter = *jitter.choose(random).unwrap();
            self.has_starts.then_some(began + jitter)
        };
        let mut told: Vec<Received> = moments
            .into_iter()
            .map(|slot| self.received(start(random), None, slot))
            .collect();
        for n in 0..overs {
            // Received again later, or right away.
            let late = random.random_range(0..=shape.late) * i64::from(self.has_starts);
            told.push(self.received(start(random), Some(end), last + 1 + n + late));
        }
        if shape.in_order && !self.has_starts && overs == 2 {
            told.pop();
        }
        // What somebody still sends for a while after it was over.
        if shape.in_order && self.has_starts && ends && random.random_bool(0.4) {
            let late = random.random_range(0..4);
            told.push(self.received(start(random), None, last + 1 + late));
        }
        told
    }

    fn received(&self, starts_at: Option<i64>, ends_at: Option<i64>, slot: i64) -> Received {
        Received {
            resolved: ends_at.is_some(),
            labels: self.labels.clone(),
            fingerprint: self.fingerprint.clone(),
            starts_at,
            ends_at,
            received_at: slot,
        }
    }
}

/// What is accounted for and not counted, and what cannot be used.
fn beside_the_point(random: &mut StdRng, shape: Shape) -> Vec<Received> {
    [
        &[("alertname", "Watchdog")][..],
        &[("alertname", "Crash"), ("testalert", "true")],
        &[("job", "nameless")],
    ]
    .into_iter()
    .flat_map(|labels| [labels, labels])
    .map(|labels| Received {
        resolved: false,
        labels: labels
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        fingerprint: None,
        starts_at: Some(0),
        ends_at: None,
        received_at: random.random_range(0..shape.slots),
    })
    .collect()
}

impl Received {
    /// As Alertmanager writes it.
    pub fn to_json(&self) -> Value {
        let time = |at: Option<i64>| match at {
            Some(at) => json!(Timestamp(at).to_rfc3339()),
            None => json!("0001-01-01T00:00:00Z"),
        };
        let mut alert = json!({
            "status": if self.resolved { "resolved" } else { "firing" },
            "labels": self.labels,
            "annotations": {"summary": "it is broken"},
            "startsAt": time(self.starts_at),
            "endsAt": time(self.ends_at),
        });
        if let Some(fingerprint) = &self.fingerprint {
            alert["fingerprint"] = json!(fingerprint);
        }
        alert
    }
}
