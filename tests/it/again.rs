//! Again: an incident of an anomaly that was told lately continues on the card of the one before it, and only what
//! somebody must know makes a sound.

mod week;

use std::time::Duration;

use serde_json::{Value, json};
use tocsin::config::{Config, Span, Tell};
use tocsin::domain::mute;
use tocsin::time::Timestamp;

use crate::harness::{Harness, firing, resolved};
use crate::{on, on_all};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// As it is set where nothing else is said.
fn again(config: &mut Config) {
    config.telegram.again = Config::default().telegram.again;
}

impl Harness {
    /// An incident that is over by itself after a minute, and the time after it.
    async fn one_incident(&self, alert: Value, after: Duration) {
        self.send_and_drain(vec![alert.clone()]).await;
        self.advance(MINUTE);
        self.send_and_drain(vec![resolved(alert, self.now())]).await;
        self.advance(after);
    }

    /// How many messages to Telegram stand so.
    async fn opened(&self, state: &str) -> i64 {
        let count = format!(
            "SELECT count(*) FROM notifications WHERE kind = 'opened' AND state = '{state}'"
        );
        self.sql(&count).await
    }
}

/// The same alert of another severity.
fn of_severity(mut alert: Value, severity: &str) -> Value {
    alert["labels"]["severity"] = json!(severity);
    alert
}

on_all! {
    async fn an_incident_goes_on_on_the_card_of_the_one_before(on) {
        let h = Harness::start_with(on, |config| {
            again(config);
            config.telegram.tell.push(Tell::Resolved);
            config.telegram.people = serde_json::from_value(json!({"7": "ann"})).unwrap();
        }).await;
        h.one_incident(firing("a", h.now()), 3 * HOUR).await;
        assert_eq!(h.telegram.messages().len(), 2, "the card, and that it is resolved");
        h.send_and_drain(vec![firing("b", h.now())]).await;

        let told = h.telegram.messages();
        assert_eq!(told.len(), 2, "{told:#?}");
        let card = &told[0];
        let first = card.shown.lines().next().unwrap_or_default();
        assert!(first.contains("Again · critical"), "{}", card.shown);
        assert!(card.shown.contains("Number 2 within 24 hours"), "{}", card.shown);
        assert!(card.shown.contains("Incident 2"), "{}", card.shown);
        let newest = h.incidents().await[0].clone();
        let id = newest["id"].as_str().unwrap();
        assert!(card.markup.to_string().contains(&id.replace('-', "")[..8]), "{}", card.markup);
        let why = "SELECT suppressed_by || ' ' || card_number FROM notifications WHERE state = 'muted'";
        assert_eq!(h.sql_text(why).await, "card 1");
        let line = "tocsin_messages_total{channel=\"\",outcome=\"on_card\"} 1";
        assert!(h.metrics().await.contains(line));
        let (_, story) = h.tocsin(&["trace", id]);
        assert!(story.contains("suppressed (on the card of incident 1)"), "{story}");

        // The card shows how it goes on, and no message says that it is over: none said that it opened.
        h.post(&format!("/api/v1/incidents/{id}/acknowledge"), json!({"operator": "ann"})).await;
        h.drain().await;
        let shown = || h.telegram.messages()[0].shown.clone();
        assert!(shown().contains("Acknowledged by ann"), "{}", shown());
        h.send_and_drain(vec![resolved(firing("b", h.now()), h.now())]).await;
        assert!(shown().contains("Resolved: the alert ended"), "{}", shown());
        h.advance(11 * HOUR);
        h.send_and_drain(vec![firing("c", h.now())]).await;
        assert!(shown().contains("Number 3 within 24 hours"), "{}", shown());
        assert_eq!(h.telegram.messages().len(), 2, "{:#?}", h.telegram.messages());
        h.finish().await;
    }

    async fn whoever_dies_after_it_was_decided_leaves_the_card_due(on) {
        let mut h = Harness::start_with(on, again).await;
        h.one_incident(firing("a", h.now()), HOUR).await;
        h.pause("notify", true).await;
        h.send(vec![firing("b", h.now())]).await;
        h.until("SELECT count(*) FROM notifications WHERE suppressed_by = 'card'", 1).await;
        h.stop_working().await;
        let due = "SELECT count(*) FROM notifications WHERE state = 'sent' AND edit_due_since IS NOT NULL";
        assert_eq!(h.sql(due).await, 1);
        h.pause("notify", false).await;
        h.work(tocsin_workers::workers(&h.context));
        h.advance(2 * MINUTE);
        h.recount().await;
        h.drain().await;
        let told = h.telegram.messages();
        assert_eq!(told.len(), 1, "{told:#?}");
        assert!(told[0].shown.contains("Number 2 within 24 hours"), "{}", told[0].shown);
        h.finish().await;
    }

    async fn an_incident_whose_card_was_deleted_has_a_message_of_its_own(on) {
        let h = Harness::start_with(on, again).await;
        h.one_incident(firing("a", h.now()), HOUR).await;
        h.telegram.delete(0);
        h.send_and_drain(vec![firing("b", h.now())]).await;
        let told = h.telegram.messages();
        assert_eq!(told.len(), 2, "{told:#?}");
        assert!(told[1].text.contains("Opened"), "{}", told[1].text);
        assert_eq!(h.opened("sent").await, 2);
        // That one is the card of those that follow.
        h.send_and_drain(vec![resolved(firing("b", h.now()), h.now())]).await;
        h.advance(HOUR);
        h.send_and_drain(vec![firing("c", h.now())]).await;
        let told = h.telegram.messages();
        assert_eq!(told.len(), 2, "{told:#?}");
        assert!(told[1].shown.contains("Number 3 within 24 hours"), "{}", told[1].shown);
        h.finish().await;
    }
}

