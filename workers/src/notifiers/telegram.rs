//! Telegram, by its Bot API: <https://core.telegram.org/bots/api#sendmessage>.

mod answer;
mod pause;

use std::error::Error;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::{Client, Response, StatusCode, Url, redirect};
use serde_json::json;
use tokio::time::Instant;

use self::pause::Pause;
use super::text::tidy;
use super::{Card, Notifier, SendError, Sent, markup, message};

/// The longest message, in UTF-16 code units after entity parsing.
const MESSAGE_MAX: usize = 4_096;
/// Connecting, sending and the answer together.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(10);
/// Connecting alone.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// So many bytes of an answer are read; Telegram's own repeats the message and stays below.
const ANSWER_MAX: usize = 256 * 1024;
/// The longest reason that is reported, in UTF-16 code units.
const REASON_MAX: usize = 500;

/// Sends to one chat. The bot's token is part of the address that it calls, and is kept out of
/// every error and every log.
pub struct Telegram {
    client: Client,
    url: Url,
    secret: String,
    channel: String,
    chat: String,
    pause: Pause,
}

impl Telegram {
    /// The bot that `token` belongs to, in `chat` (an id or `@name`), by the API at `api_base`.
    ///
    /// # Errors
    /// If `api_base` is no address, or the HTTP client cannot be set up.
    pub fn new(api_base: &str, token: &str, chat: &str) -> Result<Self, reqwest::Error> {
        Self::with_timeout(api_base, token, chat, TOTAL_TIMEOUT)
    }

    fn with_timeout(
        api_base: &str,
        token: &str,
        chat: &str,
        total: Duration,
    ) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .timeout(total)
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(redirect::Policy::none())
            .build()?;
        let url = format!("{}/bot{token}/sendMessage", api_base.trim_end_matches('/'));
        let request = client
            .post(url)
            .build()
            .map_err(reqwest::Error::without_url)?;
        Ok(Self {
            url: request.url().clone(),
            client,
            secret: secret_of(token).to_owned(),
            channel: format!("telegram:{chat}"),
            chat: chat.to_owned(),
            pause: Pause::default(),
        })
    }

    /// Sends, unless the chat is paused by `clock`.
    async fn send_by(
        &self,
        clock: impl Fn() -> Instant + Send + Sync,
        body: &str,
    ) -> Result<Sent, SendError> {
        if let Some(after) = self.pause.remaining(clock()) {
            let why = "Telegram wants a pause in this chat".to_owned();
            return Err(SendError::Wait { after, why });
        }
        let outcome = match self.post(body).await {
            Ok((status, answer)) => answer::outcome(status, &answer),
            Err(error) if error.is_builder() => Err(SendError::GiveUp(causes(&error))),
            Err(error) => Err(SendError::Retry(causes(&error))),
        };
        if let Err(SendError::Wait { after, .. }) = &outcome {
            self.pause.extend(clock(), *after);
        }
        outcome.map_err(|error| self.presentable(error))
    }

    async fn post(&self, body: &str) -> Result<(StatusCode, Vec<u8>), reqwest::Error> {
        let message = json!({
            "chat_id": self.chat,
            "text": body,
            "parse_mode": "HTML",
            "link_preview_options": {"is_disabled": true},
        });
        let request = self.client.post(self.url.clone()).json(&message);
        let response = request.send().await.map_err(reqwest::Error::without_url)?;
        Ok((response.status(), read(response).await))
    }

    /// Takes the token out of an error (whatever answers may repeat the address it was called by)
    /// and bounds it.
    fn presentable(&self, error: SendError) -> SendError {
        let present = |why: String| {
            let why = if self.secret.is_empty() {
                why
            } else {
                why.replace(&self.secret, "***")
            };
            tidy(&why, REASON_MAX)
        };
        match error {
            SendError::Wait { after, why } => SendError::Wait {
                after,
                why: present(why),
            },
            SendError::Retry(why) => SendError::Retry(present(why)),
            SendError::GiveUp(why) => SendError::GiveUp(present(why)),
        }
    }
}

#[async_trait]
impl Notifier for Telegram {
    fn channel(&self) -> &str {
        &self.channel
    }

    fn render(&self, card: &Card) -> String {
        markup::html(&message::lines(card), MESSAGE_MAX)
    }

    async fn send(&self, body: &str) -> Result<Sent, SendError> {
        self.send_by(Instant::now, body).await
    }
}

impl fmt::Debug for Telegram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telegram")
            .field("chat", &self.chat)
            .field("pause", &self.pause)
            .finish_non_exhaustive()
    }
}

/// The part of a token that is secret: what stands before the colon is the bot's public id.
fn secret_of(token: &str) -> &str {
    token.split_once(':').map_or(token, |(_, secret)| secret)
}

/// What came of an answer. Where it breaks off, the status and the beginning have to do.
async fn read(mut response: Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > ANSWER_MAX {
            break;
        }
    }
    body
}

