//! Resolving many incidents, in bounded steps.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use uuid::Uuid;

use super::write_follow_up;
use crate::config::Span;
use crate::context::Context;
use crate::domain::aggregation::Status;
use crate::domain::escalation::Level;
use crate::operations::{Invalid, OperationError};
use crate::store::audit::{self, Actor};
use crate::store::incidents::{ExpectedState, StatusChange, resolve_some};
use crate::store::views::lists::{self, Filter};
use crate::store::{anomalies, maintenance};
use crate::time::Timestamp;

/// Incidents in one transaction, and in one operation.
const AT_ONCE: (usize, u64) = (200, 10_000);
/// How long an operation goes on.
const PATIENCE: Duration = Duration::from_secs(10);
/// The filters that a selection has.
const FILTERS: [&str; 9] = [
    "status",
    "level",
    "service",
    "namespace",
    "severity",
    "q",
    "muted",
    "unheard",
    "older_than",
];

/// Which unresolved incidents: by filters, of which all must match, or all of them.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// With this status.
    pub status: Option<Status>,
    /// Whose anomaly is at this level.
    pub level: Option<Level>,
    /// Of this service.
    pub service: Option<String>,
    /// In this namespace.
    pub namespace: Option<String>,
    /// This severe.
    pub severity: Option<String>,
    /// With this text in title, alert name, service, namespace or error type, in whatever case.
    pub text: Option<String>,
    /// Muted now, or not.
    pub muted: Option<bool>,
    /// Stale, or not.
    pub unheard: Option<bool>,
    /// Opened longer ago than this.
    pub older_than: Option<Span>,
    /// Every unresolved incident, if no filter is given.
    pub all: bool,
    /// Incidents that opened later are skipped; now, if not given.
    pub as_of: Option<Timestamp>,
    /// Only count them.
    pub dry_run: bool,
}

/// What came of resolving many incidents.
#[derive(Clone, Copy, Debug)]
pub struct Resolved {
    /// Incidents that match, if they were only to be counted.
    pub matching: Option<u64>,
    /// Incidents that were resolved.
    pub changed: u64,
    /// Whether there may be more.
    pub more: bool,
    /// Incidents that opened later were skipped.
    pub as_of: Timestamp,
}

/// Resolves unresolved incidents that match, 10,000 at most, for ten seconds at most. Each step is a
/// transaction of its own.
pub async fn resolve_many(
    context: &Context,
    actor: &Actor,
    selection: Selection,
) -> Result<Resolved, OperationError> {
    let now = maintenance::now(context.db.view()).await?;
    let now = context.clock.of_store(now);
    let as_of = selection.as_of.unwrap_or(now).min(now);
    let (detail, is_dry) = (selection.detail(), selection.dry_run);
    let still = ExpectedState {
        status: selection.status,
        unheard: selection.unheard,
    };
    let filter = selection.filter(now, as_of)?;
    let mut done = Resolved {
        matching: None,
        changed: 0,
        more: false,
        as_of,
    };
    if is_dry {
        let db = context.db.view_for(filter.text.is_some()).await?;
        done.matching = Some(lists::count_incidents(&*db, &filter).await?);
        return Ok(done);
    }
    let began = Instant::now();
    let db = context.db.view_for(filter.text.is_some()).await?;
    let found = lists::incident_ids(&*db, &filter, None, AT_ONCE.1).await?;
    drop(db);
    let mut steps = found.chunks(AT_ONCE.0);
    for ids in steps.by_ref() {
        done.changed += step(context, actor, ids, &still, &detail).await?;
        if began.elapsed() >= PATIENCE {
            break;
        }
    }
    done.more = steps.len() > 0 || found.len() as u64 == AT_ONCE.1;
    Ok(done)
}

/// Resolves those of these incidents that still match, in one transaction. Returns how many these were.
async fn step(
    context: &Context,
    actor: &Actor,
    ids: &[Uuid],
    still: &ExpectedState,
    detail: &Value,
) -> Result<u64, OperationError> {
    let tx = context.db.begin().await?;
    let (_, now) = anomalies::lock_of_incidents(&tx, ids).await?;
    let now = context.clock.of_store(now);
    let resolved = resolve_some(&tx, ids, still, actor.operator.as_deref(), now).await?;
    if resolved.is_empty() {
        return Ok(0);
    }
    let change = StatusChange::Resolve;
    let follow_up = write_follow_up(&tx, context, change, &resolved, now).await?;
    let targets = resolved.iter().map(|(id, _)| id.to_string());
    audit::record_each(&tx, actor, change.action(), targets, detail, now).await?;
    tx.commit().await?;
    follow_up.push(context).await;
    Ok(resolved.len() as u64)
}

impl Selection {
    /// How the incidents were selected, for the audit.
    pub(super) fn detail(&self) -> Value {
        let selected = json!({
            "status": self.status, "level": self.level, "service": self.service,
            "namespace": self.namespace, "severity": self.severity, "q": self.text, "muted": self.muted,
            "unheard": self.unheard, "older_than": self.older_than,
            "all": self.all.then_some(true),
        });
        let given = selected.as_object().into_iter().flatten();
        let given = given.filter(|(_, value)| !value.is_null());
        let given: serde_json::Map<_, _> = given.map(|(k, v)| (k.clone(), v.clone())).collect();
        json!({"possible": true, "changed": true, "together": given})
    }

    pub(super) fn filter(self, now: Timestamp, as_of: Timestamp) -> Result<Filter, Invalid> {
        let has_no_filter = self.status.is_none()
            && self.level.is_none()
            && self.service.is_none()
            && self.namespace.is_none()
            && self.severity.is_none()
            && self.muted.is_none()
            && self.unheard.is_none()
            && self.older_than.is_none();
        // Nothing but space is in every text.
        let is_space = |c: char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c);
        let text = self.text.filter(|text| !text.chars().all(is_space));
        let has_no_filter = has_no_filter && text.is_none();
        Invalid::check_selection(!has_no_filter, self.all, &FILTERS)?;
        if self.status == Some(Status::Resolved) {
            return Err(Invalid::StatusResolved);
        }
        let oldest = self.older_than.map_or(as_of, |age| as_of.before(age.0));
        Ok(Filter {
            status: self.status,
            level: self.level,
            service: self.service,
            namespace: self.namespace,
            severity: self.severity,
            text,
            muted: self.muted.map(|muted| (muted, now)),
            unheard: self.unheard,
            unresolved: true,
            opened_until: Some(oldest),
            ..Filter::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selection_needs_filters_or_everything_and_not_both() {
        let now = Timestamp(1_795_382_909_000);
        let nothing = Invalid::NothingSelected { filters: &FILTERS };
        let text = |text: &str| Selection {
            text: Some(text.to_owned()),
            ..Selection::default()
        };
        let all = |selection| Selection {
            all: true,
            ..selection
        };
        let of_status = |status| Selection {
            status: Some(status),
            ..Selection::default()
        };
        for (selection, expected) in [
            (Selection::default(), Err(nothing.clone())),
            (text(" \u{1c}"), Err(nothing)),
            (text("x"), Ok(())),
            (all(Selection::default()), Ok(())),
            (all(text(" ")), Ok(())),
            (all(text("x")), Err(Invalid::AllAndFilter)),
            (of_status(Status::Open), Ok(())),
            (of_status(Status::Resolved), Err(Invalid::StatusResolved)),
        ] {
            let said = format!("{selection:?}");
            assert_eq!(selection.filter(now, now).map(drop), expected, "{said}");
        }
    }
}
