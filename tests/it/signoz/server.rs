//! A stand-in for SigNoz: keeps channels and rules as its published schema says, and refuses everything else.

mod posted;

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Path, Query, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use self::posted::{Evaluation, PostedChannel, PostedRule, PutChannel};
use crate::process::free_port;

pub(super) const KEY: &str = "planted-signoz-key";

/// What there is, and how often something was changed.
#[derive(Default)]
struct Held {
    channels: Vec<Value>,
    rules: Vec<Value>,
    writes: usize,
    ids: usize,
    /// Answered to the next request that changes something.
    fails: Option<(StatusCode, String)>,
}

#[derive(Clone, Default)]
pub(super) struct SigNoz {
    held: Arc<Mutex<Held>>,
    /// Whether it lists rules as versions before 0.150 do.
    older: bool,
    pub(super) url: String,
}

impl SigNoz {
    /// On a free port, for as long as the test runs.
    pub(super) async fn start() -> Self {
        Self::of_version(false).await
    }

    pub(super) async fn of_version(older: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let signoz = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            older,
            ..Self::default()
        };
        let channels = "/api/v2/notification_channels";
        let mut app = Router::new()
            .route(channels, get(list_channels).post(create_channel))
            .route(
                "/api/v2/notification_channels/{id}",
                get(read_channel).put(replace_channel),
            )
            .route("/api/v2/rules/{id}", get(read_rule).put(replace_rule));
        app = match older {
            true => app.route("/api/v2/rules", get(list_all_rules).post(create_rule)),
            false => app
                .route("/api/v3/rules", get(list_rules))
                .route("/api/v2/rules", axum::routing::post(create_rule)),
        };
        // What it does not know, it answers with its page.
        let app = app
            .fallback(|| async { Html("<!doctype html><title>SigNoz</title>") })
            .layer(middleware::from_fn_with_state(signoz.clone(), with_key))
            .with_state(signoz.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        signoz
    }

    /// One at whose address nobody listens.
    pub(super) fn nowhere() -> Self {
        Self {
            url: format!("http://127.0.0.1:{}", free_port()),
            ..Self::default()
        }
    }

    pub(super) fn rules(&self) -> Vec<Value> {
        self.with(|held| held.rules.clone())
    }

    pub(super) fn channels(&self) -> Vec<Value> {
        self.with(|held| held.channels.clone())
    }

    pub(super) fn writes(&self) -> usize {
        self.with(|held| held.writes)
    }

    /// Changes a stored rule as a person does.
    pub(super) fn edit(&self, name: &str, edit: impl FnOnce(&mut Value)) {
        self.with(|held| {
            let rule = held.rules.iter_mut().find(|rule| rule["alert"] == name);
            edit(rule.unwrap());
        });
    }

    pub(super) fn edit_channel(&self, edit: impl FnOnce(&mut Value)) {
        self.with(|held| edit(&mut held.channels[0]));
    }

    pub(super) fn add_rule(&self, rule: Value) {
        self.with(|held| store(held, |held| &mut held.rules, rule));
    }

    pub(super) fn add_channel(&self, channel: Value) {
        self.with(|held| store(held, |held| &mut held.channels, channel));
    }

    pub(super) fn fail_next(&self, status: StatusCode, body: String) {
        self.with(|held| held.fails = Some((status, body)));
    }

