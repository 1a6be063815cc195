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
        let (db, url) = (&self.context.db, self.context.config.database_url.expose());
        let applied = schema(db, url).await.unwrap();
        let newer = applied.iter().skip_while(|(name, _)| name != FIRST);
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

    async fn what_fires_goes_on_and_what_was_over_is_over_after_an_upgrade(on) {
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
}
