//! Recount as the safety net: each part is done whatever becomes of the others, what was lost on the way
//! is found, nothing is done twice over, and one that hangs delays no other.

use std::time::Duration;

use sea_orm::ConnectionTrait as _;
use serde_json::json;
use tocsin::config::Secret;
use tocsin::jobs::{Part, Recount};
use tocsin::store::turns::{self, Begun, Turn};
use tocsin::time::Timestamp;
use tocsin_workers::presence;
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::harness::{Harness, On, alert, firing};
use crate::{on, on_all, on_servers};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);
const SECOND: Duration = Duration::from_secs(1);
/// How many parts had a pass that ended.
const ENDED: &str = "SELECT count(*) FROM marks WHERE name LIKE 'recount %' AND at > 0";
/// All parts but one.
const OTHERS: i64 = Part::ALL.len() as i64 - 1;

impl Harness {
    async fn push_part(&self, part: Part) {
        self.context
            .queues
            .push(&Recount::Part(part))
            .await
            .unwrap();
    }

    /// How many passes there were.
    async fn passes(&self, part: Part) -> u64 {
        let start = format!(
            "tocsin_recount_part_duration_seconds_count{{part=\"{}\"}} ",
            part.name()
        );
        let metrics = self.metrics().await;
        let count = metrics.lines().find_map(|line| line.strip_prefix(&*start));
        count.map_or(0, |count| count.parse().unwrap())
    }

    /// Every part, as it is asked for.
    async fn tick(&self) {
        let (status, answer) = self.post("/api/v1/recount", json!({})).await;
        assert_eq!(status, 202, "{answer}");
        self.drain().await;
    }
}

on!(on_sqlite Sqlite:
    what_a_pass_leaves_is_gone_on_with_before_the_next_tick
);

async fn what_a_pass_leaves_is_gone_on_with_before_the_next_tick(on: On) {
    let h = Harness::start(on).await;
    h.send_and_drain(vec![firing("pod", h.now())]).await;
    let columns =
        "SELECT group_concat(name) FROM pragma_table_info('anomalies') WHERE name <> 'key'";
    let columns = h.sql_text(columns).await;
    // More than one pass ends.
    h.execute(&format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) \
         INSERT INTO anomalies (key, {columns}) SELECT printf('%032x', i), {columns} FROM anomalies, n"
    ))
    .await;
    h.execute("UPDATE anomalies SET muted_until = 1").await;
    h.push_part(Part::Mutes).await;
    h.drain().await;
    let muted = "SELECT count(*) FROM anomalies WHERE muted_until IS NOT NULL";
    assert_eq!((h.sql(muted).await, h.passes(Part::Mutes).await), (0, 2));
    h.finish().await;
}

mod blocked {
    use super::*;

    on_servers! {
        async fn a_part_that_waits_for_a_lock_delays_no_other(on) {
            let h = Harness::start(on).await;
            h.send_and_drain(vec![firing("pod", h.now())]).await;
            h.tick().await;
            h.execute("UPDATE anomalies SET muted_until = 1").await;
            h.execute("UPDATE marks SET at = 0 WHERE name LIKE 'recount %'").await;
            let held = h.context.db.begin().await.unwrap();
            held.execute_unprepared("SELECT 1 FROM anomalies FOR UPDATE").await.unwrap();
            let (status, _) = h.post("/api/v1/recount", json!({})).await;
            assert_eq!(status, 202);
            h.until_blocked_by(&held).await;
            h.until(ENDED, OTHERS).await;
            assert_eq!(h.sql("SELECT at FROM marks WHERE name = 'recount mutes'").await, 0, "it waits");
            held.rollback().await.unwrap();
            h.drain().await;
            assert_eq!(h.sql("SELECT count(*) FROM anomalies WHERE muted_until IS NOT NULL").await, 0);
            h.finish().await;
        }
    }
}

