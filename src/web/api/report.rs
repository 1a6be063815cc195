//! The report of a period.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::report::{self, Period, Report};
use crate::time::Timestamp;
use crate::web::query::Query;
use crate::web::{Ingress, Problem};

/// What a report is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ReportFormat)]
enum Format {
    /// For programs.
    Json,
    /// For people.
    Markdown,
}

/// Query of the report.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ReportQuery {
    /// Start of the period, brought back to the full hour. Default: seven days before its end.
    from: Option<Timestamp>,
    /// End of the period, brought back to the full hour; at most 31 days after its start. Default: now.
    to: Option<Timestamp>,
    /// What it is written in. Default: what `Accept` asks for, else JSON.
    #[param(inline)]
    format: Option<Format>,
}

/// Shows the report of a period: what came in, what came of it, what came back, and what helped.
///
/// As Markdown it is in the language of notifications (`language`). Figures whose rows are not kept for the whole
/// period are named in `incomplete`.
#[utoipa::path(
    get,
    path = "/report",
    operation_id = "show_report",
    tag = "report",
    params(ReportQuery),
    responses((status = OK, description = "The report", content(
        (Report = "application/json"),
        (String = "text/markdown"),
    ))),
)]
pub(super) async fn show(
    State(ingress): State<Ingress>,
    Query(query): Query<ReportQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let context = &ingress.context;
    let period = Period::between(query.from, query.to, context.clock.now())?;
    let format = query.format.unwrap_or_else(|| accepted(&headers));
    let report = report::make(context, period).await?;
    Ok(match format {
        Format::Json => Json(report).into_response(),
        Format::Markdown => {
            let written = report::markdown(&report, context.config.language);
            let kind = [(header::CONTENT_TYPE, "text/markdown; charset=utf-8")];
            (kind, written).into_response()
        }
    })
}

/// Markdown, if that is asked for by name and JSON is not.
fn accepted(headers: &HeaderMap) -> Format {
    let accept = headers.get_all(header::ACCEPT);
    let wants = |kind: &str| {
        let mut values = accept.iter().filter_map(|value| value.to_str().ok());
        values.any(|value| value.split(',').any(|one| one.trim().starts_with(kind)))
    };
    match wants("text/markdown") && !wants("application/json") {
        true => Format::Markdown,
        false => Format::Json,
    }
}
