//! Filters of the lists, as conditions of a statement.

use sea_orm::sea_query::{Expr, ExprTrait, Query, SelectStatement, SimpleExpr};
use sea_orm::{ColumnTrait, Condition, DbBackend};

use crate::domain::aggregation::{ResolvedBy, Status};
use crate::domain::escalation::Level;
use crate::domain::id::IncidentRef;
use crate::domain::severity;
use crate::entity::{anomalies, incidents};
use crate::ids::first_id;
use crate::store::folded::contains;
use crate::time::Timestamp;

/// Which incidents or anomalies to list. Nothing set: all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// In this state; `Open` includes `Analyzing`.
    pub status: Option<Status>,
    /// Level of the anomaly.
    pub level: Option<Level>,
    /// Service.
    pub service: Option<String>,
    /// In this namespace.
    pub namespace: Option<String>,
    /// With this text in title, name, service, namespace or error type; of incidents also the one that it names, by
    /// its id or the last eight digits of that.
    pub text: Option<String>,
    /// Whether its anomaly is muted at this moment.
    pub muted: Option<(bool, Timestamp)>,
    /// Severity: of a known one its rank, in whatever word for it; another as the source wrote it. Incidents only.
    pub severity: Option<String>,
    /// Whether those that are resolved are left out. Incidents only.
    pub unresolved: bool,
    /// Whether it is unresolved and none of its open firings was delivered lately. Incidents only.
    pub unheard: Option<bool>,
    /// Resolved in this way. Incidents only.
    pub resolved_by: Option<ResolvedBy>,
    /// Opened at this moment or later. Incidents only.
    pub opened_since: Option<Timestamp>,
    /// Opened at this moment or earlier. Incidents only.
    pub opened_until: Option<Timestamp>,
}

impl Filter {
    pub(super) fn of_anomaly(&self) -> Condition {
        use anomalies::Column;
        Condition::all()
            .add_option(self.level.map(|level| Column::Level.eq(level)))
            .add_option(
                self.service
                    .as_ref()
                    .map(|service| Column::Service.eq(service)),
            )
            .add_option(
                self.namespace
                    .as_ref()
                    .map(|name| Column::Namespace.eq(name)),
            )
            .add_option(self.muted.map(|(muted, now)| {
                match muted {
                    true => Condition::all().add(Column::MutedUntil.gt(now)),
                    false => Condition::any()
                        .add(Column::MutedUntil.is_null())
                        .add(Column::MutedUntil.lte(now)),
                }
            }))
    }

    pub(super) fn text_in_anomaly(text: &str, backend: DbBackend) -> Condition {
        use anomalies::Column;
        [
            Column::AlertName,
            Column::Service,
            Column::Namespace,
            Column::ErrorType,
        ]
        .into_iter()
        .fold(Condition::any(), |any, column| {
            any.add(contains(column, text, backend))
        })
    }
}

fn keys_where(condition: Condition) -> SelectStatement {
    Query::select()
        .column(anomalies::Column::Key)
        .from(anomalies::Entity)
        .cond_where(condition)
        .to_owned()
}

/// What an incident must be, found by way of its anomaly: good where these have few incidents. Where most
/// anomalies match, incidents are walked in their order, until there are enough of them. PostgreSQL knows
/// from its statistics; SQLite has none, and never uses an index for what has a plus before it.
fn by_anomaly(filter: &Filter, backend: DbBackend) -> Option<SimpleExpr> {
    let of_anomaly = filter.of_anomaly();
    if of_anomaly.is_empty() {
        return None;
    }
    let names_few = filter.service.is_some()
        || filter.namespace.is_some()
        || filter.level.is_some_and(|level| level > Level::None)
        || matches!(filter.muted, Some((true, _)));
    let key = match backend {
        DbBackend::Sqlite if !names_few => Expr::cust("+\"incidents\".\"anomaly_key\""),
        _ => incidents::Column::AnomalyKey.into_expr(),
    };
    Some(key.in_subquery(keys_where(of_anomaly)))
}

/// Whether it is the incident that `text` names, if that could name one. There is no index for the end
/// of an id: beside the look for the text, which is at every row, this costs a third more at most.
fn is_named(text: &str, backend: DbBackend) -> Option<SimpleExpr> {
    let short = match IncidentRef::read(text)? {
        IncidentRef::Whole(id) => return Some(incidents::Column::Id.eq(id)),
        IncidentRef::Short(short) => short,
    };
    let end = match backend {
        DbBackend::Postgres => "substr(uuid_send(\"incidents\".\"id\"), 13) = $1",
        _ => "substr(\"incidents\".\"id\", 13) = ?",
    };
    Some(Expr::cust_with_values(end, [short.bytes().to_vec()]))
}

/// Whether it is in this state. One that is being analyzed is open, too.
fn is_of_status(status: Status) -> SimpleExpr {
    use incidents::Column;
    match status {
        Status::Open => Column::Status.is_in([Status::Open, Status::Analyzing]),
        status => Column::Status.eq(status),
    }
}

/// Whether it is this severe. Senders have several words for the same.
fn is_of_severity(severity: &str) -> SimpleExpr {
    use incidents::Column;
    match severity::rank(severity) {
        Some(_) => Column::SeverityOrder.eq(severity::order(severity)),
        None => Column::Severity.eq(severity),
    }
}

/// What an incident must be.
pub(in crate::store::views) fn of_incident(filter: &Filter, backend: DbBackend) -> Condition {
    use incidents::Column;
    let by_text = filter.text.as_ref().map(|text| {
        let keys = keys_where(Filter::text_in_anomaly(text, backend));
        Condition::any()
            .add(contains(Column::Title, text, backend))
            .add(Column::AnomalyKey.in_subquery(keys))
            .add_option(is_named(text, backend))
    });
    // Word for word as the partial indexes have it, so that these are used.
    let unheard = filter.unheard;
    let is_unresolved = filter.unresolved
        || unheard == Some(true)
        || filter.status.is_some_and(|s| s != Status::Resolved);
    let unresolved = is_unresolved.then(|| Expr::cust("\"incidents\".\"status\" <> 'RESOLVED'"));
    Condition::all()
        .add_option(filter.status.map(is_of_status))
        .add_option(filter.severity.as_deref().map(is_of_severity))
        .add_option(unresolved)
        .add_option(unheard.map(|unheard| match unheard {
            true => Column::UnheardSince.is_not_null(),
            false => Column::UnheardSince.is_null(),
        }))
        .add_option(filter.resolved_by.map(|by| Column::ResolvedBy.eq(by)))
        // Ids are in the order in which incidents opened, as long as the clock did not jump.
        .add_option(filter.opened_since.map(|at| Column::Id.gte(first_id(at))))
        .add_option(filter.opened_since.map(|at| Column::OpenedAt.gte(at)))
        .add_option(filter.opened_until.map(|at| Column::OpenedAt.lte(at)))
        .add_option(by_anomaly(filter, backend))
        .add_option(by_text)
}
