//! Channels, tried.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::operations::notify::{self, Tested};
use crate::web::auth::Caller;
use crate::web::bounded_text::BoundedText;
use crate::web::{Ingress, Problem, body};

/// Which channel is to be tested.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TestChannel)]
pub(super) struct TestRequest {
    /// The channel, as in a route: `telegram:-1001234567890`, `webhook:ops`, `log`.
    #[schema(value_type = String)]
    channel: BoundedText,
    /// Operator name, for the message and the audit entry.
    #[serde(default)]
    operator: Option<BoundedText>,
}

/// Sends a test message to a channel, and returns the provider's answer.
///
/// The process that answers sends it, with its own settings: in an installation of several processes, an ingress.
#[utoipa::path(
    post,
    path = "/notify/test",
    operation_id = "test_channel",
    tag = "notifications",
    request_body = TestRequest,
    responses((status = OK, description = "What came of it", body = Tested)),
)]
pub(super) async fn test(
    State(ingress): State<Ingress>,
    caller: Caller,
    body: Body,
) -> Result<Json<Tested>, Problem> {
    let request: TestRequest = body::json(body).await?;
    let actor = caller.named(request.operator);
    let channel = String::from(request.channel);
    let sender = ingress.test_sender.as_ref();
    let tested = notify::test(&ingress.context, sender, &actor, &channel).await?;
    Ok(Json(tested))
}
