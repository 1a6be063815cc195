//! What to look at first: open incidents before acknowledged ones, of these the most severe, of these the highest
//! level, of these the newest; and after them what is resolved, the newest first.
//!
//! All but the id are one figure, which an index of the unresolved incidents has word for word. A page reads what it
//! shows, however many incidents there are.

use std::collections::HashSet;

use sea_orm::sea_query::{Expr, ExprTrait, Order, SimpleExpr};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbErr, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect,
};

use super::super::lists::{Filter, of_incident};
use super::{Mark, by_id};
use crate::domain::aggregation::Status;
use crate::domain::severity;
use crate::entity::incidents::{self, Column, Model};

/// More than any severity and level together come to.
pub(super) const STATE: i64 = 64;
/// How many levels there are.
const LEVELS: i64 = 4;

/// The figure of an incident; 0 if it is resolved.
pub(super) const fn figure(incident: &Model) -> i64 {
    match state(incident.status) {
        0 => 0,
        state => state * STATE + incident.severity_order * LEVELS + incident.level_order,
    }
}

/// Whether an incident can have this figure.
pub(super) const fn is_figure(figure: i64) -> bool {
    figure == 0 || figure >= STATE
}

/// The place of a state, from 0.
const fn state(status: Status) -> i64 {
    match status {
        Status::Open | Status::Analyzing => 2,
        Status::Acknowledged => 1,
        Status::Resolved => 0,
    }
}

/// The same of a row, as the index has it.
fn figure_of_row() -> SimpleExpr {
    Expr::cust(
        "(CASE \"incidents\".\"status\" WHEN 'ACKNOWLEDGED' THEN 64 ELSE 128 END \
         + \"incidents\".\"severity_order\" * 4 + \"incidents\".\"level_order\")",
    )
}

/// At most `limit` incidents, after `after`.
pub(super) async fn incidents(
    db: &impl ConnectionTrait,
    filter: &Filter,
    after: Option<Mark>,
    limit: u64,
) -> Result<Vec<Model>, DbErr> {
    let mut found = Vec::new();
    for (least, most) in ranges(filter) {
        let left = limit.saturating_sub(found.len() as u64);
        if left == 0 {
            return Ok(found);
        }
        if after.is_some_and(|Mark(figure, _)| figure < least) {
            continue;
        }
        let after = after.filter(|Mark(figure, _)| *figure <= most);
        let page = between(db, filter, (least, most), after, left).await?;
        found.extend(page);
    }
    let left = limit.saturating_sub(found.len() as u64);
    if left > 0 && may_be_resolved(filter) {
        let backend = db.get_database_backend();
        let after = after.filter(|Mark(figure, _)| *figure == 0);
        let resolved = by_id(filter, backend, after, Order::Desc)
            .filter(Expr::cust("\"incidents\".\"status\" = 'RESOLVED'"))
            .limit(left);
        found.extend(resolved.all(db).await?);
    }
    // One that changed between the looks is in both.
    let mut seen = HashSet::new();
    found.retain(|incident: &Model| seen.insert(incident.id));
    Ok(found)
}

/// Whether resolved incidents can match.
fn may_be_resolved(filter: &Filter) -> bool {
    let is_of_unresolved = filter.unresolved || filter.unheard == Some(true);
    !is_of_unresolved && filter.status.is_none_or(|s| s == Status::Resolved)
}

/// The figures that unresolved incidents which match can have, highest first: a filter by state or severity is a part
/// of the index.
fn ranges(filter: &Filter) -> Vec<(i64, i64)> {
    if filter.status == Some(Status::Resolved) || filter.resolved_by.is_some() {
        return Vec::new();
    }
    let states = match filter.status.map(state) {
        Some(state) => vec![state],
        None => vec![2, 1],
    };
    let severity = filter.severity.as_deref().and_then(severity::rank);
    let severity = severity.map(|rank| i64::from(rank) * 2 * LEVELS);
    match severity {
        None => {
            let ends = states.last().zip(states.first());
            let range = ends.map(|(least, most)| (least * STATE, (most + 1) * STATE - 1));
            range.into_iter().collect()
        }
        Some(severity) => {
            let of_state = |state: &i64| {
                let least = state * STATE + severity;
                (least, least + LEVELS - 1)
            };
            states.iter().map(of_state).collect()
        }
    }
}

async fn between(
    db: &impl ConnectionTrait,
    filter: &Filter,
    (least, most): (i64, i64),
    after: Option<Mark>,
    limit: u64,
) -> Result<Vec<Model>, DbErr> {
    let figure = figure_of_row();
    let beyond = after.map(|Mark(last, id)| {
        let less = Condition::any()
            .add(figure.clone().lt(last))
            .add(Column::Id.lt(id));
        // Said twice, so that the index finds where to begin.
        Condition::all().add(figure.clone().lte(last)).add(less)
    });
    // A known severity is in the figure, and another index for it would have to be sorted.
    let severity = filter.severity.clone();
    let others = Filter {
        severity: severity.filter(|severity| severity::rank(severity).is_none()),
        ..filter.clone()
    };
    incidents::Entity::find()
        .filter(of_incident(&others, db.get_database_backend()))
        // Word for word as the index has it.
        .filter(Expr::cust("\"incidents\".\"status\" <> 'RESOLVED'"))
        .filter(figure.clone().gte(least))
        .filter(figure.clone().lte(most))
        .filter(Condition::all().add_option(beyond))
        .order_by(figure, Order::Desc)
        .order_by_desc(Column::Id)
        .limit(limit)
        .all(db)
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_by_state_or_severity_is_a_part_of_the_index() {
        let all = Filter::default();
        let of = |status, severity: Option<&str>| Filter {
            status,
            severity: severity.map(str::to_owned),
            ..Filter::default()
        };
        let table = [
            (all, vec![(64, 191)]),
            (of(Some(Status::Open), None), vec![(128, 191)]),
            (of(Some(Status::Analyzing), None), vec![(128, 191)]),
            (of(Some(Status::Acknowledged), None), vec![(64, 127)]),
            (of(Some(Status::Resolved), None), vec![]),
            (of(None, Some("Page")), vec![(168, 171), (104, 107)]),
            (of(Some(Status::Open), Some("none")), vec![(128, 131)]),
            // One that nobody knows is compared as it is written.
            (of(None, Some("urgent")), vec![(64, 191)]),
        ];
        for (filter, expected) in table {
            assert_eq!(ranges(&filter), expected, "{filter:?}");
        }
    }
}
