//! What happens on a real cluster: links that are cut, silences, restarts, clocks that are wrong.
//! Prometheus is played by who posts: it says again and again until when an alert fires, and
//! Alertmanager says by itself that it is over when it hears nothing until then.

use std::time::Duration;

use tocsin::config::Span;
use tocsin::time::Timestamp;

use super::eventually;
use super::server::{Alertmanager, Settings, posted};
use crate::harness::{Harness, On};
use crate::on_all;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const OPEN: &str = "SELECT count(*) FROM incidents WHERE status = 'OPEN'";
const RESOLVED: &str =
    "SELECT count(*) FROM incidents WHERE status = 'RESOLVED' AND resolved_by = 'itself'";
const NAME: &str = "CrashLooping";

/// With windows that end while a test waits.
async fn hasty(on: On, window: Duration, skew: Duration) -> Harness {
    Harness::start_with(on, |config| {
        config.aggregation.window = Span(window);
        config.counting.skew = Span(skew);
    })
    .await
}

impl Harness {
    /// One firing was counted in one incident, and these messages were sent, by what they begin with.
    async fn one_firing_was_counted(self, expected: &[&str]) {
        self.drain().await;
        let incident = self.incident().await;
        assert_eq!(incident["aggregated_count"], 1, "{incident:#}");
        assert_eq!(self.sql("SELECT total FROM anomalies").await, 1);
        let told = self.telegram.headlines();
        assert_eq!(told.len(), expected.len(), "{told:#?}");
        for (told, expected) in told.iter().zip(expected) {
            assert!(told.contains(expected), "{told}");
        }
        self.finish().await;
    }

    async fn deliveries(&self, more: i64) {
        let before = self.sql("SELECT sum(deliveries) FROM occurrences").await;
        let query = format!(
            "SELECT count(*) FROM (SELECT sum(deliveries) AS n FROM occurrences) d WHERE n >= {}",
            before + more
        );
        eventually(self, &query, 1).await;
    }
}

