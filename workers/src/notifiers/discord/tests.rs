//! Embeds, and Discord's answers to them.

use insta::assert_snapshot;
use tocsin::config::Secret;
use tocsin::domain::escalation::Level;
use tocsin::domain::notification::Kind;
use wiremock::matchers::{method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;
use crate::notifiers::tests::samples::{card, filled};
use crate::notifiers::tests::{KINDS, hostile, test_message};

const PATH: &str = "/api/webhooks/123456789/plantedtoken";

fn at(base: &str) -> Discord {
    let settings = config::Discord {
        url: Secret::from(format!("{base}{PATH}?thread_id=77").as_str()),
        tell: Vec::new(),
    };
    Discord::new("ops", &settings, Lang::English).unwrap()
}

fn nowhere() -> Discord {
    at("https://discord.example")
}

fn read(body: &str) -> Value {
    serde_json::from_str(body).unwrap()
}

#[test]
fn an_embed_says_what_there_is_to_know() {
    let mut card = card(Kind::Opened, Level::Escalate);
    card.page = Some("https://tocsin.example.com/incidents/019aad6b".to_owned());
    let body = read(&nowhere().render(&card));
    assert_snapshot!(serde_json::to_string_pretty(&body).unwrap());
}

#[test]
fn the_colour_says_how_bad_it_is_and_how_it_stands() {
    for (severity, status, expected) in [
        ("critical", Status::Open, RED),
        ("whatever", Status::Open, RED),
        ("warning", Status::Analyzing, ORANGE),
        ("info", Status::Open, GREY),
        ("critical", Status::Acknowledged, BLUE),
        ("critical", Status::Resolved, GREEN),
    ] {
        let mut card = card(Kind::Opened, Level::None);
        card.incident.severity = severity.to_owned();
        card.incident.status = status;
        assert_eq!(colour(&card), expected, "{severity} {status:?}");
    }
}

/// The characters that act in a text of Markdown, outside of what we write ourselves.
fn acting(text: &str) -> Vec<char> {
    let mut acting = Vec::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => drop(chars.next()),
            c if "*_~`|<>[]()#@".contains(c) => acting.push(c),
            _ => {}
        }
    }
    acting
}

#[test]
fn nothing_in_an_alert_acts_or_mentions_anybody() {
    let mut texts = hostile();
    texts.extend(
        [
            "[Runbook](https://evil.example)",
            "**bold** __under__ ~~gone~~ ||spoiler|| `code`",
            "# heading",
            "> quote",
            "@everyone <@&1> <#2> <t:0> <:e:1>",
            "\\",
            "a\\",
            "`",
        ]
        .map(str::to_owned),
    );
    for text in texts {
        for kind in KINDS {
            let body = read(&nowhere().render(&filled(kind, &text)));
            assert_eq!(body["allowed_mentions"], json!({"parse": []}));
            let embed = &body["embeds"][0];
            let title = embed["title"].as_str().unwrap();
            assert!(
                (1..=TITLE).contains(&title.encode_utf16().count()),
                "{title}"
            );
            assert_eq!(acting(title), [' '; 0], "{title}");
            let description = embed["description"].as_str().unwrap();
            assert!(description.encode_utf16().count() <= TEXT, "{description}");
            for line in description.lines() {
                assert!(!line.contains(char::is_control), "{line:?}");
                let shown = without_addresses(&without_code(line));
                let acting = acting(&shown);
                assert!(
                    acting.iter().all(|c| "*[]".contains(*c)),
                    "{acting:?} in {line}"
                );
                let names = acting.iter().filter(|c| **c == '[').count();
                assert_eq!(names, line.matches("](<http").count(), "{line}");
            }
        }
    }
}

/// A line whose links have lost where they lead to.
fn without_addresses(line: &str) -> String {
    let mut parts = line.split("](<");
    let mut rest = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (address, after) = part.split_once(">)").unwrap();
        assert!(address.starts_with("http"), "{line}");
        assert!(
            !address.contains(['(', ')', '<', '>', ' ', '`', '*', '~', '|']),
            "{line}"
        );
        rest.push(']');
        rest.push_str(after);
    }
    rest
}

