//! Presses of buttons and replies to cards, as Telegram sends them.

use axum::Json;
use axum::extract::{Request, State};
use serde_json::{Value, json};

use super::anonymous::mark_known;
use super::auth::Guard;
use super::{Ingress, Problem, body};
use crate::operations::press::PressError;
use crate::telegram::{self, CardReply, Query, Reply, Update};

/// Bytes of an update: a message with its buttons and who pressed, or two messages.
const BYTES: usize = 256 << 10;
/// What Telegram says who it is with.
const SECRET: &str = "x-telegram-bot-api-secret-token";

/// Receives button presses and replies to cards from Telegram.
///
/// Executes the operation and answers the press in the response. A reply becomes a note. Telegram re-sends what failed.
#[utoipa::path(
    post,
    path = "/telegram",
    operation_id = "press_button",
    tag = "webhooks",
    request_body = Object,
    responses(
        (status = OK, description = "The call that Telegram is to execute, if any", body = Object),
        (status = NOT_FOUND, description = "`telegram.updates` is not `webhook`"),
        (status = TOO_MANY_REQUESTS, description = "Ten wrong secrets came from this address within a minute"),
    ),
)]
pub(super) async fn take(
    State(ingress): State<Ingress>,
    axum::Extension(guard): axum::Extension<std::sync::Arc<Guard>>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let given = request.headers().get(SECRET);
    let given = given.map(axum::http::HeaderValue::as_bytes);
    let config = &ingress.context.config;
    if !given.is_some_and(|given| config.is_webhook_secret(given)) {
        return Err(guard.refuse_press(&request));
    }
    mark_known(request.extensions());
    if !config.has_webhook() {
        return Err(Problem::not_found(
            "address",
            "no page or API resource at this address",
        ));
    }
    let update: Value = body::json_within(request.into_body(), BYTES).await?;
    let Some(update) = Update::read(&update) else {
        return Ok(Json(json!({})));
    };
    let Some(query) = update.query else {
        if let Some(reply) = update.reply {
            note(&ingress, reply).await?;
        }
        return Ok(Json(json!({})));
    };
    let reply = telegram::press(&ingress.context, &query).await?;
    show(&ingress, &query, &reply);
    Ok(Json(telegram::as_response(&query, &reply)))
}

/// Writes a note, and shows that beside the response: Telegram does not say whether the chat allows what a response asks
/// for.
async fn note(ingress: &Ingress, reply: CardReply) -> Result<(), Problem> {
    let Some(bot) = ingress.bot().filter(|bot| reply.is_to(bot.name())) else {
        return Ok(());
    };
    let shown = telegram::note(&ingress.context, bot.name(), &reply).await?;
    if let Some(shown) = shown {
        let (context, bot) = (ingress.context.clone(), bot.clone());
        tokio::spawn(async move {
            if let Err(error) = telegram::show(&context, &bot, &reply, &shown).await {
                tracing::debug!("cannot answer a reply: {error}");
            }
        });
    }
    Ok(())
}

/// Shows other buttons, beside the answer: a response can say one thing.
fn show(ingress: &Ingress, query: &Query, reply: &Reply) {
    let (Some(keyboard), Some(message)) = (&reply.keyboard, &query.message) else {
        return;
    };
    let Some(bot) = ingress.bot().cloned() else {
        return;
    };
    let (keyboard, message) = (keyboard.clone(), message.clone());
    tokio::spawn(async move {
        if let Err(error) = bot.show(&message, &keyboard).await {
            tracing::debug!("cannot show buttons: {error}");
        }
    });
}

impl From<PressError> for Problem {
    fn from(error: PressError) -> Self {
        match error {
            PressError::Store(error) => error.into(),
            PressError::Queue(error) => error.into(),
        }
    }
}
