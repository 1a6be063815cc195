//! The statements that lease jobs, by number and by bytes.

use sea_orm::{ConnectionTrait, DbErr, Value};

use super::SqlQueue;
use super::read::delivery;
use crate::queue::store::{Delivery, LEASE, Lease, QueueError};
use crate::store::rows::{Rows, statement};
use crate::time::millis;

impl SqlQueue {
    /// Leases the jobs that `pick` selects, and returns them, oldest first.
    pub(super) async fn lease<const N: usize>(
        &self,
        pick: &str,
        consumer: &str,
        values: [Value; N],
    ) -> Result<Vec<Delivery>, QueueError> {
        let sql = format!(
            "WITH picked AS ({pick}) \
             UPDATE jobs SET lease_owner = $1, lease_until = {{now}} + $2, \
                 deliveries = jobs.deliveries + 1 \
             FROM picked WHERE jobs.id = picked.id \
             RETURNING jobs.id, jobs.payload, jobs.errors, jobs.trace_id, jobs.replay, \
                 jobs.deliveries, jobs.enqueued_at, jobs.run_at, jobs.put_off"
        );
        let head = [Value::from(consumer), Value::from(millis(LEASE))];
        let values = head.into_iter().chain(values);
        let sql = statement(self.db.backend(), &self.at_store(&sql), values);
        let rows = self.db.write().query_all_raw(sql).await?;
        let mut jobs: Vec<(i64, Delivery)> =
            rows.iter().map(delivery).collect::<Result<_, DbErr>>()?;
        jobs.sort_by_key(|(run_at, job)| (*run_at, job.lease.id));
        Ok(jobs.into_iter().map(|(_, job)| job).collect())
    }
}

pub(super) fn rows_of(leases: &[Lease]) -> Rows {
    Rows::new()
        .uuid("id", leases.iter().map(|lease| lease.id))
        .int(
            "delivery",
            leases.iter().map(|lease| i64::from(lease.delivery)),
        )
        .int("replay", leases.iter().map(|lease| i64::from(lease.replay)))
}

pub(super) const IS_NOT_PAUSED: &str = "NOT EXISTS (SELECT 1 FROM paused_queues WHERE queue = $3)";

/// Selects the first jobs of queue `$3` that meet the condition: at most `$4`, and up to the one with which their
/// payloads reach `$5` bytes.
pub(super) fn weighed(is_such: &str, order: &str) -> String {
    format!(
        "SELECT id FROM \
             (SELECT id, sum(weight) OVER (ORDER BY {order} ROWS UNBOUNDED PRECEDING) \
                  - weight AS lighter \
              FROM (SELECT id, run_at, lease_until, octet_length(payload) AS weight FROM jobs \
                    WHERE {is_such} AND {IS_NOT_PAUSED} \
                    ORDER BY {order} LIMIT $4 {{skip}}) AS such) AS weighed \
         WHERE lighter < $5"
    )
}

/// The condition that the consumer still holds the job in this delivery. A process that was suspended may have lost
/// it to another.
pub(super) const STILL_HELD: &str = "jobs.id = r.id AND jobs.lease_owner = $1 AND jobs.deliveries = r.delivery \
                          AND jobs.replay = r.replay";
