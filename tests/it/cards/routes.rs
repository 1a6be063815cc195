//! Where messages go, and when they make a sound.

use std::time::Duration;

use chrono::DateTime;
use serde_json::{Value, json};
use tocsin::domain::routing::Route;
use tocsin::time::Timestamp;

use crate::harness::{Harness, alert, firing};
use crate::on_all;

const HOUR: Duration = Duration::from_secs(3600);

fn route(settings: Value) -> Route {
    serde_json::from_value(settings).unwrap()
}

/// Of one namespace.
fn of(namespace: &str, mut alert: Value) -> Value {
    alert["labels"]["namespace"] = json!(namespace);
    alert["fingerprint"] = json!(format!("{namespace}{}", alert["fingerprint"]));
    alert
}

/// A time of day, as settings have it.
fn hour(at: Timestamp) -> String {
    let at = DateTime::from_timestamp_millis(at.0).unwrap();
    at.format("%H:%M").to_string()
}

on_all! {
    async fn messages_go_to_the_topic_of_their_route_and_elsewhere_to_the_chat(on) {
        let h = Harness::start_with(on, |config| {
            config.routes = vec![
                route(json!({"namespace": "pay*", "to": ["telegram:-200/45", "log"]})),
                route(json!({"severity": "info", "to": []})),
            ];
        })
        .await;
        let now = h.now();
        let mut info = alert("Info", "a", now);
        info["labels"]["severity"] = json!("info");
        h.send_and_drain(vec![of("payments", firing("a", now)), firing("b", now), info]).await;
        let mut told: Vec<_> = h.telegram.messages().into_iter().map(|m| (m.chat, m.topic)).collect();
        told.sort();
        assert_eq!(told, [("-100".to_owned(), None), ("-200".to_owned(), Some(45))]);
        let logged = "SELECT count(*) FROM notifications WHERE channel = 'log' AND state = 'sent'";
        assert_eq!(h.sql(logged).await, 1);
        assert_eq!(h.sql("SELECT count(*) FROM notifications").await, 3);
        h.finish().await;
    }

    async fn a_higher_severity_notifies_the_channels_of_its_own_route(on) {
        let h = Harness::start_with(on, |config| {
            let critical = json!({"severity": "critical", "to": "telegram:-200"});
            config.routes = vec![route(critical)];
        })
        .await;
        let with = |severity: &str, pod: &str| {
            let mut alert = firing(pod, h.now());
            alert["labels"]["severity"] = json!(severity);
            alert
        };
        h.send_and_drain(vec![with("warning", "a")]).await;
        h.send_and_drain(vec![with("critical", "b")]).await;
        let chats: Vec<_> = h.telegram.messages().into_iter().map(|m| m.chat).collect();
        assert_eq!(chats, ["-100", "-200"]);
        let worsened = "SELECT count(*) FROM notifications \
                        WHERE kind = 'worsened' AND channel = 'telegram:-200' AND state = 'sent'";
        assert_eq!(h.sql(worsened).await, 1);
        assert!(h.telegram.taken()[1].contains("critical"), "{}", h.telegram.taken()[1]);
        h.finish().await;
    }

    async fn a_rise_that_takes_another_route_is_the_first_message_there(on) {
        let h = Harness::start_with(on, |config| {
            let urgent = json!({"level": ["ESCALATE", "PERMANENT_FIX"], "to": "telegram:-200", "continue": true});
            let all = json!({"namespace": "*", "to": "telegram:-100"});
            config.routes = vec![route(urgent), route(all)];
        })
        .await;
        for pod in 0..6 {
            h.send_and_drain(vec![firing(&format!("pod-{pod}"), h.now())]).await;
        }
        let told = h.telegram.messages();
        let of = |chat: &str| told.iter().filter(|m| m.chat == chat).cloned().collect::<Vec<_>>();
        let (usual, urgent) = (of("-100"), of("-200"));
        assert_eq!((usual.len(), urgent.len()), (2, 1), "{told:#?}");
        assert_eq!(urgent[0].reply_to, None);
        assert!(urgent[0].text.contains("Escalated"), "{}", urgent[0].text);
        assert!(urgent[0].shown.contains("6 firings"), "it is the card there: {}", urgent[0].shown);
        h.finish().await;
    }

    async fn in_quiet_hours_only_urgent_messages_make_a_sound(on) {
        let h = Harness::start_with(on, |config| {
            let now = Timestamp::now();
            let quiet = json!({"from": hour(now.before(HOUR)), "to": hour(now.after(2 * HOUR)), "zone": "UTC"});
            config.quiet = serde_json::from_value(quiet).unwrap();
        })
        .await;
        for pod in 0..5 {
            h.send_and_drain(vec![firing(&format!("pod-{pod}"), h.now())]).await;
        }
        let silent: Vec<bool> = h.telegram.messages().iter().map(|m| m.is_silent).collect();
        assert_eq!(silent, [true, false]);
        h.finish().await;
    }
}