/// An error with all its causes: reqwest's own text says only that it failed.
fn causes(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use serde_json::Value;
    use wiremock::matchers::{body_json, method, path};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;

    const TOKEN: &str = "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw";
    const SECRET: &str = "AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw";

    type TestResult = Result<(), Box<dyn Error>>;

    fn telegram(server: &MockServer) -> Result<Telegram, reqwest::Error> {
        Telegram::new(&format!("{}/", server.uri()), TOKEN, "-100123")
    }

    async fn answers(code: u16, body: Value, times: u64) -> MockServer {
        let server = MockServer::start().await;
        Mock::given(method("POST"))
            .respond_with(ResponseTemplate::new(code).set_body_json(body))
            .expect(times)
            .mount(&server)
            .await;
        server
    }

    #[tokio::test]
    async fn the_message_is_posted_as_html_to_the_chat() -> TestResult {
        let server = MockServer::start().await;
        Mock::given(method("POST"))
            .and(path(format!("/bot{TOKEN}/sendMessage")))
            .and(body_json(json!({
                "chat_id": "-100123",
                "text": "<b>Opened</b>",
                "parse_mode": "HTML",
                "link_preview_options": {"is_disabled": true},
            })))
            .respond_with(
                ResponseTemplate::new(200)
                    .set_body_json(json!({"ok": true, "result": {"message_id": 42}})),
            )
            .expect(1)
            .mount(&server)
            .await;
        let telegram = telegram(&server)?;
        assert_eq!(telegram.channel(), "telegram:-100123");
        let sent = telegram.send("<b>Opened</b>").await?;
        assert_eq!(sent.message_id.as_deref(), Some("42"));
        Ok(())
    }

    #[tokio::test]
    async fn a_429_pauses_the_chat_and_then_it_goes_on() -> TestResult {
        let server = MockServer::start().await;
        let busy = json!({"ok": false, "error_code": 429, "parameters": {"retry_after": 7}});
        Mock::given(method("POST"))
            .respond_with(ResponseTemplate::new(429).set_body_json(busy))
            .up_to_n_times(1)
            .expect(1)
            .mount(&server)
            .await;
        Mock::given(method("POST"))
            .respond_with(ResponseTemplate::new(200).set_body_json(json!({"ok": true})))
            .expect(1)
            .mount(&server)
            .await;
        let telegram = telegram(&server)?;
        let start = Instant::now();
        let mut waits = Vec::new();
        for passed in [0, 0, 3, 6, 7] {
            let now = start + Duration::from_secs(passed);
            waits.push(match telegram.send_by(|| now, "text").await {
                Err(SendError::Wait { after, .. }) => Some(after.as_secs()),
                other => {
                    assert_eq!(other, Ok(Sent::default()));
                    None
                }
            });
        }
        assert_eq!(waits, [Some(7), Some(7), Some(4), Some(1), None]);
        Ok(())
    }

    #[tokio::test]
    async fn silence_and_a_refused_connection_are_tried_again() -> TestResult {
        let silent = TcpListener::bind("127.0.0.1:0")?;
        let base = format!("http://{}", silent.local_addr()?);
        let telegram = Telegram::with_timeout(&base, TOKEN, "1", Duration::from_millis(50))?;
        let error = telegram.send("text").await;
        assert!(
            matches!(&error, Err(SendError::Retry(why)) if why.contains("timed out")),
            "{error:?}"
        );
        drop(silent);
        let telegram = Telegram::new(&base, TOKEN, "1")?;
        let error = telegram.send("text").await;
        assert!(
            matches!(&error, Err(SendError::Retry(why)) if why.contains("refused")),
            "{error:?}"
        );
        assert!(!format!("{error:?} {telegram:?}").contains(SECRET));
        Ok(())
    }

    #[tokio::test]
    async fn a_redirect_is_not_followed() -> TestResult {
        let server = MockServer::start().await;
        let elsewhere = format!("{}/elsewhere", server.uri());
        Mock::given(method("POST"))
            .respond_with(ResponseTemplate::new(307).insert_header("location", elsewhere.as_str()))
            .expect(1)
            .mount(&server)
            .await;
        let error = telegram(&server)?.send("text").await;
        assert!(
            matches!(&error, Err(SendError::GiveUp(why)) if why.contains("307")),
            "{error:?}"
        );
        Ok(())
    }

    #[tokio::test]
    async fn an_answer_that_repeats_the_address_does_not_tell_the_token() -> TestResult {
        let echo = format!("Not Found: /bot{TOKEN}/sendMessage {}", "x".repeat(10_000));
        for code in [200, 404, 429, 502] {
            let server = answers(code, json!({"ok": false, "description": echo}), 1).await;
            let telegram = telegram(&server)?;
            let Err(error) = telegram.send("text").await else {
                return Err(format!("{code} was taken for a success").into());
            };
            let shown = format!("{error} {error:?} {telegram:?}");
            assert!(!shown.contains(SECRET), "{shown}");
            assert!(
                shown.contains("Not Found: /bot110201543:***/sendMessage"),
                "{shown}"
            );
            assert!(error.to_string().len() < 600);
        }
        Ok(())
    }

    #[test]
    fn a_base_that_is_no_address_is_refused_without_telling_the_token() {
        for base in ["", "api.telegram.org", "http://", "mailto:me"] {
            let refused = Telegram::new(base, TOKEN, "1");
            assert!(refused.is_err(), "{base}");
            let shown = format!("{refused:?}");
            assert!(!shown.contains(SECRET), "{shown}");
        }
    }

    #[tokio::test]
    async fn an_answer_without_end_is_read_only_so_far() -> TestResult {
        let long = json!({"ok": true, "padding": "x".repeat(2 * ANSWER_MAX)});
        let server = answers(200, long, 1).await;
        let error = telegram(&server)?.send("text").await;
        assert!(matches!(error, Err(SendError::Retry(_))), "{error:?}");
        Ok(())
    }
}
