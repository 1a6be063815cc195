//! Scheduled canaries, expected alerts, and the outward heartbeat.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tocsin::config::{Config, Expected, Secret, Span};
use tocsin::context::Context;
use tocsin_workers::presence;
use tocsin_workers::recount::{check_expected, send_canary, send_heartbeat};
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::harness::{Harness, On, alert};
use crate::on_all;

const MINUTE: Duration = Duration::from_secs(60);

impl Harness {
    /// What a worker shares whose settings say where this ingress is.
    fn with_own_url(&self, set: impl FnOnce(&mut Config)) -> Context {
        let mut config = Config::clone(&self.context.config);
        config.canary.url = Some(self.url.clone());
        set(&mut config);
        Context {
            config: Arc::new(config),
            ..self.context.clone()
        }
    }

    /// Time passes, in which an ingress is there.
    pub(crate) async fn live(&self, time: Duration) {
        // Shorter than the time in which nobody misses it, by as much as the machine may be busy.
        const STEP: Duration = Duration::from_secs(10);
        presence::pass(&self.context).await.unwrap();
        for _ in 0..time.as_secs().div_ceil(STEP.as_secs()) {
            self.advance(STEP);
            presence::pass(&self.context).await.unwrap();
        }
    }

    /// Sends the alert that always fires, and waits until it is known that it came.
    pub(crate) async fn send_watchdog(&self) {
        let before = self
            .sql("SELECT COALESCE(MAX(seen_at), 0) FROM watches")
            .await;
        self.send_and_drain(vec![alert("Watchdog", "1", self.now())])
            .await;
        let newer = format!("SELECT count(*) FROM watches WHERE seen_at > {before}");
        self.until(&newer, 1).await;
    }

    pub(crate) async fn expect(&self) {
        check_expected(&self.context).await.unwrap();
        self.drain().await;
    }

    /// Name, reason and status of each incident.
    async fn told(&self) -> Vec<[String; 3]> {
        let incidents = self.incidents().await;
        let text = |incident: &Value, field| incident[field].as_str().unwrap().to_owned();
        let told = incidents.iter();
        let fields = ["alert_name", "error_type", "status"];
        told.map(|incident| fields.map(|field| text(incident, field)))
            .collect()
    }
}

pub(crate) fn watchdog() -> Expected {
    Expected {
        alert: "Watchdog".to_owned(),
        source: Some("alertmanager".to_owned()),
        ..Expected::default()
    }
}

on_all! {
    async fn a_scheduled_canary_finds_the_link_that_is_cut_and_that_it_is_mended(on) {
        let h = Harness::start(on).await;
        let context = h.with_own_url(|config| config.canary.every = Some(Span(5 * MINUTE)));
        // Of two workers one sends it.
        let (one, other) = tokio::join!(send_canary(&context), send_canary(&context));
        one.unwrap();
        other.unwrap();
        h.drain().await;
        assert_eq!(h.sql("SELECT count(*) FROM canaries").await, 1);
        assert_eq!(h.sql("SELECT count(*) FROM canaries WHERE resolved_at IS NOT NULL").await, 1);
        assert_eq!(h.told().await, [[""; 3]; 0]);
        let metrics = h.metrics().await;
        for link in ["ingress", "queue", "incident", "tier", "message", "resolve"] {
            let line = format!("tocsin_canary_link_up{{link=\"{link}\"}} 1.0\n");
            assert!(metrics.contains(&line), "{metrics}");
        }
        // Not before it is due.
        h.advance(4 * MINUTE);
        send_canary(&context).await.unwrap();
        assert_eq!(h.sql("SELECT count(*) FROM canaries").await, 1);
        // A link is cut.
        h.advance(MINUTE);
        h.pause("tier", true).await;
        let hasty = h.with_own_url(|config| {
            config.canary.every = Some(Span(5 * MINUTE));
            config.canary.within = Span(Duration::from_millis(300));
        });
        send_canary(&hasty).await.unwrap();
        assert!(h.metrics().await.contains("tocsin_canary_link_up{link=\"tier\"} 0.0\n"));
        h.pause("tier", false).await;
        h.drain().await;
        assert_eq!(h.told().await, [["ChainBroken", "tier", "OPEN"]]);
        let page = h.http.get(format!("{}/system", h.url)).send().await.unwrap();
        let page = page.text().await.unwrap();
        assert!(page.contains("id=\"chain\""), "{page}");
        // It works again.
        h.advance(5 * MINUTE);
        send_canary(&context).await.unwrap();
        h.drain().await;
        assert_eq!(h.told().await, [["ChainBroken", "tier", "RESOLVED"]]);
        assert_eq!(h.sql("SELECT count(*) FROM occurrences").await, 1);
        h.finish().await;
    }

    async fn an_expected_alert_that_does_not_come_is_an_incident_until_it_comes(on) {
        let h = Harness::start_with(on, |config| config.expected = vec![watchdog()]).await;
        presence::pass(&h.context).await.unwrap();
        h.expect().await;
        h.live(4 * MINUTE).await;
        h.send_watchdog().await;
        h.live(8 * MINUTE).await;
        h.expect().await;
        assert_eq!(h.told().await, [[""; 3]; 0], "one is missed");
        h.live(3 * MINUTE).await;
        h.expect().await;
        let missing = ["ExpectedAlertMissing", "Watchdog from alertmanager", "OPEN"];
        assert_eq!(h.told().await, [missing]);
        // Each pass says it again; a worker that died before it pushed loses nothing.
        h.live(MINUTE).await;
        h.expect().await;
        assert_eq!(h.sql("SELECT count(*) FROM occurrences").await, 1);
        h.send_watchdog().await;
        // The worker dies after it wrote that it is over, and before it pushed that.
        let now = h.now().0;
        h.execute(&format!("UPDATE watches SET ended_at = {now}")).await;
        h.expect().await;
        let mended = ["ExpectedAlertMissing", "Watchdog from alertmanager", "RESOLVED"];
        assert_eq!(h.told().await, [mended]);
        assert_eq!(h.sql("SELECT count(*) FROM watches WHERE late_since IS NOT NULL").await, 0);
        h.finish().await;
    }
}

