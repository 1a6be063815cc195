//! What is told once of a source: that it is quiet against its habit, that its sender leaves out alerts, that its alerts
//! are never said to be over.

use std::time::Duration;

use serde_json::{Value, json};
use tocsin::store::source_tallies::{self, Tally};
use tocsin_workers::presence;
use tocsin_workers::recount::{expire_stale, watch_sources};

use crate::harness::{Harness, On, alert, resolved};
use crate::on_all;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

impl Harness {
    /// Time passes, in which an ingress is there.
    async fn listen(&self, time: Duration) {
        for _ in 0..time.as_secs().div_ceil(20) {
            self.advance(Duration::from_secs(20));
            presence::pass(&self.context).await.unwrap();
        }
    }

    async fn watch(&self) {
        watch_sources(&self.context).await.unwrap();
        self.drain().await;
    }

    /// Name, reason, status and severity of each incident about a source.
    async fn warned(&self) -> Vec<[String; 4]> {
        let incidents = self.incidents().await;
        let own = |incident: &&Value| incident["service"] == "tocsin";
        let text = |incident: &Value, field| incident[field].as_str().unwrap().to_owned();
        let fields = ["alert_name", "error_type", "status", "severity"];
        let own = incidents.iter().filter(own);
        own.map(|incident| fields.map(|field| text(incident, field)))
            .collect()
    }

    /// What a source delivered in the hour before this one, that many weeks ago.
    fn delivered(&self, weeks: i64) -> Tally {
        Tally {
            source: "grafana".to_owned(),
            hour: source_tallies::hour(self.now()) - 1 - 168 * weeks,
            alerts: 5,
            ..Tally::default()
        }
    }
}

on_all! {
    async fn a_source_that_is_quiet_against_its_habit_is_an_incident_until_it_delivers(on) {
        let h = Harness::start(on).await;
        presence::pass(&h.context).await.unwrap();
        // To the second minute of an hour.
        let past = Duration::from_millis(u64::try_from(h.now().0).unwrap()).as_secs() % 3600;
        h.listen(Duration::from_secs(3600 - past) + 2 * MINUTE).await;
        let weeks: Vec<Tally> = (1..=3).map(|week| h.delivered(week)).collect();
        source_tallies::add(h.context.db.write(), &weeks).await.unwrap();
        h.watch().await;
        assert_eq!(h.warned().await, [[""; 4]; 0], "three weeks are no habit");
        source_tallies::add(h.context.db.write(), &[h.delivered(4)]).await.unwrap();
        // The last of them is longer ago than a day.
        let last = h.now().before(7 * DAY);
        let last_week = Tally { delivered_at: Some(last), ..h.delivered(1) };
        source_tallies::add(h.context.db.write(), &[last_week]).await.unwrap();
        h.watch().await;
        let quiet = ["SourceQuiet", "grafana", "OPEN", "warning"];
        assert_eq!(h.warned().await, [quiet]);
        let said = format!("SELECT count(*) FROM incidents WHERE CAST(annotations AS text) LIKE '%last delivery was at {}%'", last.to_rfc3339());
        assert_eq!(h.sql(&said).await, 1);
        let shown = h.metrics().await;
        assert!(shown.contains("tocsin_source_warnings{warning=\"quiet\"} 1\n"), "{shown}");
        // It is told once, and nothing of it is lost with the worker.
        h.listen(MINUTE).await;
        h.watch().await;
        assert_eq!(h.sql("SELECT count(*) FROM occurrences").await, 1);
        let back = Tally { delivered_at: Some(h.now()), ..h.delivered(0) };
        let back = Tally { hour: back.hour + 1, ..back };
        source_tallies::add(h.context.db.write(), &[back]).await.unwrap();
        // The worker dies after it wrote that it is over, and before it pushed that.
        let now = h.now().0;
        h.execute(&format!("UPDATE watches SET ended_at = {now} WHERE late_since IS NOT NULL")).await;
        h.watch().await;
        assert_eq!(h.warned().await, [["SourceQuiet", "grafana", "RESOLVED", "warning"]]);
        assert_eq!(h.sql("SELECT count(*) FROM watches").await, 0);
        h.finish().await;
    }

    async fn left_out_alerts_are_told_once_through_the_webhook(on) {
        let h = Harness::start(on).await;
        let body = |left_out: u64| json!({"version": "4", "truncatedAlerts": left_out, "alerts": [alert("A", "1", h.now())]});
        h.post("/api/v1/alertmanager", body(3)).await;
        h.post("/api/v1/alertmanager", body(4)).await;
        h.until("SELECT CAST(COALESCE(sum(truncated), 0) AS bigint) FROM source_tallies", 7).await;
        h.drain().await;
        h.watch().await;
        h.watch().await;
        assert_eq!(h.warned().await, [["AlertsLeftOut", "alertmanager", "OPEN", "warning"]]);
        assert_eq!(h.sql("SELECT count(*) FROM occurrences").await, 2);
        let said = "SELECT count(*) FROM incidents WHERE CAST(annotations AS text) LIKE '%7 alerts of alertmanager%'";
        assert_eq!(h.sql(said).await, 1);
        h.advance(DAY + HOUR);
        h.watch().await;
        assert_eq!(h.warned().await, [["AlertsLeftOut", "alertmanager", "RESOLVED", "warning"]]);
        h.finish().await;
    }

    async fn firings_that_all_expire_are_told_once_until_one_is_resolved(on) {
        let h = Harness::start_with(on, |config| config.watch.unresolved = 3).await;
        let alerts = ["1", "2", "3"].map(|pod| alert("A", pod, h.now()));
        h.send_and_drain(alerts.to_vec()).await;
        h.advance(3 * DAY);
        expire_stale(&h.context).await.unwrap();
        expire_stale(&h.context).await.unwrap();
        h.drain().await;
        assert_eq!(h.sql("SELECT CAST(sum(expired) AS bigint) FROM source_tallies").await, 3);
        h.watch().await;
        h.watch().await;
        assert_eq!(h.warned().await, [["ResolvesMissing", "alertmanager", "OPEN", "warning"]]);
        let other = alert("B", "1", h.now());
        h.send_and_drain(vec![other.clone()]).await;
        h.advance(MINUTE);
        h.send_and_drain(vec![resolved(other, h.now())]).await;
        h.until("SELECT CAST(sum(resolved) AS bigint) FROM source_tallies", 1).await;
        h.watch().await;
        assert_eq!(h.warned().await, [["ResolvesMissing", "alertmanager", "RESOLVED", "warning"]]);
        h.finish().await;
    }
}

#[tokio::test]
async fn a_clock_that_jumps_makes_no_source_quiet() {
    let h = Harness::start(On::Sqlite).await;
    presence::pass(&h.context).await.unwrap();
    h.listen(HOUR).await;
    h.advance(600 * MINUTE);
    let weeks: Vec<Tally> = (1..=4).map(|week| h.delivered(week)).collect();
    source_tallies::add(h.context.db.write(), &weeks)
        .await
        .unwrap();
    h.watch().await;
    presence::pass(&h.context).await.unwrap();
    h.watch().await;
    assert_eq!(h.warned().await, [[""; 4]; 0]);
    h.finish().await;
}
