use super::*;

/// `figure` firings in a window, with this threshold.
pub(crate) fn count(figure: i64, window: Window, threshold: i64) -> Counted {
    Counted {
        figure,
        unit: Unit::Episode,
        window,
        incidents: None,
        or_more: false,
        threshold,
        spread: None,
    }
}

const LASTS: LevelRule = LevelRule::Lasts(Lasting {
    since: Timestamp(1_795_382_909_102),
    open_for_s: 4 * 3600,
});

#[test]
fn a_level_rule_is_stored_as_json_and_shown_as_a_sentence() {
    let day = |figure, threshold| count(figure, Window::Day, threshold);
    let table = [
        (
            LevelRule::Count(Counted {
                incidents: Some(1),
                ..day(50, 5)
            }),
            r#"{"rule":"count","figure":50,"unit":"episode","window":"24h","incidents":1,"threshold":5}"#,
            "50 firings in 24h in 1 incident (≥ 5)",
        ),
        (
            LevelRule::Count(Counted {
                incidents: Some(15),
                or_more: true,
                spread: Some(3),
                ..day(12, 10)
            }),
            r#"{"rule":"count","figure":12,"unit":"episode","window":"24h","incidents":15,"or_more":true,"threshold":10,"spread":3}"#,
            "12 firings in 24h in 15+ incidents (≥ 10 in 3)",
        ),
        (
            LevelRule::Count(Counted {
                unit: Unit::Delivery,
                ..day(100_000, 5)
            }),
            r#"{"rule":"count","figure":100000,"unit":"delivery","window":"24h","threshold":5}"#,
            "100000+ deliveries in 24h (≥ 5)",
        ),
        (
            LevelRule::Count(Counted {
                unit: Unit::Incident,
                ..day(1, 1)
            }),
            r#"{"rule":"count","figure":1,"unit":"incident","window":"24h","threshold":1}"#,
            "1 incident in 24h (≥ 1)",
        ),
        (
            LASTS,
            r#"{"rule":"lasts","since":"2026-11-22T21:28:29.102Z","open_for_s":14400}"#,
            "fires since 2026-11-22T21:28:29.102Z (≥ 4 h)",
        ),
        (
            LevelRule::Lasts(Lasting {
                since: Timestamp(0),
                open_for_s: 5400,
            }),
            r#"{"rule":"lasts","since":"1970-01-01T00:00:00.000Z","open_for_s":5400}"#,
            "fires since 1970-01-01T00:00:00.000Z (≥ 1.5 h)",
        ),
    ];
    for (rule, row, sentence) in table {
        let reason = Reason::Rule(rule);
        assert_eq!(reason.to_row(), row);
        assert_eq!(LevelReason::of_row(row.to_owned()), reason);
        assert_eq!(reason.to_string(), sentence);
        assert_eq!(serde_json::to_value(&reason).unwrap(), sentence);
    }
}

#[test]
fn a_tier_rule_is_stored_as_json_and_shown_as_a_sentence() {
    let level = Level::PermanentFix;
    let table = [
        (
            TierRule::FixFailed,
            r#"{"rule":"fix_failed"}"#,
            "it happened again after a permanent fix",
        ),
        (
            TierRule::Level { level },
            r#"{"rule":"level","level":"PERMANENT_FIX"}"#,
            "level is PERMANENT_FIX",
        ),
        (
            TierRule::Restarts { restarts: 3 },
            r#"{"rule":"restarts","restarts":3}"#,
            "restarting was tried 3 times in 30 days",
        ),
        (
            TierRule::Restarts { restarts: 100 },
            r#"{"rule":"restarts","restarts":100}"#,
            "restarting was tried 100+ times in 30 days",
        ),
        (
            TierRule::Default,
            r#"{"rule":"default"}"#,
            "nothing calls for more",
        ),
    ];
    for (rule, row, sentence) in table {
        let reason = Reason::Rule(rule);
        assert_eq!(reason.to_row(), row);
        assert_eq!(TierReason::of_row(row.to_owned()), reason);
        assert_eq!(reason.to_string(), sentence);
        assert_eq!(serde_json::to_value(&reason).unwrap(), sentence);
    }
}

#[test]
fn an_unknown_rule_is_shown_as_text() {
    for row in [
        "",
        "7 firings in 24h in 2 incidents (≥ 5)",
        "{",
        r#"{"rule":"of_a_newer_version","figure":1}"#,
        r#"{"rule":"count"}"#,
    ] {
        let reason = LevelReason::of_row(row.to_owned());
        assert_eq!(reason, Reason::Text(row.to_owned()));
        assert_eq!(
            (reason.to_row(), reason.to_string()),
            (row.to_owned(), row.to_owned())
        );
    }
    // A field that a newer version adds to a rule is passed over.
    let newer = r#"{"rule":"restarts","restarts":3,"days":30}"#.to_owned();
    let restarts = TierRule::Restarts { restarts: 3 };
    assert_eq!(TierReason::of_row(newer), Reason::Rule(restarts));
}

#[test]
fn rules_are_known_whatever_their_figures() {
    let rule = |figure, window, threshold, spread| {
        LevelRule::Count(Counted {
            incidents: Some(2),
            spread,
            ..count(figure, window, threshold)
        })
    };
    let newer = rule(9, Window::Day, 5, None);
    assert!(newer.has_rule_of(&LevelRule::Count(count(7, Window::Day, 5))));
    for other in [
        rule(9, Window::Week, 5, None),
        rule(9, Window::Day, 6, None),
        rule(9, Window::Day, 5, Some(5)),
        LASTS,
    ] {
        assert!(!newer.has_rule_of(&other), "{other}");
    }
}
