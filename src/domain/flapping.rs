//! Flapping: an anomaly whose firings begin and end again and again. One message says when that
//! begins, and one when it is over.

use std::collections::HashMap;
use std::time::Duration;

use super::level::Level;
use super::notification::Kind;
use crate::time::Timestamp;

/// When an anomaly flaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Cycles in the window at which it begins to flap. 0: never.
    pub start: u32,
    /// Cycles in the window at which, and below which, it has stopped flapping.
    pub end: u32,
    /// The window.
    pub window: Duration,
}

/// One firing, by when it was received: its sender's clock may be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Firing {
    /// Its series.
    pub series: i64,
    /// When it was first received.
    pub from: Timestamp,
    /// When its end was received. `None` while it is open.
    pub to: Option<Timestamp>,
}

impl Limits {
    /// From when on firings must be known to count the cycles of the window that ends at `now`. A firing that
    /// began before that is too long to be one of a flapping anomaly.
    #[must_use]
    pub fn since(&self, now: Timestamp) -> Timestamp {
        now.before(self.window * 2)
    }

    /// Whether an anomaly with these firings begins to flap at `now`.
    #[must_use]
    pub fn begins(&self, firings: &[Firing], now: Timestamp) -> bool {
        self.start > 0 && self.cycles(firings, now) >= self.start as usize
    }

    /// Whether one that flaps flaps no more at `now`. It does not where nothing flaps by the settings.
    #[must_use]
    pub fn is_over(&self, firings: &[Firing], now: Timestamp) -> bool {
        self.start == 0 || self.cycles(firings, now) <= self.end as usize
    }

    /// How often it began and ended again, within the window that ends at `now`: the most of any one series, or of
    /// all of them together, if that is more. So ten pods that fail and recover at once are one cycle, and ten that do
    /// so one after the other are ten.
    #[must_use]
    pub fn cycles(&self, firings: &[Firing], now: Timestamp) -> usize {
        let edge = now.before(self.window);
        let mut of_series: HashMap<i64, usize> = HashMap::new();
        for firing in firings {
            let is_within = firing.to.is_some_and(|to| to > edge);
            *of_series.entry(firing.series).or_default() += usize::from(is_within);
        }
        let most = of_series.into_values().max().unwrap_or_default();
        most.max(together(firings, edge))
    }
}

/// Whether a message about an anomaly that flaps and has this level is suppressed. That it is worse, or needs a
/// permanent fix, is sent, and what says that it flaps. So is that an incident opened: none does but after an operator
/// resolved the one before.
#[must_use]
pub const fn keeps_back(kind: Kind, level: Level) -> bool {
    match kind {
        Kind::Escalated => !matches!(level, Level::PermanentFix),
        Kind::Reopened | Kind::Repeated | Kind::Resolved => true,
        Kind::Opened
        | Kind::Worsened
        | Kind::Flapping
        | Kind::Steady
        | Kind::Digest
        | Kind::Report
        | Kind::Playbook => false,
    }
}

