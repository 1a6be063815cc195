//! The ingress: webhooks in, API, health and metrics.

mod anomalies;
mod attempts;
mod audit;
mod auth;
mod body;
mod envelope;
mod gate;
mod health;
mod incidents;
mod pages;
mod problem;
mod queues;
mod repairs;
mod serve;
mod webhooks;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use tower_http::catch_panic::CatchPanicLayer;

use crate::context::Context;
use crate::sources::SOURCES;
pub use gate::Gate;
pub use problem::Problem;
pub use serve::serve;

/// What handlers share.
#[derive(Clone)]
pub struct Ingress {
    /// The process' context.
    pub context: Context,
    /// Whether the queue takes more.
    pub gate: Arc<Gate>,
}

/// Every route.
pub fn router(ingress: &Ingress) -> Router {
    let tracer = ingress.context.tracer.clone();
    let guard = Arc::new(auth::Guard::new(&ingress.context));
    let api = Router::new()
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
        .route("/audit", get(audit::list))
        .route("/queues", get(queues::list))
        .route("/queues/{name}/pause", post(queues::pause))
        .route("/queues/{name}/resume", post(queues::resume))
        .route_layer(from_fn_with_state(Arc::clone(&guard), auth::api));
    let mut webhooks = Router::new();
    for source in SOURCES {
        let take = move |state, body| webhooks::take(source, state, body);
        webhooks = webhooks.route(&format!("/{}", source.name), post(take));
    }
    let webhooks = webhooks.route_layer(from_fn_with_state(guard, auth::webhook));
    health_router()
        .nest("/api/v1", api.merge(webhooks))
        .fallback(problem::not_found)
        .method_not_allowed_fallback(problem::method_not_allowed)
        .layer(CatchPanicLayer::custom(problem::panicked))
        .layer(from_fn_with_state(tracer, envelope::seal))
        .with_state(ingress.clone())
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
        .with_state(ingress.clone())
}
