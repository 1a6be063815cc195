//! Recommended actions: by playbook and by what held, with reasons; on page, card, API and command line.

mod breaker;
mod many;
mod proposals;
mod stored;

use std::time::Duration;

use serde_json::{Value, json};
use tocsin::config::{Config, Secret};
use tocsin::time::Timestamp;

use crate::harness::{Harness, alert, resolved};
use crate::on_both;
use crate::telegram::Telegram;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// Sets a playbook for the alert `Loop`.
fn with_playbook(config: &mut Config) {
    let playbook = json!({
        "name": "loop", "alert_name": "Loop",
        "tier_1": ["restart_pod"], "tier_2": ["rollback", "scale_up"],
    });
    config.playbooks = vec![serde_json::from_value(playbook).unwrap()];
    // The tier follows from what is tried, not from how often.
    config.escalation.rules.clear();
}

impl Harness {
    async fn newest(&self) -> Value {
        let newest = self.incidents().await.remove(0);
        self.get(&format!(
            "/api/v1/incidents/{}",
            newest["id"].as_str().unwrap()
        ))
        .await
    }

    async fn recommendation(&self) -> Value {
        self.newest().await["recommendation"].clone()
    }

    /// Ends by itself and comes back at once, so often.
    async fn comes_back(&self, times: usize) {
        for _ in 0..times {
            let firing = alert("Loop", "a", self.now());
            self.send_and_drain(vec![firing.clone()]).await;
            self.advance(MINUTE);
            self.send_and_drain(vec![resolved(firing, self.now())])
                .await;
            self.advance(MINUTE);
        }
    }

    /// Fires, is repaired, and is quiet; or fires again until it is quiet, too.
    async fn tries(&self, action: &str, holds: bool) {
        let firing = alert("Loop", "a", self.now());
        self.send_and_drain(vec![firing.clone()]).await;
        let id = self.newest().await["id"].as_str().unwrap().to_owned();
        let path = format!("/api/v1/incidents/{id}/repairs");
        let report = json!({"action": action, "success": true});
        assert_eq!(self.post(&path, report).await.0, 202);
        self.drain().await;
        self.advance(MINUTE);
        self.send_and_drain(vec![resolved(firing, self.now())])
            .await;
        if !holds {
            self.advance(MINUTE);
            let again = alert("Loop", "a", self.now());
            self.send_and_drain(vec![again.clone()]).await;
            self.advance(MINUTE);
            self.send_and_drain(vec![resolved(again, self.now())]).await;
        }
        self.advance(HOUR);
        self.recount().await;
    }
}

fn brief(found: &Value) -> (&str, i64, &str) {
    (
        found["action"].as_str().unwrap_or_default(),
        found["tier"].as_i64().unwrap_or_default(),
        found["rule"].as_str().unwrap_or_default(),
    )
}