on_all! {
    async fn an_alert_still_firing_after_a_long_prometheus_outage_notifies(on) {
        let h = hasty(on, 3 * SECOND, 60 * SECOND).await;
        let alertmanager = Alertmanager::start(&h, &Settings::default()).await;
        let start = h.now();
        alertmanager.post(&[posted(NAME, "a", start, h.now().after(2 * SECOND))]).await;
        eventually(&h, OPEN, 1).await;
        // It hears nothing, and says that it is over.
        eventually(&h, RESOLVED, 1).await;
        let over = "SELECT count(*) FROM occurrences WHERE end_received_at < ";
        while h.sql(&format!("{over}{}", h.now().before(3 * SECOND).0)).await == 0 {
            tokio::time::sleep(SECOND / 50).await;
        }
        // The link is back: the same firing, under its old start.
        alertmanager.post(&[posted(NAME, "a", start, h.now().after(60 * SECOND))]).await;
        eventually(&h, OPEN, 1).await;
        assert_eq!(h.sql("SELECT reopened FROM incidents").await, 1);
        alertmanager.post(&[posted(NAME, "a", start, h.now())]).await;
        eventually(&h, RESOLVED, 1).await;
        drop(alertmanager);
        h.one_firing_was_counted(&["Opened", "Reopened"]).await;
    }

    async fn an_alert_still_firing_after_a_short_outage_reopens_after_a_window(on) {
        let h = hasty(on, 600 * SECOND, 60 * SECOND).await;
        let settings = Settings { repeat_interval: "1h", ..Settings::default() };
        let alertmanager = Alertmanager::start(&h, &settings).await;
        let start = h.now();
        alertmanager.post(&[posted(NAME, "a", start, h.now().after(2 * SECOND))]).await;
        eventually(&h, OPEN, 1).await;
        eventually(&h, RESOLVED, 1).await;
        // It fires, says Alertmanager once, and then nothing for an hour.
        alertmanager.post(&[posted(NAME, "a", start, h.now().after(HOUR))]).await;
        eventually(&h, "SELECT count(*) FROM incidents WHERE doubted_since IS NOT NULL", 1).await;
        h.recount().await;
        assert_eq!(h.sql(RESOLVED).await, 1);
        h.advance(601 * SECOND);
        h.recount().await;
        assert_eq!(h.sql(OPEN).await, 1);
        assert_eq!(h.sql("SELECT count(*) FROM incidents WHERE doubted_since IS NOT NULL").await, 0);
        alertmanager.post(&[posted(NAME, "a", start, Timestamp::now())]).await;
        eventually(&h, RESOLVED, 1).await;
        drop(alertmanager);
        h.one_firing_was_counted(&["Opened", "Reopened"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_a_pair_that_is_cut_off_does_not_silence_the_other() {
    let h = hasty(On::Sqlite, 3 * SECOND, 60 * SECOND).await;
    // They do not hear of each other either: a pair that does sends no resolve while one of it fires.
    let [cut, other] = [Settings::default(), Settings::default()];
    let (cut, other) = (
        Alertmanager::start(&h, &cut).await,
        Alertmanager::start(&h, &other).await,
    );
    let start = h.now();
    let soon = h.now().after(2 * SECOND);
    cut.post(&[posted(NAME, "a", start, soon)]).await;
    other
        .post(&[posted(NAME, "a", start, h.now().after(HOUR))])
        .await;
    eventually(&h, OPEN, 1).await;
    // The one says that it is over, the other that it fires.
    eventually(&h, RESOLVED, 1).await;
    eventually(&h, OPEN, 1).await;
    h.deliveries(3).await;
    assert_eq!(h.sql(OPEN).await, 1);
    other.post(&[posted(NAME, "a", start, h.now())]).await;
    eventually(&h, RESOLVED, 1).await;
    drop((cut, other));
    h.one_firing_was_counted(&["Opened", "Reopened"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_with_starts_ninety_seconds_apart_are_one_firing_in_either_order() {
    for (first, second) in [(0, 90), (90, 0)] {
        let h = hasty(On::Sqlite, 600 * SECOND, 60 * SECOND).await;
        let alertmanager = Alertmanager::start(&h, &Settings::default()).await;
        let begun = h.now().before(100 * SECOND);
        let later = h.now().after(HOUR);
        for start in [first, second].map(|after| begun.after(SECOND * after)) {
            alertmanager.post(&[posted(NAME, "a", start, later)]).await;
            eventually(
                &h,
                "SELECT count(*) FROM occurrences WHERE ended_at IS NULL",
                1,
            )
            .await;
            h.deliveries(1).await;
        }
        let over = h.now();
        for start in [first, second].map(|after| begun.after(SECOND * after)) {
            alertmanager.post(&[posted(NAME, "a", start, over)]).await;
        }
        eventually(&h, RESOLVED, 1).await;
        assert_eq!(h.sql("SELECT starts_at FROM occurrences").await, begun.0);
        drop(alertmanager);
        h.one_firing_was_counted(&["Opened"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_alertmanager_notifies_nothing_again() {
    let h = hasty(On::Sqlite, 600 * SECOND, 60 * SECOND).await;
    let mut alertmanager = Alertmanager::start(&h, &Settings::default()).await;
    let (start, later) = (h.now(), h.now().after(HOUR));
    alertmanager.post(&[posted(NAME, "a", start, later)]).await;
    eventually(&h, OPEN, 1).await;
    alertmanager.stop();
    alertmanager.restart().await;
    alertmanager.post(&[posted(NAME, "a", start, later)]).await;
    h.deliveries(2).await;
    assert_eq!(h.sql(OPEN).await, 1);
    alertmanager
        .post(&[posted(NAME, "a", start, h.now())])
        .await;
    eventually(&h, RESOLVED, 1).await;
    drop(alertmanager);
    h.one_firing_was_counted(&["Opened"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_whose_clock_is_ahead_and_then_right_silences_nothing() {
    let never = Timestamp::parse("9999-12-31T00:00:00Z").unwrap();
    for wrong in [Timestamp::now().after(8 * HOUR), never] {
        let h = hasty(On::Sqlite, 600 * SECOND, SECOND).await;
        let alertmanager = Alertmanager::start(&h, &Settings::default()).await;
        alertmanager
            .post(&[posted(NAME, "a", wrong, wrong.after(HOUR / 2))])
            .await;
        eventually(&h, OPEN, 1).await;
        h.deliveries(1).await;
        let start = h.now();
        alertmanager
            .post(&[posted(NAME, "a", start, start.after(HOUR))])
            .await;
        h.deliveries(2).await;
        assert_eq!(h.sql(OPEN).await, 1);
        alertmanager
            .post(&[posted(NAME, "a", start, h.now())])
            .await;
        eventually(&h, RESOLVED, 1).await;
        drop(alertmanager);
        h.drain().await;
        assert_eq!(h.incidents().await.len(), 1);
        assert_eq!(h.telegram.taken().len(), 1);
        h.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flap_within_a_group_interval_is_two_firings_of_one_incident() {
    let h = hasty(On::Sqlite, 600 * SECOND, SECOND / 2).await;
    let settings = Settings {
        group_interval: "4s",
        ..Settings::default()
    };
    let alertmanager = Alertmanager::start(&h, &settings).await;
    let first = h.now();
    alertmanager
        .post(&[posted(NAME, "a", first, first.after(HOUR))])
        .await;
    eventually(&h, OPEN, 1).await;
    let over = h.now();
    alertmanager.post(&[posted(NAME, "a", first, over)]).await;
    while h.now() <= over.after(SECOND) {
        tokio::time::sleep(SECOND / 50).await;
    }
    let again = h.now();
    alertmanager
        .post(&[posted(NAME, "a", again, again.after(HOUR))])
        .await;
    // Its resolve was never sent.
    eventually(&h, "SELECT total FROM anomalies", 2).await;
    assert_eq!(h.sql(OPEN).await, 1);
    alertmanager
        .post(&[posted(NAME, "a", again, h.now())])
        .await;
    eventually(&h, RESOLVED, 1).await;
    drop(alertmanager);
    h.drain().await;
    assert_eq!(h.incident().await["aggregated_count"], 2);
    assert_eq!(h.telegram.taken().len(), 1);
    h.finish().await;
}
