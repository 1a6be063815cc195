mod baselines;

use super::*;
use crate::domain::lease::Lease;

const MINUTE: i64 = 60_000;
const QUIET: Duration = Duration::from_secs(30 * 60);
const LIMITS: StaleLimits = StaleLimits {
    unheard: Duration::from_secs(12 * 3600),
    unseen: Duration::from_secs(48 * 3600),
    unheard_leases: 3,
    unseen_leases: 10,
};
/// The repair finishes here.
const DONE: i64 = 10_000 * MINUTE;

fn at(minutes: i64) -> Timestamp {
    Timestamp(DONE + minutes * MINUTE)
}

/// A firing from one minute to another, counted from the repair.
fn firing(from: i64, to: Option<i64>) -> Firing {
    Firing {
        starts_at: at(from),
        received_at: at(from),
        ended_at: to.map(at),
        is_lost: false,
        heard: Heard {
            last_seen: at(to.unwrap_or(from)),
            lease: None,
        },
    }
}

fn tried(number: u128, began: i64, finished: i64) -> Tried {
    Tried {
        id: Uuid::from_u128(number),
        began_at: at(began),
        finished_at: at(finished),
    }
}

fn judged(firings: &[Firing], others: &[Tried], blind: &Blindness) -> VerdictReason {
    let this = tried(5, -2, 0);
    let repairs: Vec<Tried> = others.iter().copied().chain([this]).collect();
    let seen = Evidence {
        firings,
        repairs: &repairs,
        blind,
        limits: &LIMITS,
    };
    judge(&this, QUIET, &seen).reason
}

/// What it is about, the firings, other repairs, when nothing could be seen, and the verdict's reason.
type Case = (
    &'static str,
    Vec<Firing>,
    Vec<Tried>,
    Blindness,
    VerdictReason,
);