on!(on_sqlite Sqlite:
    what_somebody_must_know_makes_a_sound
    a_rise_makes_a_sound_and_the_next_incident_goes_on_on_its_card
    what_goes_elsewhere_makes_a_sound_there
    a_card_that_nobody_heard_is_not_gone_on_on
    a_mute_says_nothing_on_cards
);

async fn what_somebody_must_know_makes_a_sound(on: crate::harness::On) {
    // What comes after the first incident, and whether it makes a sound.
    type Next = (&'static str, &'static str, Duration, bool, bool);
    let scenes: [Next; 6] = [
        ("the same", "critical", 11 * HOUR, false, false),
        ("after a quiet day", "critical", 13 * HOUR, false, true),
        ("a lower severity", "warning", HOUR, false, false),
        ("a severity nobody knows", "odd", HOUR, false, true),
        ("resolved by a person", "critical", HOUR, true, true),
        ("turned off", "critical", HOUR, false, true),
    ];
    for (scene, severity, after, by_person, sounds) in scenes {
        let h = Harness::start_with(on, |config| {
            again(config);
            if scene == "turned off" {
                config.telegram.again = Span(Duration::ZERO);
            }
        })
        .await;
        if by_person {
            h.send_and_drain(vec![firing("a", h.now())]).await;
            let incident = h.incident().await;
            let path = format!(
                "/api/v1/incidents/{}/resolve",
                incident["id"].as_str().unwrap()
            );
            h.post(&path, json!({"operator": "ann"})).await;
            h.drain().await;
            h.advance(after);
        } else {
            h.one_incident(firing("a", h.now()), after).await;
        }
        h.send_and_drain(vec![of_severity(firing("b", h.now()), severity)])
            .await;
        let told = h.telegram.messages();
        assert_eq!(told.len(), 1 + usize::from(sounds), "{scene}: {told:#?}");
        h.finish().await;
    }
    // From a warning to what is critical.
    let h = Harness::start_with(on, again).await;
    let warning = of_severity(firing("a", h.now()), "warning");
    h.one_incident(warning, HOUR).await;
    h.send_and_drain(vec![firing("b", h.now())]).await;
    assert_eq!(h.telegram.messages().len(), 2, "a higher severity");
    h.finish().await;
}

