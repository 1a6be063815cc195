//! Events, and PagerDuty's answers to them.

use insta::assert_snapshot;
use serde_json::{Value, json};
use tocsin::domain::aggregation::{ResolvedBy, Status};
use tocsin::domain::escalation::Level;
use tocsin::domain::notification::Kind;
use wiremock::matchers::{body_partial_json, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;
use crate::notifiers::tests::samples::{card, filled};
use crate::notifiers::tests::{KINDS, hostile};

const KEY: &str = "plantedR0123456789abcdef01234567";
const ID: &str = "019aad6b-8bae-7c31-9d0e-52a17fb309c4";

fn at(url: &str, lang: Lang) -> PagerDuty {
    let settings = config::PagerDuty {
        routing_key: Secret::from(KEY),
        url: url.to_owned(),
    };
    PagerDuty::new("ops", &settings, lang).unwrap()
}

fn nowhere() -> PagerDuty {
    at("https://events.example", Lang::English)
}

/// A card whose incident has this status.
fn standing(kind: Kind, status: Status) -> Card {
    let mut card = card(kind, Level::Escalate);
    card.page = Some("https://tocsin.example.com/incidents/019aad6b".to_owned());
    card.incident.status = status;
    if status == Status::Resolved {
        card.incident.resolved_by = Some(ResolvedBy::Itself);
    }
    card
}

fn event(card: &Card) -> Value {
    serde_json::from_str(&nowhere().render(card)).unwrap()
}

#[test]
fn an_event_says_what_there_is_to_know() {
    let event = event(&standing(Kind::Opened, Status::Open));
    assert_snapshot!(serde_json::to_string_pretty(&event).unwrap());
}

#[test]
fn an_incident_stands_there_as_it_does_here_whatever_the_message_tells() {
    for kind in KINDS {
        for (status, action) in [
            (Status::Open, "trigger"),
            (Status::Analyzing, "trigger"),
            (Status::Acknowledged, "acknowledge"),
            (Status::Resolved, "resolve"),
        ] {
            let event = event(&standing(kind, status));
            assert_eq!(event["event_action"], action, "{kind:?} {status:?}");
            assert_eq!(event["dedup_key"], ID);
        }
    }
}

#[test]
fn severities_are_those_that_pagerduty_has() {
    for (word, expected) in [
        ("critical", "critical"),
        ("PAGE", "critical"),
        ("major", "error"),
        ("error", "error"),
        ("warning", "warning"),
        ("minor", "warning"),
        ("info", "info"),
        ("debug", "info"),
        ("none", "error"),
        ("", "error"),
        ("whatever", "error"),
    ] {
        let mut card = standing(Kind::Opened, Status::Open);
        card.incident.severity = word.to_owned();
        assert_eq!(event(&card)["payload"]["severity"], expected, "{word}");
    }
}

#[test]
fn nothing_is_sent_again_but_another_state_or_severity() {
    let pagerduty = nowhere();
    let open = standing(Kind::Opened, Status::Open);
    let shown = pagerduty.render(&open);
    let mut more = open.clone();
    more.incident.aggregated_count = 20;
    assert_eq!(pagerduty.render_edit(&more, Some(&shown)), None);
    let mut worse = open.clone();
    worse.incident.severity = "warning".to_owned();
    assert!(pagerduty.render_edit(&worse, Some(&shown)).is_some());
    for status in [Status::Acknowledged, Status::Resolved] {
        let other = standing(Kind::Opened, status);
        let body = pagerduty.render_edit(&other, Some(&shown)).unwrap();
        assert_eq!(pagerduty.render_edit(&other, Some(&body)), None);
        assert!(pagerduty.render_edit(&open, Some(&body)).is_some());
    }
    for unknown in [None, Some("")] {
        assert!(pagerduty.render_edit(&open, unknown).is_some());
    }
}

#[test]
fn nothing_in_an_alert_breaks_an_event() {
    for text in hostile() {
        for kind in KINDS {
            let mut card = filled(kind, &text);
            card.incident.labels = json!({ text.as_str(): text.as_str(), "n": 7 });
            let body = nowhere().render(&card);
            assert!(body.len() < 64 * 1024, "{}", body.len());
            let event: Value = serde_json::from_str(&body).unwrap();
            let payload = &event["payload"];
            let summary = payload["summary"].as_str().unwrap();
            assert!((1..=1_024).contains(&summary.chars().count()), "{summary}");
            assert!(!payload["source"].as_str().unwrap().is_empty());
            for value in [summary, payload["source"].as_str().unwrap()] {
                assert!(!value.contains(char::is_control), "{value:?}");
            }
        }
    }
}

async fn answers(action: &str, response: ResponseTemplate, times: u64) -> MockServer {
    let server = MockServer::start().await;
    let expected = json!({"routing_key": KEY, "event_action": action, "dedup_key": ID});
    Mock::given(method("POST"))
        .and(path("/v2/enqueue"))
        .and(body_partial_json(expected))
        .respond_with(response)
        .expect(times)
        .mount(&server)
        .await;
    server
}

fn accepted() -> ResponseTemplate {
    let body = json!({"status": "success", "message": "Event processed", "dedup_key": ID});
    ResponseTemplate::new(202).set_body_json(body)
}

async fn send(server: &MockServer, status: Status) -> Result<Sent, SendError> {
    let pagerduty = at(&format!("{}/", server.uri()), Lang::English);
    let body = pagerduty.render(&standing(Kind::Opened, status));
    assert!(!body.contains("planted"), "{body}");
    pagerduty.send(Message::for_test(&body)).await
}

#[tokio::test]
async fn an_event_is_sent_with_the_key_and_the_answer_is_kept() {
    let server = answers("trigger", accepted(), 1).await;
    let sent = send(&server, Status::Open).await.unwrap();
    assert_eq!(sent.message_id.as_deref(), Some(ID));
    assert!(sent.answer.contains("Event processed"), "{}", sent.answer);
}

#[tokio::test]
async fn an_incident_that_somebody_has_before_it_is_told_is_acknowledged_at_once() {
    let server = answers("trigger", accepted(), 1).await;
    let expected = json!({"routing_key": KEY, "event_action": "acknowledge", "dedup_key": ID});
    Mock::given(body_partial_json(expected))
        .respond_with(accepted())
        .expect(1)
        .mount(&server)
        .await;
    send(&server, Status::Acknowledged).await.unwrap();
    assert_eq!(actions(&server).await, ["trigger", "acknowledge"]);
}

#[tokio::test]
async fn an_edit_opens_an_incident_before_it_is_acknowledged_unless_it_is_open() {
    for (shown, expected) in [
        (Some(Status::Open), &["acknowledge"][..]),
        (Some(Status::Resolved), &["trigger", "acknowledge"]),
        (None, &["trigger", "acknowledge"]),
    ] {
        let server = MockServer::start().await;
        Mock::given(method("POST"))
            .respond_with(accepted())
            .mount(&server)
            .await;
        let pagerduty = at(&server.uri(), Lang::English);
        let shown = shown.map(|status| pagerduty.render(&standing(Kind::Opened, status)));
        let taken = standing(Kind::Opened, Status::Acknowledged);
        let body = pagerduty.render_edit(&taken, shown.as_deref()).unwrap();
        let edited = pagerduty.edit(ID, Message::for_test(&body)).await;
        assert_eq!(edited, Ok(Edited::Done));
        assert_eq!(actions(&server).await, expected, "{shown:?}");
    }
}

/// What the events did that were sent.
async fn actions(server: &MockServer) -> Vec<String> {
    let asked = server.received_requests().await.unwrap();
    let action = |body: &[u8]| {
        let event: Value = serde_json::from_slice(body).unwrap();
        event["event_action"].as_str().unwrap().to_owned()
    };
    asked.iter().map(|one| action(&one.body)).collect()
}

#[tokio::test]
async fn what_pagerduty_refuses_is_given_up_and_what_may_pass_is_not() {
    let invalid = json!({
        "status": "invalid event",
        "message": format!("Event object is invalid: {KEY}"),
        "errors": ["Length of 'routing_key' is incorrect (should be 32 characters)"],
    });
    let refused = ResponseTemplate::new(400).set_body_json(invalid);
    let server = answers("trigger", refused, 1).await;
    let error = send(&server, Status::Open).await.unwrap_err();
    let said = error.to_string();
    assert!(matches!(error, SendError::GiveUp(_)), "{error:?}");
    assert!(said.contains("should be 32 characters"), "{said}");
    assert!(!said.contains("planted"), "{said}");

    let busy = ResponseTemplate::new(429).insert_header("Retry-After", "7");
    let server = answers("trigger", busy, 1).await;
    let error = send(&server, Status::Open).await.unwrap_err();
    let expected = Duration::from_secs(7);
    assert!(
        matches!(&error, SendError::Wait { after, .. } if *after == expected),
        "{error:?}"
    );

    for code in [429, 500, 503] {
        let server = answers("trigger", ResponseTemplate::new(code), 1).await;
        let error = send(&server, Status::Open).await.unwrap_err();
        assert!(matches!(error, SendError::Retry(_)), "{error:?}");
    }
}

#[tokio::test]
async fn a_test_opens_an_incident_of_its_own_that_says_what_it_is() {
    let server = MockServer::start().await;
    let (_, test) = (
        Mock::given(method("POST"))
            .respond_with(accepted())
            .mount(&server)
            .await,
        crate::notifiers::tests::test_message(),
    );
    let pagerduty = at(&server.uri(), Lang::English);
    let body = pagerduty.render_test(&test);
    pagerduty.send(Message::for_test(&body)).await.unwrap();
    let asked = server.received_requests().await.unwrap();
    let event: Value = serde_json::from_slice(&asked[0].body).unwrap();
    assert_eq!(event["dedup_key"], test.id.to_string());
    assert_eq!(event["event_action"], "trigger");
    assert_eq!(event["payload"]["severity"], "info");
    assert_eq!(
        event["payload"]["summary"],
        "Test message: this is no incident"
    );
}
