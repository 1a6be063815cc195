//! Dead letters: listed, shown, exported, replayed and discarded.

mod decide;
mod filter;
mod many;
mod view;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures::stream;
use uuid::Uuid;

use self::filter::{Exported, ListQuery};
use self::view::View;
use crate::context::Context;
use crate::entity::dead_letters::Model;
use crate::operations::{OperationError, Resource};
use crate::store::dead_letters::{self, Filter, Position, Summary};
use crate::store::maintenance;
use crate::time::Timestamp;
use crate::web::paging::Page;
use crate::web::query::Query;
use crate::web::{Ingress, Problem};
pub(super) use decide::{__path_discard, __path_replay, discard, replay};
pub(super) use many::{__path_discard_many, __path_replay_many, discard_many, replay_many};

/// Letters of an export that are read at once, at most.
const EXPORT: u64 = 200;

/// Lists dead letters, most recently failed first.
#[utoipa::path(
    get,
    path = "/dead-letters",
    operation_id = "list_dead_letters",
    tag = "dead letters",
    params(ListQuery),
    responses((status = OK, description = "A page of dead letters", body = Page<Summary>)),
)]
pub(super) async fn list(
    State(ingress): State<Ingress>,
    Query(query): Query<ListQuery>,
) -> Result<Json<Page<Summary>>, Problem> {
    let (limit, before) = (query.limit()?, query.cursor()?);
    let filter = query.filter(now(&ingress.context).await?)?;
    let db = ingress.context.db.view_for(filter.text.is_some()).await?;
    let found = dead_letters::list(&*db, &filter, before, limit + 1).await?;
    Ok(Json(Page::new(found, limit, |letter| {
        format!("{}.{}", letter.died_at.0, letter.id)
    })))
}

/// Shows one dead letter, with its payload and its failed attempts.
#[utoipa::path(
    get,
    path = "/dead-letters/{id}",
    operation_id = "show_dead_letter",
    tag = "dead letters",
    params(("id" = Uuid, Path, description = "Dead letter ID, which is also the job ID")),
    responses((status = OK, description = "The dead letter", body = View)),
)]
pub(super) async fn show(
    State(ingress): State<Ingress>,
    Path(id): Path<String>,
) -> Result<Json<View>, Problem> {
    let letter = find(&ingress.context, parse(&id)?).await?;
    Ok(Json(View::from(letter)))
}

/// Exports all matching dead letters in full, one line of JSON each.
#[utoipa::path(
    get,
    path = "/dead-letters/export",
    operation_id = "export_dead_letters",
    tag = "dead letters",
    params(Exported),
    responses((
        status = OK,
        description = "One dead letter in full per line, most recently failed first",
        body = String,
        content_type = "application/x-ndjson",
    )),
)]
pub(super) async fn export(
    State(ingress): State<Ingress>,
    Query(query): Query<Exported>,
) -> Result<Response, Problem> {
    // The first page is read before the answer begins, so that an error becomes a
    // problem.
    let filter = query.filter(now(&ingress.context).await?)?;
    let first = lines(&ingress.context, &filter, None).await?;
    let rest = stream::try_unfold((ingress, filter, Some(first)), |state| async move {
        let (ingress, filter, page) = state;
        let Some((lines, last)) = page else {
            return Ok(None);
        };
        let next = match last {
            Some(last) => Some(self::lines(&ingress.context, &filter, Some(last)).await?),
            None => None,
        };
        Ok::<_, sea_orm::DbErr>(Some((lines, (ingress, filter, next))))
    });
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    Ok((kind, Body::from_stream(rest)).into_response())
}

/// A page of an export, and where it ended; nothing if that was the last.
async fn lines(
    context: &Context,
    filter: &Filter,
    before: Option<Position>,
) -> Result<(Bytes, Option<Position>), sea_orm::DbErr> {
    let db = context.db.view_for(filter.text.is_some()).await?;
    let letters = dead_letters::export(&*db, filter, before, EXPORT).await?;
    let last = letters.last().map(|letter| (letter.died_at, letter.id));
    let mut lines = Vec::new();
    for letter in letters {
        let line = serde_json::to_vec(&View::from(letter));
        lines.extend(line.map_err(|error| sea_orm::DbErr::Json(error.to_string()))?);
        lines.push(b'\n');
    }
    Ok((lines.into(), last))
}

async fn now(context: &Context) -> Result<Timestamp, Problem> {
    let now = maintenance::now(context.db.view()).await?;
    Ok(context.clock.of_store(now))
}

async fn find(context: &Context, id: Uuid) -> Result<Model, Problem> {
    let found = dead_letters::find(context.db.view(), id).await?;
    found.ok_or_else(unknown)
}

fn parse(id: &str) -> Result<Uuid, Problem> {
    id.parse().map_err(|_| unknown())
}

fn unknown() -> Problem {
    OperationError::NotFound(Resource::DeadLetter).into()
}
