//! Tocsin's workers: the fleet on one screen, and the program around it.

pub mod analyze;
mod awaited;
mod canary;
pub mod cli;
pub mod clock;
pub mod execute;
pub mod fleet;
pub mod ingest;
pub mod notifiers;
pub mod notify;
pub mod presence;
pub mod recount;
pub mod repair;
pub mod simulation;
pub mod tier;

use fleet::Worker;
use notifiers::Notifier;
use tocsin::context::Context;
use tocsin::operations::notify::TestSender;

/// Every worker, with the notifiers that the settings call for.
#[must_use]
pub fn workers(context: &Context) -> Vec<Worker> {
    workers_with(context, notifiers::configured(&context.config))
}

/// Sends test messages from this process, with the notifiers that the settings call for.
#[must_use]
pub fn test_sender(context: &Context) -> TestSender {
    notify::test_sender(context, notifiers::configured(&context.config))
}

/// Every worker, in the order of an alert's way. ADD THE WORKER OF A QUEUE HERE. What each carries, how many
/// run at once and how often it is tried is in `tocsin::jobs`, unless the settings say otherwise.
#[must_use]
pub fn workers_with(context: &Context, notifiers: Vec<Box<dyn Notifier>>) -> Vec<Worker> {
    let notify = notify::NotifyContext::new(context, notifiers);
    vec![
        Worker::of_lists(context, ingest::Batchers::start(context), ingest::handle),
        Worker::new(context, tier::TierBatcher::start(context), tier::handle),
        Worker::new(context, notify, notify::handle),
        Worker::new(context, analyze::Analyst::new(context), analyze::handle),
        Worker::new(context, context.clone(), repair::handle),
        Worker::new(context, execute::Executors::new(context), execute::handle),
        Worker::new(context, recount::Recounting::new(context), recount::handle),
    ]
}
