//! The web server: webhooks, the API, the pages, health and metrics.

mod after_change;
mod anonymous;
mod api;
mod attempts;
mod auth;
mod base;
pub(crate) mod body;
mod bounded_text;
mod charset;
mod client;
mod confirmation;
mod envelope;
mod gate;
mod health;
mod idempotency;
mod late;
pub mod mcp;
mod moment;
mod operation_error;
pub(crate) mod origin;
mod pages;
mod paging;
mod person;
mod playbooks;
pub(crate) mod problem;
mod query;
pub(crate) mod refusals;
mod serve;
pub(crate) mod source_states;
mod stopping;
pub(crate) mod tallies;
mod telegram;
mod webhooks;
mod worth;
mod write_behind;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{from_fn, from_fn_with_state, map_response, map_response_with_state};
use tower::Layer as _;
use tower::util::MapRequestLayer;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::decompression::RequestDecompressionLayer;
use tower_http::normalize_path::NormalizePathLayer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::context::Context;
use crate::operations::notify::TestSender;
use crate::sources::{SOURCES, Source};
use crate::telegram::Bot;
use crate::telemetry::log_throttle::LogThrottle;
pub use api::IncidentView;
use api::openapi::DOCUMENT;
pub use api::openapi::description;
use api::{RepairState, repair_cursor, repair_position};
pub(crate) use auth::{Caller, Guard};
pub use gate::Gate;
pub use late::Late;
pub use problem::Problem;
pub use refusals::Refusals;
pub use serve::{ConnectionLimits, Routes, serve};

/// What handlers share.
#[derive(Clone)]
pub struct Ingress {
    /// The process' context.
    pub context: Context,
    /// Whether the process takes more.
    pub gate: Arc<Gate>,
    /// What it refuses.
    pub refusals: Refusals,
    /// Whom it takes alerts from: [`SOURCES`], unless more are given.
    pub sources: Arc<[Source]>,
    /// What it answered and the queue has not taken yet.
    pub late: Late,
    /// Who sends test messages, where notifiers are set up.
    pub test_sender: Option<TestSender>,
    /// Wrong tokens by address.
    attempts: Arc<attempts::Attempts>,
    /// How deep the queues were lately.
    depths: Arc<pages::Depths>,
    /// The bot whose buttons are pressed, once it was needed.
    bot: Arc<OnceLock<Option<Bot>>>,
    /// Deliveries with an unknown status, by source.
    unknown_statuses: Arc<LogThrottle<&'static str>>,
}

/// How often the log reports alerts with an unknown status.
const UNKNOWN_STATUSES_SAID: Duration = Duration::from_secs(60);

impl Ingress {
    /// The ingress of a process that takes more while `gate` says so.
    #[must_use]
    pub fn new(context: Context, gate: Arc<Gate>) -> Self {
        let (refusals, late) = (Refusals::new(&context), Late::new(&context));
        Self {
            context,
            gate,
            refusals,
            sources: SOURCES.into(),
            late,
            test_sender: None,
            attempts: Arc::default(),
            depths: Arc::default(),
            bot: Arc::default(),
            unknown_statuses: Arc::new(LogThrottle::new(UNKNOWN_STATUSES_SAID)),
        }
    }

    /// The bot whose buttons are pressed, set up once, with the connections that it keeps.
    fn bot(&self) -> Option<&Bot> {
        let set_up = || {
            let bot = Bot::of(&self.context.config);
            bot.unwrap_or_else(|error| {
                tracing::error!("cannot set up the HTTP client for Telegram: {error}");
                None
            })
        };
        self.bot.get_or_init(set_up).as_ref()
    }
}

/// Every route.
pub fn router(ingress: &Ingress) -> Router {
    let tracer = ingress.context.tracer.clone();
    let base = base::Base::of(&ingress.context.config);
    let guard = Arc::new(auth::Guard::new(ingress));
    let limit = ingress.context.config.limits.body;
    let takes = (&ingress.gate, &ingress.refusals);
    let pages = pages::router(&ingress.context, takes, &guard, &ingress.depths);
    let (refusals, sources) = (ingress.refusals.clone(), Arc::clone(&ingress.sources));
    let api = api::routes()
        .route_layer(from_fn_with_state(ingress.clone(), idempotency::done_once))
        .route_layer(from_fn_with_state(limit, charset::decoded))
        .route_layer(from_fn_with_state(Arc::clone(&guard), auth::api));
    let db = &ingress.context.db;
    let (api, pages) = match db.has_replica() {
        true => (
            api.route_layer(from_fn_with_state(db.clone(), after_change::shown)),
            pages.route_layer(from_fn_with_state(db.clone(), after_change::shown)),
        ),
        false => (api, pages),
    };
    let config = &ingress.context.config;
    let mcp = config.mcp.enabled.then(|| {
        let api = OpenApiRouter::new().nest(API, api.clone());
        mcp::router(within(ingress, api), &guard)
    });
    let webhooks = webhooks(ingress.sources.iter().copied());
    let door = auth::Door {
        guard: Arc::clone(&guard),
        refusals: refusals.clone(),
        sources: Arc::clone(&sources),
    };
    let webhooks = at_the_door(webhooks, limit, door);
    // Who presses is known by the secret, and by the list.
    let presses = presses().layer(axum::Extension(guard));
    let not_posted = move |request| {
        let (refusals, sources) = (refusals.clone(), Arc::clone(&sources));
        async move { webhooks::not_posted(&refusals, &sources, request).await }
    };
    let api = api.merge(presses);
    let mut router = Router::from(health().nest(API, api).merge(webhooks))
        .fallback(problem::not_found)
        .method_not_allowed_fallback(not_posted)
        .with_state(ingress.clone())
        .merge(pages)
        .merge(mcp.unwrap_or_default());
    if let Some(doorman) = person::Doorman::of(ingress) {
        router = router.layer(from_fn_with_state(doorman, person::identify));
    }
    let router = router
        .layer(CatchPanicLayer::custom(problem::panicked))
        .layer(map_response(problem::problem_response))
        .layer(from_fn(pages::for_people))
        .layer(map_response_with_state(base.clone(), base::put))
        .layer(from_fn_with_state(tracer, envelope::seal))
        .layer(from_fn_with_state(
            ingress.clone(),
            stopping::close_connections,
        ));
    let below = MapRequestLayer::new(move |request: Request| base::take(&base, request));
    // Addresses are written by people: with a slash at the end, or two at the front.
    let as_written = NormalizePathLayer::trim_trailing_slash();
    Router::new().fallback_service(as_written.layer(below.layer(router)))
}

