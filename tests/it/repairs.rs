//! Repairs: reported at once or in two steps, of an incident, an anomaly or an alert; judged by silence, once,
//! whoever judges; and what actions were worth.

mod dying;
mod oracle;
mod scrambled;
mod unseen;

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tocsin_workers::recount;

use crate::harness::{Harness, alert, answer, resolved};
use crate::on_all;

const MINUTE: Duration = Duration::from_secs(60);
/// The default quiet time, and a little more for what is on its way.
const QUIET: Duration = Duration::from_secs(32 * 60);

impl Harness {
    /// Reports a repair of the newest incident's anomaly.
    async fn repaired(&self, action: &str, success: bool) -> String {
        let incidents = self.incidents().await;
        let path = format!(
            "/api/v1/incidents/{}/repairs",
            incidents[0]["id"].as_str().unwrap()
        );
        let (status, reported) = self
            .post(&path, json!({"action": action, "success": success}))
            .await;
        assert_eq!(status, 202, "{reported}");
        self.drain().await;
        reported["repair"].as_str().unwrap().to_owned()
    }

    async fn repair(&self, id: &str) -> Value {
        self.get(&format!("/api/v1/repairs/{id}")).await
    }

    async fn patched(&self, id: &str, body: &Value) -> (u16, Value) {
        let url = format!("{}/api/v1/repairs/{id}", self.url);
        answer(
            self.http
                .request(Method::PATCH, url)
                .json(body)
                .send()
                .await
                .unwrap(),
        )
        .await
    }

    async fn newest_key(&self) -> String {
        self.sql_text("SELECT key FROM anomalies ORDER BY last_seen DESC LIMIT 1")
            .await
    }

    async fn effectiveness(&self) -> Value {
        let key = self.newest_key().await;
        self.get(&format!("/api/v1/anomalies/{key}/effectiveness"))
            .await
    }

    /// Repairs that are not judged, and those of them that were reported to have helped: of the anomaly, of its alert
    /// name, of its service, and of all.
    async fn claimed_only(&self) -> [(i64, i64); 4] {
        let mut found = [(0, 0); 4];
        let of_anomaly = format!("anomalies/{}", self.newest_key().await);
        for (at, of) in [
            of_anomaly + "/effectiveness",
            "repairs/effectiveness?alert_name=Loop".to_owned(),
            "repairs/effectiveness?service=checkout".to_owned(),
            "repairs/effectiveness".to_owned(),
        ]
        .iter()
        .enumerate()
        {
            let worth = self.get(&format!("/api/v1/{of}")).await;
            let action = &worth["actions"][0];
            let of = |figure: &str| action[figure].as_i64().unwrap();
            found[at] = (of("unjudged"), of("claimed_only"));
        }
        found
    }

    /// Fires and is repaired; then it is quiet, or fires again.
    async fn round(&self, action: &str, holds: bool) -> String {
        let began = self.now();
        let firing = alert("Loop", "a", began);
        self.send_and_drain(vec![firing.clone()]).await;
        self.advance(MINUTE);
        let id = self.repaired(action, true).await;
        self.advance(MINUTE);
        self.send_and_drain(vec![resolved(firing, self.now())])
            .await;
        if !holds {
            self.advance(MINUTE * 3);
            let again = alert("Loop", "a", self.now());
            self.send_and_drain(vec![again.clone()]).await;
            self.advance(MINUTE);
            self.send_and_drain(vec![resolved(again, self.now())]).await;
        }
        self.advance(QUIET * 2);
        self.recount().await;
        id
    }
}

