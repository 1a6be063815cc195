//! Figures of stores that answer, that do not, and that did.

use super::*;

#[test]
fn it_rests_for_longer_where_looking_takes_long_and_never_for_long() {
    let seconds = Duration::from_secs_f64;
    for (is_measured, took, rests) in [
        (true, 0.01, 5.0),
        (true, 0.5, 10.0),
        (true, 9.0, 30.0),
        (false, 0.01, 5.0),
        (false, 10.0, 5.0),
    ] {
        assert_eq!(rest(is_measured, seconds(took)), seconds(rests), "{took}");
    }
    assert!(
        PATIENCE * 2 + RESTS.1 < GOOD_FOR,
        "none is too old while they are measured"
    );
}

#[test]
fn figures_are_told_for_a_minute_and_their_age_for_ever() {
    let (figures, metrics) = (Figures::default(), Metrics::new());
    let depth = Depth {
        ready: 7,
        ..Depth::default()
    };
    put(&metrics, "ingest", &depth);
    let at = |age: u64| Instant::now().checked_sub(Duration::from_secs(age));
    let is_exported = || {
        metrics
            .encode()
            .contains("tocsin_queue_ready{queue=\"ingest\"} 7")
    };
    let age = || {
        let text = metrics.encode();
        let name = "tocsin_figures_age_seconds{part=\"queue\"} ";
        let age = text.lines().find_map(|line| line.strip_prefix(name));
        age.unwrap().parse::<f64>().unwrap()
    };
    // A computer that started a minute ago has no moment before that.
    let (Some(young), Some(old)) = (at(50), at(61)) else {
        return;
    };
    figures.are_of(FigureStore::Queue, young);
    figures.export(&metrics);
    assert!(is_exported() && (50.0..60.0).contains(&age()), "{}", age());
    figures.are_of(FigureStore::Queue, old);
    figures.export(&metrics);
    assert!(!is_exported() && age() >= 61.0, "{}", age());
    put(&metrics, "ingest", &depth);
    figures.are_of(FigureStore::Queue, Instant::now());
    figures.export(&metrics);
    assert!(is_exported() && age() < 10.0, "{}", age());
}
