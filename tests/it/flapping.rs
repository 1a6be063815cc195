//! Flapping: what fires and ends again and again is told once when that begins and once when it is over.

use std::time::Duration;

use serde_json::json;
use tocsin::config::Config;
use tocsin::domain::escalation::Level;
use tocsin_workers::recount;

use crate::harness::{Harness, On, firing, levels_by_counts, resolved};
use crate::{on, on_all};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// As it is set where nothing else is said.
fn flapping(config: &mut Config) {
    config.flapping = Config::default().flapping;
    config.telegram.again = Config::default().telegram.again;
}

impl Harness {
    /// So many firings of one series that end, each three minutes long and five after the one before ended.
    async fn flap_times(&self, times: usize) {
        for _ in 0..times {
            let alert = firing("a", self.now());
            self.send_and_drain(vec![alert.clone()]).await;
            self.advance(3 * MINUTE);
            self.send_and_drain(vec![resolved(alert, self.now())]).await;
            self.advance(5 * MINUTE);
        }
    }

    async fn rows_of(&self, kind: &str, state: &str) -> i64 {
        let count = format!(
            "SELECT count(*) FROM notifications WHERE kind = '{kind}' AND state = '{state}'"
        );
        self.sql(&count).await
    }
}

on_all! {
    async fn an_anomaly_that_flaps_is_told_once_at_its_start_and_once_at_its_end(on) {
        let h = Harness::start_with(on, |config| {
            flapping(config);
            config.escalation.rules.retain(|rule| rule.level < Level::PermanentFix);
        }).await;
        h.flap_times(6).await;
        assert_eq!(h.rows_of("flapping", "sent").await, 0);
        h.flap_times(1).await;
        assert_eq!(h.rows_of("flapping", "sent").await, 1);
        let told = h.telegram.messages();
        let last = told.last().unwrap();
        assert!(last.text.contains("Flapping · critical"), "{}", last.text);
        assert!(last.text.contains("keep_firing_for"), "{}", last.text);
        let incidents = h.incidents().await.len();

        // What fires meanwhile joins, counts, and tells nothing.
        h.flap_times(9).await;
        assert_eq!(h.telegram.messages().len(), told.len(), "{:#?}", h.telegram.headlines());
        assert_eq!(h.incidents().await.len(), incidents);
        assert_eq!(h.sql("SELECT count(*) FROM occurrences").await, 16);
        assert_eq!(h.sql("SELECT total FROM anomalies").await, 16);
        let key = h.sql_text("SELECT key FROM anomalies").await;
        let path = format!("/api/v1/anomalies/{key}");
        assert!(h.get(&path).await["flapping_since"].is_string());
        let (_, shown) = h.tocsin(&["anomalies", "show", &key]);
        assert!(shown.contains("flapping       since"), "{shown}");
        let page = h.http.get(format!("{}/anomalies/{key}", h.url)).send().await.unwrap();
        assert!(page.text().await.unwrap().contains("flapping since"));
        let incident = h.incidents().await[0].clone();
        assert_eq!(incident["flapping_since"], h.get(&path).await["flapping_since"]);
        let id = incident["id"].as_str().unwrap().to_owned();
        let of_incident = format!("/api/v1/incidents/{id}");
        assert_eq!(h.get(&of_incident).await["flapping_since"], incident["flapping_since"]);
        let (_, shown) = h.tocsin(&["incidents", "show", &id]);
        assert!(shown.contains("flapping        since"), "{shown}");
        let page = h.http.get(format!("{}/incidents/{id}", h.url)).send().await.unwrap();
        assert!(page.text().await.unwrap().contains("flapping since"));
        recount::end_flapping(&h.context).await.unwrap();
        h.drain().await;
        assert_eq!(h.rows_of("steady", "sent").await, 0, "it flaps still");

        // Two that look at it at once, and a third: it is over once.
        h.advance(HOUR);
        let ended = tokio::join!(recount::end_flapping(&h.context), recount::end_flapping(&h.context));
        recount::end_flapping(&h.context).await.unwrap();
        assert_eq!(ended.0.unwrap() + ended.1.unwrap(), 1);
        h.drain().await;
        let now = h.telegram.messages();
        assert_eq!(now.len(), told.len() + 1, "{:#?}", h.telegram.headlines());
        let last = now.last().unwrap();
        assert!(last.text.contains("No longer flapping"), "{}", last.text);
        assert!(h.get(&path).await["flapping_since"].is_null());
        assert!(h.get(&of_incident).await["flapping_since"].is_null());
        // From then on incidents open as ever.
        h.flap_times(1).await;
        assert_eq!(h.incidents().await.len(), incidents + 1);
        h.finish().await;
    }
}

