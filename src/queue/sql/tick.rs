//! Claims ticks of schedules, and pushes their jobs. A process asks every few seconds and nearly always in vain, so it
//! reads first: one statement, however many schedules there are.

use std::collections::HashMap;

use sea_orm::{ConnectionTrait, DbErr};

use super::SqlQueue;
use crate::ids::derived_id;
use crate::queue::store::Schedule;
use crate::store::rows::{Rows, statement};
use crate::time::{Timestamp, millis};

impl SqlQueue {
    /// Claims those of these ticks that nobody has, and pushes their jobs, in one transaction. Returns how many.
    pub(super) async fn claim(
        &self,
        queue: &'static str,
        jobs: &[(Schedule, String)],
    ) -> Result<usize, DbErr> {
        let due = self.due(jobs).await?;
        if due.is_empty() {
            return Ok(0);
        }
        let backend = self.db.backend();
        let tx = self.db.begin().await?;
        let rows = Rows::new()
            .text("name", due.iter().map(|(of, _)| of.name.to_owned()))
            .int("every", due.iter().map(|(of, _)| millis(of.every)));
        // Sorted, so that processes that claim at the same time wait for each other instead of deadlocking.
        let claim = self.at_store(
            "INSERT INTO schedules (name, tick) \
             SELECT r.name, {now} / r.every FROM {rows} WHERE true ORDER BY r.name \
             ON CONFLICT (name) DO UPDATE SET tick = excluded.tick \
             WHERE schedules.tick < excluded.tick OR schedules.tick > excluded.tick + 1 \
             RETURNING name, tick",
        );
        let claimed = tx
            .query_all_raw(rows.statement(backend, &claim, []))
            .await?;
        let mut payloads: HashMap<&str, &String> = due
            .iter()
            .map(|(schedule, payload)| (schedule.name, payload))
            .collect();
        let (mut ids, mut pushed) = (Vec::new(), Vec::new());
        for row in &claimed {
            let (name, tick): (String, i64) = (row.try_get("", "name")?, row.try_get("", "tick")?);
            if let Some(payload) = payloads.remove(&*name) {
                ids.push(derived_id(&[&name, &tick.to_string()]));
                pushed.push(payload.clone());
            }
        }
        if ids.is_empty() {
            return Ok(0);
        }
        let n = ids.len();
        let push = self.at_store(
            "INSERT INTO jobs (id, queue, payload, run_at, enqueued_at) \
             SELECT r.id, r.queue, r.payload, {now}, {now} FROM {rows} WHERE true ORDER BY r.id \
             ON CONFLICT (id) DO NOTHING",
        );
        let rows = Rows::new()
            .uuid("id", ids)
            .text("queue", std::iter::repeat_n(queue.to_owned(), n))
            .text("payload", pushed);
        tx.execute_raw(rows.statement(backend, &push, [])).await?;
        tx.commit().await?;
        Ok(n)
    }

    /// Those whose tick seems unclaimed.
    async fn due<'a>(
        &self,
        jobs: &'a [(Schedule, String)],
    ) -> Result<Vec<&'a (Schedule, String)>, DbErr> {
        let sql = self.at_store(
            "SELECT clock.at, schedules.name, schedules.tick FROM (SELECT {now} AS at) AS clock \
             LEFT JOIN schedules ON true",
        );
        let sql = statement(self.db.backend(), &sql, []);
        let mut ticks: HashMap<String, i64> = HashMap::new();
        let mut now = Timestamp(0);
        for row in self.db.read().query_all_raw(sql).await? {
            now = row.try_get("", "at")?;
            let name: Option<String> = row.try_get("", "name")?;
            if let Some(name) = name {
                ticks.insert(name, row.try_get("", "tick")?);
            }
        }
        let is_due = |(schedule, _): &&(Schedule, String)| {
            let tick = now.0 / millis(schedule.every);
            let last = ticks.get(schedule.name);
            last.is_none_or(|last| *last < tick || *last > tick + 1)
        };
        Ok(jobs.iter().filter(is_due).collect())
    }
}
