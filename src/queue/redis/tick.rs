//! Claims ticks of schedules, and pushes their jobs, in one script call.

use super::entry::written;
use super::{RedisQueue, TICK};
use crate::ids::derived_id;
use crate::queue::store::{NewJob, QueueError, QueueStore as _, Schedule};
use crate::time::millis;

impl RedisQueue {
    /// Claims those of these ticks that nobody has, and pushes their jobs. Returns how many.
    pub(super) async fn claim(
        &self,
        queue: &'static str,
        jobs: &[(Schedule, String)],
    ) -> Result<usize, QueueError> {
        let now = self.now().await?;
        let mut call = self.call(&TICK, queue);
        for (schedule, payload) in jobs {
            let tick = now.0 / millis(schedule.every);
            let job = NewJob {
                queue,
                id: derived_id(&[schedule.name, &tick.to_string()]),
                payload: payload.clone(),
                named: true,
                ..NewJob::default()
            };
            call = call.arg(schedule.name).arg(tick).arg(written(&job));
        }
        let claimed: usize = call.on(&self.answers).await?;
        Ok(claimed)
    }
}