on!(on_sqlite Sqlite:
    a_rise_to_permanent_fix_and_a_higher_severity_are_sent_while_it_flaps
    what_was_decided_is_sent_though_the_process_dies
    a_mute_says_nothing_of_flapping
    nothing_flaps_where_that_is_turned_off
);

async fn a_rise_to_permanent_fix_and_a_higher_severity_are_sent_while_it_flaps(on: On) {
    let h = Harness::start_with(on, |config| {
        flapping(config);
        config.escalation.rules = levels_by_counts();
        config.telegram.tell.push(tocsin::config::Tell::Resolved);
        // Below the level of ESCALATE, which is at 5 firings.
        config.flapping.start = 3;
        config.flapping.end = 1;
    })
    .await;
    h.flap_times(4).await;
    assert_eq!(h.rows_of("flapping", "sent").await, 1);
    let before = h.telegram.messages().len();
    h.flap_times(5).await;
    assert_eq!(
        h.telegram.messages().len(),
        before,
        "{:#?}",
        h.telegram.headlines()
    );
    let kept_back = "SELECT count(*) FROM notifications WHERE suppressed_by = 'flapping' AND kind = 'escalated'";
    assert_eq!(h.sql(kept_back).await, 1, "the rise to ESCALATE");
    h.flap_times(1).await;
    let told = h.telegram.messages();
    assert_eq!(told.len(), before + 1, "{:#?}", h.telegram.headlines());
    assert!(
        told[before].text.contains("NEEDS PERMANENT FIX"),
        "{}",
        told[before].text
    );
    let mut worse = firing("b", h.now());
    worse["labels"]["severity"] = json!("critical");
    h.execute("UPDATE incidents SET severity = 'warning'").await;
    h.send_and_drain(vec![worse]).await;
    let told = h.telegram.messages();
    assert_eq!(told.len(), before + 2, "{:#?}", h.telegram.headlines());
    assert!(
        told[before + 1].text.contains("Severity raised"),
        "{}",
        told[before + 1].text
    );
    h.finish().await;
}

async fn what_was_decided_is_sent_though_the_process_dies(on: On) {
    let mut h = Harness::start_with(on, flapping).await;
    h.flap_times(6).await;
    h.pause("notify", true).await;
    h.send(vec![firing("a", h.now())]).await;
    h.until(
        "SELECT count(*) FROM notifications WHERE kind = 'flapping'",
        1,
    )
    .await;
    h.stop_working().await;
    h.execute("DELETE FROM jobs").await;
    h.pause("notify", false).await;
    h.work(tocsin_workers::workers(&h.context));
    h.advance(2 * MINUTE);
    h.recount().await;
    h.drain().await;
    assert_eq!(h.rows_of("flapping", "sent").await, 1);
    h.finish().await;
}

async fn a_mute_says_nothing_of_flapping(on: On) {
    let h = Harness::start_with(on, flapping).await;
    h.flap_times(1).await;
    let key = h.sql_text("SELECT key FROM anomalies").await;
    let path = format!("/api/v1/anomalies/{key}/mute");
    h.post(&path, json!({"for": "2h", "why": "known"})).await;
    h.flap_times(7).await;
    assert_eq!(h.rows_of("flapping", "muted").await, 1);
    h.finish().await;
}

async fn nothing_flaps_where_that_is_turned_off(on: On) {
    let h = Harness::start_with(on, |config| {
        flapping(config);
        config.flapping.start = 0;
    })
    .await;
    h.flap_times(8).await;
    let flaps = "SELECT count(*) FROM anomalies WHERE flapping_since IS NOT NULL";
    assert_eq!(h.sql(flaps).await, 0);
    assert!(h.incidents().await.len() > 3);
    h.finish().await;
}
