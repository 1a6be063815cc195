//! The pages: what people on call look at, rendered here, changed live, and usable without script.
//!
//! What forms do are [`crate::operations`], as what the API does.
//!
//! ADD A PAGE HERE: a file with the page and its section, its route in [`router`], and its place in
//! [`NAVIGATION`].

mod accounting;
mod address;
mod anomalies;
mod anomaly;
mod api;
mod assets;
mod attention;
mod bulk;
mod cached;
mod charts;
mod dead_letters;
mod error;
mod firings;
mod form;
mod forms;
mod incident;
mod incident_query;
mod incidents;
mod layout;
mod list_filters;
mod live;
mod maintenance;
mod mute;
mod parts;
mod paused;
mod playbooks;
mod processes;
mod queue_depths;
mod queues;
mod repairs;
mod report;
mod request;
mod services;
mod session;
mod sign_in;
mod stale;
mod system;
mod timeline;
mod topics;
mod worth;

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Redirect;
use axum::routing::{get, post};

use crate::context::Context;
use crate::redis::Asking;
use crate::web::refusals::Refusals;
use crate::web::{Gate, Guard, problem};
use error::PageError;
pub(crate) use error::for_people;
use layout::Section;
pub(super) use live::Stopping;
pub(super) use queue_depths::Depths;
use request::PageRequest;

/// The navigation, from left to right.
const NAVIGATION: [Section; 9] = [
    incidents::SECTION,
    anomalies::SECTION,
    repairs::SECTION,
    maintenance::SECTION,
    report::SECTION,
    playbooks::SECTION,
    queues::SECTION,
    dead_letters::SECTION,
    system::SECTION,
];

/// The page that the footer links to.
const API: Section = api::SECTION;

/// The page that a reminder of paused queues links to.
const QUEUES: Section = queues::SECTION;

/// What the pages share.
#[derive(Clone)]
pub(crate) struct Pages {
    context: Context,
    gate: Arc<Gate>,
    refusals: Refusals,
    guard: Arc<Guard>,
    live: live::Live,
    shared: Arc<Shared>,
}

/// What many pages show alike.
#[derive(Default)]
struct Shared {
    attention: cached::Cached<attention::Attention>,
    overview: cached::Cached<crate::store::views::incident_list::Overview>,
    names: cached::Cached<Arc<crate::store::views::incident_list::Names>>,
    windows: cached::Cached<Arc<[crate::entity::windows::Model]>>,
    hours: cached::CachedBy<String, crate::store::views::hourly_counts::Day>,
    totals: cached::StaleWhileRevalidate<crate::store::views::stats::StoredTotals>,
    /// To ask Redis how it is, where there is one.
    redis: std::sync::OnceLock<Option<Asking>>,
    depths: Arc<Depths>,
}

/// The pages' routes.
pub(crate) fn router(
    context: &Context,
    (gate, refusals): (&Arc<Gate>, &Refusals),
    guard: &Arc<Guard>,
    depths: &Arc<Depths>,
) -> Router {
    let shared = Shared {
        depths: Arc::clone(depths),
        ..Shared::default()
    };
    let pages = Pages {
        context: context.clone(),
        gate: Arc::clone(gate),
        refusals: refusals.clone(),
        guard: Arc::clone(guard),
        live: live::Live::new(context),
        shared: Arc::new(shared),
    };
    queue_depths::start(context, &pages.shared);
    Router::new()
        .route("/", get(async || Redirect::to("/incidents")))
        .route(
            incidents::SECTION.path,
            get(incidents::page).post(bulk::post),
        )
        .route("/incidents/{id}", get(incident::page))
        .route("/incidents/{id}/firings", get(firings::page))
        .route("/incidents/{id}/{operation}", post(forms::incident))
        .route(anomalies::SECTION.path, get(anomalies::page))
        .route("/anomalies/{key}", get(anomaly::page))
        .route("/anomalies/{key}/{operation}", post(forms::anomaly))
        .route("/services/{name}", get(services::page))
        .route(repairs::SECTION.path, get(repairs::page))
        .route(
            maintenance::SECTION.path,
            get(maintenance::page).post(maintenance::plan),
        )
        .route("/maintenance/{id}/end", post(maintenance::end))
        .route(report::SECTION.path, get(report::page))
        .route(
            playbooks::SECTION.path,
            get(playbooks::page).post(playbooks::write),
        )
        .route("/playbooks/{name}", get(playbooks::one))
        .route("/playbooks/{name}/{operation}", post(playbooks::decide))
        .route(queues::SECTION.path, get(queues::page))
        .route("/queues/{name}/{operation}", post(forms::queue))
        .route(dead_letters::SECTION.path, get(dead_letters::page))
        .route("/dead-letters/{id}", get(dead_letters::one))
        .route("/dead-letters/{id}/{operation}", post(dead_letters::decide))
        .route(system::SECTION.path, get(system::page))
        .route(api::SECTION.path, get(api::page))
        .route("/sign-in", get(sign_in::page).post(sign_in::sign_in))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/language", post(sign_in::language))
        .route("/attention", get(attention::read))
        .route("/events", get(live::events))
        .route("/assets/{name}", get(assets::serve))
        .method_not_allowed_fallback(problem::method_not_allowed)
        .route_layer(from_fn_with_state(pages.clone(), request::by_a_known_name))
        .route_layer(from_fn(error::finish))
        .with_state(pages)
}
