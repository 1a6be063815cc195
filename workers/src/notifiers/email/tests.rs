//! E-mail to a server with scripted answers.

use std::sync::Mutex;

use insta::assert_snapshot;
use tocsin::domain::escalation::Level;
use tocsin::domain::notification::Kind;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::notifiers::tests::samples::{card, filled};
use crate::notifiers::tests::{KINDS, hostile, test_message};

/// What a server was sent.
type Taken = Arc<Mutex<Vec<String>>>;

/// Answers each command that begins so with this; all else as a server that takes everything.
#[derive(Clone, Default)]
struct Answers(Vec<(&'static str, &'static str)>);

impl Answers {
    fn to(&self, line: &str) -> &'static str {
        let said = self.0.iter().find(|(command, _)| line.starts_with(command));
        let usual = match line.split_whitespace().next().unwrap_or_default() {
            "EHLO" => "250-there\r\n250 AUTH PLAIN LOGIN",
            "AUTH" => "235 welcome",
            "DATA" => "354 go on",
            "QUIT" => "221 bye",
            "." => "250 2.0.0 queued as 4711",
            _ => "250 ok",
        };
        said.map_or(usual, |(_, said)| said)
    }
}

async fn serve(answers: Answers) -> (String, Taken) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = listener.local_addr().unwrap().to_string();
    let taken = Taken::default();
    let messages = Arc::clone(&taken);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (answers, messages) = (answers.clone(), Arc::clone(&messages));
            tokio::spawn(async move { talk(stream, &answers, &messages).await });
        }
    });
    (place, taken)
}

async fn talk(stream: TcpStream, answers: &Answers, taken: &Taken) -> Option<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 there ESMTP\r\n").await.ok()?;
    let (mut data, mut is_data) = (String::new(), false);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let command = line.trim_end().to_owned();
        if is_data && command != "." {
            data.push_str(&line);
            continue;
        }
        is_data = command == "DATA";
        let answer = answers.to(&command);
        if command == "." && answer.starts_with('2') {
            taken.lock().unwrap().push(std::mem::take(&mut data));
        }
        if answer == "hang" {
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).await.ok()?;
            return None;
        }
        stream
            .write_all(format!("{answer}\r\n").as_bytes())
            .await
            .ok()?;
    }
}

fn settings(place: &str) -> EmailSettings {
    EmailSettings {
        server: Some(place.to_owned()),
        security: Security::None,
        from: Some("Tocsin <tocsin@example.org>".to_owned()),
        ..EmailSettings::default()
    }
}

fn email(settings: &EmailSettings) -> Email {
    let server = Arc::new(Server::new(settings).unwrap());
    let receiver = Arc::new(Receiver::new(TOTAL_TIMEOUT, AT_ONCE));
    Email::new(&server, &receiver, "oncall@example.org", Lang::English).unwrap()
}

fn nowhere() -> Email {
    email(&settings("127.0.0.1:1"))
}

fn read(body: &str) -> Body {
    serde_json::from_str(body).unwrap()
}

/// The message as it would be sent, in one piece.
fn written(card: &Card) -> String {
    let email = nowhere();
    let body = email.render(card);
    let message = email
        .server
        .message(&email.to, Message::for_test(&body))
        .unwrap();
    String::from_utf8(message.formatted())
        .unwrap()
        .replace("\r\n", "\n")
}

/// The headers of a message, unfolded.
fn headers(written: &str) -> Vec<String> {
    let (head, _) = written.split_once("\n\n").unwrap();
    head.replace("\n ", " ")
        .lines()
        .map(str::to_owned)
        .collect()
}

#[test]
fn a_message_says_what_there_is_to_know_twice() {
    let mut card = card(Kind::Opened, Level::Escalate);
    card.page = Some("https://tocsin.example.com/incidents/019aad6b".to_owned());
    let body = read(&nowhere().render(&card));
    assert_snapshot!(format!(
        "{}\n\n{}\n\n{}",
        body.subject, body.text, body.html
    ));
}

#[test]
fn all_about_an_incident_is_one_thread_and_each_message_has_an_id() {
    let of = |kind| headers(&written(&card(kind, Level::Escalate)));
    let opened = of(Kind::Opened);
    let thread = "<019aad6b-8bae-7c31-9d0e-52a17fb309c4@example.org>";
    for expected in [
        "From: Tocsin <tocsin@example.org>".to_owned(),
        "To: oncall@example.org".to_owned(),
        "Subject: [Tocsin] Pod checkout-7d9f is crash looping (7fb309c4)".to_owned(),
        "Date: Thu, 07 Apr 2022 21:39:13 +0000".to_owned(),
        format!("Message-ID: {thread}"),
        format!("In-Reply-To: {thread}"),
        format!("References: {thread}"),
        "Auto-Submitted: auto-generated".to_owned(),
    ] {
        assert!(opened.contains(&expected), "{expected} in {opened:#?}");
    }
    assert!(
        opened
            .iter()
            .any(|line| line.starts_with("Content-Type: multipart/alternative"))
    );
    // Of the thread, whatever is told.
    let same = |line: &&String| !line.starts_with("Content-Type");
    let of_thread = |lines: &[String]| lines.iter().filter(same).cloned().collect::<Vec<_>>();
    assert_eq!(of_thread(&opened), of_thread(&of(Kind::Escalated)));
}

