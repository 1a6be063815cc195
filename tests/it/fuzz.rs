//! What nobody would send, sent: whatever comes in at the door is taken or refused, whatever is in
//! the queue is done or a dead letter with its bytes, and nothing is lost on the way.
//!
//! Each test tries as many cases as it has time for; `TOCSIN_TEST_CASES` says how many instead.

mod api;
mod bodies;
mod json;
mod pages;
mod queue;
mod webhooks;

use proptest::test_runner::{Config, RngAlgorithm, TestRunner};

/// A runner of so many cases, or of as many as the caller wants.
fn runner(cases: u32) -> TestRunner {
    let wanted = std::env::var("TOCSIN_TEST_CASES").ok();
    TestRunner::new(Config {
        cases: wanted.map_or(cases, |wanted| wanted.parse().unwrap()),
        failure_persistence: None,
        max_shrink_iters: 5000,
        rng_algorithm: RngAlgorithm::XorShift,
        ..Config::default()
    })
}

/// Runs async work in a property.
fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Handle::current().block_on(work)
}
