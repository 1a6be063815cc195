//! A total is its rows and what retention took of them, whatever is counted.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use tocsin::config::Span;
use tocsin::domain::aggregation::Unit;
use tocsin::store::db::{migrate, schema, take_back};
use tocsin_workers::recount;

use crate::harness::{Harness, firing, resolved};
use crate::on_all;

const DAY: Duration = Duration::from_secs(86_400);
const MINUTE: Duration = Duration::from_secs(60);

impl Harness {
    /// Total, pruned, and rows that count.
    async fn totals(&self, unit: Unit) -> [i64; 3] {
        let rows = match unit {
            Unit::Incident => "SELECT count(*) FROM incidents",
            Unit::Episode | Unit::Delivery => "SELECT count(counted_id) FROM occurrences",
        };
        [
            self.sql("SELECT total FROM anomalies").await,
            self.sql("SELECT pruned_total FROM anomalies").await,
            self.sql(rows).await,
        ]
    }
}

on_all! {
    async fn rows_pruned_before_an_upgrade_cause_no_drift(on) {
        for unit in [Unit::Episode, Unit::Delivery, Unit::Incident] {
            let h = Harness::start_with(on, |config| config.counting.unit = unit).await;
            let old = firing("old", h.now());
            h.send_and_drain(vec![old.clone(), firing("other", h.now())]).await;
            h.send_and_drain(vec![resolved(old, h.now())]).await;
            h.advance(31 * DAY);
            h.send_and_drain(vec![firing("young", h.now())]).await;
            recount::decay(&h.context).await.unwrap();
            // As an older version pruned.
            h.execute("DELETE FROM occurrences WHERE fingerprint = 'CrashLooping-old'").await;
            let (db, url) = (&h.context.db, h.context.config.database_url.expose());
            let applied = schema(db, url).await.unwrap();
            let newer = applied.iter().skip_while(|(name, _)| name != "m008_operations");
            let steps = newer.count().try_into().unwrap();
            take_back(db, url, steps).await.unwrap();
            migrate(db, url).await.unwrap();
            let pruned = match unit {
                Unit::Episode => 1,
                Unit::Delivery => 2,
                Unit::Incident => 0,
            };
            assert_eq!(h.sql("SELECT pruned_total FROM anomalies").await, pruned, "{unit:?}");
            assert_eq!(h.verify(false).await, BTreeSet::new(), "{unit:?}");
            h.finish().await;
        }
    }

    async fn a_total_outlives_the_rows_that_it_was_made_of(on) {
        for unit in [Unit::Episode, Unit::Delivery, Unit::Incident] {
            let h = Harness::start_with(on, |config| {
                config.counting.unit = unit;
                // What is open is not closed before its row is pruned.
                config.counting.unheard = Span(1000 * DAY);
                config.counting.unseen = Span(2000 * DAY);
            });
            let h = h.await;
            let (old, lost) = (firing("old", h.now()), firing("lost", h.now()));
            h.send_and_drain(vec![old.clone(), lost.clone()]).await;
            h.send_and_drain(vec![resolved(old, h.now())]).await;
            h.advance(20 * DAY);
            h.send_and_drain(vec![firing("young", h.now())]).await;
            let (before, counted) = match unit {
                Unit::Episode => ([3, 0, 3], [3, 2, 1]),
                Unit::Delivery => ([4, 0, 4], [4, 3, 1]),
                Unit::Incident => ([2, 0, 2], [2, 0, 2]),
            };
            assert_eq!(h.totals(unit).await, before, "{unit:?}");
            let path = format!("/api/v1/incidents/{}/repairs", h.incidents().await[0]["id"].as_str().unwrap());
            h.post(&path, json!({"action": "restart_pod", "success": true})).await;
            h.drain().await;
            h.advance(11 * DAY);
            h.recount().await;
            assert_eq!(h.totals(unit).await, counted, "{unit:?}");
            let first = "FROM incidents WHERE number = 1";
            let look = ["aggregated_count", "pruned_episodes", "open_episodes"];
            for (column, expected) in look.into_iter().zip([2, 2, 0]) {
                assert_eq!(h.sql(&format!("SELECT {column} {first}")).await, expected, "{column}");
            }

            // Incidents go much later, and the anomaly with the last of them.
            h.advance(MINUTE);
            h.execute("UPDATE incidents SET status = 'RESOLVED', resolved_at = updated_at").await;
            h.execute(
                "INSERT INTO reopenings (id, incident_id, resolved_at, reopened_at) \
                 SELECT id, id, opened_at, updated_at FROM incidents",
            )
            .await;
            h.advance(380 * DAY);
            h.recount().await;
            if unit == Unit::Incident {
                assert_eq!(h.totals(unit).await, [2, 1, 1]);
            }
            assert_eq!(h.sql("SELECT count(*) FROM incidents").await, 1);
            assert_eq!(h.sql("SELECT count(*) FROM reopenings").await, 1, "those of the incident that is left");
            h.advance(20 * DAY);
            h.recount().await;
            assert_eq!(h.sql("SELECT count(*) FROM anomalies").await, 0, "{unit:?}");
            assert_eq!(h.sql("SELECT count(*) FROM effectiveness").await, 0, "{unit:?}");
            h.finish().await;
        }
    }
}
