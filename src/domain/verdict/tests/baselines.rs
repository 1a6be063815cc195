//! How often an anomaly stayed quiet with nothing done.

use super::*;

#[test]
fn the_baseline_counts_firings_that_nobody_repaired() {
    let firings = [
        // Ended by itself, and quiet for long.
        firing(-1000, Some(-990)),
        // Fired again after ten minutes; that one was quiet afterwards.
        firing(-500, Some(-495)),
        firing(-485, Some(-480)),
        // Repaired.
        firing(-5, Some(3)),
        // Not over yet, and over for too short a time.
        firing(200, None),
        firing(180, Some(190)),
    ];
    let seen = Evidence {
        firings: &firings,
        repairs: &[tried(5, -2, 0)],
        blind: &Blindness::default(),
        limits: &LIMITS,
    };
    let found = baseline(at(210), QUIET, &seen);
    assert_eq!(
        found,
        Baseline {
            episodes: 3,
            held: 2
        }
    );
}

#[test]
fn the_baseline_counts_episodes_and_not_the_firings_of_a_burst() {
    let of = |firings: &[Firing], repairs: &[Tried]| {
        let seen = Evidence {
            firings,
            repairs,
            blind: &Blindness::default(),
            limits: &LIMITS,
        };
        let found = baseline(at(10_000), QUIET, &seen);
        (found.episodes, found.held)
    };
    // Thirty at once: the last one ends when the others have.
    let burst: Vec<Firing> = (0..30).map(|n| firing(n, Some(40 + n / 2))).collect();
    assert_eq!(of(&burst, &[]), (1, 1));
    // It is the same in whatever order they are read.
    let reversed: Vec<Firing> = burst.iter().rev().copied().collect();
    assert_eq!(of(&reversed, &[]), (1, 1));
    // One after the other, each beginning by the end of the one before; then one after a pause.
    let chain = [
        firing(0, Some(10)),
        firing(10, Some(20)),
        firing(15, Some(18)),
        firing(21, Some(30)),
    ];
    assert_eq!(of(&chain, &[]), (2, 1));
    // A repair at the start of the first is one of the whole episode.
    assert_eq!(of(&chain[..3], &[tried(1, 1, 2)]), (0, 0));
    assert_eq!(of(&burst, &[tried(1, 3, 4)]), (0, 0));
    // It is not over while one of it fires, or is lost and may have fired.
    let fires = [firing(0, Some(10)), firing(5, None), firing(50, Some(60))];
    assert_eq!(of(&fires, &[]), (0, 0));
    let lost = Firing {
        is_lost: true,
        ..firing(5, Some(5))
    };
    assert_eq!(of(&[firing(0, Some(10)), lost], &[]), (0, 0));
    // It was given up two days later.
    let later = firing(3000, Some(3001));
    assert_eq!(of(&[firing(0, Some(10)), lost, later], &[]), (1, 1));
}
