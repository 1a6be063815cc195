//! Figures that drift from the rows are reported by name, then repaired; figures that are on
//! their way are not taken for such.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use redis::Commands as _;
use serde_json::{Value, json};
use tocsin::domain::aggregation::Unit;
use tocsin::jobs::Verification;
use tocsin_workers::recount;
use uuid::Uuid;

use crate::harness::{Harness, On, alert, firing, resolved};
use crate::on_all;

const DAY: Duration = Duration::from_secs(86_400);

/// A drift that is planted: how, and what it is reported as: figure, window, stored, expected.
type Plant = (&'static str, &'static str, Value, Value, Value);

impl Harness {
    /// All pages of one comparison: the drifts, as figure, window, stored and expected.
    pub async fn verify(&self, repair: bool) -> BTreeSet<String> {
        let (mut drifts, mut cursor) = (BTreeSet::new(), Value::Null);
        loop {
            let body = json!({"cursor": cursor, "repair": repair});
            let (status, page) = self.post("/api/v1/recount/verify", body).await;
            assert_eq!(status, 200, "{page}");
            let told = page["drifts"].as_array().unwrap();
            let counted: u64 = page["drifted"]
                .as_object()
                .unwrap()
                .values()
                .map(|n| n.as_u64().unwrap())
                .sum();
            assert_eq!(told.len() as u64, counted);
            assert_eq!(page["repaired"], json!(repair && counted > 0));
            for drift in told {
                drifts.insert(shown(
                    &drift["what"],
                    &drift["window"],
                    &drift["stored"],
                    &drift["expected"],
                ));
            }
            cursor = page["next_cursor"].clone();
            if cursor.is_null() {
                return drifts;
            }
        }
    }
}

fn shown(what: &Value, window: &Value, stored: &Value, expected: &Value) -> String {
    format!("{what} {window}: {stored}, not {expected}")
}

