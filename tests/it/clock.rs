//! A clock that was ahead for a while: of the database, of Redis, of the process on SQLite. Here all of them
//! are moved together.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;
use tocsin::store::notifications;
use tocsin_workers::clock;

use crate::harness::{Harness, alert, firing};
use crate::on_all;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

impl Harness {
    async fn look_at_the_clock(&self) {
        clock::pass(&self.context).await.unwrap();
    }

    async fn in_the_last_hour(&self, key: &str) -> i64 {
        let counts = self
            .context
            .counter
            .counts(&[key.to_owned()], self.now())
            .await;
        counts.unwrap()[0].hour
    }

    /// What the schedule pushes once a minute is done.
    async fn recount_as_scheduled(&self) {
        let (status, _) = self.post("/api/v1/recount", json!({})).await;
        assert_eq!(status, 202);
        self.drain().await;
    }

    /// The clock is ahead by this from now on.
    async fn put_ahead(&self, by: Duration) {
        self.look_at_the_clock().await;
        self.advance(by);
        self.look_at_the_clock().await;
    }

    /// Drains, while the clock is looked at all the time.
    async fn drain_under_a_kept_clock(&self) {
        let is_over = AtomicBool::new(false);
        let draining = async {
            self.drain().await;
            is_over.store(true, Ordering::Relaxed);
        };
        let looking = async {
            while !is_over.load(Ordering::Relaxed) {
                tokio::time::sleep(Duration::from_millis(100)).await;
                self.look_at_the_clock().await;
            }
        };
        tokio::join!(draining, looking);
    }

    /// It is right again, and that is noticed.
    async fn put_right(&self, ahead: Duration) {
        self.context.clock.put_back(ahead);
        self.look_at_the_clock().await;
    }

    /// Rows of these that lie further ahead than a lease may.
    async fn ahead(&self, table: &str, columns: &[&str]) -> i64 {
        let edge = self.now().after(MINUTE).0;
        let is_ahead: Vec<String> = columns.iter().map(|c| format!("{c} > {edge}")).collect();
        let sql = format!(
            "SELECT count(*) FROM {table} WHERE {}",
            is_ahead.join(" OR ")
        );
        self.sql(&sql).await
    }
}