#[test]
fn nothing_in_an_alert_adds_a_header_or_acts_in_html() {
    let mut texts = hostile();
    texts.extend(
        [
            "x\r\nBcc: evil@example.org\r\n\r\nbody",
            "x\nBcc: evil@example.org",
            "x\rBcc: evil@example.org",
            "=?utf-8?q?x=0D=0ABcc:_evil@example.org?=",
            "<script>alert(1)</script><img src=x>",
        ]
        .map(str::to_owned),
    );
    for text in texts {
        for kind in KINDS {
            let card = filled(kind, &text);
            let written = written(&card);
            let names: Vec<String> = headers(&written)
                .iter()
                .map(|line| line.split(':').next().unwrap().to_owned())
                .collect();
            let expected = [
                "From",
                "To",
                "Subject",
                "Date",
                "Message-ID",
                "Auto-Submitted",
                "In-Reply-To",
                "References",
                "MIME-Version",
                "Content-Type",
            ];
            let mut found = names.clone();
            found.sort_unstable();
            let mut all = expected.map(str::to_owned);
            all.sort_unstable();
            assert_eq!(found, all, "{text:?}");
            assert!(written.lines().all(|line| line.len() <= 998), "{text:?}");
            let html = read(&nowhere().render(&card)).html;
            let tags = html.matches('<').count();
            let ours = [
                "<!DOCTYPE",
                "<html>",
                "<body>",
                "<p>",
                "</",
                "<br>",
                "<b>",
                "<code>",
                "<a href=\"http",
            ];
            let ours: usize = ours.iter().map(|tag| html.matches(tag).count()).sum();
            assert_eq!(tags, ours, "{html}");
        }
    }
}

async fn send(answers: &[(&'static str, &'static str)]) -> (Result<Sent, SendError>, Taken) {
    let (place, taken) = serve(Answers(answers.to_vec())).await;
    let email = email(&settings(&place));
    let body = email.render(&card(Kind::Opened, Level::None));
    (email.send(Message::for_test(&body)).await, taken)
}

#[tokio::test]
async fn a_server_that_takes_a_message_has_it_once() {
    let (sent, taken) = send(&[]).await;
    assert!(sent.unwrap().answer.contains("queued as 4711"));
    let taken = taken.lock().unwrap();
    assert_eq!(taken.len(), 1);
    assert!(
        taken[0].contains("Subject: [Tocsin] Pod checkout-7d9f"),
        "{}",
        taken[0]
    );
}

#[tokio::test]
async fn a_message_that_the_server_refuses_is_given_up_and_all_else_is_tried_again() {
    for (command, answer, gives_up) in [
        ("RCPT", "550 5.1.1 no such user", true),
        (".", "552 5.3.4 too large", true),
        ("RCPT", "450 4.2.0 greylisted", false),
        ("MAIL", "421 4.7.0 too many connections", false),
        ("EHLO", "554 5.7.1 blocked", false),
        (".", "451 4.3.0 try later", false),
    ] {
        let (sent, taken) = send(&[(command, answer)]).await;
        let error = sent.unwrap_err();
        assert_eq!(matches!(error, SendError::GiveUp(_)), gives_up, "{error:?}");
        assert!(!matches!(error, SendError::Wait { .. }), "{error:?}");
        let said = answer
            .split_once(' ')
            .unwrap()
            .1
            .rsplit(' ')
            .next()
            .unwrap();
        assert!(error.to_string().contains(said), "{error}");
        assert!(taken.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_server_that_is_gone_or_that_knows_no_encryption_is_tried_again() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = gone.local_addr().unwrap().to_string();
    drop(gone);
    let sent = email(&settings(&place)).send(Message::for_test("{}")).await;
    assert!(
        matches!(sent, Err(SendError::GiveUp(_))),
        "that is no message: {sent:?}"
    );
    let gone = email(&settings(&place));
    let body = gone.render(&card(Kind::Opened, Level::None));
    let sent = gone.send(Message::for_test(&body)).await;
    assert!(matches!(sent, Err(SendError::Retry(_))), "{sent:?}");

    let (place, taken) = serve(Answers::default()).await;
    let open = email(&EmailSettings {
        security: Security::Starttls,
        user: Some("tocsin".to_owned()),
        password: Some(Secret::from("plantedpassword")),
        ..settings(&place)
    });
    let sent = open.send(Message::for_test(&body)).await;
    assert!(matches!(sent, Err(SendError::Retry(_))), "{sent:?}");
    assert!(taken.lock().unwrap().is_empty(), "nothing goes unencrypted");
    assert!(
        !format!("{sent:?} {open:?}").contains("planted"),
        "{sent:?}"
    );
}

#[tokio::test]
async fn a_wrong_password_is_tried_again_and_not_told() {
    let echo = "535 5.7.8 no plantedpassword";
    let (place, _) = serve(Answers(vec![("AUTH", echo)])).await;
    let settings = EmailSettings {
        user: Some("tocsin".to_owned()),
        password: Some(Secret::from("plantedpassword")),
        ..settings(&place)
    };
    let email = email(&settings);
    let body = email.render(&card(Kind::Opened, Level::None));
    let error = email.send(Message::for_test(&body)).await.unwrap_err();
    assert!(matches!(error, SendError::Retry(_)), "{error:?}");
    assert!(!format!("{error} {email:?}").contains("planted"), "{error}");
}

#[test]
fn a_test_is_about_no_incident() {
    let body = read(&nowhere().render_test(&test_message()));
    assert_eq!(body.subject, "[Tocsin] Test message: this is no incident");
    assert_eq!(body.thread, None);
    assert!(body.text.contains("Requested by alice"), "{}", body.text);
}
