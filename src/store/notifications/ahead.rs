//! Messages ahead of another in its chat, and whether their number makes a storm.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DbErr, Value};

use crate::entity::notifications::Model;
use crate::store::rows::Rows;
use crate::time::Timestamp;

/// The stretch of time in which it is counted how many messages are pending.
const MINUTE: Duration = Duration::from_secs(60);

/// Maximum number of messages that are counted: each of many that wait asks.
pub const COUNTED: i64 = 1_001;

/// The number of pending messages around a message, both up to [`COUNTED`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PendingAhead {
    /// Messages that wait in its chat and became pending before it.
    pub waiting: i64,
    /// Messages that became pending in its chat within the last minute, itself included.
    pub in_last_minute: i64,
}

impl PendingAhead {
    /// Whether a storm begins: more than `above` messages became pending within a minute, or are waiting because they
    /// become pending faster than the chat accepts them.
    #[must_use]
    pub const fn is_storm(self, above: i64) -> bool {
        self.in_last_minute > above || self.waiting > above
    }

    /// Whether a storm goes on, which is given up later than it begins.
    #[must_use]
    pub const fn is_still_storm(self, above: i64) -> bool {
        self.in_last_minute.saturating_mul(2) >= above || self.waiting > above
    }
}

/// Counts the pending messages around a message in its chat, whose channels these are.
pub async fn ahead(
    tx: &impl ConnectionTrait,
    channels: &[String],
    row: &Model,
    now: Timestamp,
) -> Result<PendingAhead, DbErr> {
    let rows = Rows::new().text("channel", channels.iter().cloned());
    // In the order of an index that begins with the channel, which no other index gives: PostgreSQL reads what
    // all channels are pending where it takes that to be less.
    let sql = "SELECT (SELECT CAST(COALESCE(sum((SELECT count(*) FROM (SELECT 1 FROM notifications n \
                   WHERE n.state IN ('owed', 'sending') AND n.id < $2 \
                   AND (n.channel, n.owed_since) >= (r.channel, 0) \
                   AND (n.channel, n.owed_since) <= (r.channel, $1) \
                   ORDER BY n.channel, n.owed_since LIMIT $4) w)), 0) AS bigint) FROM {rows}) AS waiting, \
               (SELECT CAST(COALESCE(sum((SELECT count(*) FROM (SELECT 1 FROM notifications n \
                   WHERE n.kind NOT IN ('digest', 'report', 'playbook') AND n.state <> 'muted' \
                   AND (n.channel, n.owed_since) > (r.channel, $3) \
                   AND (n.channel, n.owed_since) <= (r.channel, $5) \
                   ORDER BY n.channel, n.owed_since LIMIT $4) l)), 0) AS bigint) FROM {rows}) AS lately";
    let values = [
        Value::from(now.min(row.owed_since).0),
        row.id.into(),
        now.before(MINUTE).0.into(),
        COUNTED.into(),
        now.0.into(),
    ];
    let sql = rows.statement(tx.get_database_backend(), sql, values);
    let row = tx.query_one_raw(sql).await?;
    let row = row.ok_or_else(|| DbErr::RecordNotFound("a count".to_owned()))?;
    let figure = |name| Ok::<i64, DbErr>(row.try_get::<i64>("", name)?.min(COUNTED));
    Ok(PendingAhead {
        waiting: figure("waiting")?,
        in_last_minute: figure("lately")?,
    })
}
