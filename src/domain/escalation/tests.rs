use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::domain::reason::tests::count;

const NOW: Timestamp = Timestamp(1_795_382_909_000);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

const fn windows([hour, day, week, month]: [i64; 4]) -> Counts {
    Counts {
        hour,
        day,
        week,
        month,
    }
}

/// An anomaly's level that rose once.
fn state(level: Level) -> LevelState {
    LevelState {
        level,
        level_seq: 1,
        ..LevelState::default()
    }
}

/// `figure` firings in `incidents` of a window, where `threshold` in `spread` are enough.
fn rule(figure: i64, window: Window, incidents: i64, threshold: i64, spread: i64) -> LevelRule {
    LevelRule::Count(Counted {
        incidents: Some(incidents),
        spread: (spread > 1).then_some(spread),
        ..count(figure, window, threshold)
    })
}

const LASTS: Lasting = Lasting {
    since: Timestamp(1_795_000_000_000),
    open_for_s: 4 * 3600,
};

fn seen(counts: [i64; 4], incidents: [i64; 4]) -> RuleInputs {
    RuleInputs {
        unit: Unit::Episode,
        counts: windows(counts),
        incidents: Some(windows(incidents)),
    }
}

#[test]
fn the_highest_rule_that_holds_wins() {
    let lasts = Some(LASTS);
    let table = [
        ([0, 0, 0, 0], [0, 0, 0, 0], None, Level::None),
        ([2, 4, 4, 4], [1, 1, 1, 1], None, Level::None),
        ([3, 3, 3, 3], [1, 1, 1, 1], None, Level::Repeat),
        ([2, 5, 5, 5], [1, 1, 1, 1], None, Level::Escalate),
        // Many at once are no reason to repair for good.
        ([50, 50, 50, 50], [1, 1, 1, 1], None, Level::Escalate),
        ([50, 50, 50, 50], [1, 2, 2, 2], None, Level::Escalate),
        ([2, 10, 10, 10], [1, 3, 3, 3], None, Level::PermanentFix),
        ([2, 9, 9, 9], [2, 9, 9, 9], None, Level::Escalate),
        // One a night.
        ([1, 1, 4, 4], [1, 1, 4, 4], None, Level::None),
        ([1, 1, 5, 5], [1, 1, 5, 5], None, Level::Escalate),
        ([1, 1, 5, 5], [1, 1, 4, 4], None, Level::None),
        ([1, 1, 7, 14], [1, 1, 7, 14], None, Level::Escalate),
        ([1, 1, 7, 15], [1, 1, 7, 15], None, Level::PermanentFix),
        ([1, 1, 7, 15], [1, 1, 7, 14], None, Level::Escalate),
        ([0, 0, 0, 0], [0, 0, 0, 0], lasts, Level::Escalate),
        ([3, 3, 3, 3], [1, 1, 1, 1], lasts, Level::Escalate),
        ([0, 10, 10, 10], [0, 3, 3, 3], lasts, Level::PermanentFix),
    ];
    for (counts, incidents, lasts, expected) in table {
        let got = assess(&seen(counts, incidents), lasts, &default_rules());
        assert_eq!(
            got.level, expected,
            "{counts:?} in {incidents:?}, {lasts:?}"
        );
        assert_eq!(got.reason.is_some(), expected != Level::None);
    }
}

