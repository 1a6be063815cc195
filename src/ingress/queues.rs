//! Queues: in figures, paused and resumed.

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;

use super::pages::Page;
use super::{Ingress, Problem};
use crate::jobs::QUEUES;
use crate::queue::store::Depth;
use crate::store::{dead_letters, losses};

/// A queue as it is answered.
#[derive(Debug, Serialize)]
pub(super) struct View {
    name: &'static str,
    #[serde(flatten)]
    depth: Depth,
    /// Dead letters that nobody has dealt with.
    dead: u64,
    /// Jobs that waited in a Redis that lost its data.
    lost: u64,
}

async fn view(ingress: &Ingress, name: &'static str) -> Result<View, Problem> {
    let context = &ingress.context;
    Ok(View {
        name,
        depth: context.queues.store().depth(name).await?,
        dead: dead_letters::count(context.db.read(), name).await?,
        lost: losses::of_queue(context.db.read(), name).await?,
    })
}

pub(super) async fn list(State(ingress): State<Ingress>) -> Result<Json<Page<View>>, Problem> {
    let mut views = Vec::with_capacity(QUEUES.len());
    for name in QUEUES {
        views.push(view(&ingress, name).await?);
    }
    Ok(Json(Page::whole(views)))
}

pub(super) async fn pause(
    State(ingress): State<Ingress>,
    Path(name): Path<String>,
) -> Result<Json<View>, Problem> {
    set_paused(&ingress, &name, true).await
}

pub(super) async fn resume(
    State(ingress): State<Ingress>,
    Path(name): Path<String>,
) -> Result<Json<View>, Problem> {
    set_paused(&ingress, &name, false).await
}

async fn set_paused(ingress: &Ingress, name: &str, paused: bool) -> Result<Json<View>, Problem> {
    let known = QUEUES.into_iter().find(|queue| *queue == name);
    let name = known.ok_or_else(|| {
        Problem::not_found(format!(
            "there is no such queue; there are {}",
            QUEUES.join(", ")
        ))
    })?;
    ingress
        .context
        .queues
        .store()
        .set_paused(name, paused)
        .await?;
    Ok(Json(view(ingress, name).await?))
}
