//! Incidents in the orders that people look at them in, page by page; and what there is to choose.

mod worst;

use sea_orm::sea_query::{Expr, ExprTrait, SimpleExpr};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend, DbErr, EntityTrait, FromQueryResult, Order,
    QueryFilter, QueryOrder, QuerySelect,
};
use uuid::Uuid;

use super::lists::{Filter, of_incident, with_anomalies};
use crate::domain::escalation::Level;
use crate::domain::severity;
use crate::entity::{anomalies, incidents};
use crate::store::rows::statement;

/// An incident and its anomaly.
pub type Entry = (incidents::Model, anomalies::Model);

/// In which order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Sort {
    /// Open before acknowledged; then the most severe first, of these the highest level, and of these the newest.
    #[default]
    Worst,
    /// The highest level first; within a level the most severe, and of these the newest.
    Level,
    /// The newest first.
    Newest,
    /// The oldest first.
    Oldest,
    /// By how often the anomaly came back in 24 hours, most often first.
    Often,
    /// Those seen firing last.
    Fired,
}

impl Sort {
    /// All there are.
    pub const ALL: [Self; 6] = [
        Self::Worst,
        Self::Level,
        Self::Newest,
        Self::Oldest,
        Self::Often,
        Self::Fired,
    ];

    /// As an address has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Worst => "worst",
            Self::Level => "level",
            Self::Newest => "newest",
            Self::Oldest => "oldest",
            Self::Often => "often",
            Self::Fired => "fired",
        }
    }
}

/// What a page ended with: the figure that is sorted by, and the id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark(pub i64, pub Uuid);

impl Mark {
    /// As an address has it.
    #[must_use]
    pub fn text(self) -> String {
        format!("{}.{}", self.0, self.1.simple())
    }

    /// Whether it can be a mark of this order: others of other orders can be told from some.
    #[must_use]
    pub fn is_of(self, sort: Sort) -> bool {
        match sort {
            Sort::Worst => worst::is_figure(self.0),
            Sort::Level => self.0 < worst::STATE,
            Sort::Newest | Sort::Oldest | Sort::Often | Sort::Fired => true,
        }
    }

    /// Reads what [`Mark::text`] wrote.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let (figure, id) = text.split_once('.')?;
        Some(Self(figure.parse().ok()?, id.parse().ok()?))
    }
}

/// More than the number of severities: the sort key is `level * SEVERITIES + severity`.
const SEVERITIES: i64 = 16;

/// Highest first.
const LEVELS: [Level; 4] = [
    Level::PermanentFix,
    Level::Escalate,
    Level::Repeat,
    Level::None,
];

/// The mark of an entry in this order.
#[must_use]
pub fn mark(sort: Sort, (incident, anomaly): &Entry) -> Mark {
    let figure = match sort {
        Sort::Worst => worst::figure(incident),
        Sort::Level => anomaly.level as i64 * SEVERITIES + incident.severity_order,
        Sort::Newest | Sort::Oldest => 0,
        Sort::Often => incident
            .frequency_stats
            .as_ref()
            .map_or(0, |stats| stats.count_24h),
        Sort::Fired => incident.last_firing_at.0,
    };
    Mark(figure, incident.id)
}

/// At most `limit` incidents and their anomalies, after `after`.
///
/// By worst, level, newest and oldest a page costs what is on it, and by level up to what has its level where it has
/// one; the other two orders look at every incident that matches.
pub async fn incidents(
    db: &impl ConnectionTrait,
    filter: &Filter,
    sort: Sort,
    after: Option<Mark>,
    limit: u64,
) -> Result<Vec<Entry>, DbErr> {
    use incidents::Column;
    let backend = db.get_database_backend();
    let found = match sort {
        Sort::Worst => {
            let found = worst::incidents(db, filter, after, limit).await?;
            return with_anomalies(db, found).await;
        }
        Sort::Level if is_narrow(filter) => by_figure(filter, backend, after, level()),
        Sort::Level => return by_level(db, filter, after, limit).await,
        Sort::Newest => by_id(filter, backend, after, Order::Desc),
        Sort::Oldest => by_id(filter, backend, after, Order::Asc),
        Sort::Often => by_figure(filter, backend, after, count_24h(backend)),
        Sort::Fired => by_figure(filter, backend, after, Expr::col(Column::LastFiringAt)),
    };
    with_anomalies(db, found.limit(limit).all(db).await?).await
}

/// Whether so little may match that looking for it once is better than once for each level.
const fn is_narrow(filter: &Filter) -> bool {
    filter.text.is_some()
        || filter.service.is_some()
        || filter.namespace.is_some()
        || filter.severity.is_some()
        || filter.resolved_by.is_some()
        || matches!(filter.unheard, Some(true))
}

/// The level's rank, from 0 for none, and within that how severe it is.
fn level() -> SimpleExpr {
    Expr::cust(format!(
        "(\"incidents\".\"severity_order\" + {SEVERITIES} * \
         (SELECT CASE a.level WHEN 'PERMANENT_FIX' THEN 3 WHEN 'ESCALATE' THEN 2 \
             WHEN 'REPEAT' THEN 1 ELSE 0 END \
          FROM anomalies a WHERE a.key = \"incidents\".\"anomaly_key\"))"
    ))
}

