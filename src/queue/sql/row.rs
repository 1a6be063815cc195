//! A row of `jobs` as a job.

use sea_orm::{DbErr, QueryResult};

use crate::queue::store::{Delivery, Lease, Place};
use crate::time::Timestamp;

/// The job, and when it is to run.
pub(super) fn delivery(row: &QueryResult) -> Result<(i64, Delivery), DbErr> {
    let errors: Option<String> = row.try_get("", "errors")?;
    let failed = errors.and_then(|text| serde_json::from_str(&text).ok());
    let number = |name: &str| -> Result<u32, DbErr> {
        let number: i32 = row.try_get("", name)?;
        Ok(number.unsigned_abs())
    };
    let job = Delivery {
        lease: Lease {
            id: row.try_get("", "id")?,
            delivery: number("deliveries")?,
            replay: number("replay")?,
            place: Place::default(),
        },
        payload: row.try_get::<String>("", "payload")?.into_bytes(),
        failed: failed.unwrap_or_default(),
        trace_id: row.try_get("", "trace_id")?,
        enqueued_at: Timestamp(row.try_get("", "enqueued_at")?),
    };
    Ok((row.try_get("", "run_at")?, job))
}