/// How often all of them together were over, after `edge`.
fn together(firings: &[Firing], edge: Timestamp) -> usize {
    let end = |firing: &Firing| firing.to.unwrap_or(Timestamp(i64::MAX)).max(firing.from);
    let mut spans: Vec<(Timestamp, Timestamp)> = firings.iter().map(|f| (f.from, end(f))).collect();
    spans.sort_unstable();
    let mut cycles = 0;
    let mut until: Option<Timestamp> = None;
    let is_cycle = |until: Timestamp| until > edge && until < Timestamp(i64::MAX);
    for (from, to) in spans {
        until = Some(match until {
            Some(until) if from <= until => until.max(to),
            Some(until) => {
                cycles += usize::from(is_cycle(until));
                to
            }
            None => to,
        });
    }
    cycles + usize::from(until.is_some_and(is_cycle))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp(1_795_382_909_000);
    const MINUTE: Duration = Duration::from_secs(60);
    const LIMITS: Limits = Limits {
        start: 6,
        end: 2,
        window: Duration::from_secs(3600),
    };

    /// From and to in minutes before now.
    fn firing(series: i64, from: u32, to: Option<u32>) -> Firing {
        Firing {
            series,
            from: NOW.before(MINUTE * from),
            to: to.map(|to| NOW.before(MINUTE * to)),
        }
    }

    #[test]
    fn a_series_that_begins_and_ends_six_times_in_an_hour_flaps() {
        let times = |n: u32| -> Vec<Firing> {
            let each = (0..n).map(|n| firing(1, 9 * n + 8, Some(9 * n + 4)));
            each.collect()
        };
        assert!(!LIMITS.begins(&times(5), NOW));
        assert!(LIMITS.begins(&times(6), NOW));
        assert!(!LIMITS.is_over(&times(3), NOW));
        assert!(LIMITS.is_over(&times(2), NOW));
        assert!(LIMITS.is_over(&[], NOW));
        let off = Limits { start: 0, ..LIMITS };
        assert!(!off.begins(&times(6), NOW));
        assert!(off.is_over(&times(6), NOW));
    }

    #[test]
    fn what_fails_together_is_one_cycle_and_what_fails_in_turn_is_many() {
        let together: Vec<Firing> = (0..50).map(|pod| firing(pod, 30, Some(10))).collect();
        assert_eq!(LIMITS.cycles(&together, NOW), 1);
        let in_turn = (0..7_u32).map(|pod| firing(i64::from(pod), 8 * pod + 6, Some(8 * pod + 2)));
        let in_turn: Vec<Firing> = in_turn.collect();
        assert_eq!(LIMITS.cycles(&in_turn, NOW), 7);
        // Beside one that goes on, one series that flaps is enough.
        let mut beside = vec![firing(99, 110, None)];
        beside.extend((0..6).map(|n| firing(1, 9 * n + 8, Some(9 * n + 4))));
        assert_eq!(LIMITS.cycles(&beside, NOW), 6);
    }

    #[test]
    fn what_ended_before_the_window_or_is_open_is_no_cycle() {
        assert_eq!(LIMITS.cycles(&[firing(1, 70, Some(61))], NOW), 0);
        assert_eq!(LIMITS.cycles(&[firing(1, 70, Some(60))], NOW), 0);
        assert_eq!(LIMITS.cycles(&[firing(1, 70, Some(59))], NOW), 1);
        assert_eq!(LIMITS.cycles(&[firing(1, 10, None)], NOW), 0);
    }

    fn firings() -> impl Strategy<Value = Vec<Firing>> {
        let one = (0_i64..4, 0_u32..120, prop::option::of(0_u32..120));
        let one =
            one.prop_map(|(series, from, to)| firing(series, from, to.map(|to| to.min(from))));
        prop::collection::vec(one, 0..40)
    }

    proptest! {
        #[test]
        fn the_order_of_firings_does_not_matter(mut firings in firings(), seed in any::<u64>()) {
            let before = LIMITS.cycles(&firings, NOW);
            let n = firings.len().max(1);
            firings.rotate_left(usize::try_from(seed).unwrap_or_default() % n);
            firings.reverse();
            prop_assert_eq!(LIMITS.cycles(&firings, NOW), before);
        }

        #[test]
        fn cycles_are_no_more_than_what_ended_in_the_window(firings in firings()) {
            let edge = NOW.before(LIMITS.window);
            let ended = firings.iter().filter(|f| f.to.is_some_and(|to| to > edge)).count();
            let cycles = LIMITS.cycles(&firings, NOW);
            prop_assert!(cycles <= ended, "{} of {}", cycles, ended);
            prop_assert_eq!(cycles > 0, ended > 0, "what ended is a cycle of its series");
        }

        #[test]
        fn nothing_begins_to_flap_and_is_over_at_once(firings in firings()) {
            prop_assert!(!(LIMITS.begins(&firings, NOW) && LIMITS.is_over(&firings, NOW)));
        }

        #[test]
        fn what_is_quiet_for_the_window_flaps_no_more(firings in firings()) {
            prop_assert!(LIMITS.is_over(&firings, NOW.after(LIMITS.window)));
        }
    }
}