/// A line without what is between two backticks that are not escaped.
fn without_code(line: &str) -> String {
    let (mut rest, mut is_code) = (String::new(), false);
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '`' => is_code = !is_code,
            '\\' if !is_code => {
                rest.push(c);
                rest.extend(chars.next());
            }
            c if !is_code => rest.push(c),
            _ => {}
        }
    }
    assert!(!is_code, "a backtick stays open in {line}");
    rest
}

async fn answers(verb: &str, place: &str, response: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method(verb))
        .and(path(format!("{PATH}{place}")))
        .and(query_param("thread_id", "77"))
        .respond_with(response)
        .expect(1)
        .mount(&server)
        .await;
    server
}

#[tokio::test]
async fn what_was_posted_is_known_by_its_id_however_long_it_is() {
    let posted = json!({"id": "1234567890", "content": "x".repeat(20_000)});
    let server = MockServer::start().await;
    Mock::given(query_param("wait", "true"))
        .respond_with(ResponseTemplate::new(200).set_body_json(posted))
        .expect(1)
        .mount(&server)
        .await;
    let discord = at(&server.uri());
    let body = discord.render_test(&test_message());
    let sent = discord.send(Message::for_test(&body)).await.unwrap();
    assert_eq!(sent.message_id.as_deref(), Some("1234567890"));
    assert_eq!(sent.answer, "message 1234567890");
    let asked =
        read(std::str::from_utf8(&server.received_requests().await.unwrap()[0].body).unwrap());
    let title = &asked["embeds"][0]["title"];
    assert_eq!(title, "🧪 Test message: this is no incident");
}

#[tokio::test]
async fn a_message_is_edited_by_its_id_and_one_that_is_deleted_never() {
    let edit = async |response| {
        let server = answers("PATCH", "/messages/12", response).await;
        at(&server.uri()).edit("12", Message::for_test("{}")).await
    };
    let done = ResponseTemplate::new(200).set_body_json(json!({"id": "12"}));
    assert_eq!(edit(done).await, Ok(Edited::Done));
    let gone = json!({"message": "Unknown Message", "code": 10_008});
    let gone = edit(ResponseTemplate::new(404).set_body_json(gone)).await;
    assert!(matches!(gone, Ok(Edited::Never(_))), "{gone:?}");
    let no_webhook = json!({"message": "Unknown Webhook", "code": 10_015});
    let refused = edit(ResponseTemplate::new(404).set_body_json(no_webhook)).await;
    assert!(
        matches!(&refused, Err(SendError::GiveUp(why)) if why.contains("Unknown Webhook")),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_rate_limit_waits_as_long_as_discord_says() {
    let limited =
        json!({"message": "You are being rate limited.", "retry_after": 2.25, "global": false});
    let limited = ResponseTemplate::new(429)
        .insert_header("Retry-After", "3")
        .set_body_json(limited);
    let of_the_edge = ResponseTemplate::new(429)
        .insert_header("Retry-After", "9")
        .set_body_string("error code: 1015");
    for (response, expected) in [(limited, 2_250), (of_the_edge, 9_000)] {
        let server = answers("POST", "", response).await;
        let discord = at(&server.uri());
        let error = discord.send(Message::for_test("{}")).await.unwrap_err();
        let after = Duration::from_millis(expected);
        assert!(
            matches!(&error, SendError::Wait { after: found, .. } if *found == after),
            "{error:?}"
        );
        assert!(
            discord.http.circuit_breaker.is_left_alone(Instant::now()),
            "it waits"
        );
    }
}

#[tokio::test]
async fn a_refusal_does_not_tell_the_address() {
    let echo = format!("no {PATH}");
    for (code, gives_up) in [(401, true), (404, true), (502, false)] {
        let server = answers(
            "POST",
            "",
            ResponseTemplate::new(code).set_body_string(&echo),
        )
        .await;
        let discord = at(&server.uri());
        let error = discord.send(Message::for_test("{}")).await.unwrap_err();
        assert_eq!(matches!(error, SendError::GiveUp(_)), gives_up, "{error:?}");
        let shown = format!("{error} {error:?} {discord:?}");
        assert!(!shown.contains("planted"), "{shown}");
    }
}
