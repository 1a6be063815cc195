//! Searches payloads for a text: newest first, over a bounded number of entries.

use redis::{RedisError, Value};

use super::entry::{array, bytes, claimed};
use super::{RedisQueue, SEARCH, SEARCH_DELAYED};
use crate::queue::store::{JobState, Queued, SEARCHED};
use crate::time::Timestamp;

/// Entries that one script call reads.
const PAGE: usize = 500;

impl RedisQueue {
    pub(super) async fn find(
        &self,
        queue: &str,
        text: &str,
        limit: usize,
    ) -> Result<Vec<Queued>, RedisError> {
        let mut found = self.find_delayed(queue, text, limit).await?;
        let mut from = "+".to_owned();
        for _ in 0..SEARCHED / PAGE {
            if found.len() >= limit {
                break;
            }
            let call = self.call(&SEARCH, queue).arg(text).arg(&from).arg(PAGE);
            let answer: Vec<Value> = call.on(&self.answers).await?;
            let mut answer = answer.into_iter();
            let last = answer.next().and_then(bytes).unwrap_or_default();
            found.extend(answer.filter_map(of_stream));
            if last.is_empty() {
                break;
            }
            from = format!("({}", String::from_utf8_lossy(&last));
        }
        found.truncate(limit);
        Ok(found)
    }

    async fn find_delayed(
        &self,
        queue: &str,
        text: &str,
        limit: usize,
    ) -> Result<Vec<Queued>, RedisError> {
        let mut found = Vec::new();
        for page in 0..SEARCHED / PAGE {
            let call = self.call(&SEARCH_DELAYED, queue).arg(text);
            let answer: Vec<Value> = call.arg(page * PAGE).arg(PAGE).on(&self.answers).await?;
            let mut answer = answer.into_iter();
            let looked = matches!(answer.next(), Some(Value::Int(n)) if n == PAGE as i64);
            found.extend(answer.filter_map(|job| self.of_delayed(job)));
            if !looked || found.len() >= limit {
                break;
            }
        }
        Ok(found)
    }

    fn of_delayed(&self, job: Value) -> Option<Queued> {
        let [due, job] = array(job)?;
        let Value::Int(due) = due else {
            return None;
        };
        let is_due = Timestamp(due) <= self.clock.now();
        Some(Queued {
            job: claimed(job)?,
            stand: if is_due {
                JobState::Ready
            } else {
                JobState::Delayed
            },
            due_at: Some(Timestamp(due)),
        })
    }
}

fn of_stream(job: Value) -> Option<Queued> {
    let mut job = claimed(job)?;
    let is_held = std::mem::take(&mut job.lease.delivery) == 1;
    Some(Queued {
        job,
        stand: if is_held {
            JobState::InFlight
        } else {
            JobState::Ready
        },
        due_at: None,
    })
}
