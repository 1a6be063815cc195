//! The ingress: webhooks in, API, health and metrics.

mod anomalies;
mod attempts;
mod audit;
mod auth;
mod body;
mod dead_letters;
mod envelope;
mod gate;
mod health;
mod incidents;
mod mutes;
mod pages;
mod problem;
mod queues;
mod recount;
mod repairs;
mod serve;
mod stopping;
mod telegram;
mod trace;
mod webhooks;

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn_with_state, map_response};
use axum::routing::{get, post};
use tower_http::catch_panic::CatchPanicLayer;

use crate::context::Context;
use crate::sources::SOURCES;
pub(crate) use auth::{Caller, Guard};
pub use gate::Gate;
pub use incidents::View as IncidentView;
pub use problem::Problem;
pub use serve::serve;

/// What handlers share.
#[derive(Clone)]
pub struct Ingress {
    /// The process' context.
    pub context: Context,
    /// Whether the process takes more.
    pub gate: Arc<Gate>,
}

/// Every route.
pub fn router(ingress: &Ingress) -> Router {
    let tracer = ingress.context.tracer.clone();
    let guard = Arc::new(auth::Guard::new(&ingress.context));
    let pages = pages_of(ingress, &guard);
    let api = api().route_layer(from_fn_with_state(Arc::clone(&guard), auth::api));
    let mut webhooks = Router::new();
    for source in SOURCES {
        let take = move |state, body| webhooks::take(source, state, body);
        webhooks = webhooks.route(&format!("/{}", source.name), post(take));
    }
    let webhooks = webhooks.route_layer(from_fn_with_state(Arc::clone(&guard), auth::webhook));
    // Who presses is known by the secret, and by the list.
    let presses = Router::new()
        .route("/telegram", post(telegram::take))
        .layer(axum::Extension(guard));
    health_router()
        .nest("/api/v1", api.merge(webhooks).merge(presses))
        .fallback(problem::not_found)
        .method_not_allowed_fallback(problem::method_not_allowed)
        .with_state(ingress.clone())
        .merge(pages)
        .layer(CatchPanicLayer::custom(problem::panicked))
        .layer(map_response(problem::told))
        .layer(from_fn_with_state(tracer, envelope::seal))
        .layer(from_fn_with_state(
            ingress.clone(),
            stopping::close_connections,
        ))
}

/// The pages. They ask who is there themselves, and do what the API does by its own routes.
fn pages_of(ingress: &Ingress, guard: &Arc<Guard>) -> Router {
    let api = api().with_state(ingress.clone());
    crate::pages::router(&ingress.context, &ingress.gate, guard, api)
}

/// The API's routes, without the check of a token.
fn api() -> Router<Ingress> {
    Router::new()
        .route("/incidents", get(incidents::list))
        .route("/incidents/{id}", get(incidents::show))
        .route("/incidents/{id}/occurrences", get(incidents::occurrences))
        .route("/incidents/{id}/repairs", post(repairs::record))
        .route("/incidents/{id}/acknowledge", post(incidents::acknowledge))
        .route("/incidents/{id}/resolve", post(incidents::resolve))
        .route("/anomalies", get(anomalies::list))
        .route("/anomalies/{key}", get(anomalies::show))
        .route(
            "/anomalies/{key}/permanent-fix",
            post(anomalies::fix).delete(anomalies::unfix),
        )
        .route(
            "/anomalies/{key}/mute",
            post(mutes::mute).delete(mutes::unmute),
        )
        .route("/dead-letters", get(dead_letters::list))
        .route("/dead-letters/export", get(dead_letters::export))
        .route("/dead-letters/replay", post(dead_letters::replay_many))
        .route("/dead-letters/discard", post(dead_letters::discard_many))
        .route(
            "/dead-letters/{id}",
            get(dead_letters::show).delete(dead_letters::discard),
        )
        .route("/dead-letters/{id}/replay", post(dead_letters::replay))
        .route("/audit", get(audit::list))
        .route("/recount", post(recount::push))
        .route("/recount/verify", post(recount::verify))
        .route("/trace/{name}", get(trace::show))
        .route("/queues", get(queues::list))
        .route("/queues/{name}/pause", post(queues::pause))
        .route("/queues/{name}/resume", post(queues::resume))
}

/// Health and metrics alone, for a process without an ingress.
fn health_router() -> Router<Ingress> {
    Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
}

/// Health and metrics alone.
pub fn health_only(ingress: &Ingress) -> Router {
    let tracer = ingress.context.tracer.clone();
    health_router()
        .fallback(problem::not_found)
        .layer(from_fn_with_state(tracer, envelope::seal))
        .layer(from_fn_with_state(
            ingress.clone(),
            stopping::close_connections,
        ))
        .with_state(ingress.clone())
}