#[tokio::test]
async fn silence_while_tocsin_was_down_or_its_clock_jumped_is_none() {
    let h = Harness::start_with(On::Sqlite, |config| config.expected = vec![watchdog()]).await;
    presence::pass(&h.context).await.unwrap();
    h.expect().await;
    // Down for ten hours, or a clock that is ten hours ahead; no ingress said that it is there.
    h.advance(600 * MINUTE);
    h.expect().await;
    presence::pass(&h.context).await.unwrap();
    h.expect().await;
    assert_eq!(h.told().await, [[""; 3]; 0]);
    // From then on it counts.
    h.live(11 * MINUTE).await;
    h.expect().await;
    assert_eq!(h.told().await.len(), 1);
    // It is not expected any more.
    let context = h.with_own_url(|config| config.expected = Vec::new());
    check_expected(&context).await.unwrap();
    h.drain().await;
    assert_eq!(h.told().await[0][2], "RESOLVED");
    assert_eq!(h.sql("SELECT count(*) FROM watches").await, 0);
    h.finish().await;
}

#[tokio::test]
async fn the_heartbeat_is_sent_once_and_only_while_all_is_well() {
    let h = Harness::start(On::Sqlite).await;
    let service = MockServer::start().await;
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(200))
        .up_to_n_times(2)
        .mount(&service)
        .await;
    let url = service.uri();
    let context = h.with_own_url(|config| config.heartbeat.url = Some(Secret::from(&*url)));
    let sent = async || service.received_requests().await.unwrap().len();
    send_heartbeat(&context).await.unwrap();
    assert_eq!(sent().await, 0, "no ingress was there");
    presence::pass(&h.context).await.unwrap();
    let (one, other) = tokio::join!(send_heartbeat(&context), send_heartbeat(&context));
    one.unwrap();
    other.unwrap();
    send_heartbeat(&context).await.unwrap();
    assert_eq!(sent().await, 1, "once a minute");
    h.live(MINUTE).await;
    send_heartbeat(&context).await.unwrap();
    assert_eq!(sent().await, 2);
    h.advance(MINUTE);
    send_heartbeat(&context).await.unwrap();
    assert_eq!(sent().await, 2, "the ingress is gone");
    // The service takes no more: that is an error of this part alone, and does not wait.
    presence::pass(&h.context).await.unwrap();
    let refused = send_heartbeat(&context).await.unwrap_err().to_string();
    assert!(
        refused.contains("404") && !refused.contains(&url),
        "{refused}"
    );
    h.finish().await;
}