on_all! {
    async fn recount_goes_on_though_one_anomaly_cannot_be_read(on) {
        let h = Harness::start(on).await;
        let crash = |n: u32| (0..n).map(|pod| firing(&format!("pod-{pod}"), h.now())).collect();
        h.send_and_drain(crash(3)).await;
        h.send_and_drain(vec![alert("Other", "1", h.now())]).await;
        h.tick().await;
        assert_eq!(h.sql("SELECT count(*) FROM anomalies WHERE level = 'REPEAT'").await, 1);

        h.advance(2 * DAY);
        h.tick().await;
        assert_eq!(h.sql("SELECT count(*) FROM anomalies WHERE falling_since IS NOT NULL").await, 1);
        h.advance(6 * MINUTE);
        let now = h.now().0;
        h.execute(&format!("UPDATE anomalies SET level = 'NONSENSE', changed_at = {now} \
            WHERE alert_name = 'Other'")).await;
        let late = h.now().before(10 * MINUTE).0;
        h.execute(&format!("UPDATE incidents SET tier_due_since = {late}, tier = NULL WHERE anomaly_key = \
            (SELECT key FROM anomalies WHERE alert_name = 'CrashLooping')")).await;
        h.tick().await;
        assert_eq!(h.sql("SELECT count(*) FROM anomalies WHERE level = 'REPEAT'").await, 0, "it fell");
        assert_eq!(h.sql("SELECT count(*) FROM incidents WHERE tier IS NULL").await, 0, "it was pushed");
        let failed = "tocsin_recount_failures_total{part=\"levels\"} 1";
        let metrics = h.metrics().await;
        assert!(metrics.contains(failed), "{metrics}");
        // Each part is measured by itself, and the others were done.
        let value = |name: &str, part: &str| {
            let start = format!("tocsin_recount_part_{name}{{part=\"{part}\"}} ");
            let line = metrics.lines().find_map(|line| line.strip_prefix(&*start));
            line.and_then(|value| value.parse::<f64>().ok()).unwrap_or(-1.0)
        };
        assert_eq!(value("items_total", "tiers"), 1.0, "{metrics}");
        assert!(value("items_total", "levels") >= 1.0, "{metrics}");
        for part in Part::ALL {
            let ticks = value("duration_seconds_count", part.name());
            assert_eq!(ticks, value("duration_seconds_count", "tiers"), "{part:?}: {metrics}");
            assert!(ticks >= 2.0, "{part:?}: {metrics}");
            assert!(value("done_timestamp_seconds", part.name()) > 0.0, "{part:?}");
        }

        h.execute("UPDATE anomalies SET level = 'NONE' WHERE alert_name = 'Other'").await;
        h.tick().await;
        assert!(h.metrics().await.contains(failed), "nothing failed again");
        h.finish().await;
    }

    async fn recount_raises_a_level_that_is_too_low_and_notifies(on) {
        let h = Harness::start(on).await;
        h.recount().await;
        let pods = (0..5).map(|pod| firing(&format!("pod-{pod}"), h.now())).collect();
        h.send_and_drain(pods).await;
        // As if the worker had died: nothing is marked, and nothing was raised.
        h.execute("UPDATE anomalies SET level = 'NONE', reason = NULL, level_seq = 0").await;
        h.recount().await;
        let level = "SELECT count(*) FROM anomalies WHERE level = 'ESCALATE'";
        assert_eq!(h.sql(level).await, 1);
        h.finish().await;
    }

    async fn passes_that_waited_together_are_one(on) {
        let h = Harness::start(on).await;
        let mark = "SELECT at FROM marks WHERE name = 'recount mutes'";
        h.pause("recount", true).await;
        for _ in 0..3 {
            h.push_part(Part::Mutes).await;
        }
        h.advance(MINUTE);
        let began = h.now();
        h.pause("recount", false).await;
        h.drain().await;
        assert!(h.sql(mark).await >= began.0, "the first of them did it");
        assert_eq!(h.passes(Part::Mutes).await, 1, "the others had nothing to add");
        h.advance(MINUTE);
        h.pause("recount", true).await;
        h.push_part(Part::Mutes).await;
        // Another process did it since that was pushed.
        h.advance(SECOND);
        let later = h.now().0;
        h.execute(&format!("UPDATE marks SET at = {later} WHERE name = 'recount mutes'")).await;
        h.pause("recount", false).await;
        h.drain().await;
        assert_eq!((h.sql(mark).await, h.passes(Part::Mutes).await), (later, 1), "it had nothing to add");
        h.finish().await;
    }

    async fn a_part_that_hangs_delays_no_other_and_runs_once_at_a_time(on) {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", silent.local_addr().unwrap());
        let h = Harness::start_with(on, |config| {
            config.heartbeat.url = Some(Secret::from(&*url));
        }).await;
        presence::pass(&h.context).await.unwrap();
        let (status, _) = h.post("/api/v1/recount", json!({})).await;
        assert_eq!(status, 202);
        let (hanging, _) = silent.accept().await.unwrap();
        h.until(ENDED, OTHERS).await;
        assert_eq!(h.sql("SELECT at FROM marks WHERE name = 'recount heartbeat'").await, 0, "it hangs");
        h.push_part(Part::Heartbeat).await;
        while h.context.queues.store().depth("recount").await.unwrap().delayed == 0 {
            tokio::task::yield_now().await;
        }
        drop(hanging);
        h.until(ENDED, OTHERS + 1).await;
        h.advance(6 * SECOND);
        h.drain().await;
        let metrics = h.metrics().await;
        let failed = "tocsin_recount_failures_total{part=\"heartbeat\"} 1";
        assert!(metrics.contains(failed), "{metrics}");
        h.finish().await;
    }

    async fn a_part_of_a_newer_version_waits_for_it_and_is_no_dead_letter(on) {
        let h = Harness::start(on).await;
        let newer = Recount::Newer("dreams".to_owned());
        h.context.queues.push(&newer).await.unwrap();
        let depth = async || h.context.queues.store().depth("recount").await.unwrap();
        while depth().await.delayed == 0 {
            tokio::task::yield_now().await;
        }
        h.advance(5 * MINUTE);
        while depth().await.delayed == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(depth().await.delayed, 1, "it is offered again");
        h.advance(6 * MINUTE);
        h.drain().await;
        assert_eq!(h.sql("SELECT count(*) FROM dead_letters").await, 0);
        h.finish().await;
    }

    async fn a_turn_is_one_processs_until_it_ends_or_its_time_is_over(on) {
        let h = Harness::start(on).await;
        let db = h.context.db.write();
        let turn = |asked: i64, now: i64| Turn {
            name: "a turn",
            asked_at: Timestamp(asked),
            now: Timestamp(now),
            lasts: SECOND,
            job: Uuid::from_u128(1),
            is_again: false,
        };
        let first = turn(5_000, 10_000);
        let begun = futures::future::join_all((0..10).map(|_| turns::begin(db, &first))).await;
        let begun: Vec<Begun> = begun.into_iter().map(Result::unwrap).collect();
        assert_eq!(begun.iter().filter(|begun| **begun == Begun::Now).count(), 1);
        let held = Begun::Held { since: Timestamp(10_000), until: Timestamp(11_000) };
        assert_eq!(begun.iter().filter(|begun| **begun == held).count(), 9);
        // Its process died. Who comes back late ends nothing.
        let second = turn(10_500, 11_000);
        assert_eq!(turns::begin(db, &second).await.unwrap(), Begun::Now);
        turns::end(db, &first).await.unwrap();
        let third = turn(10_600, 11_500);
        let held = Begun::Held { since: Timestamp(11_000), until: Timestamp(12_000) };
        assert_eq!(turns::begin(db, &third).await.unwrap(), held);
        turns::end(db, &second).await.unwrap();
        assert_eq!(turns::begin(db, &third).await.unwrap(), Begun::Done);
        assert_eq!(turns::begin(db, &turn(11_001, 11_600)).await.unwrap(), Begun::Now);
        // Who had the job let go of it: that it comes again is known before its turn's time is over.
        let again = Turn { is_again: true, ..turn(11_001, 11_700) };
        let other = Turn { job: Uuid::from_u128(2), ..again };
        let held = Begun::Held { since: Timestamp(11_600), until: Timestamp(12_600) };
        assert_eq!(turns::begin(db, &other).await.unwrap(), held);
        assert_eq!(turns::begin(db, &again).await.unwrap(), Begun::Now);
        // The clock went back by an hour since.
        assert_eq!(turns::begin(db, &turn(1_000, 2_000)).await.unwrap(), Begun::Now);
        turns::end(db, &turn(1_000, 2_000)).await.unwrap();
        h.finish().await;
    }

    async fn messages_are_kept_as_long_as_their_incident(on) {
        let h = Harness::start_with(on, |config| {
            config.retention.rest = tocsin::config::Span(30 * DAY);
        }).await;
        let firing = firing("pod", h.now());
        h.send_and_drain(vec![firing.clone()]).await;
        h.advance(31 * DAY);
        h.send_and_drain(vec![firing]).await;
        h.recount().await;
        let opened = "SELECT count(*) FROM notifications WHERE kind = 'opened'";
        assert_eq!(h.sql(opened).await, 1, "the incident is there");
        let told = h.telegram.headlines().len();
        h.execute("UPDATE incidents SET tier_due_since = 1").await;
        h.recount().await;
        assert_eq!(h.telegram.headlines().len(), told, "{:?}", h.telegram.headlines());
        h.finish().await;
    }
}
