//! Buttons, as Telegram has them pressed, and replies: kept until they are asked for, or until a webhook takes them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};

/// How long it waits for a press before it says that there is none: a test does not wait for long.
const PATIENCE: Duration = Duration::from_millis(50);

#[derive(Clone, Default)]
pub struct Presses {
    state: Arc<Mutex<Received>>,
}

#[derive(Default)]
struct Received {
    number: i64,
    waiting: VecDeque<Value>,
    /// The first update that was asked for, each time.
    asked: Vec<i64>,
    asking: usize,
    answers: Vec<Value>,
    keyboards: Vec<Value>,
    reactions: Vec<i64>,
    allows_no_reaction: bool,
    webhook: Option<Value>,
    refusals: VecDeque<u16>,
}

impl Presses {
    fn seen(&self) -> std::sync::MutexGuard<'_, Received> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody presses a button that carries `data`; returns the update that tells of it.
    pub fn press(&self, user: i64, data: &str) -> Value {
        let number = self.seen().number + 1;
        let query = json!({
            "id": format!("query-{number}"),
            "from": {"id": user, "is_bot": false, "first_name": "X", "username": "somebody"},
            "message": {"message_id": 1, "date": 0, "chat": {"id": -100, "type": "supergroup"}},
            "chat_instance": "7",
            "data": data,
        });
        self.say(json!({"callback_query": query}))
    }

    /// Somebody replies to message `to` of the bot in the chat; returns the update that tells of it.
    pub fn reply(&self, user: i64, to: i64, text: &str) -> Value {
        let number = self.seen().number + 1;
        let chat = json!({"id": -100, "type": "supergroup"});
        let message = json!({
            "message_id": 1000 + number,
            "date": 0,
            "chat": chat,
            "from": {"id": user, "is_bot": false, "first_name": "X", "username": "somebody"},
            "text": text,
            "reply_to_message": {
                "message_id": to,
                "date": 0,
                "chat": chat,
                "from": {"id": 1, "is_bot": true, "first_name": "Tocsin"},
                "text": "a card",
            },
        });
        self.say(json!({"message": message}))
    }

    /// From now on the chat allows no reactions.
    pub fn allow_no_reaction(&self) {
        self.seen().allows_no_reaction = true;
    }

    /// The messages that were reacted to, in order.
    pub fn reactions(&self) -> Vec<i64> {
        self.seen().reactions.clone()
    }

    /// An update, whatever is in it.
    pub fn say(&self, mut update: Value) -> Value {
        let mut seen = self.seen();
        seen.number += 1;
        update["update_id"] = seen.number.into();
        seen.waiting.push_back(update.clone());
        update
    }

    /// The next update has this number, as after a week without any.
    pub fn number_from(&self, number: i64) {
        self.seen().number = number - 1;
    }

    /// The next time somebody asks, that is the answer.
    pub fn refuse_next(&self, status: u16) {
        self.seen().refusals.push_back(status);
    }

    /// What was answered to presses, in order: the text, and whether it must be seen.
    pub fn answers(&self) -> Vec<(String, bool)> {
        let answer = |body: &Value| {
            let text = body["text"].as_str().unwrap().to_owned();
            (text, body["show_alert"].as_bool().unwrap())
        };
        self.seen().answers.iter().map(answer).collect()
    }

    /// The buttons that were shown instead of others, in order: what each carries.
    pub fn keyboards(&self) -> Vec<Vec<String>> {
        let shown = |body: &Value| encode(&body["reply_markup"]);
        self.seen().keyboards.iter().map(shown).collect()
    }

    /// From which update on it was asked, each time.
    pub fn asked(&self) -> Vec<i64> {
        self.seen().asked.clone()
    }

    /// The webhook that is set.
    pub fn webhook(&self) -> Option<Value> {
        self.seen().webhook.clone()
    }
}

