//! Alertmanager is asked before something is closed, and its silences are shown.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tocsin::config::Secret;
use tocsin::time::Timestamp;
use tokio::net::TcpListener;
use wiremock::matchers::{basic_auth, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{HOUR, state_of};
use crate::alertmanager::eventually;
use crate::alertmanager::server::{Alertmanager, Settings, posted};
use crate::harness::{Harness, On, firing};

/// One that is asked, and sends.
async fn asked() -> (Harness, Alertmanager) {
    let settings = Settings::default();
    let h = Harness::start_with(On::Sqlite, |config| {
        config.alertmanager_url = Some(Secret::from(settings.url().as_str()));
    });
    let h = h.await;
    let alertmanager = Alertmanager::start(&h, &settings).await;
    (h, alertmanager)
}

/// Another alert of the same group that is sent again and again: what it takes along, it would take along.
fn witness(from: Timestamp, until: Timestamp) -> Value {
    let mut alert = posted("CrashLooping", "b", from, until);
    alert["labels"]["job"] = json!("witness");
    alert
}

const OF_WITNESS: &str = "SELECT max(deliveries) FROM occurrences WHERE labels LIKE '%witness%'";

/// Waits until the group was sent twice more.
async fn sent_again(h: &Harness) {
    let before = h.sql(OF_WITNESS).await;
    let query = format!(
        "SELECT count(*) FROM occurrences WHERE labels LIKE '%witness%' AND deliveries >= {}",
        before + 2
    );
    eventually(h, &query, 1).await;
}

async fn of_pod_a(h: &Harness) -> Value {
    let mut found = h.listed("service=checkout").await;
    assert_eq!(found.len(), 1);
    found.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_firing_that_ended_while_silenced_becomes_stale_then_expires() {
    let (h, alertmanager) = asked().await;
    let (start, later) = (h.now(), h.now().after(HOUR));
    alertmanager
        .post(&[
            posted("CrashLooping", "a", start, later),
            witness(start, later),
        ])
        .await;
    eventually(
        &h,
        "SELECT count(*) FROM occurrences WHERE ended_at IS NULL",
        2,
    )
    .await;
    let silence = alertmanager.silence(&[("pod", "a")], "ann", later).await;
    alertmanager
        .post(&[posted("CrashLooping", "a", start, h.now())])
        .await;
    sent_again(&h).await;
    alertmanager.expire(&silence).await;
    sent_again(&h).await;
    assert_eq!(
        alertmanager.alerts().await.len(),
        1,
        "it has the other one alone"
    );
    alertmanager.post(&[witness(start, h.now())]).await;
    eventually(
        &h,
        "SELECT count(*) FROM occurrences WHERE ended_at IS NULL",
        1,
    )
    .await;
    h.drain().await;
    let told = h.telegram.messages().len();

    h.later(HOUR * 13).await;
    assert_eq!(state_of(&of_pod_a(&h).await), ("OPEN", None, true, 1));
    h.later(HOUR * 36).await;
    assert_eq!(
        state_of(&of_pod_a(&h).await),
        ("RESOLVED", Some("unseen"), false, 0)
    );
    assert_eq!(h.telegram.messages().len(), told, "nobody is told");
    drop(alertmanager);
    h.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silenced_firing_stays_open_until_alertmanager_is_unreachable_for_long() {
    let (h, mut alertmanager) = asked().await;
    let (start, later) = (h.now(), h.now().after(HOUR * 1000));
    alertmanager
        .post(&[
            posted("CrashLooping", "a", start, later),
            witness(start, later),
        ])
        .await;
    eventually(
        &h,
        "SELECT count(*) FROM occurrences WHERE ended_at IS NULL",
        2,
    )
    .await;
    let until = Timestamp::now().after(HOUR * 100);
    let silence = alertmanager.silence(&[("pod", "a")], "ann", until).await;
    sent_again(&h).await;
    h.advance(HOUR * 49);
    h.recount().await;
    let incident = of_pod_a(&h).await;
    assert_eq!(
        state_of(&incident),
        ("OPEN", None, true, 1),
        "Alertmanager still has it"
    );

    let id = incident["id"].as_str().unwrap();
    let shown = h.get(&format!("/api/v1/incidents/{id}")).await;
    let silences = json!([{"id": silence, "created_by": "ann", "comment": "we know",
        "starts_at": shown["silences"][0]["starts_at"], "ends_at": until.to_rfc3339(),
        "url": format!("{}/#/silences/{silence}", alertmanager.url)}]);
    assert_eq!(shown["silences"], silences);
    let page = h.page_at(&format!("/incidents/{id}")).await;
    assert!(
        page.contains("It stays open: Alertmanager still has it, but sends nothing"),
        "{page}"
    );
    assert!(
        page.contains("Silenced in Alertmanager by ann until"),
        "{page}"
    );

    // When it is not there any more, it is waited for.
    alertmanager.stop();
    h.drain().await;
    h.later(HOUR * 46).await;
    assert_eq!(state_of(&of_pod_a(&h).await), ("OPEN", None, true, 1));
    assert!(
        h.metrics()
            .await
            .contains("tocsin_alertmanager_errors_total 1")
    );
    h.later(HOUR * 2).await;
    assert_eq!(
        state_of(&of_pod_a(&h).await),
        ("RESOLVED", Some("unseen"), false, 0)
    );
    h.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_does_not_wait_for_an_alertmanager_that_hangs() {
    let hanging = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", hanging.local_addr().unwrap());
    let h = Harness::start_with(On::Sqlite, |config| {
        config.alertmanager_url = Some(Secret::from(url.as_str()));
    });
    let h = h.await;
    h.send_and_drain(vec![firing("a", h.now())]).await;
    let id = h.incident().await["id"].as_str().unwrap().to_owned();
    for _ in 0..2 {
        let began = Instant::now();
        let page = h.page_at(&format!("/incidents/{id}")).await;
        assert!(page.contains("Alertmanager does not respond"), "{page}");
        let shown = h.get(&format!("/api/v1/incidents/{id}")).await;
        assert_eq!(shown["silences"], Value::Null);
        // Two looks, each of which waits for a second.
        let took = began.elapsed();
        assert!(took < Duration::from_secs(4), "{took:?}");
    }
    h.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_in_the_address_is_used_and_never_shown() {
    let server = MockServer::start().await;
    let silence = json!({"id": "s1", "status": {"state": "active"}, "createdBy": "ann", "comment": "",
        "startsAt": "2026-11-22T21:28:29.102Z", "endsAt": "2026-11-22T23:28:29.102Z", "new": {},
        "matchers": [{"name": "namespace", "value": "prod|dev", "isRegex": true}]});
    Mock::given(path("/am/api/v2/silences"))
        .and(basic_auth("tocsin", "planted"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!([silence])))
        .mount(&server)
        .await;
    let place = server.address().to_string();
    let h = Harness::start_with(On::Sqlite, |config| {
        let url = format!("http://tocsin:planted@{place}/am/");
        config.alertmanager_url = Some(Secret::from(url.as_str()));
    });
    let h = h.await;
    h.send_and_drain(vec![firing("a", h.now())]).await;
    let id = h.incident().await["id"].as_str().unwrap().to_owned();
    let shown = h.get(&format!("/api/v1/incidents/{id}")).await;
    assert_eq!(
        shown["silences"][0]["url"],
        json!(format!("http://{place}/am/#/silences/s1"))
    );
    let page = h.page_at(&format!("/incidents/{id}")).await;
    assert!(
        page.contains("Silenced in Alertmanager by ann until"),
        "{page}"
    );
    assert!(
        page.contains(&format!("http://{place}/am/#/alerts?filter=")),
        "{page}"
    );
    for said in [page, shown.to_string(), format!("{:?}", h.context.config)] {
        assert!(!said.contains("planted"), "{said}");
    }
    h.finish().await;
}
