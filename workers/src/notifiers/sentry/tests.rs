//! Comments, and Sentry's answers to them.

use insta::assert_snapshot;
use tocsin::domain::aggregation::{ResolvedBy, Status};
use tocsin::domain::escalation::Level;
use tocsin::domain::notification::Kind;
use tocsin::time::Timestamp;
use wiremock::matchers::{header, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;
use crate::notifiers::tests::samples::{self, filled};
use crate::notifiers::tests::{KINDS, hostile, test_message};

const TOKEN: &str = "plantedsntrys0123456789";
const COMMENTS: &str = "/api/0/organizations/acme/issues/9000042/comments/";
const ISSUES: &str = "/api/0/organizations/acme/issues/";

fn at(url: &str) -> Sentry {
    let settings = SentrySettings {
        url: url.to_owned(),
        organization: Some("acme".to_owned()),
        token: Some(Secret::from(TOKEN)),
    };
    Sentry::new("sentry", &settings, Lang::English).unwrap()
}

/// A card whose incident is about an issue.
fn card(kind: Kind) -> Card {
    let mut card = samples::card(kind, Level::Escalate);
    card.page = Some("https://tocsin.example.com/incidents/019aad6b".to_owned());
    of_issue(&mut card);
    card
}

fn of_issue(card: &mut Card) {
    card.incident.source = "sentry".to_owned();
    card.incident.labels = json!({"alertname": "SentryIssue", "issue_id": "9000042"});
}

fn text(card: &Card) -> String {
    let body = serde_json::from_str(&at("https://sentry.example").render(card));
    let Ok(Body::Comment { issue, text, .. }) = body else {
        panic!("no comment: {body:?}");
    };
    assert_eq!(issue, "9000042");
    text
}

#[test]
fn a_comment_says_how_often_and_what_to_do() {
    let opened = text(&card(Kind::Opened));
    let escalated = text(&card(Kind::Escalated));
    let mut over = card(Kind::Resolved);
    over.incident.status = Status::Resolved;
    over.incident.resolved_by = Some(ResolvedBy::Itself);
    over.incident.resolved_at = Some(over.incident.opened_at);
    let all = [opened, escalated, text(&over)].join("\n\n---\n\n");
    assert_snapshot!(all);
}

#[test]
fn a_comment_says_which_action_is_recommended() {
    let mut card = card(Kind::Opened);
    card.recommendation = Some(samples::recommendation("roll_back"));
    let text = text(&card);
    assert!(
        text.contains("👉") && text.contains("`roll_back`"),
        "{text}"
    );
}

#[test]
fn nothing_in_an_alert_breaks_a_comment() {
    for hostile in hostile() {
        for kind in KINDS {
            let mut card = filled(kind, &hostile);
            of_issue(&mut card);
            let text = text(&card);
            assert!(text.encode_utf16().count() < 2 * TEXT_MAX);
            assert!(
                !text.contains(|c: char| c.is_control() && c != '\n'),
                "{text:?}"
            );
            // Within code, and around an address of ours, it is no markup.
            let outside: String = text.split('`').step_by(2).collect();
            let outside = outside.replace("\\<", "").replace("](<http", "");
            assert!(!outside.contains('<'), "{text}");
        }
    }
}

async fn answering(response: ResponseTemplate, times: u64) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path(COMMENTS))
        .and(header("authorization", format!("Bearer {TOKEN}")))
        .respond_with(response)
        .expect(times)
        .mount(&server)
        .await;
    server
}

fn taken() -> ResponseTemplate {
    ResponseTemplate::new(201).set_body_json(json!({"id": "55501", "type": "note"}))
}

async fn send(server: &MockServer, is_repeated: bool) -> Result<Sent, SendError> {
    let sentry = at(&format!("{}/", server.uri()));
    let body = sentry.render(&card(Kind::Opened));
    let message = Message {
        is_repeated,
        ..Message::for_test(&body)
    };
    sentry.send(message).await
}

#[tokio::test]
async fn a_comment_is_posted_with_the_id_that_it_is_known_by() {
    let server = answering(taken(), 1).await;
    let sent = send(&server, false).await.unwrap();
    assert_eq!(sent.message_id.as_deref(), Some("55501"));
    assert_eq!(sent.answer, "comment 55501 at issue 9000042");
    let asked = server.received_requests().await.unwrap();
    let posted: Value = serde_json::from_slice(&asked[0].body).unwrap();
    let text = posted["text"].as_str().unwrap();
    let id = Message::for_test("").id;
    assert!(text.ends_with(&format!("\n\nTocsin `{id}`")), "{text}");
    assert_eq!(asked.len(), 1, "nothing is searched before the first try");
}

