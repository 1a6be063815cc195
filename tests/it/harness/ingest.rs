//! The handler of alerts, for one alert.

use std::sync::Arc;

use apalis_core::task::data::Data;
use tocsin::jobs::{IngestAlert, JobError};
use tocsin::queue::consumer::JobHandle;
use tocsin::queue::list::List;
use tocsin_workers::ingest::{Batchers, handle};

/// Enters one alert, as a list of which it is the only job; returns its answer.
pub async fn ingest_one(
    job: IngestAlert,
    held: Data<Arc<JobHandle>>,
    batchers: Data<Arc<Batchers>>,
) -> Result<(), JobError> {
    let (list, answer) = List::one(job, held.0);
    handle(list, batchers).await;
    answer.await.unwrap()
}
