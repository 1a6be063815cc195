//! Presses that Telegram sends: with the secret, and with nothing else.

use serde_json::{Value, json};
use tocsin::config::{Config, Secret, Tokens, Updates};
use tocsin::domain::buttons::ButtonAction;
use tocsin::telegram::poller;
use tokio_util::sync::CancellationToken;

use super::{ALICE, STRANGER, people};
use crate::harness::{Harness, answer, firing};
use crate::on_all;

const SECRET: &str = "planted-secret_of-the-webhook";

fn by_webhook(config: &mut Config) {
    people(config);
    config.telegram.updates = Updates::Webhook;
    config.telegram.webhook_secret = Some(Secret::from(SECRET));
    config.public_url = Some("https://tocsin.example.org/".to_owned());
}

/// The tokens guard the API, and not this.
fn guarded(config: &mut Config) {
    by_webhook(config);
    config.api_token = Tokens::from("operate");
    config.webhook_token = Tokens::from("hook");
}

impl Harness {
    async fn sent(&self, secret: Option<&str>, update: &Value) -> (u16, Value) {
        let mut request = self
            .http
            .post(format!("{}/api/v1/telegram", self.url))
            .json(update);
        if let Some(secret) = secret {
            request = request.header("X-Telegram-Bot-Api-Secret-Token", secret);
        }
        answer(request.send().await.unwrap()).await
    }
}

on_all! {
    async fn a_press_that_is_sent_with_the_secret_is_done(on) {
        let h = Harness::start_with(on, by_webhook).await;
        h.send_and_drain(vec![firing("a", h.now())]).await;
        let update = h.press(ALICE, ButtonAction::Acknowledge).await;
        for _ in 0..2 {
            let (status, said) = h.sent(Some(SECRET), &update).await;
            assert_eq!((status, &said["method"]), (200, &json!("answerCallbackQuery")));
            assert_eq!((&said["text"], &said["callback_query_id"]), (&json!("Acknowledged."), &update["callback_query"]["id"]));
        }
        assert_eq!(h.incident().await["operator"], "alice");
        assert_eq!(h.audited("incident.acknowledge").await.len(), 1);
        let update = h.press(STRANGER, ButtonAction::Resolve).await;
        let (status, said) = h.sent(Some(SECRET), &update).await;
        assert_eq!((status, &said["show_alert"]), (200, &json!(true)));
        assert_eq!(h.incident().await["status"], "ACKNOWLEDGED");
        for other in [json!({}), json!({"update_id": 1, "message": {}})] {
            assert_eq!(h.sent(Some(SECRET), &other).await, (200, json!({})), "{other}");
        }
        for garbage in [json!([]), json!("x")] {
            assert_eq!(h.sent(Some(SECRET), &garbage).await.0, 400, "{garbage}");
        }
        // Other buttons are shown beside the answer.
        let update = h.press(ALICE, ButtonAction::Repairs).await;
        assert_eq!(h.sent(Some(SECRET), &update).await.0, 200);
        while h.telegram.presses.keyboards().is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        h.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_that_is_sent_with_the_secret_is_a_note() {
    let h = Harness::start_with(crate::harness::On::Sqlite, by_webhook).await;
    h.send_and_drain(vec![firing("a", h.now())]).await;
    let update = h.telegram.presses.reply(ALICE, 1, "the cable is out");
    assert_eq!(h.sent(None, &update).await.0, 401);
    for _ in 0..2 {
        assert_eq!(h.sent(Some(SECRET), &update).await, (200, json!({})));
    }
    assert_eq!(h.sql("SELECT count(*) FROM notes").await, 1);
    while h.telegram.presses.reactions().is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    h.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_secret_nothing_is_done() {
    let on = crate::harness::On::Sqlite;
    let mut h = Harness::start_with(on, guarded).await;
    let alerts = json!({"alerts": [firing("a", h.now())]});
    let request = h.http.post(format!("{}/api/v1/alertmanager", h.url));
    let sent = request
        .bearer_auth("hook")
        .json(&alerts)
        .send()
        .await
        .unwrap();
    assert_eq!(sent.status(), 200);
    h.drain().await;
    let id = "SELECT lower(hex(id)) FROM incidents";
    let incident = h.sql_text(id).await.parse().unwrap();
    let data = tocsin::domain::buttons::CallbackData {
        incident,
        action: ButtonAction::Acknowledge,
    };
    let update = h.telegram.presses.press(ALICE, &data.data());
    for wrong in [
        None,
        Some(""),
        Some("planted"),
        Some("operate"),
        Some("hook"),
    ] {
        let (status, said) = h.sent(wrong, &update).await;
        assert_eq!(status, 401, "{wrong:?}: {said}");
        assert!(!said.to_string().contains(SECRET));
    }
    assert_eq!(h.sql("SELECT count(*) FROM audit").await, 0);
    let metrics = h.metrics().await;
    assert!(
        metrics.contains("tocsin_auth_failures_total{role=\"telegram\"} 5"),
        "{metrics}"
    );
    for n in 6..=12 {
        let status = h.sent(Some("guess"), &update).await.0;
        assert_eq!(status, if n > 10 { 429 } else { 401 }, "{n}");
    }
    // The right one is taken all the same.
    assert_eq!(h.sent(Some(SECRET), &update).await.0, 200);
    assert_eq!(h.sql("SELECT count(*) FROM audit").await, 1);
    h.finish_with_dead_letters().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_webhook_accepts_no_presses_while_polling_is_configured() {
    let h = Harness::start_with(crate::harness::On::Sqlite, |config| {
        people(config);
        config.telegram.webhook_secret = Some(Secret::from(SECRET));
    })
    .await;
    assert_eq!(h.sent(Some(SECRET), &json!({"update_id": 1})).await.0, 404);
    h.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_telegram_webhook_is_registered() {
    let h = Harness::start_with(crate::harness::On::Sqlite, by_webhook).await;
    let stop = CancellationToken::new();
    let announcing = tokio::spawn(poller::run(h.context.clone(), stop.clone()));
    while h.telegram.presses.webhook().is_none() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let set = h.telegram.presses.webhook().unwrap();
    assert_eq!(set["url"], "https://tocsin.example.org/api/v1/telegram");
    assert_eq!(set["secret_token"], SECRET);
    assert_eq!(set["allowed_updates"], json!(["callback_query", "message"]));
    // A process that is about to be replaced may take it away: it is said again until this one stops.
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    assert!(!announcing.is_finished());
    stop.cancel();
    announcing.await.unwrap();
    h.finish().await;
}