#[tokio::test]
async fn what_may_have_arrived_is_searched_for_before_it_is_posted_again() {
    let id = Message::for_test("").id;
    for (there, posted) in [(format!("Tocsin `{id}`"), 0), ("Tocsin".to_owned(), 1)] {
        let server = answering(taken(), posted).await;
        let found =
            json!([{"id": "1", "data": {"text": "x"}}, {"id": "2", "data": {"text": there}}]);
        Mock::given(method("GET"))
            .and(path(COMMENTS))
            .and(query_param("per_page", "20"))
            .respond_with(ResponseTemplate::new(200).set_body_json(found))
            .expect(1)
            .mount(&server)
            .await;
        send(&server, true).await.unwrap();
    }
}

#[tokio::test]
async fn a_duplicate_is_as_good_as_taken_and_other_refusals_are_given_up_with_their_reason() {
    let refused = |detail: &str| json!({"detail": detail});
    let duplicate = refused("You have already posted that comment.");
    let server = answering(ResponseTemplate::new(400).set_body_json(duplicate), 1).await;
    assert!(
        send(&server, false)
            .await
            .unwrap()
            .answer
            .contains("already posted")
    );
    for (code, detail) in [
        (400, "This field may not be blank."),
        (401, "Invalid token"),
        (403, "You do not have permission to perform this action."),
        (404, "The requested resource does not exist"),
    ] {
        let body = refused(&format!("{detail} {TOKEN}"));
        let server = answering(ResponseTemplate::new(code).set_body_json(body), 1).await;
        let error = send(&server, false).await.unwrap_err();
        let said = error.to_string();
        assert!(matches!(error, SendError::GiveUp(_)), "{error:?}");
        assert!(said.contains(detail) && !said.contains("planted"), "{said}");
    }
    for code in [500, 502, 503] {
        let server = answering(ResponseTemplate::new(code), 1).await;
        let error = send(&server, false).await.unwrap_err();
        assert!(matches!(error, SendError::Retry(_)), "{error:?}");
    }
}

#[tokio::test]
async fn a_rate_limit_is_waited_for_until_it_is_reset() {
    // Long ago, as both say; what is between them counts.
    let limited = ResponseTemplate::new(429)
        .insert_header("Date", "Sun, 22 Nov 2026 21:28:29 GMT")
        .insert_header("X-Sentry-Rate-Limit-Reset", "1795382917");
    let server = answering(limited, 1).await;
    let error = send(&server, false).await.unwrap_err();
    let expected = Duration::from_secs(8);
    assert!(
        matches!(&error, SendError::Wait { after, .. } if *after == expected),
        "{error:?}"
    );
    assert_eq!(
        Timestamp::parse("2026-11-22T21:28:29Z"),
        Some(Timestamp(1_795_382_909_000))
    );
}

#[tokio::test]
async fn a_test_reads_an_issue_and_posts_nothing() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(path(ISSUES))
        .and(query_param("limit", "1"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!([])))
        .expect(1)
        .mount(&server)
        .await;
    let sentry = at(&server.uri());
    let body = sentry.render_test(&test_message());
    let sent = sentry.send(Message::for_test(&body)).await.unwrap();
    assert!(
        sent.answer
            .starts_with("answered 200: the token may read issues of acme"),
        "{sent:?}"
    );
}

#[tokio::test]
async fn what_is_about_no_issue_or_cannot_be_read_is_given_up() {
    let server = answering(taken(), 0).await;
    let sentry = at(&server.uri());
    let elsewhere = sentry.render(&samples::card(Kind::Opened, Level::None));
    for body in [elsewhere.as_str(), "", "{}"] {
        let error = sentry.send(Message::for_test(body)).await.unwrap_err();
        assert!(matches!(error, SendError::GiveUp(_)), "{error:?}");
    }
}

/// A card with an analysis.
fn analyzed() -> Card {
    let mut card = card(Kind::Opened);
    card.incident.analysis = Some(samples::analysis("DiskFull"));
    card
}

