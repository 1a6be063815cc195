//! What the queue's rows say.

use sea_orm::{DbErr, QueryResult};

use crate::queue::about::WorkerStatus;
use crate::queue::store::{Delivery, FailedAttempt, Lease, StorePosition};
use crate::time::Timestamp;

/// A job that was leased, and since when it could run. Whatever somebody wrote into its texts, it is
/// one: else nothing that was fetched with it would be handed out, now or ever.
pub(super) fn delivery(row: &QueryResult) -> Result<(i64, Delivery), DbErr> {
    let errors = bytes(row, "errors").unwrap_or_default();
    let trace_id = bytes(row, "trace_id").map(|id| String::from_utf8_lossy(&id).into_owned());
    let number = |name: &str| -> Result<u32, DbErr> {
        let number: i32 = row.try_get("", name)?;
        Ok(number.unsigned_abs())
    };
    let job = Delivery {
        lease: Lease {
            id: row.try_get("", "id")?,
            delivery: number("deliveries")?,
            replay: number("replay")?,
            place: StorePosition::default(),
        },
        payload: bytes(row, "payload").unwrap_or_default(),
        failed: FailedAttempt::read_all(&errors),
        trace_id,
        enqueued_at: Timestamp(row.try_get("", "enqueued_at")?),
        put_off: row.try_get("", "put_off")?,
    };
    Ok((row.try_get("", "run_at")?, job))
}

/// The bytes of a text; SQLite holds any, and what is no text at all, in a column of texts.
fn bytes(row: &QueryResult, column: &str) -> Option<Vec<u8>> {
    let text: Result<Option<String>, DbErr> = row.try_get("", column);
    match text {
        Ok(text) => text.map(String::into_bytes),
        Err(_) => row.try_get("", column).unwrap_or_default(),
    }
}

/// A consumer.
pub(super) fn known(row: &QueryResult) -> Result<WorkerStatus, DbErr> {
    let about: Option<String> = row.try_get("", "about")?;
    let age: i64 = row.try_get("", "age")?;
    let name = row.try_get("", "consumer")?;
    Ok(WorkerStatus::read(name, age, about.as_deref()))
}