/// What the buttons of a keyboard carry.
pub fn encode(markup: &Value) -> Vec<String> {
    let rows = markup["inline_keyboard"].as_array();
    let buttons = rows
        .into_iter()
        .flatten()
        .flat_map(|row| row.as_array().unwrap());
    let data = buttons.map(|button| {
        let data = button["callback_data"].as_str().unwrap();
        assert!(data.len() <= 64 && !button["text"].as_str().unwrap().is_empty());
        data.to_owned()
    });
    data.collect()
}

pub fn router(presses: &Presses) -> Router {
    Router::new()
        .route("/{bot}/getUpdates", post(get_updates))
        .route("/{bot}/answerCallbackQuery", post(answer))
        .route("/{bot}/editMessageReplyMarkup", post(keyboard))
        .route("/{bot}/setMessageReaction", post(react))
        .route("/{bot}/setWebhook", post(set_webhook))
        .route("/{bot}/deleteWebhook", post(delete_webhook))
        .with_state(presses.clone())
}

type Answer = (StatusCode, Json<Value>);

fn ok(result: impl Into<Value>) -> Answer {
    let result: Value = result.into();
    (StatusCode::OK, Json(json!({"ok": true, "result": result})))
}

fn refusal(status: u16, description: &str) -> Answer {
    let body = json!({"ok": false, "error_code": status, "description": description});
    (StatusCode::from_u16(status).unwrap(), Json(body))
}

/// As Telegram has it: what comes before the update that is asked for is forgotten, unless none has had
/// such a number yet; and of two who ask one is refused.
async fn get_updates(State(presses): State<Presses>, Json(body): Json<Value>) -> Answer {
    {
        let mut seen = presses.seen();
        if let Some(status) = seen.refusals.pop_front() {
            return refusal(status, "Refused: so the test wants it");
        }
        if seen.webhook.is_some() || seen.asking > 0 {
            return refusal(409, "Conflict: terminated by other getUpdates request");
        }
        assert_eq!(
            body["allowed_updates"],
            json!(["callback_query", "message"])
        );
        assert_eq!(body["timeout"], 25);
        seen.asking += 1;
        let offset = body["offset"].as_i64().unwrap();
        seen.asked.push(offset);
        if offset <= seen.number + 1 {
            seen.waiting
                .retain(|update| update["update_id"].as_i64().unwrap() >= offset);
        }
    }
    let asking = Asking(presses.clone());
    let began = std::time::Instant::now();
    loop {
        let waiting: Vec<Value> = presses.seen().waiting.iter().take(100).cloned().collect();
        if !waiting.is_empty() || began.elapsed() > PATIENCE {
            drop(asking);
            return ok(waiting);
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Somebody asks, until they are answered or gone.
struct Asking(Presses);

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.seen().asking -= 1;
    }
}

async fn answer(State(presses): State<Presses>, Json(body): Json<Value>) -> Answer {
    presses.seen().answers.push(body);
    ok(true)
}

async fn keyboard(State(presses): State<Presses>, Json(body): Json<Value>) -> Answer {
    assert_eq!(
        (&body["chat_id"], &body["message_id"]),
        (&json!(-100), &json!(1))
    );
    presses.seen().keyboards.push(body);
    ok(true)
}

async fn react(State(presses): State<Presses>, Json(body): Json<Value>) -> Answer {
    let mut seen = presses.seen();
    if seen.allows_no_reaction {
        return refusal(400, "Bad Request: REACTION_INVALID");
    }
    assert_eq!(body["chat_id"], -100);
    assert_eq!(body["reaction"], json!([{"type": "emoji", "emoji": "✍"}]));
    seen.reactions.push(body["message_id"].as_i64().unwrap());
    ok(true)
}

async fn set_webhook(State(presses): State<Presses>, Json(body): Json<Value>) -> Answer {
    presses.seen().webhook = Some(body);
    ok(true)
}

async fn delete_webhook(State(presses): State<Presses>) -> Answer {
    presses.seen().webhook = None;
    ok(true)
}
