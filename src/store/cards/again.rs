//! Incidents that continue on the card of one before: the card's row has the incident that it shows, the suppressed
//! message's row has the card.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use sea_orm::{ConnectionTrait, DbErr, FromQueryResult, QueryResult, Value};
use uuid::Uuid;

use crate::domain::again::{AgainFigures, CardRef, FormerIncident, Told};
use crate::domain::aggregation::ResolvedBy;
use crate::domain::frequency::Window;
use crate::entity::incidents::Model as Incident;
use crate::store::notifications::DueMessage;
use crate::store::rows::{Rows, statement};
use crate::time::Timestamp;

/// The most incidents of an anomaly that a card's figures count, the newest first.
const NEWEST: i64 = 1000;

/// What a channel was told of an incident, by a message of its own or on a card.
#[derive(FromQueryResult)]
struct StoredTold {
    incident: Uuid,
    number: i64,
    severity: String,
    resolved_by: Option<ResolvedBy>,
    id: Option<Uuid>,
    channel: Option<String>,
    is_own: Option<bool>,
    told_at: Option<i64>,
    can_be_edited: Option<bool>,
    card_id: Option<Uuid>,
    card_number: Option<i64>,
    card_sent_at: Option<i64>,
}

impl StoredTold {
    /// The card that it was told by, if that can be edited.
    fn card(&self) -> Option<(CardRef, Timestamp)> {
        let (id, number, sent_at) = match self.is_own? {
            true => (self.id?, self.number, self.told_at?),
            false => (self.card_id?, self.card_number?, self.card_sent_at?),
        };
        let card = CardRef { id, number };
        (self.can_be_edited?).then_some((card, Timestamp(sent_at)))
    }
}

/// For each of these incidents that is not its anomaly's first, the one before it, with the cards that it can go on
/// on: its first message in a channel, else the card that it went on on itself. Their anomalies are locked.
pub async fn former(
    tx: &impl ConnectionTrait,
    incidents: &[Uuid],
) -> Result<HashMap<Uuid, FormerIncident>, DbErr> {
    if incidents.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = Rows::new().uuid("id", incidents.iter().copied());
    let sql = "SELECT i.id AS incident, p.number, p.severity, p.resolved_by, n.id, n.channel, \
                   n.card_id IS NULL AS is_own, \
                   CASE WHEN n.card_id IS NULL THEN n.sent_at ELSE n.owed_since END AS told_at, \
                   COALESCE(c.edits_ended, n.edits_ended) IS NULL \
                       AND COALESCE(c.message_id, n.message_id) IS NOT NULL \
                       AND (n.card_id IS NOT NULL OR n.kind <> 'resolved') AS can_be_edited, \
                   c.id AS card_id, n.card_number, c.sent_at AS card_sent_at \
               FROM {rows} JOIN incidents i ON i.id = r.id \
               JOIN incidents p ON p.anomaly_key = i.anomaly_key AND p.number = i.number - 1 \
               LEFT JOIN notifications n ON n.incident_id = p.id \
                   AND (n.state = 'sent' OR n.card_id IS NOT NULL) \
               LEFT JOIN notifications c ON c.id = n.card_id \
               ORDER BY i.id, is_own DESC, n.id";
    let sql = rows.statement(tx.get_database_backend(), sql, []);
    let mut found: HashMap<Uuid, FormerIncident> = HashMap::new();
    // Channels whose first message was read: no later one is its card.
    let mut seen: HashSet<(Uuid, String)> = HashSet::new();
    for row in StoredTold::find_by_statement(sql).all(tx).await? {
        let former = found.entry(row.incident).or_default();
        former.severity.clone_from(&row.severity);
        former.is_resolved_by_person = row.resolved_by == Some(ResolvedBy::Person);
        let (Some(channel), Some(told_at)) = (&row.channel, row.told_at.map(Timestamp)) else {
            continue;
        };
        if seen.insert((row.incident, channel.clone())) {
            let told = row.card().map(|(card, sent_at)| Told {
                card,
                sent_at,
                told_at,
            });
            former.told.extend(told.map(|told| (channel.clone(), told)));
        } else if let Some(told) = former.told.get_mut(channel) {
            told.told_at = told.told_at.max(told_at);
        }
    }
    Ok(found)
}

/// What a card that was sent for another incident says of this one beside how it stands.
pub async fn figures(
    db: &impl ConnectionTrait,
    incident: &Incident,
) -> Result<AgainFigures, DbErr> {
    let sql = "SELECT CAST(count(CASE WHEN n.opened_at > $3 THEN 1 END) AS bigint) AS within_day, \
                   CAST(count(CASE WHEN n.number < $2 AND n.status <> 'RESOLVED' THEN 1 END) AS bigint) \
                       AS others_open \
               FROM (SELECT number, opened_at, status FROM incidents \
                   WHERE anomaly_key = $1 AND number <= $2 ORDER BY number DESC LIMIT $4) n";
    let values = [
        Value::from(incident.anomaly_key.clone()),
        incident.number.into(),
        incident.opened_at.before(Window::Day.length()).0.into(),
        NEWEST.into(),
    ];
    let sql = statement(db.get_database_backend(), sql, values);
    let row = db.query_one_raw(sql).await?;
    row.map_or(Ok(AgainFigures::default()), |row| {
        Ok(AgainFigures {
            within_day: row.try_get("", "within_day")?,
            others_open: row.try_get("", "others_open")?,
        })
    })
}

/// Makes the message that a card says instead pending again, because the card cannot: of the incident that it shows,
/// if that is not resolved.
pub async fn revive(
    db: &impl ConnectionTrait,
    card: Uuid,
    now: Timestamp,
) -> Result<Vec<DueMessage>, DbErr> {
    let sql = "UPDATE notifications SET state = 'owed', owed_since = $2, suppressed_by = NULL, \
                   card_id = NULL, card_number = NULL \
               WHERE state = 'muted' AND card_id = $1 AND incident_id IN ( \
                   SELECT i.id FROM notifications c JOIN incidents i ON i.id = c.shows_id \
                   WHERE c.id = $1 AND i.status <> 'RESOLVED') \
               RETURNING id, incident_id";
    let sql = statement(
        db.get_database_backend(),
        sql,
        [Value::from(card), now.0.into()],
    );
    let rows = db.query_all_raw(sql).await?;
    let due = |row: &QueryResult| {
        Ok(DueMessage {
            id: row.try_get("", "id")?,
            incident: row.try_get("", "incident_id")?,
            after: Duration::ZERO,
        })
    };
    rows.iter().map(due).collect()
}
