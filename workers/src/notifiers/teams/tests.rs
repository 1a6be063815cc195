//! Adaptive Cards, and a workflow's answers to them.

use std::time::Duration;

use insta::assert_snapshot;
use tocsin::config::Secret;
use tocsin::domain::escalation::Level;
use tocsin::domain::notification::Kind;
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;
use crate::notifiers::tests::samples::{self, filled};
use crate::notifiers::tests::{KINDS, hostile, test_message};

const PATH: &str = "/workflows/plantedid/triggers/manual/paths/invoke";

fn at(base: &str) -> Teams {
    let settings = config::Teams {
        url: Secret::from(format!("{base}{PATH}?sp=%2Frun&sig=plantedsignature").as_str()),
        tell: Vec::new(),
    };
    Teams::new("ops", &settings, Lang::English).unwrap()
}

fn nowhere() -> Teams {
    at("https://prod.logic.example")
}

#[test]
fn a_card_says_what_there_is_to_know() {
    let mut card = samples::card(Kind::Opened, Level::Escalate);
    card.page = Some("https://tocsin.example.com/incidents/019aad6b".to_owned());
    let body: Value = serde_json::from_str(&nowhere().render(&card)).unwrap();
    assert_snapshot!(serde_json::to_string_pretty(&body).unwrap());
}

#[test]
fn what_an_alert_says_is_in_runs_of_text_and_nowhere_else() {
    let mut texts = hostile();
    texts.push("[a](https://evil.example) **b** <at>all</at> {{DATE(2017)}}".to_owned());
    for text in texts {
        for kind in KINDS {
            let body = nowhere().render(&filled(kind, &text));
            assert!(body.len() <= BODY_MAX, "{}", body.len());
            let body: Value = serde_json::from_str(&body).unwrap();
            let content = &body["attachments"][0]["content"];
            assert!(content["msteams"]["entities"].is_null());
            let blocks = content["body"].as_array().unwrap();
            assert!(!blocks.is_empty());
            for block in blocks {
                assert_eq!(block["type"], "RichTextBlock", "{block}");
                for run in block["inlines"].as_array().unwrap() {
                    assert_eq!(run["type"], "TextRun", "{run}");
                    assert!(
                        !run["text"].as_str().unwrap().contains(char::is_control),
                        "{run}"
                    );
                }
            }
            for action in content["actions"].as_array().unwrap() {
                assert_eq!(action["type"], "Action.OpenUrl");
                assert!(
                    action["url"].as_str().unwrap().starts_with("http"),
                    "{action}"
                );
            }
        }
    }
}

async fn answered(response: ResponseTemplate) -> Result<Sent, SendError> {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path(PATH))
        .respond_with(response)
        .expect(1)
        .mount(&server)
        .await;
    let teams = at(&server.uri());
    let body = teams.render_test(&test_message());
    let sent = teams.send(Message::for_test(&body)).await;
    assert!(
        !format!("{sent:?} {teams:?}").contains("planted"),
        "{sent:?}"
    );
    sent
}

#[tokio::test]
async fn a_workflow_that_starts_took_the_message() {
    let sent = answered(ResponseTemplate::new(202)).await.unwrap();
    assert_eq!(
        (sent.message_id, sent.answer.as_str()),
        (None, "answered 202")
    );
}

#[tokio::test]
async fn what_a_workflow_refuses_is_given_up_and_what_may_pass_is_not() {
    let off = r#"{"error":{"code":"WorkflowTriggerIsNotEnabled","message":"The workflow plantedid is off"}}"#;
    let error = answered(ResponseTemplate::new(400).set_body_string(off))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, SendError::GiveUp(why) if why.contains("WorkflowTriggerIsNotEnabled")),
        "{error:?}"
    );
    let busy = ResponseTemplate::new(429).insert_header("Retry-After", "11");
    let error = answered(busy).await.unwrap_err();
    let expected = Duration::from_secs(11);
    assert!(
        matches!(&error, SendError::Wait { after, .. } if *after == expected),
        "{error:?}"
    );
    for code in [408, 500, 502] {
        let error = answered(ResponseTemplate::new(code)).await.unwrap_err();
        assert!(matches!(error, SendError::Retry(_)), "{error:?}");
    }
}