on_all! {
    async fn an_alert_hours_late_causes_no_drift_in_other_incidents(on) {
        let h = Harness::start(on).await;
        for pod in ["a", "b"] {
            h.send_and_drain(vec![firing(pod, h.now())]).await;
            h.advance(Duration::from_secs(11 * 60));
        }
        assert_eq!(h.sql("SELECT count(*) FROM incidents WHERE status = 'OPEN'").await, 2);
        h.recount().await;
        assert_eq!(h.verify(false).await, BTreeSet::new());
        // As a dead letter is that somebody replays: received two hours ago, over since.
        let began = h.now().before(Duration::from_secs(2 * 3600));
        h.push_received(vec![firing("late", began)], began).await;
        h.push_received(vec![resolved(firing("late", began), began.after(Duration::from_secs(60)))], began).await;
        assert_eq!(h.sql("SELECT total FROM anomalies").await, 3);
        assert_eq!(h.verify(false).await, BTreeSet::new());
        h.finish().await;
    }

    async fn each_kind_of_drift_is_reported_by_name_and_repaired(on) {
        for unit in [Unit::Episode, Unit::Delivery, Unit::Incident] {
            let h = Harness::start_with(on, |config| config.counting.unit = unit).await;
            let now = h.now();
            h.send_and_drain(vec![firing("a", now), firing("b", now), alert("Other", "c", now)]).await;
            h.send_and_drain(vec![resolved(firing("a", now), now), firing("b", now)]).await;
            assert_eq!(h.verify(false).await, BTreeSet::new(), "{unit:?}");

            let anomaly = "alert_name = 'CrashLooping'";
            let incident = format!("anomaly_key = (SELECT key FROM anomalies WHERE {anomaly})");
            let first = h.sql(&format!("SELECT first_seen FROM anomalies WHERE {anomaly}")).await;
            let seen = tocsin::time::Timestamp(first);
            let total = h.sql(&format!("SELECT total FROM anomalies WHERE {anomaly}")).await;
            let plants: [Plant; 5] = [
                ("anomalies", "total = total + 3", json!("total"), json!(total + 3), json!(total)),
                ("anomalies", "first_seen = first_seen - 1000", json!("first_seen"),
                    json!(tocsin::time::Timestamp(first - 1000)), json!(seen)),
                ("anomalies", "last_seen = NULL", json!("last_seen"), Value::Null, Value::Null),
                ("incidents", "aggregated_count = 9", json!("aggregated_count"), json!(9), json!(2)),
                ("incidents", "open_episodes = -1", json!("open_episodes"), json!(-1), json!(1)),
            ];
            for (table, change, what, stored, expected) in plants {
                let place = if table == "anomalies" { anomaly } else { &incident };
                h.execute(&format!("UPDATE {table} SET {change} WHERE {place}")).await;
                let told = h.verify(false).await;
                assert_eq!(told.len(), 1, "{unit:?} {change}: {told:?}");
                let told_of = told.first().unwrap();
                assert!(told_of.starts_with(&format!("{what} null: {stored}, not ")), "{told_of}");
                if !expected.is_null() {
                    assert_eq!(told_of, &shown(&what, &Value::Null, &stored, &expected));
                }
                assert_eq!(h.verify(true).await, told);
                assert_eq!(h.verify(false).await, BTreeSet::new(), "{change}");
            }

            // What an incident says of its anomaly's windows.
            let stats = match on {
                On::Sqlite => "json_set(frequency_stats, '$.count_24h', 77)",
                On::Postgres | On::Fleet => "jsonb_set(frequency_stats, '{count_24h}', '77')",
            };
            h.execute(&format!("UPDATE incidents SET frequency_stats = {stats} WHERE {incident}")).await;
            let told = h.verify(true).await;
            let expected = shown(&json!("frequency_stats"), &json!("24h"), &json!(77), &json!(total));
            assert_eq!(told, BTreeSet::from([expected]));
            assert_eq!(h.verify(false).await, BTreeSet::new());

            let repairs = "SELECT count(*) FROM audit WHERE action = 'recount.repair'";
            assert_eq!(h.sql(repairs).await, 6);
            h.finish().await;
        }
    }

    async fn rows_that_are_gone_are_missed_and_those_that_were_pruned_are_not(on) {
        let h = Harness::start(on).await;
        let old = firing("old", h.now());
        h.send_and_drain(vec![old.clone(), firing("other", h.now())]).await;
        h.send_and_drain(vec![resolved(old, h.now())]).await;
        h.advance(31 * DAY);
        h.send_and_drain(vec![firing("young", h.now()), firing("younger", h.now())]).await;
        h.recount().await;
        assert_eq!(h.sql("SELECT pruned_total FROM anomalies").await, 2);
        assert_eq!(h.verify(false).await, BTreeSet::new());
        h.execute("DELETE FROM occurrences WHERE fingerprint = 'CrashLooping-younger'").await;
        let told = h.verify(false).await;
        let figures = |told: &BTreeSet<String>| -> BTreeSet<String> {
            told.iter().map(|drift| drift.split(':').next().unwrap().to_owned()).collect()
        };
        let mut expected: BTreeSet<String> =
            ["\"total\" null", "\"aggregated_count\" null", "\"open_episodes\" null"].map(str::to_owned).into();
        for window in ["1h", "24h", "7d", "30d"] {
            expected.insert(format!("\"frequency_stats\" \"{window}\""));
            expected.insert(format!("\"counter\" \"{window}\""));
        }
        assert_eq!(figures(&told), expected, "{told:?}");
        h.verify(true).await;
        assert_eq!(h.verify(false).await, BTreeSet::new());
        assert_eq!(h.incidents().await[0]["frequency_stats"]["count_1h"], 1);
        h.finish().await;
    }

    async fn under_load_nothing_seems_to_drift(on) {
        let h = Harness::start(on).await;
        let began = Instant::now();
        let (load, looks) = tokio::join!(
            async {
                let mut sent = 0;
                while began.elapsed() < Duration::from_secs(3) {
                    let start = h.now();
                    let pods = (0..20).map(|n| alert(&format!("Load{}", n % 5), &format!("{sent}-{n}"), start));
                    let alerts: Vec<Value> = pods.collect();
                    h.send(alerts.clone()).await;
                    h.send(alerts.into_iter().take(7).map(|a| resolved(a, start)).collect()).await;
                    sent += 1;
                }
                sent
            },
            async {
                let mut looks = 0;
                while began.elapsed() < Duration::from_secs(3) {
                    assert_eq!(h.verify(false).await, BTreeSet::new());
                    looks += 1;
                }
                looks
            }
        );
        h.drain().await;
        assert_eq!(h.verify(false).await, BTreeSet::new());
        assert_eq!(h.sql("SELECT count(*) FROM occurrences").await, load * 20);
        assert!(looks > 1, "{looks}");
        h.finish().await;
    }

    async fn hourly_drift_is_in_the_metrics_and_repaired_only_if_configured(on) {
        for repair in [false, true] {
            let h = Harness::start_with(on, |config| config.recount.repair = repair).await;
            h.send_and_drain(vec![firing("a", h.now())]).await;
            h.execute("UPDATE anomalies SET total = 5").await;
            recount::verify(&h.context, Uuid::now_v7(), Verification::default()).await.unwrap();
            assert_eq!(h.metric("tocsin_drift", &["what=\"total\""]).await, 1);
            assert_eq!(h.metric("tocsin_drift", &[]).await, 1);
            assert!(h.metric("tocsin_verified_timestamp_seconds", &[]).await > 0);
            assert_eq!(h.sql("SELECT total FROM anomalies").await, if repair { 1 } else { 5 });
            h.finish().await;
        }
    }

    async fn a_row_that_cannot_be_read_keeps_no_others_from_being_compared(on) {
        let h = Harness::start(on).await;
        h.send_and_drain(vec![firing("a", h.now())]).await;
        // Two pages of anomalies that never fired; one of the first cannot be read, one of the last drifts.
        for key in 0..400 {
            h.execute(&format!("INSERT INTO anomalies (key, alert_name, service, namespace, error_type, \
                total, newest_number) VALUES ('g{key:03}', 'Never', 's', 'n', '', 0, 0)")).await;
        }
        h.execute("UPDATE anomalies SET level = 'NONSENSE' WHERE key = 'g010'").await;
        h.execute("UPDATE anomalies SET total = 3 WHERE key = 'g390'").await;
        recount::verify(&h.context, Uuid::now_v7(), Verification::default()).await.unwrap();
        assert_eq!(h.metric("tocsin_drift", &["what=\"total\""]).await, 1);
        h.execute("DELETE FROM anomalies WHERE alert_name = 'Never'").await;
        h.finish().await;
    }

    async fn a_comparison_goes_on_where_it_was_left(on) {
        let h = Harness::start(on).await;
        h.send_and_drain(vec![firing("a", h.now())]).await;
        h.execute("INSERT INTO anomalies (key, alert_name, service, namespace, error_type, total, \
            newest_number) VALUES ('g', 'Never', 's', 'n', '', 3, 0)").await;
        h.execute("UPDATE anomalies SET total = 5 WHERE alert_name <> 'Never'").await;
        let rest = Verification { after: "f~".to_owned(), ..Verification::default() };
        recount::verify(&h.context, Uuid::now_v7(), rest).await.unwrap();
        assert_eq!(h.metric("tocsin_drift", &["what=\"total\""]).await, 1, "the first is not of the rest");
        h.execute("DELETE FROM anomalies WHERE alert_name = 'Never'").await;
        h.finish().await;
    }

    async fn a_comparison_waits_for_alerts_an_hour_and_then_goes_on_in_small_steps(on) {
        let h = Harness::start_with(on, |config| {
            config.ingest.batch = 1;
            config.recount.repair = true;
        }).await;
        h.send_and_drain(vec![firing("a", h.now())]).await;
        for key in 0..200 {
            h.execute(&format!("INSERT INTO anomalies (key, alert_name, service, namespace, error_type, \
                total, newest_number) VALUES ('g{key:03}', 'Never', 's', 'n', '', 3, 0)")).await;
        }
        h.execute("UPDATE anomalies SET total = 5 WHERE alert_name <> 'Never'").await;
        h.pause("ingest", true).await;
        h.send(["b", "c", "d"].map(|pod| firing(pod, h.now())).into()).await;
        let put_off = async || h.context.queues.store().depth("recount").await.unwrap().delayed;
        let right = "SELECT count(*) FROM anomalies WHERE total < 3";

        let first = Uuid::now_v7();
        recount::verify(&h.context, first, Verification::default()).await.unwrap();
        assert_eq!((put_off().await, h.sql(right).await), (1, 0));
        assert_eq!(h.metric("tocsin_verification_deferred_total", &[]).await, 1);
        // The next hour's does not begin while this one waits.
        recount::verify(&h.context, Uuid::now_v7(), Verification::default()).await.unwrap();
        assert_eq!((put_off().await, h.sql(right).await), (1, 0));
        assert_eq!(h.metric("tocsin_verification_deferred_total", &[]).await, 1);

        let waits_since = Some(h.now().before(Duration::from_secs(3600)));
        let late = Verification { first: Some(first), waits_since, ..Verification::default() };
        recount::verify(&h.context, Uuid::now_v7(), late).await.unwrap();
        assert_eq!((put_off().await, h.sql(right).await), (2, 200), "it compared one page");
        assert_eq!(h.metric("tocsin_verification_deferred_total", &[]).await, 1);
        assert_eq!(h.metric("tocsin_verified_timestamp_seconds", &[]).await, 0);

        h.pause("ingest", false).await;
        h.until("SELECT count(*) FROM occurrences", 4).await;
        h.advance(Duration::from_secs(60));
        h.drain().await;
        assert_eq!(h.sql(right).await, 200);
        assert!(h.metric("tocsin_verified_timestamp_seconds", &[]).await > 0);
        // It is over: another one begins.
        h.execute("UPDATE anomalies SET total = 5 WHERE key = 'g001'").await;
        recount::verify(&h.context, Uuid::now_v7(), Verification::default()).await.unwrap();
        assert_eq!(h.sql(right).await, 200);
        assert_eq!(h.metric("tocsin_drift", &["what=\"total\""]).await, 1);
        h.execute("DELETE FROM anomalies WHERE alert_name = 'Never'").await;
        h.finish().await;
    }

    async fn recount_can_be_asked_for(on) {
        let h = Harness::start(on).await;
        h.send_and_drain(vec![firing("a", h.now())]).await;
        h.advance(2 * DAY);
        let (status, pushed) = h.post("/api/v1/recount", json!({})).await;
        assert_eq!(status, 202, "{pushed}");
        h.drain().await;
        assert_eq!(h.incident().await["frequency_stats"]["count_24h"], 0);
        assert_eq!(h.sql("SELECT count(*) FROM audit WHERE action = 'recount.push'").await, 1);
        h.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn drift_of_the_redis_counter_is_reported_and_rebuilt() {
    let h = Harness::start(On::Fleet).await;
    let now = h.now();
    h.send_and_drain(vec![firing("a", now), firing("b", now), firing("c", now)])
        .await;
    let key = h.get("/api/v1/anomalies").await["items"][0]["key"].clone();
    let set = format!(
        "{}:count:episode:{}",
        h.context.config.redis_prefix,
        key.as_str().unwrap()
    );
    let url = h.context.config.redis_url.as_ref().unwrap().expose();
    let mut redis = redis::Client::open(url).unwrap().get_connection().unwrap();
    let told = |stored: i64, windows: &[&str]| -> BTreeSet<String> {
        let drift =
            |window: &&str| shown(&json!("counter"), &json!(window), &json!(stored), &json!(3));
        windows.iter().map(drift).collect()
    };

    let members: Vec<Vec<u8>> = redis.zrangebyscore(&set, 0, "+inf").unwrap();
    let _: i64 = redis.zrem(&set, &members[0]).unwrap();
    let all = ["1h", "24h", "7d", "30d"];
    assert_eq!(h.verify(false).await, told(2, &all));
    assert_eq!(h.verify(true).await, told(2, &all));
    assert_eq!(h.verify(false).await, BTreeSet::new());

    let yesterday = now.before(DAY / 2).0;
    let _: i64 = redis
        .zadd(&set, Uuid::now_v7().as_bytes(), yesterday)
        .unwrap();
    assert_eq!(h.verify(true).await, told(4, &all[1..]));
    assert_eq!(h.verify(false).await, BTreeSet::new());

    // A set that is gone is no drift: it is built when it is asked for.
    let _: i64 = redis.del(&set).unwrap();
    assert_eq!(h.verify(false).await, BTreeSet::new());
    h.finish().await;
}
