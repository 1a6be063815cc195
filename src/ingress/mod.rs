//! The ingress: webhooks in, API, health and metrics.

mod anomalies;
mod auth;
mod body;
mod gate;
mod health;
mod incidents;
mod pages;
mod problem;
mod queues;
mod repairs;
mod webhooks;

use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::{from_fn_with_state, map_response};
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;

use crate::context::Context;
use crate::sources::SOURCES;
pub use gate::Gate;
pub use problem::Problem;

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
        .route("/queues", get(queues::list))
        .route("/queues/{name}/pause", post(queues::pause))
        .route("/queues/{name}/resume", post(queues::resume))
        .route_layer(from_fn_with_state(ingress.clone(), auth::api));
    let mut webhooks = Router::new();
    for source in SOURCES {
        let take = move |state, body| webhooks::take(source, state, body);
        webhooks = webhooks.route(&format!("/{}", source.name), post(take));
    }
    let webhooks = webhooks.route_layer(from_fn_with_state(ingress.clone(), auth::webhook));
    health_router()
        .nest("/api/v1", api.merge(webhooks))
        .fallback(problem::not_found)
        .method_not_allowed_fallback(problem::method_not_allowed)
        .layer(CatchPanicLayer::custom(problem::panicked))
        .layer(map_response(problem::told))
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
    health_router()
        .fallback(problem::not_found)
        .with_state(ingress.clone())
}

/// Serves until `stop`, then finishes the requests that were accepted, for as long as `patience`.
///
/// # Errors
/// The listener failed.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stop: CancellationToken,
    patience: Duration,
) -> std::io::Result<()> {
    let served =
        axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
    let too_long = async {
        stop.cancelled().await;
        tokio::time::sleep(patience).await;
    };
    tokio::select! {
        served = served.into_future() => served,
        () = too_long => {
            tracing::warn!("requests are still open after {patience:?}; they are cut");
            Ok(())
        }
    }
}
