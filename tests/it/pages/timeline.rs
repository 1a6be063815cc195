//! The timeline of an incident's page, and where the rest of it is.

use std::time::Duration;

use serde_json::json;

use crate::harness::{Harness, On, firing};

const MINUTE: Duration = Duration::from_secs(60);

impl Harness {
    async fn page(&self, path: &str) -> String {
        let page = self.http.get(format!("{}{path}", self.url)).send().await;
        let page = page.unwrap();
        assert_eq!(page.status(), 200, "{path}");
        page.text().await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_firing_can_be_read_without_script() {
    let h = Harness::start(On::Sqlite).await;
    let alerts = (0..230).map(|pod| firing(&format!("pod-{pod}"), h.now()));
    h.send_and_drain(alerts.collect()).await;
    let incident = h.incident().await["id"].as_str().unwrap().to_owned();
    let page = h.page(&format!("/incidents/{incident}")).await;
    assert_eq!(
        page.matches("180 more firings").count(),
        2,
        "timeline and table"
    );
    assert!(page.contains("Only the newest entries of each kind are shown"));
    let mut next = format!("/incidents/{incident}/firings");
    let mut seen = std::collections::BTreeSet::new();
    for expected in [100, 100, 30] {
        let page = h.page(&next).await;
        let pods = page.split("<td>pod=").skip(1);
        let pods: Vec<String> = pods
            .map(|rest| rest[..rest.find('<').unwrap()].to_owned())
            .collect();
        assert_eq!(pods.len(), expected);
        seen.extend(pods);
        next = match page.split_once("rel=\"next\" href=\"") {
            Some((_, rest)) => rest[..rest.find('"').unwrap()].to_owned(),
            None => String::new(),
        };
    }
    assert_eq!((seen.len(), next.as_str()), (230, ""));
    h.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_timeline_omits_refused_and_repeated_operations() {
    let h = Harness::start(On::Sqlite).await;
    h.send_and_drain(vec![firing("a", h.now())]).await;
    let incident = h.incident().await["id"].as_str().unwrap().to_owned();
    let path = format!("/incidents/{incident}");
    let mut answers = Vec::new();
    for (deed, operator) in [
        ("acknowledge", "ann"),
        ("acknowledge", "bob"),
        ("resolve", "cyd"),
        ("resolve", "dan"),
        ("acknowledge", "eve"),
    ] {
        let deed = format!("/api/v1{path}/{deed}");
        answers.push(h.post(&deed, json!({ "operator": operator })).await.0);
    }
    assert_eq!(answers, [200, 200, 200, 200, 409]);
    let repair = json!({"action": "restart_pod", "success": true, "operator": "fay"});
    h.post(&format!("/api/v1{path}/repairs"), repair).await;
    h.drain().await;
    let page = h.page(&path).await;
    let timeline = page.split_once("<ol class=\"timeline\">").unwrap().1;
    let timeline = timeline.split_once("</ol>").unwrap().0;
    for (operator, times) in [
        ("ann", 1),
        ("bob", 0),
        ("cyd", 1),
        ("dan", 0),
        ("eve", 0),
        ("fay", 1),
    ] {
        let told = timeline.matches(&format!("by {operator}")).count();
        assert_eq!(told, times, "{operator}: {timeline}");
    }
    assert!(!timeline.contains("incident."), "{timeline}");
    h.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeline_says_when_the_level_rose_and_when_it_opened_again() {
    let h = Harness::start(On::Sqlite).await;
    let alert = firing("a", h.now());
    let more = (0..4).map(|pod| firing(&format!("pod-{pod}"), h.now()));
    h.send_and_drain(vec![alert.clone()]).await;
    h.send_and_drain(more.collect()).await;
    let incident = h.incident().await;
    let path = format!("/incidents/{}", incident["id"].as_str().unwrap());
    let page = h.page(&path).await;
    assert!(page.contains("Level rose to ESCALATE"), "{page}");
    assert!(!page.contains("Only the newest entries") && !page.contains("more firings"));
    h.post(
        &format!("/api/v1{path}/resolve"),
        json!({"operator": "ann"}),
    )
    .await;
    h.advance(11 * MINUTE);
    h.send_and_drain(vec![alert.clone()]).await;
    let page = h.page(&path).await;
    assert!(page.contains("Reopened: its alert fires"), "{page}");
    // It ends by itself this time, which nobody did.
    let key = incident["anomaly_key"].as_str().unwrap();
    h.post(
        &format!("/api/v1/anomalies/{key}/mute"),
        json!({"for": "1h"}),
    )
    .await;
    h.advance(MINUTE);
    let ended = |alert| crate::harness::resolved(alert, h.now());
    let all = (0..4).map(|pod| firing(&format!("pod-{pod}"), h.now().before(12 * MINUTE)));
    let all: Vec<_> = all.chain([alert]).map(ended).collect();
    h.send_and_drain(all).await;
    assert_eq!(h.incident().await["status"], "RESOLVED");
    let page = h.page(&path).await;
    assert_eq!(
        page.matches("<span class=\"did\">Resolved</span>").count(),
        2,
        "{page}"
    );
    assert!(page.contains("Muted until <time class=\"at\""), "{page}");
    let foot = page.split("<footer>").nth(1).unwrap();
    assert!(foot.contains("<time class=\"at\""), "{foot}");
    h.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn level_reasons_are_shown_in_the_readers_time_zone() {
    let h = Harness::start(On::Sqlite).await;
    h.send_and_drain(vec![firing("a", h.now())]).await;
    h.execute(
        "UPDATE anomalies SET level = 'ESCALATE', \
             reason = '{\"rule\":\"lasts\",\"since\":\"2026-11-22T21:28:29.102Z\",\"open_for_s\":14400}'",
    )
    .await;
    let incident = h.incident().await["id"].as_str().unwrap().to_owned();
    let page = h.page(&format!("/incidents/{incident}")).await;
    let since = "interruption since <time class=\"at\" datetime=\"2026-11-22T21:28:29.102Z\"";
    assert!(page.contains(since), "{page}");
    let page = h.page("/queues").await;
    assert!(
        page.contains("has measured since <time class=\"at\""),
        "{page}"
    );
    h.finish().await;
}
