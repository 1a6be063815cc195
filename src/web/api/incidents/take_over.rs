//! Taking an incident over.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{After, parse};
use crate::operations::incident::{self, Holder, NewNote};
use crate::web::auth::Caller;
use crate::web::bounded_text::BoundedText;
use crate::web::{Ingress, Problem, body, idempotency};

/// From whom an incident is taken over, and by whom.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::web) struct TakeOver {
    /// The `operator` that the incident had when it was read. Null: somebody unnamed.
    from: Option<BoundedText>,
    /// Operator name, which the incident has from now on. Needed, unless the token is a person's.
    operator: Option<BoundedText>,
    /// A note about the incident.
    note: Option<BoundedText>,
}

/// Takes an acknowledged incident over from who has it.
///
/// `acknowledged_at` does not change. If two people take it over at the same time, the second is refused with
/// `taken_over`. If `operator` has it already, only the note is added.
#[utoipa::path(
    post,
    path = "/incidents/{id}/take-over",
    operation_id = "take_over_incident",
    tag = "incidents",
    params(("id" = Uuid, Path, description = "The incident's id")),
    request_body = TakeOver,
    responses(
        (status = OK, description = "The incident as it is now", body = After),
        (status = CONFLICT, description = "The incident is not acknowledged (`not_acknowledged`), or `operator` has it now, \
             not who is named in `from` (`taken_over`)"),
    ),
)]
pub(in crate::web) async fn take_over(
    State(ingress): State<Ingress>,
    Path(id): Path<String>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<After>, Problem> {
    let TakeOver {
        from,
        operator,
        note,
    } = body::json(body).await?;
    let (id, actor) = (parse(&id)?, caller.named(operator));
    let (from, note) = (from.and_then(BoundedText::said), note.map(String::from));
    let from = Holder::Name(from.as_deref());
    let note = NewNote::said(note.as_deref(), idempotency::key(&headers)?);
    let taken = incident::take_over(&ingress.context, &actor, id, from, note);
    let changed = Box::pin(taken).await?;
    Ok(Json(After::of(&ingress, changed)))
}
