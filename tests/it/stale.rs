//! Firings that their source no longer sends become stale, then expire, without a notification.

mod reconcile;
mod silences;

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use tocsin::store::stale::{self, Among, Limits};
use uuid::Uuid;

use crate::harness::{Harness, alert, firing, resolved};
use crate::on_all;

const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);

impl Harness {
    /// Time passes, and the schedule does what it does then.
    async fn later(&self, by: Duration) {
        self.advance(by);
        self.recount().await;
    }

    async fn listed(&self, query: &str) -> Vec<Value> {
        let list = self.get(&format!("/api/v1/incidents?{query}")).await;
        list["items"].as_array().unwrap().clone()
    }

    async fn page_at(&self, path: &str) -> String {
        let request = self.http.get(format!("{}{path}", self.url));
        request.send().await.unwrap().text().await.unwrap()
    }
}

/// Where an incident stands, who resolved it, whether it is unheard, and how many of its firings are open.
fn state_of(incident: &Value) -> (&str, Option<&str>, bool, i64) {
    (
        incident["status"].as_str().unwrap(),
        incident["resolved_by"].as_str(),
        !incident["unheard_since"].is_null(),
        incident["open_episodes"].as_i64().unwrap(),
    )
}

on_all! {
    async fn an_undelivered_firing_becomes_stale_then_expires_without_a_notification(on) {
        let h = Harness::start(on).await;
        h.send_and_drain(vec![firing("a", h.now())]).await;
        let seen = h.incident().await["last_firing_at"].clone();
        h.later(HOUR * 12 - MINUTE).await;
        assert_eq!(state_of(&h.incident().await), ("OPEN", None, false, 1));
        assert!(h.listed("unheard=true").await.is_empty());
        assert_eq!(h.listed("unheard=false").await.len(), 1);

        h.later(MINUTE * 2).await;
        let incident = h.incident().await;
        assert_eq!(state_of(&incident), ("OPEN", None, true, 1));
        assert_eq!(incident["unheard_since"], seen);
        assert_eq!(h.listed("unheard=true").await.len(), 1);
        assert!(h.listed("unheard=false").await.is_empty());
        let id = incident["id"].as_str().unwrap();
        let firings = h.get(&format!("/api/v1/incidents/{id}/occurrences")).await;
        assert_eq!((&firings["items"][0]["unheard"], &firings["items"][0]["ended_at"]), (&json!(true), &Value::Null));
        let card = h.telegram.messages().remove(0);
        assert!(card.shown.contains("Stale: not received since"), "{}", card.shown);
        let page = h.page_at(&format!("/incidents/{id}")).await;
        assert!(page.contains("Stale: not received since") && page.contains("closes it as expired on"), "{page}");
        assert!(h.page_at("/incidents?status=unheard").await.contains("stale: not received for 12 h"));

        h.later(HOUR * 36 - MINUTE * 2).await;
        assert_eq!(state_of(&h.incident().await), ("OPEN", None, true, 1));
        h.later(MINUTE * 2).await;
        let incident = h.incident().await;
        assert_eq!(state_of(&incident), ("RESOLVED", Some("unseen"), false, 0));
        assert_eq!(incident["resolved_at"], incident["updated_at"]);
        let firings = h.get(&format!("/api/v1/incidents/{id}/occurrences")).await;
        let firing = &firings["items"][0];
        assert_eq!((&firing["ended_at"], &firing["ended_by"], &firing["unheard"]), (&seen, &json!("unseen"), &json!(false)));
        assert_eq!((h.listed("resolved_by=unseen").await.len(), h.listed("resolved_by=itself").await.len()), (1, 0));
        assert!(h.listed("unheard=true").await.is_empty());
        let page = h.page_at(&format!("/incidents/{id}")).await;
        assert!(page.contains("Closed as expired") && !page.contains("Stale: not received since"), "{page}");
        assert!(h.page_at("/incidents?status=unseen").await.contains(&id.replace('-', "")));

        let told = h.telegram.messages();
        assert_eq!(told.len(), 1, "nobody is told: {told:#?}");
        assert!(told[0].shown.contains("expired"), "{}", told[0].shown);
        assert_eq!(h.verify(false).await, BTreeSet::new());
        // Once more there is nothing to do.
        let before = h.incident().await;
        h.later(MINUTE).await;
        assert_eq!(h.incident().await["updated_at"], before["updated_at"]);
        h.finish().await;
    }

    async fn only_firings_without_deliveries_expire(on) {
        let h = Harness::start(on).await;
        let (a, b) = (firing("a", h.now()), firing("b", h.now()));
        h.send_and_drain(vec![a.clone(), b.clone()]).await;
        h.advance(HOUR * 20);
        h.send_and_drain(vec![b.clone()]).await;
        h.recount().await;
        assert_eq!(state_of(&h.incident().await), ("OPEN", None, false, 2));
        let id = h.incident().await["id"].as_str().unwrap().to_owned();
        let firings = h.get(&format!("/api/v1/incidents/{id}/occurrences")).await;
        let mut unheard: Vec<(&str, bool)> = firings["items"].as_array().unwrap().iter()
            .map(|firing| (firing["labels"]["pod"].as_str().unwrap(), firing["unheard"].as_bool().unwrap()))
            .collect();
        unheard.sort_unstable();
        assert_eq!(unheard, [("a", true), ("b", false)]);

        h.later(HOUR * 29).await;
        assert_eq!(state_of(&h.incident().await), ("OPEN", None, true, 1), "a is closed, b is unheard");
        h.send_and_drain(vec![resolved(b, h.now())]).await;
        let incident = h.incident().await;
        assert_eq!((&incident["status"], &incident["resolved_by"]), (&json!("RESOLVED"), &json!("itself")));
        assert_eq!(h.verify(false).await, BTreeSet::new());
        h.finish().await;
    }

    async fn a_firing_delivered_after_the_search_does_not_expire(on) {
        let h = Harness::start(on).await;
        let a = firing("a", h.now());
        h.send_and_drain(vec![a.clone()]).await;
        h.advance(HOUR * 49);
        let (db, patience) = (h.context.db.read(), h.context.config.counting.stale_limits());
        let limits = Limits { patience, now: h.now() };
        let quiet = stale::quiet(db, Among::Old, Uuid::nil(), &limits, 10).await.unwrap();
        let ids = quiet.iter().map(|quiet| quiet.id);
        let silent = stale::silent(db, ids, Uuid::nil(), &limits, 10).await.unwrap();
        assert_eq!((quiet.len(), silent.len()), (1, 1));
        h.send_and_drain(vec![a]).await;
        let tx = h.context.db.begin().await.unwrap();
        stale::lock(&tx, quiet.iter().map(|quiet| &quiet.anomaly_key)).await.unwrap();
        let written = stale::close(&tx, &quiet, &silent, &limits, true).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(written, stale::ExpiryResult::default());
        assert_eq!(state_of(&h.incident().await), ("OPEN", None, false, 1));
        h.finish().await;
    }

    async fn expiry_keeps_manual_resolves_and_incidents_without_auto_resolve(on) {
        for (auto_resolve, by_person, expected) in [
            (true, true, ("RESOLVED", Some("person"), false, 0)),
            (false, false, ("OPEN", None, false, 0)),
        ] {
            let h = Harness::start_with(on, |config| config.aggregation.auto_resolve = auto_resolve).await;
            h.send_and_drain(vec![firing("a", h.now())]).await;
            h.later(HOUR * 13).await;
            let id = h.incident().await["id"].as_str().unwrap().to_owned();
            if by_person {
                let path = format!("/api/v1/incidents/{id}/resolve");
                assert_eq!(h.post(&path, json!({"operator": "ann"})).await.0, 200);
                assert_eq!(state_of(&h.incident().await), ("RESOLVED", Some("person"), false, 1));
            }
            h.later(HOUR * 36).await;
            assert_eq!(state_of(&h.incident().await), expected);
            assert_eq!(h.verify(false).await, BTreeSet::new());
            h.finish().await;
        }
    }

    async fn more_than_one_step_takes_is_closed_in_one_pass(on) {
        let h = Harness::start(on).await;
        let alerts = (0..230).map(|n| alert(&format!("A{n}"), "p", h.now()));
        h.send_and_drain(alerts.collect()).await;
        h.later(HOUR * 49).await;
        let closed = "SELECT count(*) FROM incidents WHERE resolved_by = 'unseen' AND open_episodes = 0";
        assert_eq!(h.sql(closed).await, 230);
        h.finish().await;
    }
}