/// One level after the other, so that a page never has to sort what is not on it.
async fn by_level(
    db: &impl ConnectionTrait,
    filter: &Filter,
    after: Option<Mark>,
    limit: u64,
) -> Result<Vec<Entry>, DbErr> {
    let mut entries = Vec::new();
    for level in LEVELS {
        let is_past = after.is_some_and(|Mark(figure, _)| figure / SEVERITIES < level as i64);
        if is_past || filter.level.is_some_and(|wanted| wanted != level) {
            continue;
        }
        let left = limit.saturating_sub(entries.len() as u64);
        if left == 0 {
            break;
        }
        let filter = Filter {
            level: Some(level),
            ..filter.clone()
        };
        let after = after.filter(|Mark(figure, _)| figure / SEVERITIES == level as i64);
        let found = by_severity(&filter, db.get_database_backend(), after)
            .limit(left)
            .all(db)
            .await?;
        entries.extend(with_anomalies(db, found).await?);
    }
    Ok(entries)
}

/// Those of one level, the most severe first, in the order of an index.
fn by_severity(
    filter: &Filter,
    backend: DbBackend,
    after: Option<Mark>,
) -> sea_orm::Select<incidents::Entity> {
    use incidents::Column;
    let beyond = after.map(|Mark(figure, id)| {
        let order = figure % SEVERITIES;
        let less = Condition::any()
            .add(Column::SeverityOrder.lt(order))
            .add(Column::Id.lt(id));
        // Said twice, so that the index finds where to begin.
        Condition::all()
            .add(Column::SeverityOrder.lte(order))
            .add(less)
    });
    incidents::Entity::find()
        .filter(of_incident(filter, backend))
        .filter(Condition::all().add_option(beyond))
        .order_by_desc(Column::SeverityOrder)
        .order_by_desc(Column::Id)
}

fn by_id(
    filter: &Filter,
    backend: DbBackend,
    after: Option<Mark>,
    order: Order,
) -> sea_orm::Select<incidents::Entity> {
    use incidents::Column;
    let beyond = after.map(|Mark(_, id)| match order {
        Order::Asc => Column::Id.gt(id),
        _ => Column::Id.lt(id),
    });
    incidents::Entity::find()
        .filter(of_incident(filter, backend))
        .filter(Condition::all().add_option(beyond))
        .order_by(Column::Id, order)
}

fn by_figure(
    filter: &Filter,
    backend: DbBackend,
    after: Option<Mark>,
    figure: SimpleExpr,
) -> sea_orm::Select<incidents::Entity> {
    use incidents::Column;
    let beyond = after.map(|Mark(last, id)| {
        let same = Condition::all()
            .add(figure.clone().eq(last))
            .add(Column::Id.lt(id));
        Condition::any().add(figure.clone().lt(last)).add(same)
    });
    incidents::Entity::find()
        .filter(of_incident(filter, backend))
        .filter(Condition::all().add_option(beyond))
        .order_by(figure, Order::Desc)
        .order_by_desc(Column::Id)
}

fn count_24h(backend: DbBackend) -> SimpleExpr {
    Expr::cust(match backend {
        DbBackend::Postgres => "COALESCE((\"frequency_stats\"->>'count_24h')::bigint, 0)",
        _ => "COALESCE(json_extract(\"frequency_stats\", '$.count_24h'), 0)",
    })
}

/// Unresolved incidents by level and by severity, and whether there was ever one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overview {
    /// Unresolved, by level: none, repeat, escalate, permanent fix.
    pub unresolved: [i64; 4],
    /// Unresolved, by the rank of their severity, from none up; those of an unknown one are in none of them.
    pub severities: [i64; severity::WORDS.len()],
    /// Whether there are incidents at all.
    pub any: bool,
}

/// How many incidents are unresolved. Looks at each of them: for several readers, keep it.
pub async fn overview(db: &impl ConnectionTrait) -> Result<Overview, DbErr> {
    #[derive(FromQueryResult)]
    struct Row {
        level: Level,
        n: i64,
    }
    let backend = db.get_database_backend();
    let sql = "SELECT a.level, CAST(sum(u.n) AS bigint) AS n FROM \
                   (SELECT anomaly_key, count(*) AS n FROM incidents \
                    WHERE status <> 'RESOLVED' GROUP BY anomaly_key) u \
               JOIN anomalies a ON a.key = u.anomaly_key GROUP BY a.level";
    let rows = Row::find_by_statement(statement(backend, sql, []))
        .all(db)
        .await?;
    let mut overview = Overview::default();
    for row in rows {
        overview.unresolved[row.level as usize] += row.n;
    }
    let sql = "SELECT severity_order, count(*) AS n FROM incidents \
               WHERE status <> 'RESOLVED' GROUP BY severity_order";
    for row in db.query_all_raw(statement(backend, sql, [])).await? {
        let order: i64 = row.try_get("", "severity_order")?;
        let rank = usize::try_from(order / 2).ok().filter(|_| order % 2 == 0);
        if let Some(of_rank) = rank.and_then(|rank| overview.severities.get_mut(rank)) {
            *of_rank = row.try_get("", "n")?;
        }
    }
    let any = statement(backend, "SELECT 1 FROM incidents LIMIT 1", []);
    overview.any = db.query_one_raw(any).await?.is_some();
    Ok(overview)
}

/// What an incident can be asked for by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Services.
    pub services: Vec<String>,
    /// Namespaces.
    pub namespaces: Vec<String>,
}

/// The most names that a filter offers.
const NAMES: u64 = 200;

/// The services and namespaces that there are.
pub async fn names(db: &impl ConnectionTrait) -> Result<Names, DbErr> {
    async fn distinct(
        db: &impl ConnectionTrait,
        column: anomalies::Column,
    ) -> Result<Vec<String>, DbErr> {
        anomalies::Entity::find()
            .select_only()
            .column(column)
            .filter(column.ne(""))
            .distinct()
            .order_by_asc(column)
            .limit(NAMES)
            .into_tuple()
            .all(db)
            .await
    }
    Ok(Names {
        services: distinct(db, anomalies::Column::Service).await?,
        namespaces: distinct(db, anomalies::Column::Namespace).await?,
    })
}