#[test]
fn the_reason_names_the_first_rule_that_holds_and_its_figures() {
    let reason =
        |seen: &RuleInputs, rules: &[Rule]| assess(seen, None, rules).reason.unwrap().to_string();
    let many = seen([2, 50, 50, 50], [1, 1, 5, 5]);
    let default = default_rules();
    assert_eq!(
        reason(&many, &default),
        "50 firings in 24h in 1 incident (≥ 5)"
    );
    let often = seen([2, 4, 300, 300], [1, 4, 15, 15]);
    assert_eq!(
        reason(&often, &default),
        "300 firings in 30d in 15+ incidents (≥ 15 in 15)"
    );
    let by_incident = RuleInputs {
        unit: Unit::Incident,
        incidents: None,
        ..often
    };
    assert_eq!(
        reason(&by_incident, &default),
        "300 incidents in 30d (≥ 15 in 15)"
    );
    // Where no rule asks for incidents, they are not read.
    let deliveries = RuleInputs {
        unit: Unit::Delivery,
        incidents: None,
        ..many
    };
    assert_eq!(
        reason(&deliveries, &default[..2]),
        "50 deliveries in 24h (≥ 5)"
    );
    assert_eq!(most_incidents(&default[..2], Unit::Episode), 0);
    assert_eq!(most_incidents(&default, Unit::Episode), 15);
    assert_eq!(most_incidents(&default, Unit::Incident), 0);
}

#[test]
fn a_rule_of_one_incident_is_written_as_it_always_was() {
    let read = |text: &str| serde_json::from_str::<Rule>(text).unwrap();
    let plain = r#"{"level":"ESCALATE","window":"24h","count":5}"#;
    assert_eq!(read(plain).incidents, 1);
    assert_eq!(serde_json::to_string(&read(plain)).unwrap(), plain);
    let spread = r#"{"level":"ESCALATE","window":"7d","count":5,"incidents":5}"#;
    assert_eq!(serde_json::to_string(&read(spread)).unwrap(), spread);
}

#[test]
fn a_level_falls_when_its_rule_has_not_held_for_a_twelfth_of_its_window() {
    let day = Reason::Rule(rule(12, Window::Day, 3, 10, 3));
    let month = Reason::Rule(rule(15, Window::Month, 15, 15, 15));
    let hour = Reason::Rule(rule(3, Window::Hour, 1, 3, 1));
    let lasts = Reason::Rule(LevelRule::Lasts(LASTS));
    let text = Reason::Text("somehow".to_owned());
    let less = Assessment {
        level: Level::Escalate,
        reason: Some(rule(9, Window::Day, 3, 5, 1)),
    };
    let ms = Duration::from_millis(1);
    let falling = |ago: Duration| Decay::Falling(NOW.before(ago));
    let falls = || Decay::Fall(less);
    let table = [
        (&day, None, falling(Duration::ZERO)),
        (&day, Some(2 * HOUR - ms), falling(2 * HOUR - ms)),
        (&day, Some(2 * HOUR), falls()),
        (&hour, Some(5 * MINUTE - ms), falling(5 * MINUTE - ms)),
        (&hour, Some(5 * MINUTE), falls()),
        (&month, Some(60 * HOUR - ms), falling(60 * HOUR - ms)),
        (&month, Some(60 * HOUR), falls()),
        (&lasts, None, falls()),
        (&text, None, falls()),
    ];
    for (reason, ago, expected) in table {
        let at = LevelState {
            reason: Some(reason.clone()),
            falling_since: ago.map(|ago| NOW.before(ago)),
            ..state(Level::PermanentFix)
        };
        let found = decay(&at, less, 12, NOW);
        assert_eq!(found, expected, "{reason}, {ago:?}");
    }
    // By the setting: a tenth of a window, and at once.
    for (hysteresis, ago, is_over) in [(10, 2 * HOUR, false), (24, HOUR, true), (0, HOUR, true)] {
        let at = LevelState {
            reason: Some(day.clone()),
            falling_since: Some(NOW.before(ago)),
            ..state(Level::PermanentFix)
        };
        let found = decay(&at, less, hysteresis, NOW);
        assert_eq!(matches!(found, Decay::Fall(_)), is_over, "{hysteresis}");
    }
}