on_all! {
    async fn work_dated_by_a_clock_ahead_is_done_and_corrected(on) {
        let h = Harness::start(on).await;
        for ahead in [HOUR, 24 * HOUR] {
            let (name, told) = (format!("Ahead{}", ahead.as_secs()), h.telegram.messages().len());
            h.put_ahead(ahead).await;
            h.pause("notify", true).await;
            h.send(vec![alert(&name, "a", h.now())]).await;
            h.until(&format!("SELECT count(*) FROM notifications n JOIN incidents i ON i.id = n.incident_id \
                              JOIN anomalies a ON a.key = i.anomaly_key WHERE a.alert_name = '{name}'"), 1).await;
            h.pause("ingest", true).await;
            h.pause("tier", true).await;
            h.send(vec![alert(&name, "b", h.now())]).await;
            h.put_right(ahead).await;
            for queue in ["ingest", "tier", "notify"] {
                h.pause(queue, false).await;
            }
            // What was begun by the clock that was ahead may end only now.
            h.drain_under_a_kept_clock().await;
            assert_eq!(h.telegram.messages().len(), told + 1, "{name} is told");
            for (table, columns) in [
                ("incidents", &["opened_at", "aggregation_window_start", "last_firing_at", "updated_at"][..]),
                ("occurrences", &["starts_at", "occurred_at", "last_seen_at"]),
                ("anomalies", &["first_seen", "last_seen"]),
                ("notifications", &["owed_since", "sent_at"]),
                ("marks", &["at"]),
            ] {
                assert_eq!(h.ahead(table, columns).await, 0, "{table} after {ahead:?}");
            }
            // Both are in the last hour, and not in it for as long as the clock was ahead.
            let key = h.sql_text(&format!("SELECT key FROM anomalies WHERE alert_name = '{name}'")).await;
            assert_eq!(h.in_the_last_hour(&key).await, 2);
            h.advance(HOUR + MINUTE);
            assert_eq!(h.in_the_last_hour(&key).await, 0);
            // Its incident is not joined any more.
            h.send_and_drain(vec![alert(&name, "c", h.now())]).await;
            let found = format!("SELECT newest_number FROM anomalies WHERE alert_name = '{name}'");
            assert_eq!(h.sql(&found).await, 2);
        }
        h.finish().await;
    }

    async fn a_notification_dated_ahead_is_pushed_for_the_end_of_the_settling_time(on) {
        let h = Harness::start(on).await;
        h.pause("notify", true).await;
        h.send(vec![firing("a", h.now())]).await;
        h.until("SELECT count(*) FROM notifications", 1).await;
        let ahead = h.now().after(HOUR).0;
        h.execute(&format!("UPDATE notifications SET owed_since = {ahead}")).await;
        let incident = serde_json::from_value(h.incident().await["id"].clone()).unwrap();
        let (db, settle) = (h.context.db.read(), MINUTE / 2);
        let due = notifications::pending(db, &h.context.clock, &[incident], settle).await.unwrap();
        assert_eq!(due[0].after, settle);
        h.execute("UPDATE notifications SET owed_since = 0").await;
        h.pause("notify", false).await;
        h.until("SELECT count(*) FROM notifications WHERE state = 'sent'", 1).await;
        h.finish().await;
    }

    async fn late_writes_of_a_clock_ahead_are_corrected_too(on) {
        let h = Harness::start(on).await;
        h.put_ahead(HOUR).await;
        h.pause("notify", true).await;
        h.put_right(HOUR).await;
        let sent = "SELECT count(*) FROM notifications WHERE state = 'sent'";
        h.send(vec![firing("a", h.now())]).await;
        h.until("SELECT count(*) FROM notifications", 1).await;
        // As if it had been written by the clock of before; what waits for a good reason goes on waiting.
        let owed_since = h.now().after(HOUR - MINUTE / 2).0;
        h.execute(&format!("UPDATE notifications SET owed_since = {owed_since}")).await;
        let paused_until = h.now().after(10 * MINUTE).0;
        h.execute(&format!("INSERT INTO channels (channel, paused_until) VALUES ('another', {paused_until})")).await;
        h.look_at_the_clock().await;
        assert_eq!(h.ahead("notifications", &["owed_since"]).await, 0);
        assert_eq!(h.sql("SELECT paused_until FROM channels WHERE channel = 'another'").await, paused_until);
        h.pause("notify", false).await;
        h.until(sent, 1).await;
        h.advance(2 * MINUTE);
        h.execute(&format!("UPDATE notifications SET owed_since = {owed_since}")).await;
        h.look_at_the_clock().await;
        assert_eq!(h.ahead("notifications", &["owed_since"]).await, 1, "that is over");
        h.finish().await;
    }

    async fn a_mute_that_was_set_meanwhile_lasts_as_long_as_it_was_meant_to(on) {
        let h = Harness::start(on).await;
        h.send_and_drain(vec![firing("a", h.now())]).await;
        let key = h.incident().await["anomaly_key"].as_str().unwrap().to_owned();
        h.put_ahead(8 * HOUR).await;
        let (status, _) = h.post(&format!("/api/v1/anomalies/{key}/mute"), json!({"for": "2h"})).await;
        assert_eq!(status, 200);
        h.put_right(8 * HOUR).await;
        let until = format!("SELECT muted_until - {} FROM anomalies", h.now().0);
        let left = h.sql(&until).await;
        // How far the clock was ahead is known as well as it was looked at.
        assert!((7_100_000..=7_205_000).contains(&left), "{left} ms");
        h.finish().await;
    }

    async fn a_pause_that_was_noted_meanwhile_ends_in_time(on) {
        let h = Harness::start(on).await;
        h.send_and_drain(vec![firing("a", h.now())]).await;
        h.put_ahead(8 * HOUR).await;
        let until = h.now().after(3 * Duration::from_secs(1)).0;
        h.execute(&format!("UPDATE channels SET paused_until = {until}")).await;
        h.put_right(8 * HOUR).await;
        h.advance(10 * MINUTE);
        h.send_and_drain(vec![firing("b", h.now())]).await;
        assert_eq!(h.telegram.messages().len(), 2);
        h.finish().await;
    }

    async fn no_firing_expires_until_the_clock_was_right_for_an_hour(on) {
        let h = Harness::start(on).await;
        h.look_at_the_clock().await;
        h.send_and_drain(vec![firing("a", h.now())]).await;
        h.advance(50 * HOUR);
        h.look_at_the_clock().await;
        for minutes in [0, 29, 29] {
            h.advance(minutes * MINUTE);
            h.look_at_the_clock().await;
            h.recount_as_scheduled().await;
            assert_eq!(h.incident().await["status"], json!("OPEN"));
        }
        h.advance(29 * MINUTE);
        h.look_at_the_clock().await;
        h.recount_as_scheduled().await;
        assert_eq!(h.incident().await["resolved_by"], json!("unseen"));
        h.finish().await;
    }
}
