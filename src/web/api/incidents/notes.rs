//! Notes about an incident.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{parse, unknown};
use crate::entity::notes::Model;
use crate::operations::incident::{self, NewNote};
use crate::store::incidents::find;
use crate::store::notes;
use crate::web::auth::Caller;
use crate::web::bounded_text::BoundedText;
use crate::web::{Ingress, Problem, body, idempotency};

/// Notes that are shown with an incident, the newest.
pub(super) const SHOWN: u64 = 50;

/// A note to write.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewNote)]
pub(in crate::web) struct NoteRequest {
    /// What it says.
    #[schema(value_type = String, max_length = 4096, pattern = "^[^\\x00]*[^\\s\\x00][^\\x00]*$")]
    note: BoundedText,
    /// Operator name, for the audit entry.
    operator: Option<BoundedText>,
}

/// Writes a note about an incident.
///
/// Anybody who looks at the incident reads it. It needs no status; with the same `Idempotency-Key` it is written once.
#[utoipa::path(
    post,
    path = "/incidents/{id}/notes",
    operation_id = "note_incident",
    tag = "incidents",
    params(("id" = Uuid, Path, description = "The incident's id")),
    request_body = NoteRequest,
    responses((status = CREATED, description = "The note", body = Model)),
)]
pub(in crate::web) async fn note(
    State(ingress): State<Ingress>,
    Path(id): Path<String>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<Model>), Problem> {
    let request: NoteRequest = body::json(body).await?;
    let (id, actor) = (parse(&id)?, caller.named(request.operator));
    let (text, key) = (String::from(request.note), idempotency::key(&headers)?);
    let new = NewNote::said(Some(&text), key);
    let written = incident::note(&ingress.context, &actor, id, new).await?;
    Ok((StatusCode::CREATED, Json(written)))
}

/// Lists the notes about an incident, newest first, at most 50.
#[utoipa::path(
    get,
    path = "/incidents/{id}/notes",
    operation_id = "list_notes",
    tag = "incidents",
    params(("id" = Uuid, Path, description = "The incident's id")),
    responses((status = OK, description = "The notes", body = [Model])),
)]
pub(in crate::web) async fn list_notes(
    State(ingress): State<Ingress>,
    Path(id): Path<String>,
) -> Result<Json<Vec<Model>>, Problem> {
    let (id, db) = (parse(&id)?, ingress.context.db.view());
    find(db, id).await?.ok_or_else(unknown)?;
    Ok(Json(notes::of(db, id, SHOWN).await?))
}
