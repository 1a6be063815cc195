//! A database of the version before, with firings that go on while it is upgraded.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use tocsin::store::db::{migrate, schema, take_back};

use crate::harness::{Harness, firing, resolved};
use crate::on_all;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
/// The first change that the version before did not have.
const FIRST: &str = "m014_spans";

impl Harness {
    /// Has the database as the version before left it, changed by this, and then upgrades it.
    async fn upgrade(&self, before: &str) {
        self.upgrade_from(FIRST, before).await;
    }

    /// The same, where `first` is the first change that the version before did not have.
    async fn upgrade_from(&self, first: &str, before: &str) {
        let (db, url) = (&self.context.db, self.context.config.database_url.expose());
        let applied = schema(db, url).await.unwrap();
        let newer = applied.iter().skip_while(|(name, _)| name != first);
        take_back(db, url, newer.count().try_into().unwrap())
            .await
            .unwrap();
        self.execute(before).await;
        migrate(db, url).await.unwrap();
    }
}

on_all! {
    async fn a_start_that_was_ahead_silences_nothing_after_an_upgrade(on) {
        let h = Harness::start(on).await;
        let first = firing("a", h.now());
        h.send_and_drain(vec![first.clone()]).await;
        h.send_and_drain(vec![resolved(first, h.now())]).await;
        // As a sender in the year 9999 left it.
        h.upgrade("UPDATE occurrences SET starts_at = 253402214400000, ended_at = 253402214400000").await;
        h.advance(11 * MINUTE);
        h.send_and_drain(vec![firing("a", h.now())]).await;
        let incidents = h.incidents().await;
        assert_eq!((incidents.len(), &incidents[0]["status"]), (2, &json!("OPEN")));
        assert_eq!(h.telegram.taken().len(), 2);
        h.finish().await;
    }

    async fn firings_keep_their_state_across_an_upgrade(on) {
        let h = Harness::start(on).await;
        let [goes_on, ends, was_over] = ["goes-on", "ends", "was-over"].map(|pod| firing(pod, h.now()));
        h.send_and_drain(vec![goes_on.clone(), ends.clone(), was_over.clone()]).await;
        h.send_and_drain(vec![resolved(was_over.clone(), h.now())]).await;
        h.upgrade("SELECT 1").await;
        assert_eq!(h.verify(false).await, BTreeSet::new());

        // Sent again, it is known; and what was over before the upgrade is late.
        h.send_and_drain(vec![goes_on.clone(), was_over.clone()]).await;
        let incident = h.incident().await;
        assert_eq!((&incident["aggregated_count"], &incident["open_episodes"]), (&json!(3), &json!(2)));
        h.advance(MINUTE);
        h.send_and_drain(vec![resolved(ends, h.now())]).await;
        h.send_and_drain(vec![resolved(goes_on.clone(), h.now())]).await;
        let incident = h.incident().await;
        assert_eq!((&incident["status"], &incident["resolved_by"]), (&json!("RESOLVED"), &json!("itself")));
        assert_eq!(h.sql("SELECT total FROM anomalies").await, 3);

        // It fires on, long after it was said to be over.
        h.advance(HOUR);
        h.send_and_drain(vec![goes_on]).await;
        let incident = h.incident().await;
        assert_eq!((&incident["status"], &incident["reopened"]), (&json!("OPEN"), &json!(1)));
        h.recount().await;
        assert_eq!(h.verify(false).await, BTreeSet::new());
        h.finish().await;
    }

    async fn reasons_that_were_sentences_are_rules_after_an_upgrade(on) {
        let h = Harness::start(on).await;
        h.send_and_drain((0..5).map(|n| firing(&format!("p{n}"), h.now())).collect()).await;
        let [count, lasts] = [
            json!({"rule": "count", "figure": 5, "unit": "episode", "window": "24h", "incidents": 1, "threshold": 5}),
            json!({"rule": "lasts", "since": "2026-11-22T21:28:29.102Z", "open_for_s": 14400}),
        ];
        let level = json!({"rule": "level", "level": "ESCALATE"});
        let rows = async || {
            let written = format!(
                "SELECT count(*) FROM incidents i JOIN anomalies a ON a.key = i.anomaly_key \
                 WHERE a.reason = '{count}' AND i.tier_reason = '{level}'"
            );
            h.sql(&written).await
        };
        assert_eq!(rows().await, 1);
        // As this version wrote it, after the way back and forth.
        h.upgrade_from("m023_reasons", "SELECT 1").await;
        assert_eq!(rows().await, 1);
        let older = json!({"rule": "count", "figure": 7, "unit": "episode", "window": "24h", "threshold": 5});
        for (of_level, of_tier, level, tier, sentences) in [
            (
                "fires since 2026-11-22T21:28:29.102Z (≥ 4 h)",
                "restarting was tried 2 times in 30 days",
                &lasts,
                json!({"rule": "restarts", "restarts": 2}),
                None,
            ),
            (
                "7 in 24h (≥ 5)",
                "restarting was tried 3 times",
                &older,
                json!({"rule": "restarts", "restarts": 3}),
                Some(("7 firings in 24h (≥ 5)", "restarting was tried 3 times in 30 days")),
            ),
            ("in other words", "in other words, too", &json!(null), json!(null), None),
        ] {
            let before = format!("UPDATE anomalies SET reason = '{of_level}'");
            h.upgrade_from("m023_reasons", &before).await;
            let before = format!("UPDATE incidents SET tier_reason = '{of_tier}'");
            h.upgrade_from("m023_reasons", &before).await;
            let incident = h.incident().await;
            assert_eq!((&incident["escalation_rule"], &incident["tier_rule"]), (level, &tier));
            let (of_level, of_tier) = sentences.unwrap_or((of_level, of_tier));
            assert_eq!(incident["escalation_reason"], of_level);
            assert_eq!(incident["tier_reason"], of_tier);
        }
        h.finish().await;
    }

    async fn a_sentence_of_an_older_version_is_shown_and_then_replaced(on) {
        let h = Harness::start(on).await;
        h.send_and_drain((0..5).map(|n| firing(&format!("p{n}"), h.now())).collect()).await;
        h.execute("UPDATE anomalies SET reason = '7 firings in 24h in 1 incident (≥ 5)'").await;
        h.execute("UPDATE incidents SET tier_reason = 'level is ESCALATE'").await;
        let incident = h.incident().await;
        assert_eq!(incident["escalation_reason"], "7 firings in 24h in 1 incident (≥ 5)");
        assert_eq!(incident["tier_reason"], "level is ESCALATE");
        assert_eq!((&incident["escalation_rule"], &incident["tier_rule"]), (&json!(null), &json!(null)));
        let page = format!("{}/incidents/{}", h.url, incident["id"].as_str().unwrap());
        let page = h.http.get(page).send().await.unwrap().text().await.unwrap();
        assert!(page.contains("7 firings in 24h in 1 incident (≥ 5)"), "{page}");
        h.recount().await;
        h.drain().await;
        let incident = h.incident().await;
        assert_eq!(incident["escalation_level"], "ESCALATE");
        assert_eq!(incident["escalation_reason"], "5 firings in 24h in 1 incident (≥ 5)");
        assert_eq!((&incident["escalation_rule"]["figure"], &incident["tier_rule"]["rule"]), (&json!(5), &json!("level")));
        h.finish().await;
    }

    async fn rows_that_filled_their_pages_are_updated_after_an_upgrade(on) {
        let h = Harness::start(on).await;
        let all = |pods: std::ops::Range<usize>| pods.map(|n| firing(&format!("p{n}"), h.now())).collect();
        h.send_and_drain(all(0..5)).await;
        h.upgrade_from("m036_room", "SELECT 1").await;
        h.send_and_drain(all(5..8)).await;
        assert_eq!(h.incident().await["aggregated_count"], 8);
        assert_eq!(h.verify(false).await, BTreeSet::new());
        h.finish().await;
    }
}
