//! A stand-in for Telegram: takes `sendMessage` and `editMessageText` as Telegram does, remembers what
//! it took, and can be as strict about how much a chat gets.

pub mod presses;

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::process::PATIENCE;

#[derive(Clone, Default)]
pub struct Telegram {
    state: Arc<Mutex<Received>>,
    holds: Arc<watch::Sender<Hold>>,
    pub url: String,
    pub presses: presses::Presses,
}

/// What it holds back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hold {
    #[default]
    Nothing,
    /// Messages and edits that have arrived: they are not taken.
    Requests,
    /// Its answers to those that it took.
    Answers,
}

/// A message that was taken.
#[derive(Clone, Debug)]
pub struct Message {
    /// As it was sent.
    pub text: String,
    /// As it reads now.
    pub shown: String,
    pub chat: String,
    pub topic: Option<i64>,
    pub reply_to: Option<i64>,
    pub is_silent: bool,
    pub markup: Value,
    /// How often it was edited.
    pub edits: usize,
}

#[derive(Default)]
struct Received {
    taken: Vec<Message>,
    answers: VecDeque<(StatusCode, String)>,
    to_edits: VecDeque<(StatusCode, String)>,
    arrived: usize,
    waiting: usize,
    edits_to_lose: usize,
    limit: Option<(usize, Duration)>,
    lately: HashMap<String, VecDeque<Instant>>,
    refused: usize,
}

