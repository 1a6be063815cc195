//! Reads rows of `jobs` and `consumers`.

use sea_orm::{DbErr, QueryResult};

use crate::queue::about::WorkerStatus;
use crate::queue::store::{Delivery, FailedAttempt, Lease, StorePosition};
use crate::time::Timestamp;

/// A leased job, and since when it was ready. Text that cannot be decoded is replaced instead of refused: one bad row
/// would keep the jobs fetched with it from being handed out, every time.
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

/// The bytes of a text column; SQLite may hold a blob or invalid UTF-8 there.
fn bytes(row: &QueryResult, column: &str) -> Option<Vec<u8>> {
    let text: Result<Option<String>, DbErr> = row.try_get("", column);
    match text {
        Ok(text) => text.map(String::into_bytes),
        Err(_) => row.try_get("", column).unwrap_or_default(),
    }
}

/// A worker, from its row.
pub(super) fn known(row: &QueryResult) -> Result<WorkerStatus, DbErr> {
    let about: Option<String> = row.try_get("", "about")?;
    let age: i64 = row.try_get("", "age")?;
    let name = row.try_get("", "consumer")?;
    Ok(WorkerStatus::read(name, age, about.as_deref()))
}
