//! A stand-in for Sentry: takes comments on issues as Sentry does, and limits how many come in a second.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, put};
use axum::{Json, Router};
use serde_json::{Value, json};
use tocsin::config::{Config, Secret, SentrySettings};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::process::PATIENCE;
use crate::telegram::Hold;

const TOKEN: &str = "sntrys-0123456789abcdef";
const COMMENTS: &str = "/api/0/organizations/acme/issues/{issue}/comments/";
const COMMENT: &str = "/api/0/organizations/acme/issues/{issue}/comments/{id}/";

#[derive(Clone, Default)]
pub struct Sentry {
    state: Arc<Mutex<Seen>>,
    holds: Arc<watch::Sender<Hold>>,
    pub url: String,
}

#[derive(Default)]
struct Seen {
    /// Issues, and what was written there. A comment's ID is its place, from 1.
    comments: Vec<(String, String)>,
    /// The IDs of comments that were edited, with their new texts, in order.
    edits: Vec<(String, String)>,
    answers: VecDeque<(StatusCode, &'static str)>,
    /// Likewise, to edits.
    edit_answers: VecDeque<(StatusCode, &'static str)>,
    /// How often it was looked what is there.
    searched: usize,
    arrived: usize,
    waiting: usize,
    /// So many comments it takes in one second.
    limit: Option<usize>,
    /// How many it took in this second.
    lately: (u64, usize),
    refused: usize,
}

impl Sentry {
    /// On a free port, for as long as the test runs.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sentry = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            ..Self::default()
        };
        let issues = || async { Json(json!([])) };
        let app = Router::new()
            .route("/api/0/organizations/acme/issues/", get(issues))
            .route(COMMENTS, get(search).post(comment))
            .route(COMMENT, put(edit))
            .with_state(sentry.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        sentry
    }

    /// Has comments written here.
    pub fn set(&self, config: &mut Config) {
        config.sentry = SentrySettings {
            url: self.url.clone(),
            organization: Some("acme".to_owned()),
            token: Some(Secret::from(TOKEN)),
        };
    }

    /// The same, for processes.
    pub fn settings(&self) -> [(&'static str, String); 3] {
        [
            ("TOCSIN_SENTRY__URL", self.url.clone()),
            ("TOCSIN_SENTRY__ORGANIZATION", "acme".to_owned()),
            ("TOCSIN_SENTRY__TOKEN", TOKEN.to_owned()),
        ]
    }

    /// The next comments are answered like this instead of being taken.
    pub fn answer_next(&self, status: u16, detail: &'static str) {
        let answer = (StatusCode::from_u16(status).unwrap(), detail);
        self.seen(|seen| seen.answers.push_back(answer));
    }

    /// The same, of edits.
    pub fn answer_next_edit(&self, status: u16, detail: &'static str) {
        let answer = (StatusCode::from_u16(status).unwrap(), detail);
        self.seen(|seen| seen.edit_answers.push_back(answer));
    }

    /// It takes so many comments, and edits, in a second at most.
    pub fn limit(&self, most: usize) {
        self.seen(|seen| seen.limit = Some(most));
    }

    /// From now on, it holds this back.
    pub fn hold(&self, what: Hold) {
        self.holds.send_replace(what);
    }

    /// The issues that have comments, and these, in order.
    pub fn comments(&self) -> Vec<(String, String)> {
        self.seen(|seen| seen.comments.clone())
    }

    /// The first line of each comment.
    pub fn headlines(&self) -> Vec<String> {
        let line = |text: &str| text.lines().next().unwrap_or_default().to_owned();
        let comments = self.comments();
        comments.iter().map(|(_, text)| line(text)).collect()
    }

    /// The IDs of comments that were edited, with their new texts, in order.
    pub fn edits(&self) -> Vec<(String, String)> {
        self.seen(|seen| seen.edits.clone())
    }

    /// How often it was looked what is there.
    pub fn searched(&self) -> usize {
        self.seen(|seen| seen.searched)
    }

    /// How many comments were refused because there were too many.
    pub fn refused(&self) -> usize {
        self.seen(|seen| seen.refused)
    }

    /// Waits until so many comments and edits have arrived, taken or not.
    pub async fn arrives(&self, how_many: usize) {
        self.until(|seen| seen.arrived >= how_many).await;
    }

    /// Waits until so many were refused because there were too many.
    pub async fn refuses(&self, how_many: usize) {
        self.until(|seen| seen.refused >= how_many).await;
    }

    /// Waits until nobody waits for an answer: a killed process is known to be gone.
    pub async fn abandoned(&self) {
        self.until(|seen| seen.waiting == 0).await;
    }

    async fn until(&self, holds: impl Fn(&Seen) -> bool) {
        let began = Instant::now();
        while !self.seen(|seen| holds(seen)) {
            let comments = self.comments();
            assert!(began.elapsed() < PATIENCE, "{comments:#?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn pass(&self, what: Hold) {
        let mut holds = self.holds.subscribe();
        holds.wait_for(|held| *held != what).await.unwrap();
    }

    fn seen<T>(&self, look: impl FnOnce(&mut Seen) -> T) -> T {
        look(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Seen {
    fn take(&mut self, issue: String, text: &str) -> Response {
        if let Some((status, detail)) = self.answers.pop_front() {
            return refusal(status, detail);
        }
        if let Some(limited) = self.limited() {
            return limited;
        }
        let comment = (issue, text.to_owned());
        if self.comments.contains(&comment) {
            let duplicate = "You have already posted that comment.";
            return refusal(StatusCode::BAD_REQUEST, duplicate);
        }
        self.comments.push(comment);
        let taken =
            json!({"id": self.comments.len().to_string(), "type": "note", "data": {"text": text}});
        (StatusCode::CREATED, Json(taken)).into_response()
    }
}

impl Seen {
    /// The refusal of what is too much for this second.
    fn limited(&mut self) -> Option<Response> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        if self.lately.0 != now.as_secs() {
            self.lately = (now.as_secs(), 0);
        }
        self.lately.1 += 1;
        if self.limit.is_none_or(|limit| self.lately.1 <= limit) {
            return None;
        }
        self.refused += 1;
        let reset = (now.as_secs() + 1).to_string();
        let refused = refusal(StatusCode::TOO_MANY_REQUESTS, "too frequently");
        Some(([("X-Sentry-Rate-Limit-Reset", reset)], refused).into_response())
    }

    /// Sentry does not mind a text that is there already.
    fn change(&mut self, issue: &str, id: String, text: &str) -> Response {
        if let Some((status, detail)) = self.edit_answers.pop_front() {
            return refusal(status, detail);
        }
        if let Some(limited) = self.limited() {
            return limited;
        }
        let at: usize = id.parse().unwrap();
        match self.comments.get_mut(at - 1).filter(|(of, _)| of == issue) {
            Some(comment) => text.clone_into(&mut comment.1),
            None => {
                return refusal(
                    StatusCode::NOT_FOUND,
                    "The requested resource does not exist",
                );
            }
        }
        let changed = json!({"id": id, "type": "note", "data": {"text": text}});
        self.edits.push((id, text.to_owned()));
        Json(changed).into_response()
    }
}

fn refusal(status: StatusCode, detail: &str) -> Response {
    (status, Json(json!({"detail": detail}))).into_response()
}

/// Somebody waits for an answer, until it comes or they are gone.
struct Waiting(Sentry);

impl Waiting {
    fn at(sentry: &Sentry) -> Self {
        sentry.seen(|seen| {
            seen.arrived += 1;
            seen.waiting += 1;
        });
        Self(sentry.clone())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.seen(|seen| seen.waiting -= 1);
    }
}

fn check(headers: &HeaderMap) {
    assert_eq!(headers["authorization"], format!("Bearer {TOKEN}"));
}

async fn comment(
    State(sentry): State<Sentry>,
    Path(issue): Path<String>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    check(&headers);
    let _waiting = Waiting::at(&sentry);
    sentry.pass(Hold::Requests).await;
    let answer = sentry.seen(|seen| seen.take(issue, body["text"].as_str().unwrap()));
    sentry.pass(Hold::Answers).await;
    answer
}

async fn edit(
    State(sentry): State<Sentry>,
    Path((issue, id)): Path<(String, String)>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    check(&headers);
    let _waiting = Waiting::at(&sentry);
    sentry.pass(Hold::Requests).await;
    let answer = sentry.seen(|seen| seen.change(&issue, id, body["text"].as_str().unwrap()));
    sentry.pass(Hold::Answers).await;
    answer
}

/// The newest first.
async fn search(
    State(sentry): State<Sentry>,
    Path(issue): Path<String>,
    headers: HeaderMap,
) -> Json<Value> {
    check(&headers);
    sentry.seen(|seen| {
        seen.searched += 1;
        let known = seen.comments.iter().enumerate().rev();
        let there = known.filter(|(_, (at, _))| *at == issue).map(|(at, (_, text))| {
            json!({"id": (at + 1).to_string(), "type": "note", "data": {"text": text}})
        });
        Json(there.collect())
    })
}
