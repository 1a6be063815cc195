//! Searches payloads for a text: newest first, over a bounded number of rows.

use sea_orm::{ConnectionTrait, DbErr, Value};

use super::read::delivery;
use super::{SqlQueue, count};
use crate::queue::store::{JobState, Queued, SEARCHED};
use crate::store::rows::statement;
use crate::time::Timestamp;

impl SqlQueue {
    pub(super) async fn find(
        &self,
        queue: &str,
        text: &str,
        limit: usize,
    ) -> Result<Vec<Queued>, DbErr> {
        let sql = "SELECT id, payload, errors, trace_id, replay, deliveries, enqueued_at, run_at, \
                       put_off, \
                       lease_until, {now} AS now \
                   FROM (SELECT * FROM \
                           (SELECT * FROM jobs WHERE queue = $1 AND lease_until IS NULL \
                            ORDER BY run_at DESC, id DESC LIMIT $2) AS waiting \
                       UNION ALL SELECT * FROM \
                           (SELECT * FROM jobs WHERE queue = $1 AND lease_until IS NOT NULL \
                            ORDER BY lease_until DESC LIMIT $2) AS held) AS found \
                   WHERE payload LIKE $3 ESCAPE '\\' LIMIT $4";
        let values = [
            Value::from(queue),
            count(SEARCHED),
            Value::from(contains(text)),
            count(limit),
        ];
        let sql = statement(self.db.backend(), &self.at_store(sql), values);
        let rows = self.db.view_for(true).await?.query_all_raw(sql).await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in &rows {
            let (run_at, job) = delivery(row)?;
            let is_held = row.try_get::<Option<i64>>("", "lease_until")?.is_some();
            let stand = if is_held {
                JobState::InFlight
            } else if run_at > row.try_get("", "now")? {
                JobState::Delayed
            } else {
                JobState::Ready
            };
            // SQLite's LIKE ignores case, so the match is checked again.
            if job
                .payload
                .windows(text.len().max(1))
                .any(|w| w == text.as_bytes())
            {
                found.push(Queued {
                    job,
                    stand,
                    due_at: (stand == JobState::Delayed).then_some(Timestamp(run_at)),
                });
            }
        }
        Ok(found)
    }
}

fn contains(text: &str) -> String {
    let escaped = text
        .replace('\\', "\\\\")
        .replace('%', "\\%")
        .replace('_', "\\_");
    format!("%{escaped}%")
}
