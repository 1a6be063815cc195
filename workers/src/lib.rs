//! Tocsin's workers: the fleet on one screen, and the program around it.

pub mod cli;
pub mod clock;
pub mod fleet;
pub mod ingest;
pub mod notifiers;
pub mod notify;
pub mod recount;
pub mod repair;
pub mod tier;

use fleet::Worker;
use tocsin::context::Context;

/// Every worker, in the order of an alert's way. What each carries, how many run at once and how
/// often it is tried is in `tocsin::jobs`, unless the settings say otherwise.
#[must_use]
pub fn workers(context: &Context) -> Vec<Worker> {
    vec![
        Worker::new(context, ingest::Batchers::start(context), ingest::handle),
        Worker::new(context, tier::TierBatcher::start(context), tier::handle),
        Worker::new(context, notify::NotifyContext::new(context), notify::handle),
        Worker::new(context, context.clone(), repair::handle),
        Worker::new(context, recount::Recounting::new(context), recount::handle),
    ]
}
