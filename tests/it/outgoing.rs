//! Messages as webhooks, to a receiver that answers well, badly, and not at all.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tocsin::text::Lang;

use crate::harness::{Harness, On, alert, firing, resolved};
use crate::on_all;
use crate::receiver::Receiver;
use crate::telegram::Hold;

async fn start(on: On) -> (Harness, Receiver) {
    let receiver = Receiver::start().await;
    let settings = receiver.settings();
    let h = Harness::start_with(on, |config| {
        config.webhooks.insert("ops".to_owned(), settings);
    })
    .await;
    (h, receiver)
}

fn keys(object: &Value) -> BTreeSet<String> {
    object.as_object().unwrap().keys().cloned().collect()
}

on_all! {
    async fn an_incident_is_posted_once_beside_telegram(on) {
        let (h, receiver) = start(on).await;
        let alert = firing("a", h.now());
        for _ in 0..3 {
            h.send_and_drain(vec![alert.clone()]).await;
        }
        h.send_and_drain(vec![resolved(alert, h.now())]).await;
        assert_eq!(h.telegram.taken().len(), 1);
        let [delivery] = &receiver.deliveries()[..] else {
            panic!("{:#?}", receiver.deliveries());
        };
        let sent = "SELECT CAST(id AS TEXT) FROM notifications WHERE channel = 'webhook:ops' AND state = 'sent'";
        if on != On::Sqlite {
            assert_eq!(delivery.id, h.sql_text(sent).await);
        }
        assert!((h.now().0 / 1000 - delivery.at).abs() < 60, "{}", delivery.at);
        let (body, incident) = (&delivery.body, h.incident().await);
        assert_eq!(keys(body), ["data", "text", "timestamp", "type"].map(str::to_owned).into());
        assert_eq!(body["type"], "incident.opened");
        let text = body["text"].as_str().unwrap();
        assert!(text.starts_with("🚨 Opened · critical: CrashLooping in prod\n"), "{text}");
        // What the API says, and the links.
        let mut expected = keys(&incident);
        expected.extend(["links", "is_shortened"].map(str::to_owned));
        assert_eq!(keys(&body["data"]), expected);
        for same in ["id", "number", "title", "alert_name", "namespace", "labels", "tier", "opened_at"] {
            assert_eq!(body["data"][same], incident[same], "{same}");
        }
        assert_eq!(body["data"]["status"], "OPEN");
        assert_eq!(body["data"]["frequency_stats"]["count_1h"], 1);
        let source = "http://prometheus.example/graph";
        assert_eq!(body["data"]["links"], json!({"page": null, "runbook": null, "source": source}));
        h.finish().await;
    }

    async fn a_delivery_that_failed_comes_again_under_its_id(on) {
        let (h, receiver) = start(on).await;
        receiver.answer_next(500, "a moment");
        receiver.answer_next(500, "another");
        h.send_and_drain(vec![firing("a", h.now())]).await;
        let deliveries = receiver.deliveries();
        let answers: Vec<u16> = deliveries.iter().map(|d| d.status.as_u16()).collect();
        assert_eq!(answers, [500, 500, 204]);
        assert_eq!(deliveries[0].id, deliveries[2].id);
        assert_eq!(deliveries[0].body, deliveries[2].body);
        // Whole seconds, and the two pauses take longer than one.
        assert!(deliveries[0].at < deliveries[2].at);
        assert_eq!(h.telegram.taken().len(), 1);
        h.finish().await;
    }

    async fn a_410_response_fails_the_message_for_good(on) {
        let (mut h, receiver) = start(on).await;
        receiver.answer_next(410, "channel_is_archived");
        h.send_and_drain(vec![firing("a", h.now())]).await;
        assert_eq!((receiver.deliveries().len(), h.telegram.taken().len()), (1, 1));
        let why = h.sql_text("SELECT error FROM notifications WHERE state = 'given up'").await;
        assert_eq!(why, "webhook:ops answered 410: channel_is_archived");
        assert_eq!(h.sql("SELECT count(*) FROM dead_letters WHERE queue = 'notify'").await, 1);
        h.finish_with_dead_letters().await;
    }

    async fn an_unresponsive_receiver_delays_no_other(on) {
        let (h, receiver) = start(on).await;
        receiver.hold(true);
        let names: Vec<String> = (0..8).map(|n| format!("Alert{n}")).collect();
        h.send(names.iter().map(|name| alert(name, "a", h.now())).collect()).await;
        let began = Instant::now();
        while h.telegram.taken().len() < names.len() {
            // A try is given up after ten seconds.
            assert!(began.elapsed() < Duration::from_secs(8), "{:#?}", h.telegram.headlines());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let claimed = "SELECT count(*) FROM notifications WHERE channel = 'webhook:ops' AND state = 'sending'";
        // So many are on their way to one host.
        assert!(h.sql(claimed).await <= 4, "what is left alone is not claimed");
        receiver.hold(false);
        h.drain().await;
        let ids: BTreeSet<String> = receiver.deliveries().into_iter().map(|d| d.id).collect();
        assert_eq!((ids.len(), receiver.deliveries().len()), (names.len(), names.len()));
        h.finish().await;
    }

    async fn telegram_that_does_not_answer_holds_up_no_webhook(on) {
        let receiver = Receiver::start().await;
        let settings = receiver.settings();
        let h = Harness::start_alone_with(on, |config| {
            config.webhooks.insert("ops".to_owned(), settings);
            let to = ["telegram:-100", "telegram:-200", "telegram:-300", "telegram:-400", "webhook:ops"];
            config.routes = vec![serde_json::from_value(json!({"to": to})).unwrap()];
        })
        .await;
        h.telegram.hold(Hold::Requests);
        let mut slowest = Duration::ZERO;
        for n in 0..20 {
            let began = Instant::now();
            h.send(vec![alert(&format!("Alert{n}"), "a", h.now())]).await;
            while receiver.deliveries().len() <= n {
                assert!(began.elapsed() < Duration::from_secs(5), "webhook {n} waits for Telegram");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            slowest = slowest.max(began.elapsed());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert!(slowest < Duration::from_secs(1), "{slowest:?}");
        h.telegram.hold(Hold::Nothing);
        h.drain().await;
        let told: BTreeSet<_> = h.telegram.messages().into_iter().map(|m| (m.chat, m.text)).collect();
        assert_eq!((told.len(), h.telegram.taken().len()), (80, 80));
        h.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_written_in_the_language_that_is_set() {
    let receiver = Receiver::start().await;
    let settings = receiver.settings();
    let h = Harness::start_with(On::Sqlite, |config| {
        config.language = Lang::Chinese;
        config.webhooks.insert("ops".to_owned(), settings);
    })
    .await;
    h.send_and_drain(vec![firing("a", h.now())]).await;
    let headline = "🚨 <b>新事件 · critical：CrashLooping in prod</b>";
    assert_eq!(h.telegram.headlines(), [headline]);
    let text = receiver.deliveries()[0].body["text"].clone();
    let first = text.as_str().unwrap().lines().next().unwrap();
    assert_eq!(first, "🚨 新事件 · critical：CrashLooping in prod");
    h.finish().await;
}
