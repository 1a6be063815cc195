//! Canaries: synthetic alerts that are made to be sent, and how far each came.

use sea_orm::TransactionTrait as _;
use serde_json::json;

use super::{Invalid, OperationError};
use crate::context::Context;
use crate::domain::canary;
use crate::ids::new_id;
use crate::sources::canary::{CanaryRequest, request};
use crate::sources::{CanaryAlert, Source};
use crate::store::audit::{self, Action, Actor, AuditEntry};
use crate::store::canaries::{self, Canary, NewCanary};
use crate::store::maintenance;
use crate::time::Timestamp;

/// A canary, and the requests that deliver it.
#[derive(Clone, Debug)]
pub struct PreparedCanary {
    /// Its row.
    pub canary: Canary,
    /// Has it fire.
    pub firing: CanaryRequest,
    /// Has it end; or why its source has no word for that.
    pub resolved: Result<CanaryRequest, String>,
}

/// A canary to prepare.
#[derive(Clone, Copy, Debug)]
pub struct CanarySpec<'a> {
    /// The source in whose form it is to come, as incidents have it: `alertmanager`, `generic/backups`.
    pub source: &'a str,
    /// The channel that its message is to be sent to; none: it is only rendered.
    pub channel: Option<&'a str>,
    /// What makes it.
    pub made_by: &'a str,
}

/// Makes a canary. Where a person asks for it, that is written down: its mark keeps an alert from being counted.
pub async fn make(
    context: &Context,
    sources: &[Source],
    spec: &CanarySpec<'_>,
    actor: Option<&Actor>,
) -> Result<PreparedCanary, OperationError> {
    let config = &context.config;
    let (source, name) = find(context, sources, spec.source)?;
    let now = context
        .clock
        .of_store(maintenance::now(context.db.read()).await?);
    let id = new_id(now);
    let mark = canary::mark(id);
    // Seconds, as some senders write them: what ended a moment ago began before that.
    let at = |ago: i64| Timestamp((now.0.div_euclid(1000) - ago) * 1000);
    let alert = CanaryAlert {
        config,
        name,
        mark: &mark,
        started_at: at(2),
        ended_at: None,
    };
    // By this process's clock, as its signature is verified.
    let signed_at = context.clock.now();
    let cannot = |why| Invalid::NoCanary {
        name: spec.source.to_owned(),
        why,
    };
    let firing = request(source, &alert, signed_at).map_err(cannot)?;
    let over = CanaryAlert {
        ended_at: Some(at(1)),
        ..alert
    };
    let resolved = request(source, &over, signed_at);
    let new = NewCanary {
        id,
        source: spec.source,
        made_by: spec.made_by,
        channel: spec.channel,
    };
    let tx = context.db.write().begin().await?;
    canaries::insert(&tx, &new, now).await?;
    if let Some(actor) = actor {
        let entry = AuditEntry {
            action: Action::SendCanary,
            target: spec.source,
            detail: json!({"canary": id, "channel": spec.channel}),
        };
        audit::record(&tx, actor, entry, now).await?;
    }
    let made = canaries::find(&tx, id).await?;
    tx.commit().await?;
    let gone = || sea_orm::DbErr::RecordNotFound(format!("canary {id}"));
    Ok(PreparedCanary {
        canary: made.ok_or_else(gone)?,
        firing,
        resolved,
    })
}

/// The source that is called so, and what stands for `{name}` in its path.
fn find<'s, 'n>(
    context: &Context,
    sources: &'s [Source],
    called: &'n str,
) -> Result<(&'s Source, &'n str), OperationError> {
    let config = &context.config;
    let (kind, name) = called.split_once('/').unwrap_or((called, ""));
    let is_it = |source: &&Source| match source.senders {
        None => source.name == called,
        Some(names) => source.name == kind && names(config).contains(&name),
    };
    let unknown = || Invalid::UnknownSource {
        name: called.to_owned(),
    };
    let source = sources.iter().find(is_it).ok_or_else(unknown)?;
    if !(source.admission)(config, name).enabled {
        let why = format!("it is off: set {}.enabled = true", source.section(name));
        let name = called.to_owned();
        return Err(Invalid::NoCanary { name, why }.into());
    }
    Ok((source, name))
}