async fn a_rise_makes_a_sound_and_the_next_incident_goes_on_on_its_card(on: crate::harness::On) {
    let h = Harness::start_with(on, again).await;
    for _ in 0..6 {
        h.one_incident(firing("a", h.now()), HOUR).await;
    }
    let told = h.telegram.messages();
    assert_eq!(told.len(), 2, "{told:#?}");
    assert!(
        told[0].shown.contains("Number 4 within 24 hours"),
        "{}",
        told[0].shown
    );
    assert!(told[1].text.contains("ESCALATE"), "{}", told[1].text);
    assert!(
        told[1].shown.contains("Number 6 within 24 hours"),
        "{}",
        told[1].shown
    );
    h.finish().await;
}

async fn what_goes_elsewhere_makes_a_sound_there(on: crate::harness::On) {
    let h = Harness::start_with(on, |config| {
        again(config);
        let routes = json!([
            {"severity": "critical", "to": "telegram:-200", "continue": true},
            {"to": ["telegram:-100", "log"]},
        ]);
        config.routes = serde_json::from_value(routes).unwrap();
    })
    .await;
    h.one_incident(of_severity(firing("a", h.now()), "critical"), HOUR)
        .await;
    h.one_incident(of_severity(firing("a", h.now()), "warning"), HOUR)
        .await;
    let chats = || {
        let messages = h.telegram.messages().into_iter();
        let mut chats: Vec<String> = messages.map(|message| message.chat).collect();
        chats.sort();
        chats
    };
    assert_eq!(chats(), ["-100", "-200"]);
    // Where the incident before had no card, and it is worse than that one.
    h.one_incident(of_severity(firing("a", h.now()), "critical"), HOUR)
        .await;
    assert_eq!(chats(), ["-100", "-100", "-200", "-200"]);
    let log = "SELECT count(*) FROM notifications WHERE channel = 'log' AND state = 'sent'";
    assert_eq!(h.sql(log).await, 3, "what cannot be edited gets each");
    h.finish().await;
}

async fn a_card_that_nobody_heard_is_not_gone_on_on(on: crate::harness::On) {
    let now = Timestamp::now();
    let at = |hours: u32| {
        let at = chrono::DateTime::from_timestamp_millis(now.after(hours * HOUR).0).unwrap();
        at.format("%H:%M").to_string()
    };
    // Quiet for an hour that has begun already.
    let quiet = json!({"from": at(0), "to": at(2), "zone": "UTC"});
    let h = Harness::start_with(on, |config| {
        again(config);
        config.quiet = Some(serde_json::from_value(quiet).unwrap());
    })
    .await;
    h.one_incident(firing("a", h.now()), 30 * MINUTE).await;
    h.one_incident(firing("a", h.now()), 3 * HOUR).await;
    let silent = || {
        h.telegram
            .messages()
            .iter()
            .map(|m| m.is_silent)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        silent(),
        [true],
        "within the quiet hours it continues on the card"
    );
    h.one_incident(firing("a", h.now()), HOUR).await;
    assert_eq!(silent(), [true, false]);
    h.one_incident(firing("a", h.now()), HOUR).await;
    assert_eq!(silent(), [true, false]);
    h.finish().await;
}

async fn a_mute_says_nothing_on_cards(on: crate::harness::On) {
    let h = Harness::start_with(on, again).await;
    h.one_incident(firing("a", h.now()), HOUR).await;
    let key = h.sql_text("SELECT key FROM anomalies").await;
    let longest = mute::LONGEST.as_secs().min(7200);
    let path = format!("/api/v1/anomalies/{key}/mute");
    h.post(&path, json!({"for": format!("{longest}s"), "why": "known"}))
        .await;
    h.drain().await;
    h.one_incident(firing("a", h.now()), 3 * HOUR).await;
    let muted = "SELECT count(*) FROM notifications WHERE suppressed_by = 'mute'";
    assert_eq!(h.sql(muted).await, 1);
    // What the mute kept back was told nowhere, so the next makes a sound.
    h.one_incident(firing("a", h.now()), HOUR).await;
    assert_eq!(
        h.telegram.messages().len(),
        2,
        "{:#?}",
        h.telegram.messages()
    );
    h.finish().await;
}
