use std::time::Duration;

use chrono::Timelike as _;
use proptest::prelude::*;

use super::*;

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn weekly(days: &[Day], from: &str, to: &str, zone: &str) -> Weekly {
    Weekly {
        days: days.to_vec(),
        from: Hour::read(from).unwrap(),
        to: Hour::read(to).unwrap(),
        zone: Zone::read(zone).unwrap(),
    }
}

fn of_week(weekly: &Weekly) -> Schedule<'_> {
    Schedule {
        starts_at: Timestamp(0),
        ends_at: None,
        weekly: Some(weekly),
    }
}

/// Since when and until when a window of every week holds, at a moment or next.
fn next(weekly: &Weekly, now: &str) -> (Timestamp, Timestamp) {
    let found = of_week(weekly).next(at(now)).unwrap();
    (found.since, found.until)
}

#[test]
fn one_that_is_planned_once_holds_from_its_start_until_before_its_end() {
    let schedule = Schedule {
        starts_at: Timestamp(1_000),
        ends_at: Some(Timestamp(2_000)),
        weekly: None,
    };
    for (now, holds, is_ahead) in [
        (999, false, true),
        (1_000, true, true),
        (1_999, true, true),
        (2_000, false, false),
    ] {
        let found = schedule.next(Timestamp(now));
        assert_eq!(found.is_some(), is_ahead, "{now}");
        assert_eq!(
            found.is_some_and(|o| o.holds(Timestamp(now))),
            holds,
            "{now}"
        );
    }
}

#[test]
fn one_over_midnight_belongs_to_the_day_on_which_it_begins() {
    let nights = weekly(&[Day::Sat], "22:00", "02:00", "Asia/Taipei");
    // 2026-12-05 is a Saturday; Taipei is 8 hours ahead.
    let expected = (at("2026-12-05T14:00:00Z"), at("2026-12-05T18:00:00Z"));
    for now in [
        "2026-12-01T00:00:00Z",
        "2026-12-05T14:00:00Z",
        "2026-12-05T17:59:59Z",
    ] {
        assert_eq!(next(&nights, now), expected, "{now}");
    }
    let later = (at("2026-12-12T14:00:00Z"), at("2026-12-12T18:00:00Z"));
    assert_eq!(next(&nights, "2026-12-05T18:00:00Z"), later);
}

#[test]
fn it_follows_the_clocks_of_its_zone() {
    // Berlin puts clocks forward on 2026-03-29 from 02:00 to 03:00, and back on 2026-10-25 from 03:00 to 02:00.
    let sundays = |from, to| weekly(&[Day::Sun], from, to, "Europe/Berlin");
    for (from, to, now, since, until) in [
        (
            "01:00",
            "04:00",
            "2026-03-28T00:00:00Z",
            "2026-03-29T00:00:00Z",
            "2026-03-29T02:00:00Z",
        ),
        // Nothing shows 02:30: both are the moment at which clocks are put forward.
        (
            "02:30",
            "04:00",
            "2026-03-28T00:00:00Z",
            "2026-03-29T01:00:00Z",
            "2026-03-29T02:00:00Z",
        ),
        (
            "01:00",
            "02:30",
            "2026-03-28T00:00:00Z",
            "2026-03-29T00:00:00Z",
            "2026-03-29T01:00:00Z",
        ),
        // One that is within the gap is not at all in that week.
        (
            "02:15",
            "02:45",
            "2026-03-28T00:00:00Z",
            "2026-04-05T00:15:00Z",
            "2026-04-05T00:45:00Z",
        ),
        (
            "01:00",
            "04:00",
            "2026-10-24T00:00:00Z",
            "2026-10-24T23:00:00Z",
            "2026-10-25T03:00:00Z",
        ),
        // 02:30 is there twice: the first counts.
        (
            "01:00",
            "02:30",
            "2026-10-24T00:00:00Z",
            "2026-10-24T23:00:00Z",
            "2026-10-25T00:30:00Z",
        ),
    ] {
        let found = next(&sundays(from, to), now);
        assert_eq!(found, (at(since), at(until)), "{from} to {to}");
    }
}

#[test]
fn it_holds_only_between_its_start_and_its_end() {
    let daily = weekly(&Day::ALL, "10:00", "12:00", "UTC");
    let schedule = Schedule {
        starts_at: at("2026-12-05T11:00:00Z"),
        ends_at: Some(at("2026-12-06T11:00:00Z")),
        weekly: Some(&daily),
    };
    let next = |now| schedule.next(at(now)).map(|o| (o.since, o.until));
    let first = (at("2026-12-05T11:00:00Z"), at("2026-12-05T12:00:00Z"));
    let last = (at("2026-12-06T10:00:00Z"), at("2026-12-06T11:00:00Z"));
    assert_eq!(next("2026-12-01T00:00:00Z"), Some(first));
    assert_eq!(next("2026-12-05T12:00:00Z"), Some(last));
    assert_eq!(next("2026-12-06T11:00:00Z"), None);
}

