//! A stand-in for Telegram: takes `sendMessage` as Telegram does, and remembers what it took.

pub mod presses;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;

#[derive(Clone, Default)]
pub struct Telegram {
    state: Arc<Mutex<Seen>>,
    pub url: String,
    pub presses: presses::Presses,
}

#[derive(Default)]
struct Seen {
    taken: Vec<String>,
    answers: VecDeque<(StatusCode, String)>,
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
            .with_state(telegram.clone())
            .merge(presses::router(&telegram.presses));
        tokio::spawn(async move { axum::serve(listener, app).await });
        telegram
    }

    /// The next requests are answered like this instead of being taken; a text is not even JSON.
    pub fn answer_next(&self, status: u16, body: Value) {
        let status = StatusCode::from_u16(status).unwrap();
        let body = match body {
            Value::String(text) => text,
            body => body.to_string(),
        };
        self.state.lock().unwrap().answers.push_back((status, body));
    }

    /// The texts of the messages that were taken, in order.
    pub fn taken(&self) -> Vec<String> {
        self.state.lock().unwrap().taken.clone()
    }

    /// The first words of each message that was taken.
    pub fn headlines(&self) -> Vec<String> {
        let line = |text: &String| text.lines().next().unwrap_or_default().to_owned();
        self.taken().iter().map(line).collect()
    }
}

async fn send_message(
    State(telegram): State<Telegram>,
    Json(body): Json<Value>,
) -> (StatusCode, String) {
    let mut seen = telegram.state.lock().unwrap();
    if let Some((status, answer)) = seen.answers.pop_front() {
        return (status, answer);
    }
    assert_eq!(body["parse_mode"], "HTML");
    seen.taken.push(body["text"].as_str().unwrap().to_owned());
    let id = seen.taken.len();
    let taken = json!({"ok": true, "result": {"message_id": id}});
    (StatusCode::OK, taken.to_string())
}
