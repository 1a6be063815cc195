//! Replays: done once, counted once, at the time of receipt.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};
use tocsin::store::dead_letters::{Decision, Edit, decide};

use super::{COUNTED, CURSED, DAY, LETTERS, id};
use crate::harness::{Harness, alert};
use crate::on_all;

const MINUTE: Duration = Duration::from_secs(60);

/// Of each incident: name, episodes, counted in a day, counted in a week.
async fn counts(h: &Harness) -> Vec<Value> {
    let mut incidents = h.incidents().await;
    incidents.sort_by_key(|incident| incident["alert_name"].to_string());
    let facts = |i: &Value| {
        let stats = &i["frequency_stats"];
        json!([
            i["alert_name"],
            i["aggregated_count"],
            stats["count_24h"],
            stats["count_7d"]
        ])
    };
    incidents.iter().map(facts).collect()
}

on_all! {
    async fn jobs_failed_by_a_faulty_version_succeed_on_replay_by_the_fixed_one(on) {
        let mut h = Harness::without_workers(on, |_| {}).await;
        h.work_badly();
        let received = h.now();
        let pods = |name: &str, n: usize| -> Vec<_> {
            (0..n).map(|pod| alert(name, &pod.to_string(), received)).collect()
        };
        h.send([pods(CURSED, 20), pods("Healthy", 20), pods(COUNTED, 5)].concat()).await;
        h.drain_retries().await;
        assert_eq!(counts(&h).await, [json!([COUNTED, 5, 5, 5]), json!(["Healthy", 20, 20, 20])]);
        let cursed = h.letters("queue=ingest&reason=NO+rule").await;
        assert_eq!(cursed.len(), 20);
        assert_eq!(cursed[0]["reason"], "failed 10 times, the last time: no rule for \"alertmanager\"");
        let one = h.get(&format!("{LETTERS}/{}", id(&cursed[0]))).await;
        assert_eq!(one["payload"]["content"]["alert"]["labels"]["alertname"], CURSED);
        let attempts = one["errors"].as_array().unwrap();
        assert_eq!((attempts.len(), &one["attempts"]), (10, &json!(10)));
        assert!(attempts.iter().all(|a| a["error"] == "no rule for \"alertmanager\"" && a["at"].is_string()));
        let metrics = h.metrics().await;
        assert!(metrics.contains("tocsin_dead_letters{queue=\"ingest\"} 25"), "{metrics}");
        assert!(metrics.contains("tocsin_dead_letters{queue=\"tier\"} 0"));
        let told = h.telegram.taken().len();

        h.advance(DAY);
        let mut runs = h.work_well().await;
        let filter = json!({"queue": "ingest", "reason": "no rule", "since": "2d", "operator": "ann"});
        let (status, done) = h.post(&format!("{LETTERS}/replay"), filter.clone()).await;
        assert_eq!((status, &done["changed"], &done["more"]), (200, &json!(20), &json!(false)), "{done}");
        let (_, again) = h.post(&format!("{LETTERS}/replay"), filter).await;
        assert_eq!(again["changed"], 0, "{again}");
        let (_, rest) = h.post(&format!("{LETTERS}/replay"), json!({"all": true})).await;
        assert_eq!(rest["changed"], 5, "{rest}");
        h.drain().await;
        assert_eq!(runs.load(Ordering::SeqCst), 25, "each once");
        h.recount().await;
        // What was received a day ago counts a day ago, and what was counted already counts no more.
        assert_eq!(counts(&h).await, [
            json!([COUNTED, 5, 0, 5]), json!([CURSED, 20, 0, 20]), json!(["Healthy", 20, 0, 20]),
        ]);
        assert_eq!(h.sql("SELECT CAST(sum(total) AS bigint) FROM anomalies").await, 45);
        let at = format!("SELECT count(*) FROM occurrences WHERE occurred_at BETWEEN {} AND {}", received.0, received.0 + 5000);
        assert_eq!(h.sql(&at).await, 45);
        assert_eq!(h.telegram.taken().len(), told + 1, "only the incident that is new is told");
        let metrics = h.metrics().await;
        assert!(metrics.contains("tocsin_dead_letters{queue=\"ingest\"} 0"));
        assert!(metrics.contains("tocsin_dead_letters_decided_total{queue=\"ingest\",decision=\"replayed\"} 25"));
        let owed = "SELECT count(*) FROM dead_letters WHERE state <> 'replayed' OR push_owed_since IS NOT NULL";
        assert_eq!(h.sql(owed).await, 0);

        // A copy that somebody who died had left over is not run beside what was replayed.
        runs = h.work_well().await;
        h.push_again_under_its_first_number(&one).await;
        h.drain().await;
        assert_eq!(runs.load(Ordering::SeqCst), 0);
        h.finish_with_dead_letters().await;
    }

    async fn a_replay_whose_push_was_lost_is_pushed_by_recount(on) {
        let mut h = Harness::without_workers(on, |_| {}).await;
        h.work_badly();
        h.send(vec![alert(COUNTED, "a", h.now())]).await;
        h.drain().await;
        let letter = h.letter().await;
        let runs = h.work_well().await;
        let (db, now) = (h.context.db.write(), h.now());
        let job = id(&letter).parse().unwrap();
        decide(db, job, Decision::Replay, Edit::default(), "ann", now).await.unwrap().unwrap();
        h.recount().await;
        assert_eq!(runs.load(Ordering::SeqCst), 0, "whoever replays it may be about to push it");
        h.advance(2 * MINUTE);
        h.recount().await;
        assert_eq!(runs.load(Ordering::SeqCst), 1);
        assert_eq!(h.letter().await["push_owed_since"], json!(null));
        h.advance(2 * MINUTE);
        h.recount().await;
        assert_eq!(runs.load(Ordering::SeqCst), 1, "nothing is owed any more");

        // Pushed, and nobody lived to note it: while it is queued it is not queued twice.
        let store = h.context.queues.store();
        store.set_paused("ingest", true).await.unwrap();
        h.execute("UPDATE dead_letters SET state = 'dead'").await;
        assert_eq!(h.replay(id(&letter), json!({})).await.1["replay"], 2);
        h.execute(&format!("UPDATE dead_letters SET push_owed_since = {}", h.now().0)).await;
        h.advance(2 * MINUTE);
        tocsin_workers::recount::push_overdue(&h.context, false).await.unwrap();
        store.set_paused("ingest", false).await.unwrap();
        h.drain().await;
        assert_eq!(runs.load(Ordering::SeqCst), 2);
        h.finish_with_dead_letters().await;
    }

    async fn a_message_that_was_given_up_is_sent_when_it_is_replayed_and_a_sent_one_is_not(on) {
        let mut h = Harness::start(on).await;
        let blocked = json!({"ok": false, "error_code": 403, "description": "Forbidden: bot was blocked"});
        h.telegram.answer_next(403, blocked);
        h.send_and_drain(vec![alert("A", "a", h.now())]).await;
        assert!(h.telegram.taken().is_empty());
        let letter = h.letter().await;
        assert_eq!(letter["queue"], "notify");
        for _ in 0..2 {
            let (status, _) = h.replay(id(&letter), json!({})).await;
            assert_eq!(status, 200);
            h.drain().await;
            assert_eq!(h.telegram.taken().len(), 1);
            // As if it had died after it was sent.
            h.execute("UPDATE dead_letters SET state = 'dead'").await;
        }
        assert_eq!(h.sql("SELECT count(*) FROM notifications WHERE state = 'sent' AND error IS NULL").await, 1);
        h.finish_with_dead_letters().await;
    }
}