impl Telegram {
    /// On a free port, for as long as the test runs.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let telegram = Self {
            url,
            ..Self::default()
        };
        let app = Router::new()
            .route("/{bot}/sendMessage", post(send_message))
            .route("/{bot}/editMessageText", post(edit_message))
            .with_state(telegram.clone())
            .merge(presses::router(&telegram.presses));
        tokio::spawn(async move { axum::serve(listener, app).await });
        telegram
    }

    /// The next messages are answered like this instead of being taken; a text is not even JSON.
    pub fn answer_next(&self, status: u16, body: Value) {
        let answer = written(status, body);
        self.state.lock().unwrap().answers.push_back(answer);
    }

    /// The next edits are answered like this instead of being done.
    pub fn answer_next_edit(&self, status: u16, body: Value) {
        let answer = written(status, body);
        self.state.lock().unwrap().to_edits.push_back(answer);
    }

    /// The next edit is done, and its caller gets no answer.
    pub fn lose_next_edit(&self) {
        self.state.lock().unwrap().edits_to_lose += 1;
    }

    /// From now on, it holds this back.
    pub fn hold(&self, what: Hold) {
        self.holds.send_replace(what);
    }

    /// How many messages and edits have arrived, taken or not.
    pub fn arrived(&self) -> usize {
        self.state.lock().unwrap().arrived
    }

    /// Waits until so many have.
    pub async fn arrives(&self, how_many: usize) {
        let began = Instant::now();
        while self.arrived() < how_many {
            assert!(began.elapsed() < PATIENCE, "{} arrived", self.arrived());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until no request waits for an answer: a killed process is known to be gone.
    pub async fn abandoned(&self) {
        let began = Instant::now();
        while self.state.lock().unwrap().waiting > 0 {
            assert!(began.elapsed() < PATIENCE, "somebody waits for an answer");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn pass(&self, what: Hold) {
        let mut holds = self.holds.subscribe();
        holds.wait_for(|held| *held != what).await.unwrap();
    }

    /// A chat that gets more in any stretch of time of this length is refused the rest.
    pub fn limit(&self, most: usize, within: Duration) {
        self.state.lock().unwrap().limit = Some((most, within));
    }

    /// How often a chat was refused for getting too much.
    pub fn refused(&self) -> usize {
        self.state.lock().unwrap().refused
    }

    /// The texts of the messages that were taken, in order, as they were sent.
    pub fn taken(&self) -> Vec<String> {
        self.messages().into_iter().map(|m| m.text).collect()
    }

    /// The messages that were taken, in order.
    pub fn messages(&self) -> Vec<Message> {
        self.state.lock().unwrap().taken.clone()
    }

    /// Somebody deletes a message.
    pub fn delete(&self, at: usize) {
        self.state.lock().unwrap().taken[at].chat.clear();
    }

    /// The first words of each message that was taken.
    pub fn headlines(&self) -> Vec<String> {
        let line = |text: &String| text.lines().next().unwrap_or_default().to_owned();
        self.taken().iter().map(line).collect()
    }
}

type Answer = (StatusCode, String);

fn written(status: u16, body: Value) -> Answer {
    let body = match body {
        Value::String(text) => text,
        body => body.to_string(),
    };
    (StatusCode::from_u16(status).unwrap(), body)
}

fn taken(id: usize) -> Answer {
    written(200, json!({"ok": true, "result": {"message_id": id}}))
}

fn refusal(description: &str) -> Answer {
    written(
        400,
        json!({"ok": false, "error_code": 400, "description": description}),
    )
}

impl Received {
    /// Counts what goes to a chat, or refuses it.
    fn admit(&mut self, chat: &str) -> Result<(), Answer> {
        let Some((most, within)) = self.limit else {
            return Ok(());
        };
        let lately = self.lately.entry(chat.to_owned()).or_default();
        lately.retain(|at| at.elapsed() < within);
        if lately.len() >= most {
            self.refused += 1;
            let busy = json!({"ok": false, "error_code": 429, "parameters": {"retry_after": 1}});
            return Err(written(429, busy));
        }
        lately.push_back(Instant::now());
        Ok(())
    }

    fn send(&mut self, body: &Value) -> Answer {
        if let Some(answer) = self.answers.pop_front() {
            return answer;
        }
        let chat = body["chat_id"].as_str().unwrap().to_owned();
        if let Err(answer) = self.admit(&chat) {
            return answer;
        }
        assert_eq!(body["parse_mode"], "HTML");
        let text = body["text"].as_str().unwrap().to_owned();
        let length = text.encode_utf16().count();
        assert!(!text.trim().is_empty() && length < 10_000, "{length}");
        self.taken.push(Message {
            shown: text.clone(),
            text,
            chat,
            topic: body["message_thread_id"].as_i64(),
            reply_to: body["reply_parameters"]["message_id"].as_i64(),
            is_silent: body["disable_notification"] == true,
            markup: body["reply_markup"].clone(),
            edits: 0,
        });
        taken(self.taken.len())
    }

    fn edit(&mut self, body: &Value) -> Answer {
        if let Some(answer) = self.to_edits.pop_front() {
            return answer;
        }
        let chat = body["chat_id"].as_str().unwrap().to_owned();
        if let Err(answer) = self.admit(&chat) {
            return answer;
        }
        assert_eq!(body["parse_mode"], "HTML");
        let (id, text) = (body["message_id"].as_u64().unwrap(), &body["text"]);
        let at = usize::try_from(id).unwrap();
        let Some(message) = self
            .taken
            .get_mut(at.wrapping_sub(1))
            .filter(|message| message.chat == chat)
        else {
            return refusal("Bad Request: message to edit not found");
        };
        let text = text.as_str().unwrap();
        if message.shown == text && message.markup == body["reply_markup"] {
            return refusal("Bad Request: message is not modified");
        }
        message.shown = text.to_owned();
        message.markup = body["reply_markup"].clone();
        message.edits += 1;
        if self.edits_to_lose > 0 {
            self.edits_to_lose -= 1;
            return written(502, json!("Bad Gateway"));
        }
        taken(at)
    }
}

async fn send_message(State(telegram): State<Telegram>, Json(body): Json<Value>) -> Answer {
    answered(&telegram, |seen| seen.send(&body)).await
}

async fn edit_message(State(telegram): State<Telegram>, Json(body): Json<Value>) -> Answer {
    answered(&telegram, |seen| seen.edit(&body)).await
}

/// Somebody waits for an answer, until it comes or they are gone.
struct Waiting(Arc<Mutex<Received>>);

impl Waiting {
    fn of(telegram: &Telegram) -> Self {
        let mut seen = telegram.state.lock().unwrap();
        seen.arrived += 1;
        seen.waiting += 1;
        Self(Arc::clone(&telegram.state))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.waiting -= 1;
    }
}

async fn answered(telegram: &Telegram, take: impl FnOnce(&mut Received) -> Answer) -> Answer {
    let _waiting = Waiting::of(telegram);
    telegram.pass(Hold::Requests).await;
    let answer = take(&mut telegram.state.lock().unwrap());
    telegram.pass(Hold::Answers).await;
    answer
}