on_all! {
    async fn a_repair_is_judged_by_what_follows_and_not_by_its_report(on) {
        let h = Harness::start(on).await;
        let firing = alert("Loop", "a", h.now());
        h.send_and_drain(vec![firing.clone()]).await;
        h.advance(MINUTE);
        let before = h.now();
        let id = h.repaired("Restart Pod", false).await;
        let after = h.now();
        h.recount().await;
        let repair = h.repair(&id).await;
        assert_eq!((&repair["verdict"], &repair["success"]), (&Value::Null, &json!(false)), "{repair}");
        assert_eq!((&repair["class"], &repair["state"]), (&json!("restart"), &json!("finished")));
        // That it did not help is no claim that it did.
        assert_eq!(h.claimed_only().await, [(1, 0); 4]);
        h.advance(MINUTE * 4);
        let ended = h.now();
        h.send_and_drain(vec![resolved(firing, ended)]).await;
        h.advance(QUIET);
        h.recount().await;
        let repair = h.repair(&id).await;
        assert_eq!((&repair["verdict"], &repair["verdict_reason"]), (&json!("verified"), &json!("quiet")));
        // The claim is kept beside it.
        assert_eq!(repair["success"], false);
        let took = repair["quiet_after_ms"].as_i64().unwrap();
        // The store's clock is known to within a second.
        let (least, most) = (ended.0 - after.0 - 1_000, ended.0 - before.0 + 1_000);
        assert!((least..=most).contains(&took), "{took} is not from {least} to {most}");
        let history = &h.incident().await["repair_stats"]["repair_history"];
        assert_eq!(history[0]["verdict"], "verified", "{history}");
        assert_eq!(history[0]["quiet_after_ms"], took, "{history}");

        let again = h.round("restart_pod", false).await;
        let repair = h.repair(&again).await;
        assert_eq!((&repair["verdict"], &repair["verdict_reason"]), (&json!("disproved"), &json!("fired_again")));
        assert_eq!(repair["success"], true);
        let worth = h.effectiveness().await;
        assert_eq!(worth["summary"], "restart_pod held 1 of 2 times", "{worth:#}");
        let metrics = h.metrics().await;
        assert!(metrics.contains("tocsin_repair_verdicts_total{verdict=\"disproved\"} 1"), "{metrics}");
        h.finish().await;
    }

    async fn what_fires_again_is_disproved_at_once_and_stays_so(on) {
        let h = Harness::start(on).await;
        let firing = alert("Loop", "a", h.now());
        h.send_and_drain(vec![firing.clone()]).await;
        h.advance(MINUTE);
        let id = h.repaired("restart_pod", true).await;
        h.advance(MINUTE);
        h.send_and_drain(vec![resolved(firing, h.now())]).await;
        h.recount().await;
        assert_eq!(h.repair(&id).await["verdict"], Value::Null);
        h.advance(MINUTE * 3);
        let again = alert("Loop", "a", h.now());
        h.send_and_drain(vec![again.clone()]).await;
        h.recount().await;
        let early = h.repair(&id).await;
        assert_eq!((&early["verdict"], &early["verdict_reason"]), (&json!("disproved"), &json!("fired_again")));
        // The next one is quiet so far, which says nothing yet.
        h.advance(MINUTE);
        let next = h.repaired("rollback", true).await;
        h.advance(MINUTE);
        h.send_and_drain(vec![resolved(again, h.now())]).await;
        h.recount().await;
        assert_eq!(h.repair(&next).await["verdict"], Value::Null);
        // At the end it is the same.
        h.advance(QUIET);
        h.recount().await;
        assert_eq!(h.repair(&id).await["verdict"], "disproved");
        assert_eq!(h.repair(&next).await["verdict"], "verified");
        let (_, page) = h.post("/api/v1/recount/verify", json!({})).await;
        assert_eq!(page["drifted"], json!({}), "{page:#}");
        assert_eq!(h.effectiveness().await["summary"], "rollback held 1 of 1 times, restart_pod 0 of 1");
        h.finish().await;
    }

    async fn a_repair_is_started_and_finished_once(on) {
        let h = Harness::start(on).await;
        h.send_and_drain(vec![alert("Loop", "a", h.now())]).await;
        let incident = h.incident().await;
        let path = format!("/api/v1/incidents/{}/repairs", incident["id"].as_str().unwrap());
        let (status, refused) = h.post(&path, json!({"action": "rollback"})).await;
        assert_eq!((status, &refused["code"]), (400, &json!("outcome_missing")));
        let body = json!({"action": "rollback", "started_at": h.now(), "operator": "robot"});
        let (status, started) = h.post(&path, body).await;
        assert_eq!((status, &started["job"]), (201, &Value::Null), "{started}");
        let id = started["repair"].as_str().unwrap();
        let repair = h.repair(id).await;
        assert_eq!((&repair["state"], &repair["success"]), (&json!("started"), &Value::Null), "{repair}");
        h.advance(MINUTE * 61);
        assert_eq!(h.repair(id).await["state"], "unfinished");
        // It is no attempt and has no verdict before it has finished.
        h.recount().await;
        assert_eq!(h.effectiveness().await["actions"], json!([]));
        let (status, finished) = h.patched(id, &json!({"success": true, "note": "to v41"})).await;
        assert_eq!((status, &finished["state"]), (200, &json!("finished")), "{finished}");
        assert_eq!(finished["operator"], "robot");
        assert!(finished["duration_ms"].as_i64().unwrap() >= 61 * 60_000, "{finished}");
        let (status, again) = h.patched(id, &json!({"success": true})).await;
        assert_eq!((status, &again), (200, &finished));
        let (status, refused) = h.patched(id, &json!({"success": false})).await;
        assert_eq!((status, &refused["code"]), (409, &json!("repair_finished")));
        let nobody = "00000000-0000-7000-8000-000000000000";
        assert_eq!(h.patched(nobody, &json!({"success": false})).await.0, 404);
        h.drain().await;
        assert_eq!(h.effectiveness().await["actions"][0]["attempts"], 1);
        h.finish().await;
    }

    async fn two_who_finish_or_judge_at_once_count_it_once(on) {
        let h = Harness::start(on).await;
        let firing = alert("Loop", "a", h.now());
        h.send_and_drain(vec![firing.clone()]).await;
        let path = format!("/api/v1/anomalies/{}/repairs", h.newest_key().await);
        let (_, started) = h.post(&path, json!({"action": "rollback", "started_at": h.now()})).await;
        let id = started["repair"].as_str().unwrap();
        let finish = json!({"success": true});
        let (one, other) = tokio::join!(h.patched(id, &finish), h.patched(id, &finish));
        assert_eq!((one.0, other.0), (200, 200), "{one:?} {other:?}");
        assert_eq!(h.claimed_only().await, [(1, 1); 4]);
        h.send_and_drain(vec![resolved(firing, h.now())]).await;
        h.advance(QUIET);
        let (one, other) = tokio::join!(recount::judge(&h.context), recount::judge(&h.context));
        one.unwrap();
        other.unwrap();
        recount::judge(&h.context).await.unwrap();
        h.drain().await;
        assert_eq!(h.claimed_only().await, [(0, 0); 4]);
        for scope in ["anomaly", "alert_name", "service", "all"] {
            let figures = format!(
                "SELECT sum(attempts * 100 + claimed * 10 + verified) FROM repair_figures WHERE scope = '{scope}'"
            );
            assert_eq!(h.sql(&format!("SELECT CAST(({figures}) AS bigint)")).await, 111, "{scope}");
        }
        assert_eq!(h.sql("SELECT count(*) FROM audit WHERE action = 'incident.repair_finish'").await, 1);
        h.finish().await;
    }

    async fn who_dies_while_judging_gives_no_verdict_and_the_next_gives_it_once(on) {
        let h = Harness::start(on).await;
        let firing = alert("Loop", "a", h.now());
        h.send_and_drain(vec![firing.clone()]).await;
        let id = h.repaired("rollback", true).await;
        h.send_and_drain(vec![resolved(firing, h.now())]).await;
        h.advance(QUIET);
        // The verdict and the counts are written by then, the times are not.
        h.execute("ALTER TABLE repair_times RENAME TO repair_times_away").await;
        assert!(recount::judge(&h.context).await.is_err());
        assert_eq!(h.repair(&id).await["verdict"], Value::Null);
        assert_eq!(h.sql("SELECT CAST(sum(verified) AS bigint) FROM repair_figures").await, 0);
        h.execute("ALTER TABLE repair_times_away RENAME TO repair_times").await;
        for _ in 0..2 {
            recount::judge(&h.context).await.unwrap();
        }
        assert_eq!(h.repair(&id).await["verdict"], "verified");
        assert_eq!(h.sql("SELECT CAST(sum(verified) AS bigint) FROM repair_figures").await, 4);
        assert_eq!(h.sql("SELECT CAST(sum(n) AS bigint) FROM repair_times").await, 4);
        h.drain().await;
        h.finish().await;
    }

    async fn a_robot_reports_by_an_alerts_labels(on) {
        let h = Harness::start(on).await;
        let mut firing = alert("Loop", "a", h.now());
        let labels = firing["labels"].clone();
        let report = json!({"labels": labels, "source": "alertmanager", "action": "rollback", "success": true});
        let (status, refused) = h.post("/api/v1/repairs", report.clone()).await;
        assert_eq!((status, &refused["code"]), (404, &json!("not_found")), "{refused}");
        h.send_and_drain(vec![firing.take()]).await;
        let (status, reported) = h.post("/api/v1/repairs", report.clone()).await;
        assert_eq!(status, 202, "{reported}");
        h.drain().await;
        let repair = h.repair(reported["repair"].as_str().unwrap()).await;
        assert_eq!(repair["incident_id"], h.incident().await["id"]);
        let (status, refused) = h.post("/api/v1/repairs", json!({
            "labels": {"job": "checkout"}, "action": "rollback", "success": true,
        })).await;
        assert_eq!((status, &refused["parameter"]), (400, &json!("labels")), "{refused}");
        // By its key, once, however often it is sent.
        let path = format!("/api/v1/anomalies/{}/repairs", h.newest_key().await);
        for _ in 0..2 {
            let request = h.http.post(format!("{}{path}", h.url)).header("Idempotency-Key", "k");
            let body = json!({"action": "restart_pod", "success": false});
            assert_eq!(request.json(&body).send().await.unwrap().status(), 202);
        }
        h.drain().await;
        assert_eq!(h.sql("SELECT count(*) FROM repairs").await, 2);
        h.finish().await;
    }

    async fn an_alarm_that_ends_by_itself_makes_no_action_effective(on) {
        let h = Harness::start(on).await;
        for _ in 0..4 {
            let firing = alert("Loop", "a", h.now());
            h.send_and_drain(vec![firing.clone()]).await;
            h.advance(MINUTE);
            h.send_and_drain(vec![resolved(firing, h.now())]).await;
            h.advance(QUIET * 2);
        }
        for _ in 0..4 {
            h.round("restart_pod", true).await;
        }
        let worth = h.effectiveness().await;
        let action = &worth["actions"][0];
        assert_eq!((&action["verified"], &action["verdicts"]), (&json!(4), &json!(4)), "{worth:#}");
        assert_eq!((&worth["nothing"]["held"], &worth["nothing"]["episodes"]), (&json!(4), &json!(4)));
        assert_eq!(action["effective"], false);
        // Another anomaly of the same alert has too few verdicts of its own.
        let mut other = alert("Loop", "b", h.now());
        other["labels"]["reason"] = json!("OOMKilled");
        h.send_and_drain(vec![other.clone()]).await;
        let worth = h.effectiveness().await;
        assert_eq!(worth["stand_in"]["summary"], "restart_pod held 4 of 4 times", "{worth:#}");
        h.send_and_drain(vec![resolved(other, h.now())]).await;
        h.finish().await;
    }

    async fn what_helped_last_time_is_shown_everywhere(on) {
        let h = Harness::start(on).await;
        h.round("restart_pod", false).await;
        h.round("rollback", true).await;
        h.send_and_drain(vec![alert("Loop", "a", h.now())]).await;
        let incident = h.incidents().await.remove(0);
        let id = incident["id"].as_str().unwrap();
        let last = h.get(&format!("/api/v1/incidents/{id}/last-time")).await;
        let repair = &last["items"][0]["repairs"][0];
        assert_eq!((&repair["action"], &repair["verdict"]), (&json!("rollback"), &json!("verified")), "{last:#}");
        let (is_done, said) = h.tocsin(&["incidents", "show", id]);
        assert!(is_done && said.contains("rollback: held"), "{said}");
        assert!(said.contains("rollback held 1 of 1 times, restart_pod 0 of 1."), "{said}");
        for language in ["en", "zh-TW"] {
            let request = h.http.get(format!("{}/incidents/{id}", h.url)).header("Accept-Language", language);
            let page = request.send().await.unwrap().text().await.unwrap();
            let expected = ["rollback held 1 of 1 times", "rollback 1 次中有 1 次維持住"];
            assert!(expected.iter().any(|said| page.contains(said)), "{page}");
        }
        let key = incident["anomaly_key"].as_str().unwrap();
        let of = |label: &str, name: &str| format!("What held: {label} <code>{name}</code>");
        for (path, expected) in [
            (format!("/anomalies/{key}"), "href=\"/repairs?alert_name=Loop\"".to_owned()),
            ("/repairs?alert_name=Loop&service=".to_owned(), of("Alert", "Loop")),
            ("/repairs?alert_name=&service=checkout".to_owned(), of("Service", "checkout")),
        ] {
            let page = h.http.get(format!("{}{path}", h.url)).header("Accept-Language", "en");
            let page = page.send().await.unwrap().text().await.unwrap();
            assert!(page.contains(&expected) && page.contains("rollback"), "{path}: {page}");
        }
        let (is_done, said) = h.tocsin(&["repairs", "effectiveness", "--anomaly", id]);
        assert!(is_done && said.contains("mitigate"), "{said}");
        h.finish().await;
    }

    async fn figures_that_drifted_are_found_and_repaired(on) {
        let h = Harness::start(on).await;
        h.round("restart_pod", false).await;
        h.round("rollback", true).await;
        h.advance(Duration::from_secs(3600));
        h.recount().await;
        let check = async |repair: bool| {
            let path = "/api/v1/recount/verify";
            let (status, page) = h.post(path, json!({"repair": repair})).await;
            assert_eq!(status, 200, "{page}");
            page["drifted"].clone()
        };
        assert_eq!(check(false).await, json!({}));
        let before = h.effectiveness().await;
        h.execute("UPDATE repairs SET verdict = 'verified', verdict_reason = 'quiet' WHERE action = 'restart_pod'").await;
        h.execute("UPDATE repair_figures SET attempts = 7 WHERE action = 'rollback' AND scope = 'anomaly'").await;
        h.execute("UPDATE repair_figures SET verified = 9 WHERE action = 'rollback' AND scope = 'service'").await;
        let drifted = check(true).await;
        assert_eq!(drifted["verdict"], 1, "{drifted}");
        assert!(drifted["effectiveness"].as_i64() >= Some(1), "{drifted}");
        h.drain().await;
        h.advance(Duration::from_secs(3600));
        h.recount().await;
        while check(true).await != json!({}) {}
        assert_eq!(h.effectiveness().await["summary"], before["summary"]);
        h.finish().await;
    }
}
