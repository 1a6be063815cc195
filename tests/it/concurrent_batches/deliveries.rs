//! Firings that are delivered more than once, late, and out of order.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use tocsin::domain::aggregation::Unit;
use tocsin::domain::alert::{Alert, AlertStatus, Labels};
use tocsin::domain::episode::AlertDelivery;
use tocsin::domain::family::Families;
use tocsin::domain::signature::SignatureLabels;
use tocsin::time::Timestamp;
use uuid::Uuid;

const SKEW_MS: i64 = 60_000;
const HOUR_MS: i64 = 3_600_000;

/// One telling of one firing; times in milliseconds.
#[derive(Clone, Debug)]
pub(super) struct Delivery {
    /// Which of all firings.
    pub(super) firing: usize,
    pub(super) series: usize,
    pub(super) resolved: bool,
    pub(super) starts_at: i64,
    pub(super) ends_at: i64,
    pub(super) received_at: i64,
}

#[derive(Clone, Debug)]
pub(super) struct Story {
    pub(super) unit: Unit,
    pub(super) tellings: Vec<Delivery>,
    pub(super) sizes: Vec<usize>,
    pub(super) twice: Vec<Index>,
}

/// Six series of two anomalies. The starts of one firing lie within the skew, those of two do not.
pub(super) fn stories() -> impl Strategy<Value = Story> {
    let telling = (0..=SKEW_MS, prop::bool::weighted(0.3), 0..2 * HOUR_MS);
    let firing = (vec(telling, 1..5), 0..HOUR_MS, 1..HOUR_MS);
    let series = vec(vec(firing, 0..5), 6);
    let tellings = series
        .prop_map(|all| {
            let (mut tellings, mut number) = (Vec::new(), 0);
            for (series, firings) in all.into_iter().enumerate() {
                let mut began = 0;
                for (told, length, pause) in firings {
                    let ends_at = began + SKEW_MS + length;
                    for (offset, resolved, delay) in told {
                        // It is said to fire while it does, and to be over after that.
                        let received_at = match resolved {
                            true => ends_at + delay,
                            false => began + SKEW_MS + delay % (length + 1),
                        };
                        tellings.push(Delivery {
                            firing: number,
                            series,
                            resolved,
                            starts_at: began + offset,
                            ends_at,
                            received_at,
                        });
                    }
                    began = ends_at + pause.max(SKEW_MS);
                    number += 1;
                }
            }
            tellings
        })
        .prop_shuffle();
    let unit = select(vec![Unit::Episode, Unit::Episode, Unit::Delivery]);
    let sizes = vec(select(vec![1, 2, 5, 20]), 120);
    (unit, tellings, sizes, vec(any::<Index>(), 0..6)).prop_map(|(unit, tellings, sizes, twice)| {
        Story {
            unit,
            tellings,
            sizes,
            twice,
        }
    })
}

pub(super) fn at(ms: i64) -> Timestamp {
    // In the past: nothing was received later than now.
    Timestamp(1_600_000_000_000 + ms)
}

pub(super) fn delivery(
    name: &str,
    series: usize,
    resolved: bool,
    times: (i64, i64, i64),
) -> AlertDelivery {
    let labels = [("alertname", name.to_owned()), ("pod", series.to_string())];
    let alert = Alert {
        status: if resolved {
            AlertStatus::Resolved
        } else {
            AlertStatus::Firing
        },
        labels: labels.map(|(k, v)| (k.to_owned(), v)).into(),
        annotations: Labels::new(),
        fingerprint: series.to_string(),
        starts_at: Some(at(times.0)),
        ends_at: resolved.then_some(at(times.1)),
        lease_ms: None,
        generator_url: None,
        rule: None,
        identity: None,
    };
    let origin = (Uuid::now_v7(), false);
    let labels = SignatureLabels::default();
    AlertDelivery::new(
        origin,
        "test".to_owned(),
        at(times.2),
        alert,
        &labels,
        &Families::default(),
    )
}

/// An alert of one name about one of many services; times in seconds.
pub(super) fn of_service(n: usize, resolved: bool, times: (i64, i64, i64)) -> AlertDelivery {
    let times = (times.0 * 1000, times.1 * 1000, times.2 * 1000);
    let told = delivery("A", n, resolved, times);
    let mut alert = told.alert;
    alert.labels.insert("service", &format!("service-{n}"));
    alert
        .annotations
        .insert("summary", &format!("service-{n} is down"));
    let labels = SignatureLabels::default();
    AlertDelivery::new(
        (told.job, false),
        told.source,
        told.received_at,
        alert,
        &labels,
        &Families::default(),
    )
}
