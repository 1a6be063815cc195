//! Writes answers: removes jobs, defers them, or gives them back.

use super::call::Call;
use super::entry::entry_id;
use super::{AGAIN, BACK, CHUNK, REMOVE, REMOVE_NAMED, REMOVED_AT_ONCE, RedisQueue};
use crate::queue::store::{FailedAttempt, LEASE, Lease, QueueError, SUSPECT_AFTER};
use crate::time::millis;

impl RedisQueue {
    /// Removes entries, with their IDs where those were remembered.
    pub(super) async fn remove(&self, queue: &str, leases: &[Lease]) -> Result<(), QueueError> {
        let (named, plain): (Vec<&Lease>, Vec<&Lease>) =
            leases.iter().partition(|lease| lease.place.named);
        for chunk in plain.chunks(REMOVED_AT_ONCE) {
            let call = chunk.iter().fold(self.call(&REMOVE, queue), |call, lease| {
                call.arg(entry_id(lease.place))
            });
            call.on::<()>(&self.answers).await?;
        }
        for chunk in named.chunks(CHUNK) {
            let mut call = self.call(&REMOVE_NAMED, queue);
            for lease in chunk {
                call = call.arg(entry_id(lease.place));
                call = call.arg(lease.id.simple().to_string()).arg(lease.replay);
            }
            call.on::<()>(&self.answers).await?;
        }
        Ok(())
    }

    pub(super) async fn run_again(
        &self,
        queue: &str,
        consumer: &str,
        answers: &[(Lease, i64, &Vec<FailedAttempt>)],
    ) -> Result<(), QueueError> {
        for chunk in answers.chunks(CHUNK) {
            let mut call = self.call(&AGAIN, queue).arg(consumer);
            for (lease, delay, failed) in chunk {
                let errors = match failed.is_empty() {
                    true => String::new(),
                    false => serde_json::to_string(failed).unwrap_or_default(),
                };
                call = call.arg(entry_id(lease.place)).arg(lease.delivery);
                call = call.arg(delay).arg(errors);
            }
            call.on::<()>(&self.answers).await?;
        }
        Ok(())
    }

    pub(super) async fn give_back(
        &self,
        queue: &str,
        consumer: &str,
        leases: &[Lease],
    ) -> Result<(), QueueError> {
        for chunk in leases.chunks(CHUNK) {
            let call = self.call(&BACK, queue).arg(consumer);
            let call = call.arg(millis(LEASE)).arg(SUSPECT_AFTER);
            with_deliveries(call, chunk).on::<()>(&self.answers).await?;
        }
        Ok(())
    }
}

pub(super) fn with_deliveries<'a>(call: Call<'a>, leases: &[Lease]) -> Call<'a> {
    leases.iter().fold(call, |call, lease| {
        call.arg(entry_id(lease.place)).arg(lease.delivery)
    })
}
