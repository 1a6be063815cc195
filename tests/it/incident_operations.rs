//! Operations: acknowledge, resolve, repair, permanent fix; and their answers.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Harness, firing, levels_by_counts, resolved};
use crate::on_all;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

fn id(incident: &Value) -> &str {
    incident["id"].as_str().unwrap()
}

impl Harness {
    async fn act(&self, incident: &Value, deed: &str, body: Value) -> (u16, Value) {
        self.post(&format!("/api/v1/incidents/{}/{deed}", id(incident)), body)
            .await
    }
}

on_all! {
    async fn an_incident_is_acknowledged_and_resolved_by_whom_it_says(on) {
        let h = Harness::start(on).await;
        h.send_and_drain(vec![firing("a", h.now())]).await;
        let incident = h.incident().await;
        for _ in 0..2 {
            let (status, after) = h.act(&incident, "acknowledge", json!({"operator": "ann"})).await;
            assert_eq!((status, &after["status"]), (200, &json!("ACKNOWLEDGED")));
            assert_eq!(after["operator"], "ann");
        }
        for _ in 0..2 {
            let (status, after) = h.act(&incident, "resolve", json!({"operator": "bob"})).await;
            assert_eq!((status, &after["status"]), (200, &json!("RESOLVED")));
            assert_eq!((&after["resolved_by"], &after["operator"]), (&json!("person"), &json!("bob")));
        }
        assert_eq!(h.act(&incident, "acknowledge", json!({})).await.0, 409);
        h.finish().await;
    }

    async fn an_incident_resolves_itself_and_opens_again_silently_within_its_window(on) {
        let h = Harness::start(on).await;
        let (first, second) = (firing("a", h.now()), firing("b", h.now()));
        h.send_and_drain(vec![first.clone(), second.clone()]).await;
        h.send_and_drain(vec![resolved(first, h.now())]).await;
        assert_eq!(h.incident().await["status"], "OPEN");
        h.send_and_drain(vec![resolved(second, h.now())]).await;
        let incident = h.incident().await;
        assert_eq!((&incident["status"], &incident["resolved_by"]), (&json!("RESOLVED"), &json!("itself")));
        h.advance(5 * MINUTE);
        h.send_and_drain(vec![firing("c", h.now())]).await;
        let incident = h.incident().await;
        assert_eq!((&incident["status"], &incident["aggregated_count"]), (&json!("OPEN"), &json!(3)));
        assert_eq!(h.telegram.taken().len(), 1);
        h.advance(6 * MINUTE);
        h.send_and_drain(vec![firing("d", h.now())]).await;
        assert_eq!(h.incidents().await.len(), 2);
        assert_eq!(h.telegram.taken().len(), 2);
        h.finish().await;
    }

    async fn a_manually_resolved_incident_reopens_only_if_it_still_fires(on) {
        let h = Harness::start(on).await;
        let alert = firing("a", h.now());
        h.send_and_drain(vec![alert.clone()]).await;
        let incident = h.incident().await;
        h.act(&incident, "resolve", json!({"operator": "ann"})).await;
        h.advance(9 * MINUTE);
        h.send_and_drain(vec![alert.clone()]).await;
        assert_eq!(h.incident().await["status"], "RESOLVED");
        h.advance(2 * MINUTE);
        h.send_and_drain(vec![alert.clone()]).await;
        h.send_and_drain(vec![alert]).await;
        let incident = h.incident().await;
        assert_eq!((&incident["status"], &incident["reopened"]), (&json!("OPEN"), &json!(1)));
        let told = h.telegram.taken();
        assert_eq!(told.len(), 2, "{told:#?}");
        assert!(told[1].contains("ann"), "{}", told[1]);
        h.finish().await;
    }

    async fn a_reopened_incident_keeps_its_earlier_resolve(on) {
        let h = Harness::start(on).await;
        let first = firing("a", h.now());
        h.send_and_drain(vec![first.clone()]).await;
        h.act(&h.incident().await, "acknowledge", json!({"operator": "bob"})).await;
        h.advance(MINUTE);
        // By itself, and within its window a new firing joins it.
        h.send_and_drain(vec![crate::harness::resolved(first, h.now())]).await;
        h.advance(MINUTE);
        let second = firing("b", h.now());
        h.send_and_drain(vec![second.clone()]).await;
        h.advance(MINUTE);
        h.act(&h.incident().await, "resolve", json!({"operator": "ann"})).await;
        h.advance(11 * MINUTE);
        h.send_and_drain(vec![second]).await;
        let incident = h.incident().await;
        assert_eq!(incident["status"], "OPEN");

        let id = incident["id"].as_str().unwrap();
        let trace = h.get(&format!("/api/v1/trace/{id}")).await;
        let again = trace["reopenings"].as_array().unwrap();
        let who: Vec<_> = again.iter().map(|r| (&r["resolved_by"], &r["operator"])).collect();
        assert_eq!(who, [(&json!("person"), &json!("ann")), (&json!("itself"), &json!(null))]);
        let (ok, told) = h.tocsin(&["trace", id]);
        assert!(ok, "{told}");
        let opened_again = format!("incident 1 of {} reopened: its alert fires", incident["alert_name"].as_str().unwrap());
        assert_eq!(told.matches(&opened_again).count(), 2, "{told}");
        for said in ["acknowledged by bob", "resolved automatically", "resolved by ann"] {
            assert_eq!(told.matches(said).count(), 1, "{said}: {told}");
        }

        let page = h.http.get(format!("{}/incidents/{id}", h.url)).send().await.unwrap();
        let page = page.text().await.unwrap();
        let timeline = page.split_once("<ol class=\"timeline\">").unwrap().1.split_once("</ol>").unwrap().0;
        assert_eq!(timeline.matches("Reopened: its alert fires").count(), 2, "{timeline}");
        assert_eq!(timeline.matches("Resolved</span>").count(), 2, "{timeline}");
        assert_eq!(timeline.matches("by ann").count(), 1, "{timeline}");
        h.finish().await;
    }

    async fn a_new_firing_after_a_persons_resolve_is_a_new_incident(on) {
        let h = Harness::start(on).await;
        h.send_and_drain(vec![firing("a", h.now())]).await;
        h.act(&h.incident().await, "resolve", json!({})).await;
        h.advance(MINUTE);
        h.send_and_drain(vec![firing("b", h.now())]).await;
        let numbers: Vec<Value> = h.incidents().await.iter().map(|i| i["number"].clone()).collect();
        assert_eq!(numbers, [json!(2), json!(1)]);
        h.finish().await;
    }

    async fn an_alert_that_lasts_escalates_and_a_lost_resolve_does_not(on) {
        let h = Harness::start(on).await;
        let (lasting, lost) = (firing("a", h.now()), crate::harness::alert("Lost", "b", h.now()));
        h.send_and_drain(vec![lasting.clone(), lost]).await;
        h.advance(HOUR * 4 - MINUTE);
        h.send_and_drain(vec![lasting.clone()]).await;
        assert_eq!(h.telegram.taken().len(), 2);
        h.advance(2 * MINUTE);
        h.send_and_drain(vec![lasting.clone()]).await;
        h.recount().await;
        let incidents = h.get("/api/v1/incidents?level=ESCALATE").await;
        assert_eq!(incidents["items"].as_array().unwrap().len(), 1);
        let incident = &incidents["items"][0];
        assert_eq!((&incident["alert_name"], &incident["tier"]), (&json!("CrashLooping"), &json!(2)));
        assert!(incident["escalation_reason"].as_str().unwrap().starts_with("fires since"));
        assert_eq!(h.telegram.taken().len(), 3);
        // Unseen for a day it is not known to last any more.
        h.advance(23 * HOUR);
        h.recount().await;
        assert_eq!(h.get("/api/v1/incidents?level=ESCALATE").await["items"].as_array().unwrap().len(), 1);
        h.advance(2 * HOUR);
        h.recount().await;
        assert_eq!(h.get("/api/v1/incidents?level=ESCALATE").await["items"], json!([]));
        assert_eq!(h.telegram.taken().len(), 3);
        h.finish().await;
    }

    async fn recount_lowers_levels_and_a_later_rise_notifies_again(on) {
        let h = Harness::start(on).await;
        let fire = async |n: usize| {
            for _ in 0..n {
                let alert = firing("a", h.now());
                h.send_and_drain(vec![alert.clone()]).await;
                h.advance(MINUTE);
                h.send_and_drain(vec![resolved(alert, h.now())]).await;
                h.advance(MINUTE);
            }
        };
        fire(5).await;
        let incident = h.incident().await;
        assert_eq!((&incident["escalation_level"], &incident["tier"]), (&json!("ESCALATE"), &json!(2)));
        assert_eq!(h.telegram.taken().len(), 2);
        h.advance(25 * HOUR);
        h.recount().await;
        // It falls when the rule has not held for two hours.
        assert_eq!(h.incident().await["escalation_level"], "ESCALATE");
        h.advance(2 * HOUR);
        h.recount().await;
        let incident = h.incident().await;
        assert_eq!((&incident["escalation_level"], &incident["tier"]), (&json!("NONE"), &json!(1)));
        assert_eq!(incident["frequency_stats"]["count_24h"], 0);
        assert_eq!(incident["frequency_stats"]["count_7d"], 5);
        fire(5).await;
        assert_eq!(h.incidents().await[0]["escalation_level"], "ESCALATE");
        assert_eq!(h.telegram.taken().len(), 4);
        h.finish().await;
    }

    async fn a_level_that_holds_by_another_rule_names_that_rule(on) {
        let h = Harness::start(on).await;
        let lasting = firing("a", h.now());
        let others = (0..4).map(|n| firing(&format!("p{n}"), h.now()));
        h.send_and_drain([lasting.clone()].into_iter().chain(others).collect()).await;
        h.recount().await;
        assert_eq!(h.incident().await["escalation_reason"], "5 firings in 24h in 1 incident (≥ 5)");
        h.advance(25 * HOUR);
        h.send_and_drain(vec![lasting]).await;
        h.recount().await;
        let incident = h.incident().await;
        assert_eq!(incident["escalation_level"], "ESCALATE");
        let why = incident["escalation_reason"].as_str().unwrap();
        assert!(why.starts_with("fires since"), "{why}");
        h.drain().await;
        let card = h.telegram.messages()[0].shown.clone();
        assert!(card.contains("without interruption"), "{card}");
        h.finish().await;
    }

    async fn a_rise_while_another_is_pending_is_sent_with_it(on) {
        let h = Harness::start_with(on, |config| config.escalation.rules = levels_by_counts()).await;
        let fire = async |pods: std::ops::Range<usize>, level: &str| {
            let alerts = pods.map(|pod| firing(&format!("pod-{pod}"), h.now())).collect();
            h.send(alerts).await;
            let risen = format!("SELECT count(*) FROM anomalies WHERE level = '{level}'");
            while h.sql(&risen).await == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        h.send_and_drain(vec![firing("pod-0", h.now())]).await;
        let store = h.context.queues.store();
        store.set_paused("notify", true).await.unwrap();
        fire(1..5, "ESCALATE").await;
        fire(5..10, "PERMANENT_FIX").await;
        store.set_paused("notify", false).await.unwrap();
        h.drain().await;
        let told = h.telegram.taken();
        assert_eq!(told.len(), 2, "{told:#?}");
        assert!(told[1].contains("NEEDS PERMANENT FIX"), "{}", told[1]);
        h.finish().await;
    }

    async fn two_restarts_that_were_tried_call_for_more(on) {
        let h = Harness::start(on).await;
        h.send_and_drain(vec![firing("a", h.now())]).await;
        let incident = h.incident().await;
        let path = format!("{}/api/v1/incidents/{}/repairs", h.url, id(&incident));
        let repair = json!({"action": "restart_pod", "success": false, "operator": "ann"});
        let report = async |key: &'static str| {
            let request = h.http.post(&path).json(&repair).header("Idempotency-Key", key);
            let response = request.send().await.unwrap();
            assert_eq!(response.status(), 202);
            let job: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
            h.drain().await;
            job["job"].clone()
        };
        assert_eq!(report("one").await, report("one").await);
        let once = h.incident().await;
        assert_eq!((&once["tier"], &once["repair_stats"]["total_attempts"]), (&json!(1), &json!(1)));
        report("two").await;
        let twice = h.incident().await;
        assert_eq!((&twice["tier"], &twice["repair_stats"]["total_attempts"]), (&json!(2), &json!(2)));
        assert_eq!(twice["repair_stats"]["last_repair_action"], "restart_pod");
        assert_eq!(twice["repair_stats"]["repair_history"].as_array().unwrap().len(), 2);
        assert_eq!(h.sql("SELECT attempts FROM effectiveness").await, 2);
        assert_eq!(h.telegram.taken().len(), 1);
        h.finish().await;
    }

    async fn a_firing_after_a_permanent_fix_is_tier_4(on) {
        let h = Harness::start(on).await;
        let alert = firing("a", h.now());
        h.send_and_drain(vec![alert.clone()]).await;
        let key = h.incident().await["anomaly_key"].as_str().unwrap().to_owned();
        h.advance(MINUTE);
        let path = format!("/api/v1/anomalies/{key}/permanent-fix");
        let (status, anomaly) = h.post(&path, json!({"reference": "PR 7"})).await;
        assert_eq!((status, &anomaly["permanent_fix_reference"]), (200, &json!("PR 7")));
        h.drain().await;
        h.advance(MINUTE);
        h.send_and_drain(vec![alert]).await;
        assert_eq!(h.incident().await["tier"], 1, "a re-send is not a new occurrence");
        h.advance(MINUTE);
        h.send_and_drain(vec![firing("b", h.now())]).await;
        assert_eq!(h.incident().await["tier"], 4);
        h.http.delete(format!("{}{path}", h.url)).send().await.unwrap();
        h.drain().await;
        assert_eq!(h.incident().await["tier"], 1);
        h.finish().await;
    }

    async fn telegram_refusing_failing_and_asking_to_wait_is_met_as_it_should(on) {
        let mut h = Harness::start(on).await;
        h.telegram.answer_next(500, json!({"ok": false}));
        h.send_and_drain(vec![firing("a", h.now())]).await;
        assert_eq!(h.telegram.taken().len(), 1, "after a 500 it is tried again");
        let wait = json!({"ok": false, "error_code": 429, "parameters": {"retry_after": 1}});
        h.telegram.answer_next(429, wait);
        h.send_and_drain(vec![crate::harness::alert("B", "b", h.now())]).await;
        assert_eq!(h.telegram.taken().len(), 2, "after a 429 it waits");
        let blocked = json!({"ok": false, "error_code": 403, "description": "Forbidden: bot was blocked by the user"});
        h.telegram.answer_next(403, blocked);
        h.send_and_drain(vec![crate::harness::alert("C", "c", h.now())]).await;
        assert_eq!(h.telegram.taken().len(), 2, "after a 403 it is given up");
        let given_up = "SELECT count(*) FROM notifications WHERE state = 'given up' AND error LIKE '%blocked%'";
        assert_eq!(h.sql(given_up).await, 1);
        assert_eq!(h.sql("SELECT count(*) FROM dead_letters WHERE queue = 'notify'").await, 1);
        h.finish_with_dead_letters().await;
    }

    async fn recount_enqueues_pending_work_that_was_never_pushed(on) {
        let h = Harness::start(on).await;
        let store = h.context.queues.store();
        store.set_paused("tier", true).await.unwrap();
        h.send(vec![firing("a", h.now())]).await;
        let queued = async || {
            let depth = store.depth("tier").await.unwrap();
            depth.ready + depth.delayed
        };
        while queued().await == 0 {
            tokio::task::yield_now().await;
        }
        h.lose("tier").await;
        store.set_paused("tier", false).await.unwrap();
        h.drain().await;
        assert_eq!(h.incident().await["tier"], Value::Null);
        h.advance(2 * MINUTE);
        h.recount().await;
        assert_eq!(h.incident().await["tier"], 1);
        assert_eq!(h.telegram.taken().len(), 1);
        h.finish().await;
    }

    async fn old_rows_are_pruned_and_young_ones_stay(on) {
        let h = Harness::start(on).await;
        let old = firing("old", h.now());
        h.send_and_drain(vec![old.clone()]).await;
        h.send_and_drain(vec![resolved(old, h.now())]).await;
        h.advance(20 * 24 * HOUR);
        h.send_and_drain(vec![firing("young", h.now())]).await;
        h.advance(11 * 24 * HOUR);
        h.recount().await;
        assert_eq!(h.sql("SELECT count(*) FROM occurrences").await, 1);
        assert_eq!(h.sql("SELECT count(*) FROM incidents").await, 2);
        h.advance(401 * 24 * HOUR);
        h.recount().await;
        assert_eq!(h.sql("SELECT count(*) FROM occurrences").await, 0);
        assert_eq!(h.sql("SELECT count(*) FROM notifications").await, 0);
        assert_eq!(h.sql("SELECT count(*) FROM incidents WHERE status = 'RESOLVED'").await, 0);
        h.finish().await;
    }

    async fn repairs_are_listed_newest_first_with_their_effectiveness(on) {
        let h = Harness::start(on).await;
        h.send_and_drain(vec![firing("a", h.now())]).await;
        let incident = h.incident().await;
        let path = format!("{}/api/v1/incidents/{}/repairs", h.url, id(&incident));
        for (n, action, success) in [(0, "restart_pod", false), (1, "scale_up", true), (2, "Restart - Pod", true)] {
            let repair = json!({"action": action, "success": success, "operator": "ann", "note": format!("{n}")});
            // With a key, an id has no time in it.
            let request = h.http.post(&path).json(&repair).header("Idempotency-Key", format!("key {n}").replace(' ', "-"));
            assert_eq!(request.send().await.unwrap().status(), 202);
            h.drain().await;
            h.advance(MINUTE);
        }
        let notes = async |query: &str| {
            let list = h.get(&format!("/api/v1/repairs{query}")).await;
            let notes = list["items"].as_array().unwrap().iter().map(|one| one["note"].as_str().unwrap().to_owned());
            (notes.collect::<Vec<_>>().concat(), list["next_cursor"].as_str().map(str::to_owned))
        };
        assert_eq!(notes("").await, ("210".to_owned(), None));
        let (first, cursor) = notes("?limit=2").await;
        assert_eq!(first, "21");
        assert_eq!(notes(&format!("?limit=2&cursor={}", cursor.unwrap())).await, ("0".to_owned(), None));
        assert_eq!(notes("?action=restart_pod").await.0, "20");
        assert_eq!(notes("?action=restart_pod&success=true").await.0, "2");
        assert_eq!(notes("?action=Restart%20Pod").await.0, "20");
        // A row that is older than the one spelling.
        h.execute("UPDATE repairs SET action = 'Scale Up' WHERE action = 'scale_up'").await;
        assert_eq!(notes("?action=Scale%20Up").await.0, "1");
        assert_eq!(notes("").await.0, "210");
        h.execute("UPDATE repairs SET action = 'scale_up' WHERE action = 'Scale Up'").await;
        assert_eq!(notes("?anomaly=0").await.0, "");
        let key = incident["anomaly_key"].as_str().unwrap();
        assert_eq!(notes(&format!("?anomaly={key}&success=false")).await.0, "0");

        let worth = async |query: &str| {
            let list = h.get(&format!("/api/v1/repairs/actions{query}")).await;
            let of = |one: &Value| (one["action"].clone(), one["attempts"].clone(), one["successes"].clone());
            let all: Vec<_> = list["items"].as_array().unwrap().iter().map(of).collect();
            (all, list["next_cursor"].as_str().map(str::to_owned))
        };
        let restarts = (json!("restart_pod"), json!(2), json!(1));
        let scaled = (json!("scale_up"), json!(1), json!(1));
        assert_eq!(worth("").await, (vec![restarts.clone(), scaled.clone()], None));
        let (first, cursor) = worth("?limit=1").await;
        assert_eq!(first, [restarts]);
        assert_eq!(worth(&format!("?limit=1&cursor={}", cursor.unwrap())).await, (vec![scaled], None));
        let page = h.http.get(format!("{}/repairs", h.url)).send().await.unwrap().text().await.unwrap();
        let at = |note: &str| page.find(&format!("<td class=\"note\">{note}</td>")).unwrap();
        assert!(at("2") < at("1") && at("1") < at("0"), "the page has them in this order, too");
        h.finish().await;
    }
}
