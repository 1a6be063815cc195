//! The API: what people and programs read and do, one file for each kind of thing.

mod anomalies;
mod audit;
mod canaries;
mod dead_letters;
mod executions;
mod incidents;
mod maintenance;
mod mutes;
mod notify;
pub(super) mod openapi;
mod playbooks;
mod queue_name;
mod queues;
mod recount;
mod repairs;
mod report;
mod sources;
mod trace;

use axum::middleware::from_fn;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Ingress, query};
pub use incidents::View as IncidentView;
pub(super) use repairs::{
    State as RepairState, cursor as repair_cursor, position as repair_position,
};

/// The API's routes with their descriptions, without the check of a token. There is no other way to
/// add a route, so that none is left out of the description.
pub(super) fn routes() -> OpenApiRouter<Ingress> {
    let with_query = OpenApiRouter::new()
        .routes(routes!(incidents::list))
        .routes(routes!(incidents::occurrences))
        .routes(routes!(anomalies::list))
        .routes(routes!(dead_letters::list))
        .routes(routes!(dead_letters::export))
        .routes(routes!(repairs::list))
        .routes(routes!(repairs::actions))
        .routes(routes!(repairs::effectiveness))
        .routes(routes!(playbooks::list))
        .routes(routes!(queues::list))
        .routes(routes!(sources::list))
        .routes(routes!(trace::show))
        .routes(routes!(report::show))
        .routes(routes!(audit::list));
    let without = OpenApiRouter::new()
        .routes(routes!(incidents::show))
        .routes(routes!(repairs::record))
        .routes(routes!(repairs::record_of_anomaly))
        .routes(routes!(repairs::record_of_alert))
        .routes(routes!(repairs::of_anomaly))
        .routes(routes!(repairs::last_time))
        .routes(routes!(repairs::allow))
        .routes(routes!(executions::ask))
        .routes(routes!(executions::show))
        .routes(routes!(executions::started))
        .routes(routes!(executions::finished))
        .routes(routes!(repairs::show, repairs::finish))
        .routes(routes!(incidents::acknowledge))
        .routes(routes!(incidents::take_over))
        .routes(routes!(incidents::resolve))
        .routes(routes!(incidents::analyze))
        .routes(routes!(incidents::resolve_many))
        .routes(routes!(incidents::change_many))
        .routes(routes!(incidents::list_notes, incidents::note))
        .routes(routes!(anomalies::show))
        .routes(routes!(anomalies::fix, anomalies::unfix))
        .routes(routes!(mutes::mute, mutes::unmute))
        .routes(routes!(maintenance::list, maintenance::plan))
        .routes(routes!(maintenance::end))
        .routes(routes!(dead_letters::replay_many))
        .routes(routes!(dead_letters::discard_many))
        .routes(routes!(dead_letters::show, dead_letters::discard))
        .routes(routes!(dead_letters::replay))
        .routes(routes!(
            playbooks::show,
            playbooks::set,
            playbooks::withdraw
        ))
        .routes(routes!(playbooks::restore))
        .routes(routes!(playbooks::accept))
        .routes(routes!(playbooks::reject))
        .routes(routes!(queues::pause))
        .routes(routes!(queues::resume))
        .routes(routes!(notify::test))
        .routes(routes!(canaries::make))
        .routes(routes!(canaries::show))
        .routes(routes!(recount::push))
        .routes(routes!(recount::verify))
        .route_layer(from_fn(query::none));
    with_query.merge(without)
}
