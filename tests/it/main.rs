//! Flows through the real HTTP routes against real databases: each test on SQLite and on
//! PostgreSQL, in a file or schema of its own. `./scripts/test` starts what they need.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    unreachable_pub
)]

mod harness;
mod process;
mod redis_server;
mod telegram;

mod alertmanager;
mod books;
mod conformance;
mod consumer;
mod counter;
mod fleet;
mod flow;
mod inputs;
mod lists;
mod people;
mod wedge;