#[test]
fn a_comment_is_edited_for_its_analysis_and_for_nothing_else() {
    let sentry = at("https://sentry.example");
    let plain = sentry.render(&card(Kind::Opened));
    let mut changed = card(Kind::Opened);
    changed.incident.aggregated_count += 7;
    assert_ne!(sentry.render(&changed), plain);
    assert_eq!(sentry.render_edit(&changed, Some(&plain)), None);

    let edited = sentry.render_edit(&analyzed(), Some(&plain)).unwrap();
    assert!(edited.contains("🔎") && edited != plain, "{edited}");
    assert_eq!(sentry.render_edit(&analyzed(), Some(&edited)), None);
    let mut more = analyzed();
    more.incident.aggregated_count += 7;
    assert_eq!(sentry.render_edit(&more, Some(&edited)), None);
    // An analysis that is gone, for it is over, takes nothing away.
    assert_eq!(sentry.render_edit(&card(Kind::Opened), Some(&edited)), None);
    // It is unknown what a comment shows whose edit was not answered.
    assert_eq!(sentry.render_edit(&analyzed(), Some("")), Some(edited));
    assert_eq!(sentry.render_edit(&card(Kind::Opened), Some("")), None);
    // As it was kept before comments were edited.
    let before = r#"{"comment":{"issue":"9000042","text":"x"}}"#;
    assert!(sentry.render_edit(&analyzed(), Some(before)).is_some());
}

async fn edit(answer: ResponseTemplate) -> (Result<Edited, SendError>, MockServer) {
    let server = MockServer::start().await;
    Mock::given(method("PUT"))
        .and(path(format!("{COMMENTS}55501/")))
        .and(header("authorization", format!("Bearer {TOKEN}")))
        .respond_with(answer)
        .expect(1)
        .mount(&server)
        .await;
    let sentry = at(&server.uri());
    let body = sentry.render(&analyzed());
    let edited = sentry.edit("55501", Message::for_test(&body)).await;
    (edited, server)
}

#[tokio::test]
async fn an_edit_keeps_the_id_that_its_comment_is_known_by() {
    let taken = ResponseTemplate::new(200).set_body_json(json!({"id": "55501"}));
    let (edited, server) = edit(taken).await;
    assert_eq!(edited, Ok(Edited::Done));
    let asked = server.received_requests().await.unwrap();
    let put: Value = serde_json::from_slice(&asked[0].body).unwrap();
    let text = put["text"].as_str().unwrap();
    let id = Message::for_test("").id;
    assert!(
        text.contains("🔎") && text.ends_with(&format!("\n\nTocsin `{id}`")),
        "{text}"
    );
}

#[tokio::test]
async fn what_may_not_be_edited_or_is_gone_is_left_for_good_and_the_rest_is_tried_again() {
    let refused = |code, detail: &str| {
        let body = json!({"detail": format!("{detail} {TOKEN}")});
        ResponseTemplate::new(code).set_body_json(body)
    };
    for (code, detail) in [
        (403, "Key doesn't have permission to edit Note"),
        (404, "The requested resource does not exist"),
    ] {
        let (edited, _) = edit(refused(code, detail)).await;
        let Ok(Edited::Never(why)) = edited else {
            panic!("{edited:?}");
        };
        assert!(why.contains(detail) && !why.contains("planted"), "{why}");
    }
    let (edited, _) = edit(refused(400, "This field may not be blank.")).await;
    assert!(matches!(edited, Err(SendError::GiveUp(_))), "{edited:?}");
    let (edited, _) = edit(refused(502, "Bad Gateway")).await;
    assert!(matches!(edited, Err(SendError::Retry(_))), "{edited:?}");
    let limited = ResponseTemplate::new(429)
        .insert_header("Date", "Sun, 22 Nov 2026 21:28:29 GMT")
        .insert_header("X-Sentry-Rate-Limit-Reset", "1795382917");
    let (edited, _) = edit(limited).await;
    let expected = Duration::from_secs(8);
    assert!(
        matches!(&edited, Err(SendError::Wait { after, .. }) if *after == expected),
        "{edited:?}"
    );
}

#[tokio::test]
async fn a_comment_that_is_found_again_can_be_edited() {
    let id = Message::for_test("").id;
    for (found, expected) in [
        (
            json!([{"id": "7", "data": {"text": "x"}}, {"id": "8", "data": {"text": format!("Tocsin `{id}`")}}]),
            Some("8"),
        ),
        // No address is made of what is no ID.
        (
            json!([{"id": "../8", "data": {"text": format!("Tocsin `{id}`")}}]),
            None,
        ),
    ] {
        let server = answering(taken(), 0).await;
        Mock::given(method("GET"))
            .and(path(COMMENTS))
            .respond_with(ResponseTemplate::new(200).set_body_json(found))
            .expect(1)
            .mount(&server)
            .await;
        let sent = send(&server, true).await.unwrap();
        assert_eq!(sent.message_id.as_deref(), expected);
    }
}
