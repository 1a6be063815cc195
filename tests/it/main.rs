//! Flows through the real HTTP routes against real servers: each test on SQLite, on PostgreSQL, and
//! on PostgreSQL with Redis, in a file, a schema, a prefix of its own. `./scripts/test` starts what
//! they need.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    unreachable_pub
)]

mod browser;
mod harness;
mod process;
mod proxy;
mod receiver;
mod redis_keys;
mod redis_server;
mod store;
mod telegram;

mod accounting;
mod alertmanager;
mod analysis;
mod books;
mod buttons;
mod cards;
mod clock;
mod conformance;
mod consumer;
mod counter;
mod dead_letters;
mod documents;
mod doors;
mod faults;
mod fleet;
mod flow;
mod fuzz;
mod grafana;
mod history;
mod ids;
mod inputs;
mod levels;
mod lists;
mod mail;
mod many;
mod metrics;
mod monitoring;
mod mutes;
mod once;
mod openapi;
mod operations;
mod outgoing;
mod pages;
mod payloads;
mod people;
mod plans;
mod prometheus;
mod providers;
mod queues;
mod recipes;
mod recount;
mod redis_queue;
mod rooms;
mod secrets;
mod security;
mod signoz;
mod sources;
mod stories;
mod tallies;
mod traces;
mod unseen;
mod upgrade;
mod wedge;
