//! Playbooks: listed, shown with their versions, set, withdrawn, restored.

mod proposals;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::domain::playbook::{Origin, Playbook};
use crate::operations::playbook::{self, Changed, Reason};
use crate::operations::{OperationError, Resource};
use crate::web::auth::Caller;
use crate::web::bounded_text::{BoundedText, natural, whole};
use crate::web::paging::{self, Page};
use crate::web::playbooks::{self, Shown, Summary};
use crate::web::query::Query;
use crate::web::{Ingress, Problem, body};

pub(super) use proposals::*;

/// Query of the playbooks.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PlaybookQuery {
    /// Start of the page: `next_cursor` of the previous page.
    #[param(pattern = "^[A-Za-z0-9._-]{0,100}$")]
    cursor: Option<String>,
    /// Maximum number of entries.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u64>,
}

/// Lists playbooks by name: those of the settings, and the stored ones.
#[utoipa::path(
    get,
    path = "/playbooks",
    operation_id = "list_playbooks",
    tag = "playbooks",
    params(PlaybookQuery),
    responses((status = OK, description = "A page of playbooks", body = Page<Summary>)),
)]
pub(super) async fn list(
    State(ingress): State<Ingress>,
    Query(query): Query<PlaybookQuery>,
) -> Result<Json<Page<Summary>>, Problem> {
    let limit = paging::limit(query.limit)?;
    let name = |cursor: &str| Playbook::is_name(cursor).then(|| cursor.to_owned());
    let before = paging::cursor(query.cursor.as_deref(), name)?;
    let most = usize::try_from(limit).unwrap_or(usize::MAX) + 1;
    let all = playbooks::all(&ingress.context).await?;
    let is_later = |one: &Summary| before.as_ref().is_none_or(|before| one.name > *before);
    let page = all.into_iter().filter(is_later).take(most).collect();
    Ok(Json(Page::new(page, limit, |one| one.name.clone())))
}

/// Shows a playbook with its versions, newest first, and what changed with each.
#[utoipa::path(
    get,
    path = "/playbooks/{name}",
    operation_id = "show_playbook",
    tag = "playbooks",
    params(("name" = String, Path, description = "The playbook's name")),
    responses((status = OK, description = "The playbook", body = Shown)),
)]
pub(super) async fn show(
    State(ingress): State<Ingress>,
    Path(name): Path<String>,
) -> Result<Json<Shown>, Problem> {
    Ok(Json(shown(&ingress, &name).await?))
}

async fn shown(ingress: &Ingress, name: &str) -> Result<Shown, Problem> {
    let found = playbooks::one(&ingress.context, name).await?;
    Ok(found.ok_or(OperationError::NotFound(Resource::Playbook))?)
}

/// A playbook after a request that may change it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ChangedPlaybook)]
pub(super) struct After {
    #[serde(flatten)]
    shown: Shown,
    /// Whether the request changed it; false if it was so already.
    changed: bool,
}

impl After {
    async fn of(ingress: &Ingress, name: &str, done: &Changed) -> Result<Json<Self>, Problem> {
        Ok(Json(Self {
            shown: shown(ingress, name).await?,
            changed: done.changed,
        }))
    }
}

/// By which way a playbook is set.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = SetOrigin)]
enum Way {
    /// By a program.
    #[default]
    Api,
    /// By the command line.
    Cli,
    /// From a file with several.
    Imported,
}

impl From<Way> for Origin {
    fn from(way: Way) -> Self {
        match way {
            Way::Api => Self::Api,
            Way::Cli => Self::Cli,
            Way::Imported => Self::Imported,
        }
    }
}

/// A playbook to set.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewPlaybook)]
pub(super) struct SetRequest {
    /// What it says. Its name may be left out; else it is that of the address. It has at least one action.
    definition: Playbook,
    /// Why it changes.
    #[schema(value_type = String, max_length = 4096, pattern = "^[^\\x00]*[^\\s\\x00][^\\x00]*$")]
    why: BoundedText,
    /// The version that is to be changed: if it is not the newest any more, the answer is 409. 0: there is none yet.
    #[serde(default, deserialize_with = "natural")]
    #[schema(minimum = 0)]
    expected_version: Option<i64>,
    /// By which way.
    #[serde(default)]
    origin: Way,
    /// Operator name, for the version and the audit entry.
    #[serde(default)]
    operator: Option<BoundedText>,
}

