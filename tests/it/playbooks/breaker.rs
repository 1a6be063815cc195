//! An action that did not hold several times in a row is stopped everywhere, until it holds or a person allows it.

use serde_json::{Value, json};

use super::{HOUR, brief};
use crate::harness::{Harness, alert, resolved};
use crate::on_both;

impl Harness {
    /// What is recommended for a new firing of `Loop`, which ends then.
    async fn recommended(&self, reason: &str) -> Value {
        let mut firing = alert("Loop", "a", self.now());
        firing["labels"]["reason"] = json!(reason);
        self.send_and_drain(vec![firing.clone()]).await;
        let found = self.recommendation().await;
        self.send_and_drain(vec![resolved(firing, self.now())])
            .await;
        self.advance(HOUR);
        found
    }
}

on_both! {
    async fn an_action_that_did_not_hold_three_times_in_a_row_is_stopped_everywhere(on) {
        let h = Harness::start_with(on, |config| {
            let playbook = json!({"name": "loop", "alert_name": "Loop", "tier_1": ["rollback", "scale_up"]});
            config.playbooks = vec![serde_json::from_value(playbook).unwrap()];
            config.escalation.rules.clear();
            // So that nothing else is said against it.
            config.effectiveness.min_verdicts = 100;
        }).await;
        for _ in 0..2 {
            h.tries("rollback", false).await;
        }
        h.advance(25 * HOUR);
        assert_eq!(brief(&h.recommended("Other").await), ("rollback", 1, "in_order"));
        h.tries("rollback", false).await;
        let found = h.recommended("Another").await;
        assert_eq!(brief(&found), ("scale_up", 1, "in_order"), "{found:#}");
        assert_eq!(found["why"]["stopped"][0]["in_a_row"], 3);
        assert_eq!(found["alternatives"][0]["usable"], "stopped");
        let said = found["why_said"].as_str().unwrap();
        assert_eq!(said, "rollback is stopped: it did not hold 3 times in a row");
        let page = h.http.get(format!("{}/incidents/{}", h.url, h.newest().await["id"].as_str().unwrap()));
        assert!(page.send().await.unwrap().status().is_success());
        // A person allows it, once.
        let (ok, told) = h.tocsin(&["repairs", "allow", "Rollback"]);
        assert!(ok && told.contains("rollback is allowed again. It had not held 3 times in a row."), "{told}");
        let (status, again) = h.post("/api/v1/actions/rollback/allow", json!({})).await;
        assert_eq!((status, again), (200, json!({"action": "rollback", "was_stopped": null})));
        let audit = h.get("/api/v1/audit?action=action.allow").await;
        assert_eq!(audit["items"].as_array().unwrap().len(), 2);
        assert_eq!(brief(&h.recommended("Other").await).0, "rollback");
        // Stopped again, it is free once it held.
        for _ in 0..3 {
            h.tries("rollback", false).await;
        }
        h.advance(25 * HOUR);
        assert_eq!(brief(&h.recommended("Other").await).0, "scale_up");
        h.tries("rollback", true).await;
        assert_eq!(brief(&h.recommended("Other").await).0, "rollback");
        h.finish().await;
    }
}
