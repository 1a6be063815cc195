//! Canaries: made to be sent, and shown with how far each came.

use std::collections::BTreeMap;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::domain::canary::{Link, SMOKE};
use crate::domain::escalation::Level;
use crate::operations::canary::{self, CanarySpec};
use crate::operations::{Invalid, OperationError, Resource};
use crate::sources::canary::CanaryRequest;
use crate::store::canaries::{self, Canary};
use crate::time::Timestamp;
use crate::web::auth::Caller;
use crate::web::bounded_text::BoundedText;
use crate::web::{Ingress, Problem, body};

/// A canary as it is answered.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Canary)]
pub(super) struct View {
    /// Its ID.
    id: Uuid,
    /// The source in whose form it comes.
    source: String,
    /// What made it: `smoke`, or `schedule`.
    made_by: String,
    /// The channel that its message is sent to; null if it is only rendered.
    channel: Option<String>,
    /// When it was made.
    created_at: Timestamp,
    /// Until when it keeps its alert from being counted.
    expires_at: Timestamp,
    /// The links of its way, in order.
    links: Vec<LinkView>,
    /// The level of its anomaly; null before it is known.
    level: Option<Level>,
    /// The tier of its incident; null before it is known.
    tier: Option<i64>,
    /// The channels that routes choose for its message.
    channels: Vec<String>,
    /// What the provider of `channel` answered; null if its message was not sent.
    sent: Option<String>,
    /// The link that failed; null if none did.
    failed_link: Option<Link>,
    /// Why it failed.
    error: Option<String>,
}

/// A link of a canary's way.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CanaryLink)]
pub(super) struct LinkView {
    /// Which.
    link: Link,
    /// When it was done; null if it is not.
    at: Option<Timestamp>,
    /// How long it took, in milliseconds; null if it is not done. Of `ingress` from when the canary was made.
    #[schema(minimum = 0)]
    ms: Option<u64>,
}

impl From<Canary> for View {
    fn from(row: Canary) -> Self {
        let link = |(link, at, ms)| LinkView { link, at, ms };
        let channels = row.channels.as_deref().unwrap_or_default();
        Self {
            links: row.links().into_iter().map(link).collect(),
            channels: channels.lines().map(str::to_owned).collect(),
            id: row.id,
            source: row.source,
            made_by: row.made_by,
            channel: row.channel,
            created_at: row.created_at,
            expires_at: row.expires_at,
            level: row.level,
            tier: row.tier,
            sent: row.sent,
            failed_link: row.failed_link,
            error: row.error,
        }
    }
}

/// A request to a webhook.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CanaryRequest)]
pub(super) struct RequestView {
    /// Where to post it, below the address of the instance.
    path: String,
    /// Its headers, with its signature where the source asks for one; add the webhook token where it does not.
    headers: BTreeMap<String, String>,
    /// Its body, to be sent exactly so.
    body: String,
}

impl From<CanaryRequest> for RequestView {
    fn from(request: CanaryRequest) -> Self {
        Self {
            path: request.path,
            headers: request.headers.into_iter().collect(),
            body: request.body,
        }
    }
}

/// A canary that was made, and how to send it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MadeCanary)]
pub(super) struct MadeView {
    #[serde(flatten)]
    canary: View,
    /// The request that has it fire.
    firing: RequestView,
    /// The request that ends it; null if the source's settings have no word for an end.
    resolved: Option<RequestView>,
}

/// Which canary is to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewCanary)]
pub(super) struct MakeRequest {
    /// The source in whose form it is to come: `alertmanager`, `generic/backups`.
    #[schema(value_type = String)]
    source: BoundedText,
    /// A channel to send its message to, marked as a test. Without it the message is only rendered.
    #[serde(default)]
    channel: Option<BoundedText>,
    /// Operator name, for the audit entry.
    #[serde(default)]
    operator: Option<BoundedText>,
}

/// Makes a canary: a synthetic alert that goes the way of an alert and is not counted.
///
/// The answer has the requests that deliver it, signed where the source asks for that. Its incident is not kept, and no
/// list, count or report has it. No message is sent, unless a channel is named.
#[utoipa::path(
    post,
    path = "/canaries",
    operation_id = "make_canary",
    tag = "canaries",
    request_body = MakeRequest,
    responses((status = OK, description = "The canary, and how to send it", body = MadeView)),
)]
pub(super) async fn make(
    State(ingress): State<Ingress>,
    caller: Caller,
    body: Body,
) -> Result<Json<MadeView>, Problem> {
    let request: MakeRequest = body::json(body).await?;
    let actor = caller.named(request.operator);
    let source = String::from(request.source);
    let channel = request.channel.map(String::from);
    if let Some(name) = &channel {
        let known = ingress.test_sender.as_ref().map(|sender| sender.channels());
        let known = known.unwrap_or_default();
        if !known.contains(name) {
            let (name, known) = (name.clone(), known.to_vec());
            return Err(Invalid::UnknownChannel { name, known }.into());
        }
    }
    let spec = CanarySpec {
        source: &source,
        channel: channel.as_deref(),
        made_by: SMOKE,
    };
    let made = canary::make(&ingress.context, &ingress.sources, &spec, Some(&actor)).await?;
    Ok(Json(MadeView {
        canary: made.canary.into(),
        firing: made.firing.into(),
        resolved: made.resolved.ok().map(RequestView::from),
    }))
}

/// Shows how far a canary came. It is known for a day.
#[utoipa::path(
    get,
    path = "/canaries/{id}",
    operation_id = "get_canary",
    tag = "canaries",
    params(("id" = Uuid, Path, description = "The canary's ID")),
    responses((status = OK, description = "The canary", body = View)),
)]
pub(super) async fn show(
    State(ingress): State<Ingress>,
    Path(id): Path<Uuid>,
) -> Result<Json<View>, Problem> {
    let found = canaries::find(ingress.context.db.view(), id).await?;
    let missing = OperationError::NotFound(Resource::Canary);
    Ok(Json(found.ok_or(missing)?.into()))
}