#[test]
fn what_holds_again_or_by_another_rule_does_not_fall() {
    let mut at = state(Level::Escalate);
    at.reason = Some(Reason::Rule(rule(7, Window::Day, 1, 5, 1)));
    at.falling_since = Some(NOW.before(HOUR));
    let found = |level, reason| Assessment {
        level,
        reason: Some(reason),
    };
    let same = rule(6, Window::Day, 1, 5, 1);
    let other = rule(6, Window::Week, 5, 5, 5);
    let change = |is_due| Change {
        is_written: true,
        is_due,
    };
    for (reason, expected) in [(same, change(false)), (other, change(true))] {
        let mut at = at.clone();
        let changed = decay(&at, found(Level::Escalate, reason), 12, NOW).apply(&mut at);
        assert_eq!(changed, expected, "{reason}");
        assert_eq!((at.level, at.falling_since), (Level::Escalate, None));
        assert_eq!(at.reason, Some(Reason::Rule(reason)));
        // And once more changes nothing.
        let changed = decay(&at, found(Level::Escalate, reason), 12, NOW).apply(&mut at);
        assert_eq!(changed, Change::default(), "{reason}");
    }
    // More than the level says is for the tier worker.
    let more = found(Level::PermanentFix, rule(10, Window::Day, 3, 10, 3));
    let mut same = at.clone();
    let changed = decay(&at, more, 12, NOW).apply(&mut same);
    assert_eq!((changed.is_written, changed.is_due), (false, true));
    assert_eq!(same, at);
    assert!(raise(&mut same, more, NOW));
    assert_eq!((same.level, same.level_seq), (Level::PermanentFix, 2));
    assert_eq!((same.risen_at, same.falling_since), (Some(NOW), None));
}

#[test]
fn a_sentence_of_an_older_version_is_replaced_by_the_rule_that_holds() {
    let mut at = state(Level::Escalate);
    at.reason = Some(Reason::Text(
        "7 firings in 24h in 1 incident (≥ 5)".to_owned(),
    ));
    let holds = rule(7, Window::Day, 1, 5, 1);
    let found = Assessment {
        level: Level::Escalate,
        reason: Some(holds),
    };
    let changed = decay(&at, found, 12, NOW).apply(&mut at);
    assert_eq!((changed.is_written, changed.is_due), (true, true));
    assert_eq!(at.reason, Some(Reason::Rule(holds)));
    assert_eq!((at.level, at.level_seq), (Level::Escalate, 1));
}

#[test]
fn what_is_falling_and_comes_back_is_no_rise() {
    let mut at = state(Level::Escalate);
    let five = rule(5, Window::Day, 1, 5, 1);
    at.reason = Some(Reason::Rule(five));
    let none = Assessment {
        level: Level::None,
        reason: None,
    };
    let changed = decay(&at, none, 12, NOW).apply(&mut at);
    assert_eq!((changed.is_written, changed.is_due), (true, false));
    let back = Assessment {
        level: Level::Escalate,
        reason: Some(five),
    };
    assert!(!raise(&mut at, back, NOW.after(HOUR)));
    assert_eq!(at.level_seq, 1);
}

proptest! {
    /// Whatever the counts do, and whenever they are read, no level notifies again before a twelfth of
    /// the shortest window by which it can hold.
    #[test]
    fn no_rise_is_told_more_than_once_in_a_twelfth_of_its_window(
        steps in prop::collection::vec((0_u64..50, prop::array::uniform4(0_i64..17), any::<bool>()), 1..400)
    ) {
        let rules = default_rules();
        let mut at = state(Level::None);
        let mut now = NOW;
        let mut risen: Vec<(Level, Timestamp)> = Vec::new();
        for (minutes, counts, is_tier) in steps {
            now = now.after(MINUTE * u32::try_from(minutes).unwrap());
            let found = assess(&seen(counts, counts), None, &rules);
            if is_tier && raise(&mut at, found, now) {
                let shortest = rules.iter().filter(|rule| rule.level == at.level);
                let shortest = shortest.map(|rule| rule.window.length() / 12).min().unwrap();
                let before = risen.iter().rev().find(|(level, _)| *level == at.level);
                if let Some((level, before)) = before {
                    prop_assert!(now.since(*before) >= shortest, "{level}: {before:?}, {now:?}");
                }
                risen.push((at.level, now));
            } else {
                decay(&at, found, 12, now).apply(&mut at);
            }
        }
    }
}