on_both! {
    async fn the_tier_rises_past_what_did_not_hold_and_what_held_is_recommended(on) {
        let telegram = Telegram::start().await;
        let h = Harness::start_with(on, |config| {
            with_playbook(config);
            config.telegram_token = Some(Secret::from("1:t"));
            config.telegram_chat = Some("-100".to_owned());
            config.telegram_api = telegram.url.clone();
        }).await;
        h.send_and_drain(vec![alert("Loop", "a", h.now())]).await;
        assert_eq!(brief(&h.recommendation().await), ("restart_pod", 1, "in_order"));
        let card = telegram.messages().remove(0);
        assert!(card.text.contains("👉 Recommended: <code>restart_pod</code> · not judged yet; next in playbook loop"),
            "{}", card.text);
        h.send_and_drain(vec![resolved(alert("Loop", "a", h.now()), h.now())]).await;
        assert_eq!(h.recommendation().await, Value::Null);
        h.advance(HOUR);
        for _ in 0..2 {
            h.tries("restart_pod", false).await;
        }
        h.send_and_drain(vec![alert("Loop", "a", h.now())]).await;
        let found = h.recommendation().await;
        // Two restarts are enough for the tier itself; the restart waits.
        assert_eq!(brief(&found), ("rollback", 2, "in_order"), "{found:#}");
        assert_eq!(found["why_said"], "restarts tried in 30 days: 2; restart_pod tried 2 times, held 0 of 2");
        h.send_and_drain(vec![resolved(alert("Loop", "a", h.now()), h.now())]).await;
        h.advance(HOUR);
        // What ended by itself each time would be waited for.
        h.advance(25 * HOUR);
        h.comes_back(9).await;
        h.advance(25 * HOUR);
        for _ in 0..4 {
            h.tries("scale_up", true).await;
        }
        h.send_and_drain(vec![alert("Loop", "a", h.now())]).await;
        let found = h.recommendation().await;
        assert_eq!(brief(&found), ("scale_up", 2, "held"), "{found:#}");
        assert_eq!(found["figures"]["held"], 4);
        assert_eq!(found["alternatives"][0]["action"], "rollback");
        let said = found["said"].as_str().unwrap();
        assert!(said.starts_with("held 4 of 4 times"), "{said}");
        let card = telegram.messages().pop().unwrap();
        assert!(card.text.contains("<code>scale_up</code> · held 4 of 4 times"), "{}", card.text);
        // Another anomaly of the alert has too few verdicts of its own.
        let mut other = alert("Loop", "b", h.now());
        other["labels"]["reason"] = json!("OOMKilled");
        h.send_and_drain(vec![other.clone()]).await;
        h.execute("UPDATE incidents SET tier = 2 WHERE status <> 'RESOLVED'").await;
        let found = h.recommendation().await;
        assert_eq!((brief(&found), &found["figures"]["of"]), (("scale_up", 2, "held"), &json!("alert_name")), "{found:#}");
        for (lang, words) in [("en", "since too little is known of this one"), ("zh-TW", "此異常的判定次數太少；所有同名告警的異常")] {
            let id = h.newest().await["id"].as_str().unwrap().to_owned();
            let page = h.http.get(format!("{}/incidents/{id}", h.url)).header("accept-language", lang);
            let page = page.send().await.unwrap().text().await.unwrap();
            let (_, part) = page.split_once("id=\"recommendation\"").unwrap();
            let part = part.split("</section>").next().unwrap();
            assert!(part.contains("<code>scale_up</code>") && part.contains(words), "{part}");
        }
        let id = h.newest().await["id"].as_str().unwrap().to_owned();
        let (ok, shown) = h.tocsin(&["incidents", "show", &id]);
        assert!(ok && shown.contains("recommended     scale_up (tier 2): held 4 of 4 times on all"), "{shown}");
        let now = h.now();
        h.send_and_drain(vec![resolved(other, now), resolved(alert("Loop", "a", now), now)]).await;
        h.finish().await;
    }

    async fn a_fix_that_did_not_hold_is_named_with_its_time_on_page_and_card(on) {
        let telegram = Telegram::start().await;
        let h = Harness::start_with(on, |config| {
            with_playbook(config);
            config.telegram_token = Some(Secret::from("1:t"));
            config.telegram_chat = Some("-100".to_owned());
            config.telegram_api = telegram.url.clone();
        }).await;
        let firing = alert("Loop", "a", h.now());
        h.send_and_drain(vec![firing.clone(), resolved(firing, h.now())]).await;
        let key = h.newest().await["anomaly_key"].as_str().unwrap().to_owned();
        let path = format!("/api/v1/anomalies/{key}/permanent-fix");
        assert_eq!(h.post(&path, json!({"reference": "PR-77"})).await.0, 200);
        h.drain().await;
        h.advance(HOUR * 72);
        let again = alert("Loop", "a", h.now());
        h.send_and_drain(vec![again.clone()]).await;
        let found = h.recommendation().await;
        assert_eq!(found["why"]["fix"]["reference"], "PR-77", "{found:#}");
        let held: Timestamp = Timestamp(found["why"]["fix"]["held_ms"].as_i64().unwrap());
        assert!(held >= Timestamp(0).after(HOUR * 71) && held < Timestamp(0).after(HOUR * 73), "{held:?}");
        let said = "permanent fix PR-77 did not hold: it fired again after 3 d";
        assert_eq!(found["why_said"], said);
        // No action of tier 4 is in the playbook.
        assert_eq!(brief(&found), ("", 4, "none_left"));
        let card = telegram.messages().pop().unwrap();
        assert!(card.shown.contains(said), "{}", card.shown);
        let id = h.newest().await["id"].as_str().unwrap().to_owned();
        let page = h.http.get(format!("{}/incidents/{id}", h.url)).send().await.unwrap();
        assert!(page.text().await.unwrap().contains(said));
        h.send_and_drain(vec![resolved(again, h.now())]).await;
        h.finish().await;
    }
}