/// Sets a stored playbook: makes it, or makes a new version of it.
///
/// It is checked as in the settings. If all is so already, nothing changes. One that is in the settings is changed
/// there.
#[utoipa::path(
    put,
    path = "/playbooks/{name}",
    operation_id = "set_playbook",
    tag = "playbooks",
    params(("name" = String, Path, pattern = "^[A-Za-z0-9._-]{1,100}$", description = "The playbook's name")),
    request_body = SetRequest,
    responses(
        (status = OK, description = "The playbook as it is now", body = After),
        (status = CONFLICT, description = "It is in the settings; or another version came first"),
    ),
)]
pub(super) async fn set(
    State(ingress): State<Ingress>,
    Path(name): Path<String>,
    caller: Caller,
    body: Body,
) -> Result<Json<After>, Problem> {
    let request: SetRequest = body::json(body).await?;
    let actor = caller.named(request.operator);
    let reason = Reason {
        why: request.why.into(),
        expected: request.expected_version,
    };
    let wanted = (request.definition, request.origin.into());
    let done = playbook::set(&ingress.context, &actor, &name, wanted, reason).await?;
    After::of(&ingress, &name, &done).await
}

/// Why a playbook is withdrawn.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PlaybookWithdrawal)]
pub(super) struct WithdrawRequest {
    /// Why.
    #[schema(value_type = String, max_length = 4096, pattern = "^[^\\x00]*[^\\s\\x00][^\\x00]*$")]
    why: BoundedText,
    /// The version that is to be withdrawn: if it is not the newest any more, the answer is 409.
    #[serde(default, deserialize_with = "natural")]
    #[schema(minimum = 0)]
    expected_version: Option<i64>,
    /// By which way.
    #[serde(default)]
    origin: Way,
    /// Operator name, for the version and the audit entry.
    #[serde(default)]
    operator: Option<BoundedText>,
}

/// Withdraws a stored playbook.
///
/// Nothing of it is recommended any more. Its versions stay, and each can be restored.
#[utoipa::path(
    delete,
    path = "/playbooks/{name}",
    operation_id = "withdraw_playbook",
    tag = "playbooks",
    params(("name" = String, Path, description = "The playbook's name")),
    request_body = WithdrawRequest,
    responses(
        (status = OK, description = "The playbook as it is now", body = After),
        (status = CONFLICT, description = "It is in the settings; or another version came first"),
    ),
)]
pub(super) async fn withdraw(
    State(ingress): State<Ingress>,
    Path(name): Path<String>,
    caller: Caller,
    body: Body,
) -> Result<Json<After>, Problem> {
    let request: WithdrawRequest = body::json(body).await?;
    let actor = caller.named(request.operator);
    let reason = Reason {
        why: request.why.into(),
        expected: request.expected_version,
    };
    let origin = request.origin.into();
    let done = playbook::withdraw(&ingress.context, &actor, &name, origin, reason).await?;
    After::of(&ingress, &name, &done).await
}

/// Which version is restored.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PlaybookRestoration)]
pub(super) struct RestoreRequest {
    /// The version whose content is to be the newest.
    #[serde(deserialize_with = "whole")]
    #[schema(value_type = i64, minimum = 1)]
    version: Option<i64>,
    /// Why.
    #[schema(value_type = String, max_length = 4096, pattern = "^[^\\x00]*[^\\s\\x00][^\\x00]*$")]
    why: BoundedText,
    /// The version that is the newest now: if it is not any more, the answer is 409.
    #[serde(default, deserialize_with = "natural")]
    #[schema(minimum = 0)]
    expected_version: Option<i64>,
    /// Operator name, for the version and the audit entry.
    #[serde(default)]
    operator: Option<BoundedText>,
}

/// Restores a version of a stored playbook: its content becomes a new version.
#[utoipa::path(
    post,
    path = "/playbooks/{name}/restore",
    operation_id = "restore_playbook",
    tag = "playbooks",
    params(("name" = String, Path, description = "The playbook's name")),
    request_body = RestoreRequest,
    responses(
        (status = OK, description = "The playbook as it is now", body = After),
        (status = CONFLICT, description = "It is in the settings; or another version came first"),
    ),
)]
pub(super) async fn restore(
    State(ingress): State<Ingress>,
    Path(name): Path<String>,
    caller: Caller,
    body: Body,
) -> Result<Json<After>, Problem> {
    let request: RestoreRequest = body::json(body).await?;
    let actor = caller.named(request.operator);
    let reason = Reason {
        why: request.why.into(),
        expected: request.expected_version,
    };
    let context = &ingress.context;
    let done = playbook::restore(
        context,
        &actor,
        &name,
        request.version.unwrap_or_default(),
        reason,
    )
    .await?;
    After::of(&ingress, &name, &done).await
}