#[test]
fn what_happens_first_in_the_quiet_time_decides() {
    use VerdictReason::{
        AnotherRepair, Down, FiredAgain, NeverStopped, Pruned, Quiet, Silenced, SourceSilent,
    };
    let none = Blindness::default();
    let lost = |from, seen| Firing {
        is_lost: true,
        ended_at: Some(at(seen)),
        heard: Heard {
            last_seen: at(seen),
            lease: None,
        },
        ..firing(from, None)
    };
    let seen = |from, last| Firing {
        heard: Heard {
            last_seen: at(last),
            lease: None,
        },
        ..firing(from, None)
    };
    let leased = |from, until| Firing {
        heard: Heard {
            last_seen: at(from),
            lease: Some(Lease::given(at(until), Duration::from_secs(240))),
        },
        ..firing(from, None)
    };
    let down = |from, to| Blindness {
        outages: vec![(at(from), at(to))],
        ..Blindness::default()
    };
    let silent = |from, to| Blindness {
        silent: vec![(at(from), at(to))],
        ..Blindness::default()
    };
    let muted = Blindness {
        silenced: true,
        ..Blindness::default()
    };
    let pruned = |before| Blindness {
        pruned_before: Some(at(before)),
        ..Blindness::default()
    };
    let table: Vec<Case> = vec![
        ("nothing fires", vec![], vec![], none.clone(), Quiet),
        (
            "it ended before",
            vec![firing(-9, Some(-1))],
            vec![],
            none.clone(),
            Quiet,
        ),
        (
            "it ends in time",
            vec![firing(-9, Some(30))],
            vec![],
            none.clone(),
            Quiet,
        ),
        (
            "it ends too late",
            vec![firing(-9, Some(31))],
            vec![],
            none.clone(),
            NeverStopped,
        ),
        (
            "it never ends",
            vec![firing(-9, None)],
            vec![],
            none.clone(),
            NeverStopped,
        ),
        (
            "it fires at the end of the time",
            vec![firing(30, Some(31))],
            vec![],
            none.clone(),
            FiredAgain,
        ),
        (
            "it fires after the time",
            vec![firing(31, Some(32))],
            vec![],
            none.clone(),
            Quiet,
        ),
        (
            "it began before and is received after",
            vec![Firing {
                received_at: at(2),
                ..firing(-1, Some(8))
            }],
            vec![],
            none.clone(),
            Quiet,
        ),
        (
            "it began before, is received after and stays",
            vec![Firing {
                received_at: at(2),
                ..firing(-1, None)
            }],
            vec![],
            none.clone(),
            NeverStopped,
        ),
        (
            "another repair in time",
            vec![firing(-9, None)],
            vec![tried(1, 30, 40)],
            none.clone(),
            AnotherRepair,
        ),
        (
            "another repair after the time",
            vec![],
            vec![tried(1, 31, 40)],
            none.clone(),
            Quiet,
        ),
        (
            "one that overlaps and finishes later",
            vec![],
            vec![tried(1, -5, 90)],
            none.clone(),
            AnotherRepair,
        ),
        (
            "one that overlaps and finished before",
            vec![],
            vec![tried(9, -5, -1)],
            none.clone(),
            Quiet,
        ),
        (
            "two at once: the higher id is the last",
            vec![],
            vec![tried(6, -2, 0)],
            none.clone(),
            AnotherRepair,
        ),
        (
            "two at once: this is the last",
            vec![],
            vec![tried(4, -2, 0)],
            none.clone(),
            Quiet,
        ),
        (
            "it fires again before another repair",
            vec![firing(5, None)],
            vec![tried(1, 10, 11)],
            none.clone(),
            FiredAgain,
        ),
        (
            "it fires again after another repair",
            vec![firing(12, None)],
            vec![tried(1, 10, 11)],
            none.clone(),
            AnotherRepair,
        ),
        (
            "its source was silent since long",
            vec![firing(-12 * 60, None)],
            vec![],
            none.clone(),
            SourceSilent,
        ),
        (
            "its lease ran out",
            vec![leased(-9, -1)],
            vec![],
            none.clone(),
            SourceSilent,
        ),
        (
            "its lease was given",
            vec![leased(-9, 31)],
            vec![],
            none.clone(),
            NeverStopped,
        ),
        (
            "it was given up long before",
            vec![lost(-90 * 60, -60 * 60)],
            vec![],
            none.clone(),
            Quiet,
        ),
        (
            "it was given up after",
            vec![lost(-50 * 60, -40 * 60)],
            vec![],
            none,
            SourceSilent,
        ),
        ("tocsin was down", vec![], vec![], down(5, 7), Down),
        ("tocsin was down before", vec![], vec![], down(-7, 0), Quiet),
        ("tocsin was down after", vec![], vec![], down(30, 37), Quiet),
        (
            "its source was silent",
            vec![],
            vec![],
            silent(29, 99),
            SourceSilent,
        ),
        (
            "its source was heard before",
            vec![],
            vec![],
            silent(-9, 0),
            Quiet,
        ),
        (
            "its source was silent after",
            vec![],
            vec![],
            silent(30, 99),
            Quiet,
        ),
        (
            "another source sent it",
            vec![firing(9, None)],
            vec![],
            silent(5, 7),
            FiredAgain,
        ),
        (
            "it is known to have gone on although tocsin was down",
            vec![firing(-9, Some(31))],
            vec![],
            down(5, 7),
            NeverStopped,
        ),
        (
            "it was seen to go on after that",
            vec![seen(-9, 20)],
            vec![],
            down(5, 7),
            NeverStopped,
        ),
        (
            "it was not seen after that",
            vec![seen(-9, 6)],
            vec![],
            down(5, 7),
            Down,
        ),
        (
            "it was seen to go on while nobody would have heard its end",
            vec![seen(-9, 20)],
            vec![],
            silent(5, 99),
            SourceSilent,
        ),
        (
            "it fired although tocsin was down",
            vec![firing(9, None)],
            vec![],
            down(5, 7),
            FiredAgain,
        ),
        ("silenced at its source", vec![], vec![], muted, Silenced),
        ("firings were pruned", vec![], vec![], pruned(1), Pruned),
        (
            "only older ones were pruned",
            vec![],
            vec![],
            pruned(0),
            Quiet,
        ),
    ];
    for (case, firings, others, blind, expected) in table {
        assert_eq!(judged(&firings, &others, &blind), expected, "{case}");
        let reversed: Vec<Firing> = firings.into_iter().rev().collect();
        assert_eq!(judged(&reversed, &others, &blind), expected, "{case}");
    }
}

#[test]
fn the_time_to_quiet_is_that_of_the_last_firing_to_end() {
    let this = tried(5, 0, 0);
    let firings = [
        firing(-9, Some(4)),
        firing(-8, Some(11)),
        firing(-7, Some(-1)),
    ];
    let seen = Evidence {
        firings: &firings,
        repairs: &[this],
        blind: &Blindness::default(),
        limits: &LIMITS,
    };
    let judged = judge(&this, QUIET, &seen);
    assert_eq!(judged.verdict(), Verdict::Verified);
    assert_eq!(judged.quiet_after, Some(Duration::from_secs(11 * 60)));
}

#[test]
fn a_source_is_silent_for_what_has_none_of_its_labels_otherwise() {
    let labels = |pairs: &[(&str, &str)]| -> crate::domain::alert::Labels {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    };
    let silent = SilentSource {
        source: "alertmanager".to_owned(),
        labels: labels(&[("prometheus", "a"), ("severity", "none")]),
        since: at(0),
    };
    for (alert, expected) in [
        (vec![("prometheus", "a"), ("severity", "critical")], true),
        (vec![("prometheus", "b")], false),
        (vec![("pod", "x")], true),
    ] {
        let of_alert = serde_json::json!(labels(&alert));
        assert_eq!(silent.may_send(&of_alert), expected, "{alert:?}");
    }
}