#[test]
fn what_can_never_hold_is_refused() {
    let now = at("2026-12-01T00:00:00Z");
    let (hour, day) = (Duration::from_secs(3600), Duration::from_secs(86_400));
    let wrong = |starts_at, ends_at, weekly| {
        let schedule = Schedule {
            starts_at,
            ends_at,
            weekly,
        };
        schedule.check(now).err().map(|(field, _)| field)
    };
    assert_eq!(wrong(now, Some(now.after(hour)), None), None);
    assert_eq!(wrong(now, None, None), Some("ends_at"));
    assert_eq!(wrong(now, Some(now), None), Some("ends_at"));
    assert_eq!(
        wrong(now.after(hour), Some(now.after(hour / 2)), None),
        Some("ends_at")
    );
    assert_eq!(
        wrong(now.before(day), Some(now.before(hour)), None),
        Some("ends_at")
    );
    assert_eq!(wrong(now, Some(now.after(31 * day)), None), Some("ends_at"));
    let saturdays = weekly(&[Day::Sat], "10:00", "12:00", "UTC");
    assert_eq!(wrong(now, None, Some(&saturdays)), None);
    assert_eq!(
        wrong(now, Some(now.after(90 * day)), Some(&saturdays)),
        None
    );
    // It is a Tuesday.
    assert_eq!(
        wrong(now, Some(now.after(2 * day)), Some(&saturdays)),
        Some("ends_at")
    );
    let (no_day, no_time) = (
        weekly(&[], "10:00", "12:00", "UTC"),
        weekly(&[Day::Sat], "10:00", "10:00", "UTC"),
    );
    assert_eq!(wrong(now, None, Some(&no_day)), Some("weekly.days"));
    assert_eq!(wrong(now, None, Some(&no_time)), Some("weekly.to"));
}

#[test]
fn a_window_is_about_the_anomalies_that_all_its_matchers_name() {
    let list = |texts: &[&str]| {
        List(
            texts
                .iter()
                .map(|text| Pattern((*text).to_owned()))
                .collect(),
        )
    };
    let matchers = Matchers {
        service: list(&["checkout*", "cart"]),
        namespace: list(&["prod"]),
        alert_name: List::default(),
    };
    let matches = |service, namespace| {
        matchers.matches(Names {
            service,
            namespace,
            alert_name: "Any",
        })
    };
    assert!(matches("checkout-api", "prod") && matches("cart", "prod"));
    assert!(!matches("cart-api", "prod") && !matches("cart", "stage"));
    assert_eq!(matchers.check(), Ok(()));
    assert!(Matchers::default().check().is_err());
    for texts in [&["" as &str][..], &["a\0"], &["x"; 51]] {
        let matchers = Matchers {
            alert_name: list(texts),
            ..Matchers::default()
        };
        let found = matchers.check().err().map(|(field, _)| field);
        assert_eq!(found, Some("alert_name"));
    }
}

#[test]
fn an_unknown_zone_is_refused_with_the_near_one() {
    let refused = |name| Zone::read(name).unwrap_err();
    assert!(refused("Europe/Berln").ends_with("such as Europe/Berlin"));
    assert!(refused("asia/taipei").ends_with("such as Asia/Taipei"));
    assert!(refused("Nowhere").ends_with("such as Asia/Taipei"));
}

proptest! {
    #[test]
    fn it_never_holds_outside_of_its_times(
        minutes in 0i64..2_000_000,
        from in 0u32..1440,
        to in 0u32..1440,
        days in proptest::sample::subsequence(Day::ALL.to_vec(), 1..=7),
        zone in proptest::sample::select(vec!["Asia/Taipei", "UTC", "Asia/Kathmandu", "America/Phoenix"]),
    ) {
        prop_assume!(from != to);
        let clock = |minutes: u32| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        let weekly = weekly(&days, &clock(from), &clock(to), zone);
        let now = Timestamp(1_767_225_600_000 + minutes * 60_000);
        let shown = DateTime::from_timestamp_millis(now.0).unwrap().with_timezone(&weekly.zone.0);
        let minute = shown.hour() * 60 + shown.minute();
        let (today, before) = (Day::of(shown.weekday()), Day::of(shown.weekday().pred()));
        let begun = |day| days.contains(&day);
        let expected = match from < to {
            true => begun(today) && (from..to).contains(&minute),
            false => (begun(today) && minute >= from) || (begun(before) && minute < to),
        };
        let found = of_week(&weekly).next(now).unwrap();
        prop_assert_eq!(found.holds(now), expected);
        // What is next is ahead, and within a week and a day.
        prop_assert!(found.until > now && found.since.0 - now.0 <= 7 * 86_400_000);
    }

    #[test]
    fn where_clocks_change_it_holds_for_no_more_than_an_hour_longer(
        minutes in 0i64..600_000,
        from in 0u32..1440,
        to in 0u32..1440,
        zone in proptest::sample::select(vec!["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]),
    ) {
        prop_assume!(from != to);
        let clock = |minutes: u32| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        let weekly = weekly(&Day::ALL, &clock(from), &clock(to), zone);
        let now = Timestamp(1_767_225_600_000 + minutes * 60_000);
        let found = of_week(&weekly).next(now).unwrap();
        let lasts = (found.until.0 - found.since.0) / 60_000;
        let expected = i64::from((to + 1440 - from) % 1440);
        prop_assert!((lasts - expected).abs() <= 60, "{} instead of {} min", lasts, expected);
    }
}