    fn with<T>(&self, read: impl FnOnce(&mut Held) -> T) -> T {
        read(&mut self.held.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[derive(Deserialize)]
struct Page {
    limit: Option<usize>,
    offset: Option<usize>,
}

async fn with_key(State(signoz): State<SigNoz>, request: Request, next: Next) -> Response {
    let is_key = request
        .headers()
        .get("SIGNOZ-API-KEY")
        .is_some_and(|key| key == KEY);
    if !is_key {
        return refused(StatusCode::UNAUTHORIZED, "unauthenticated");
    }
    if request.method() != axum::http::Method::GET
        && let Some((status, body)) = signoz.with(|held| held.fails.take())
    {
        return refused(status, &body);
    }
    next.run(request).await
}

fn refused(status: StatusCode, message: &str) -> Response {
    let error = json!({"type": "invalid-input", "code": "rule_invalid", "message": message, "errors": [], "suggestions": []});
    let body = json!({"status": "error", "error": error});
    (status, Json(body)).into_response()
}

fn found(status: StatusCode, data: &Value) -> Response {
    (status, Json(json!({"status": "success", "data": data}))).into_response()
}

/// A page of at most two, so that every list has several.
fn page(items: &[Value], name: &str, page: &Page) -> Response {
    let limit = page.limit.unwrap_or(20).min(2);
    let shown: Vec<&Value> = items
        .iter()
        .skip(page.offset.unwrap_or(0))
        .take(limit)
        .collect();
    found(StatusCode::OK, &json!({name: shown, "total": items.len()}))
}

fn store(held: &mut Held, into: impl Fn(&mut Held) -> &mut Vec<Value>, mut item: Value) {
    held.ids += 1;
    item["id"] = json!(format!("id-{}", held.ids));
    item["createdAt"] = json!(format!("2026-11-01T00:00:{:02}Z", held.ids % 60));
    into(held).push(item);
}

fn write(
    signoz: &SigNoz,
    into: impl Fn(&mut Held) -> &mut Vec<Value>,
    id: Option<&str>,
    item: Value,
) -> Response {
    signoz.with(|held| {
        held.writes += 1;
        let Some(id) = id else {
            store(held, &into, item);
            let stored = into(held).last().cloned().unwrap_or_default();
            return found(StatusCode::CREATED, &stored);
        };
        let Some(stored) = into(held).iter_mut().find(|item| item["id"] == id) else {
            return refused(StatusCode::NOT_FOUND, "no such thing");
        };
        for (field, value) in item.as_object().into_iter().flatten() {
            stored[field] = value.clone();
        }
        StatusCode::NO_CONTENT.into_response()
    })
}

fn read(items: &[Value], id: &str) -> Response {
    match items.iter().find(|item| item["id"] == id) {
        Some(item) => found(StatusCode::OK, item),
        None => refused(StatusCode::NOT_FOUND, "no such thing"),
    }
}

async fn list_channels(State(signoz): State<SigNoz>, Query(asked): Query<Page>) -> Response {
    let listed = signoz.channels().into_iter().map(|mut channel| {
        channel["kind"] = channel["config"]["kind"].clone();
        channel.as_object_mut().unwrap().remove("config");
        channel
    });
    page(&listed.collect::<Vec<_>>(), "channels", &asked)
}

async fn create_channel(State(signoz): State<SigNoz>, Json(body): Json<Value>) -> Response {
    match serde_json::from_value::<PostedChannel>(body.clone()) {
        Err(error) => refused(StatusCode::BAD_REQUEST, &error.to_string()),
        Ok(channel)
            if signoz
                .channels()
                .iter()
                .any(|one| one["name"] == channel.name) =>
        {
            refused(StatusCode::CONFLICT, "a channel with name exists")
        }
        Ok(_) => write(&signoz, |held| &mut held.channels, None, body),
    }
}

async fn read_channel(State(signoz): State<SigNoz>, Path(id): Path<String>) -> Response {
    read(&signoz.channels(), &id)
}

async fn replace_channel(
    State(signoz): State<SigNoz>,
    Path(id): Path<String>,
    Json(body): Json<Value>,
) -> Response {
    match serde_json::from_value::<PutChannel>(body.clone()) {
        Err(error) => refused(StatusCode::BAD_REQUEST, &error.to_string()),
        Ok(_) => write(&signoz, |held| &mut held.channels, Some(&id), body),
    }
}

/// What a list has of a rule.
async fn list_rules(State(signoz): State<SigNoz>, Query(asked): Query<Page>) -> Response {
    let listed = signoz.rules().into_iter().map(|rule| {
        let fields = [
            "id",
            "alert",
            "alertType",
            "ruleType",
            "labels",
            "createdAt",
        ];
        let fields = fields.map(|field| (field.to_owned(), rule[field].clone()));
        Value::Object(fields.into_iter().collect())
    });
    page(&listed.collect::<Vec<_>>(), "rules", &asked)
}

async fn list_all_rules(State(signoz): State<SigNoz>) -> Response {
    assert!(signoz.older, "only older versions list so");
    found(StatusCode::OK, &json!(signoz.rules()))
}

async fn read_rule(State(signoz): State<SigNoz>, Path(id): Path<String>) -> Response {
    read(&signoz.rules(), &id)
}

/// A rule as it is stored: with what SigNoz fills in, and durations as Go writes them. Or why it is refused.
fn stored(signoz: &SigNoz, body: &Value) -> Result<Value, String> {
    let rule: PostedRule =
        serde_json::from_value(body.clone()).map_err(|error| error.to_string())?;
    if rule.schema_version != "v2alpha1" {
        return Err("schemaVersion must be v2alpha1".to_owned());
    }
    let channels = signoz.channels();
    for threshold in &rule.condition.thresholds.spec {
        for named in &threshold.channels {
            if !channels
                .iter()
                .any(|channel| channel["displayName"] == *named)
            {
                return Err(format!("the channel {named} does not exist"));
            }
        }
    }
    let mut stored = body.clone();
    stored["state"] = json!("inactive");
    stored["updatedBy"] = json!("key@signoz.test");
    stored["disabled"] = json!(rule.disabled.unwrap_or_default());
    stored["notificationSettings"]["usePolicy"] = json!(false);
    let Evaluation::Rolling(rolling) = rule.evaluation;
    let go = |text: &str| match text.strip_suffix('m') {
        Some(minutes) => json!(format!("{minutes}m0s")),
        None => json!(text),
    };
    stored["evaluation"]["spec"]["evalWindow"] = go(&rolling.eval_window);
    stored["evaluation"]["spec"]["frequency"] = go(&rolling.frequency);
    Ok(stored)
}

async fn create_rule(State(signoz): State<SigNoz>, Json(body): Json<Value>) -> Response {
    match stored(&signoz, &body) {
        Err(why) => refused(StatusCode::BAD_REQUEST, &why),
        Ok(rule) => write(&signoz, |held| &mut held.rules, None, rule),
    }
}

async fn replace_rule(
    State(signoz): State<SigNoz>,
    Path(id): Path<String>,
    Json(body): Json<Value>,
) -> Response {
    match stored(&signoz, &body) {
        Err(why) => refused(StatusCode::BAD_REQUEST, &why),
        Ok(rule) => write(&signoz, |held| &mut held.rules, Some(&id), rule),
    }
}