/// Routes for requests that are made within the process: each answers as it does to those from outside.
fn within(ingress: &Ingress, routes: OpenApiRouter<Ingress>) -> Router {
    let tracer = ingress.context.tracer.clone();
    Router::from(routes)
        .fallback(problem::not_found)
        .method_not_allowed_fallback(problem::method_not_allowed)
        .with_state(ingress.clone())
        .layer(CatchPanicLayer::custom(problem::panicked))
        .layer(map_response(problem::problem_response))
        .layer(from_fn_with_state(tracer, envelope::seal))
}

/// Has what is sent to webhooks checked, and made what they read. What is inflated and decoded is read up to
/// the same limit. Whatever refuses, a mistake of ours included, is within what notes refusals.
fn at_the_door(
    webhooks: OpenApiRouter<Ingress>,
    limit: usize,
    door: auth::Door,
) -> OpenApiRouter<Ingress> {
    webhooks
        .route_layer(from_fn_with_state(limit, charset::decoded))
        .route_layer(RequestDecompressionLayer::new())
        .route_layer(CatchPanicLayer::custom(problem::panicked))
        .route_layer(from_fn_with_state(door, auth::webhook))
}

/// Where the API is.
const API: &str = "/api/v1";

/// Everything that the description is of, without the check of a token.
fn described() -> OpenApiRouter<Ingress> {
    let webhooks = webhooks(SOURCES);
    health()
        .nest(API, api::routes().merge(presses()))
        .merge(webhooks)
}

/// The webhooks of these sources.
fn webhooks(sources: impl IntoIterator<Item = Source>) -> OpenApiRouter<Ingress> {
    let routes = sources.into_iter().flat_map(webhooks::routes);
    routes.fold(OpenApiRouter::new(), OpenApiRouter::routes)
}

/// What Telegram sends when a button is pressed.
fn presses() -> OpenApiRouter<Ingress> {
    OpenApiRouter::new().routes(routes!(telegram::take))
}

/// Health, metrics and the description itself.
fn health() -> OpenApiRouter<Ingress> {
    health_alone().routes(routes!(api::openapi::show))
}

/// Health and metrics alone, for a process without an ingress.
fn health_alone() -> OpenApiRouter<Ingress> {
    OpenApiRouter::new()
        .routes(routes!(health::alive))
        .routes(routes!(health::ready))
        .routes(routes!(health::metrics))
}

/// Health and metrics alone.
pub fn health_only(ingress: &Ingress) -> Router {
    let tracer = ingress.context.tracer.clone();
    Router::from(health_alone())
        .fallback(problem::not_found)
        .layer(from_fn_with_state(tracer, envelope::seal))
        .layer(from_fn_with_state(
            ingress.clone(),
            stopping::close_connections,
        ))
        .with_state(ingress.clone())
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::extract::Request;
    use axum::http::StatusCode;
    use axum::routing::post;
    use tower::ServiceExt as _;

    use super::*;
    use crate::config::{Config, Secret};
    use crate::store::refusals::lately;

    #[tokio::test]
    async fn an_internal_error_is_counted_as_a_refused_delivery() {
        let name = format!("tocsin-{}.db", uuid::Uuid::now_v7().simple());
        let path = std::env::temp_dir().join(name);
        let config = Config {
            database_url: Secret::from(format!("sqlite://{}", path.display()).as_str()),
            ..Config::default()
        };
        let ingress = Ingress::new(Context::open(config).await.unwrap(), Arc::default());
        let guard = Arc::new(Guard::new(&ingress));
        let webhook = ingress.sources[0].paths[0];
        async fn mistaken() -> StatusCode {
            panic!("a mistake")
        }
        let webhooks = OpenApiRouter::new().route(webhook, post(mistaken));
        let door = auth::Door {
            guard,
            refusals: ingress.refusals.clone(),
            sources: Arc::clone(&ingress.sources),
        };
        let webhooks = at_the_door(webhooks, 4096, door);
        let router = Router::from(webhooks).with_state(ingress.clone());
        let request = Request::post(webhook).body(Body::empty()).unwrap();
        let answer = router.oneshot(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);

        ingress.refusals.finish().await;
        let refused = lately(ingress.context.db.read(), ingress.context.clock.now())
            .await
            .unwrap();
        assert_eq!((refused.len(), refused[0].status), (1, 500));
        for end in ["", "-wal", "-shm", ".lock"] {
            let _ = std::fs::remove_file(format!("{}{end}", path.display()));
        }
    }
}
