//! Levels, tiers and their messages, incident by incident.

mod bursts;
mod edge;
mod uncounted;
mod unresolved_incidents;

use std::time::Duration;

use serde_json::{Value, json};
use tocsin::domain::escalation::{Level, Rule};
use tocsin::domain::frequency::Window;

use crate::harness::{Harness, firing, resolved};
use crate::on_all;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

impl Harness {
    /// A firing that begins, and ends a minute later.
    async fn flap(&self) {
        let alert = firing("a", self.now());
        self.send_and_drain(vec![alert.clone()]).await;
        self.advance(MINUTE);
        self.send_and_drain(vec![resolved(alert, self.now())]).await;
    }

    async fn level(&self) -> String {
        self.sql_text("SELECT level FROM anomalies").await
    }

    /// What the incidents say, newest first.
    async fn each(&self, field: &str) -> Vec<Value> {
        let incidents = self.incidents().await;
        incidents
            .iter()
            .map(|incident| incident[field].clone())
            .collect()
    }
}

/// So many in an hour, in however few incidents.
fn in_an_hour(level: Level, count: i64) -> Vec<Rule> {
    vec![Rule {
        level,
        window: Window::Hour,
        count,
        incidents: 1,
    }]
}

on_all! {
    async fn a_nightly_anomaly_escalates_and_each_rise_notifies(on) {
        let h = Harness::start(on).await;
        for night in 1..=16 {
            h.flap().await;
            let expected = match night {
                ..5 => "NONE",
                5..15 => "ESCALATE",
                _ => "PERMANENT_FIX",
            };
            assert_eq!(h.level().await, expected, "night {night}");
            h.advance(DAY - MINUTE);
            h.recount().await;
        }
        let why = &h.each("escalation_reason").await[0];
        assert_eq!(why, "16 firings in 30d in 15+ incidents (≥ 15 in 15)");
        assert_eq!(h.each("tier").await[0], 3);
        let told = h.telegram.headlines();
        assert_eq!(told.len(), 16, "{told:#?}");
        for (night, told) in (1..).zip(&told) {
            let is_told = |level| told.contains(level);
            assert!(is_told("Opened"), "{told}");
            assert_eq!(is_told("ESCALATE"), (5..15).contains(&night), "night {night}: {told}");
            assert_eq!(is_told("NEEDS PERMANENT FIX"), night >= 15, "night {night}: {told}");
        }
        h.finish().await;
    }

    async fn repeated_failure_within_a_day_reaches_permanent_fix_in_the_third_incident(on) {
        let h = Harness::start(on).await;
        for incident in 1..=3 {
            let pods = (0..4).map(|pod| firing(&format!("{incident}-{pod}"), h.now())).collect();
            h.send_and_drain(pods).await;
            let expected = ["REPEAT", "ESCALATE", "PERMANENT_FIX"][incident - 1];
            assert_eq!(h.level().await, expected, "incident {incident}");
            h.advance(11 * MINUTE);
        }
        let why = &h.each("escalation_reason").await[0];
        assert_eq!(why, "12 firings in 24h in 3 incidents (≥ 10 in 3)");
        h.finish().await;
    }

    async fn a_fix_failed_if_a_firing_began_after_it(on) {
        let h = Harness::start(on).await;
        h.send_and_drain(vec![firing("a", h.now())]).await;
        h.advance(5 * MINUTE);
        let before = h.now().before(3 * MINUTE);
        let ahead = firing("ahead", h.now().after(MINUTE / 2));
        h.send_and_drain(vec![ahead.clone()]).await;
        h.advance(MINUTE / 4);
        let key = h.sql_text("SELECT key FROM anomalies").await;
        let path = format!("/api/v1/anomalies/{key}/permanent-fix");
        assert_eq!(h.post(&path, json!({})).await.0, 200);
        h.drain().await;
        h.advance(MINUTE);
        // It began before the fix, and is heard of after it; by another's clock it began after it, and was
        // known before.
        h.send_and_drain(vec![firing("b", before), ahead]).await;
        assert_eq!(h.incident().await["tier"], 1);
        h.send_and_drain(vec![firing("c", h.now())]).await;
        assert_eq!(h.incident().await["tier"], 4);
        h.finish().await;
    }

    async fn a_fix_that_is_marked_again_is_another_only_if_it_failed(on) {
        let h = Harness::start(on).await;
        h.send_and_drain(vec![firing("a", h.now())]).await;
        let key = h.sql_text("SELECT key FROM anomalies").await;
        let path = format!("/api/v1/anomalies/{key}/permanent-fix");
        let first = h.post(&path, json!({"reference": "PR 7"})).await.1;
        let marked_at = &first["permanent_fix_at"];
        h.drain().await;
        h.advance(MINUTE);
        let again = h.post(&path, json!({})).await.1;
        assert_eq!((&again["changed"], &again["permanent_fix_at"]), (&json!(false), marked_at));
        assert_eq!(again["permanent_fix_reference"], "PR 7");
        h.send_and_drain(vec![firing("b", h.now())]).await;
        assert_eq!(h.incident().await["tier"], 4);
        h.advance(MINUTE);
        let new = h.post(&path, json!({"reference": "PR 8"})).await.1;
        assert_eq!((&new["changed"], &new["earlier_fix_at"]), (&json!(true), marked_at));
        assert_ne!(&new["permanent_fix_at"], marked_at);
        let audit = h.get("/api/v1/audit?action=anomaly.fix").await;
        assert_eq!(audit["items"][0]["detail"]["earlier_reference"], "PR 7");
        h.drain().await;
        assert_eq!(h.incident().await["tier"], 1);
        let gone = async || {
            let request = h.http.delete(format!("{}{path}", h.url)).send().await;
            let text = request.unwrap().text().await.unwrap();
            serde_json::from_str::<serde_json::Value>(&text).unwrap()["changed"].clone()
        };
        assert_eq!((gone().await, gone().await), (json!(true), json!(false)));
        h.drain().await;
        h.finish().await;
    }

    async fn restarts_count_for_thirty_days(on) {
        let h = Harness::start(on).await;
        h.flap().await;
        let path = format!("/api/v1/incidents/{}/repairs", h.incident().await["id"].as_str().unwrap());
        for action in ["Reboot node", "restart_container"] {
            h.post(&path, json!({"action": action, "success": false})).await;
        }
        h.drain().await;
        let incident = h.incident().await;
        assert_eq!(incident["tier_reason"], "restarting was tried 2 times in 30 days");
        assert_eq!(incident["tier"], 2);
        h.advance(29 * DAY);
        h.flap().await;
        assert_eq!(h.each("tier").await[0], 2);
        h.advance(2 * DAY);
        h.flap().await;
        assert_eq!(h.each("tier").await[0], 1);
        assert_eq!(h.incidents().await[0]["repair_stats"]["total_attempts"], 2);
        h.finish().await;
    }

    async fn reopening_and_escalating_at_once_sends_one_message(on) {
        let h = Harness::start(on).await;
        let alert = firing("a", h.now());
        h.send_and_drain(vec![alert.clone()]).await;
        let path = format!("/api/v1/incidents/{}/resolve", h.incident().await["id"].as_str().unwrap());
        h.post(&path, json!({})).await;
        h.advance(5 * HOUR);
        h.send_and_drain(vec![alert]).await;
        assert_eq!(h.level().await, "ESCALATE");
        let told = h.telegram.headlines();
        assert_eq!(told.len(), 2, "{told:#?}");
        assert!(told[1].contains("Reopened") && told[1].contains("ESCALATE"), "{}", told[1]);
        h.finish().await;
    }
}
