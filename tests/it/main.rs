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
mod again;
mod alertmanager;
mod analysis;
mod apalis_redis;
mod bulk;
mod bulk_resolve;
mod buttons;
mod canary;
mod cards;
mod chain;
mod clock;
mod concurrent_batches;
mod conformance;
mod consumer;
mod contention;
mod counter;
mod dead_letters;
mod demo;
mod documents;
mod end_to_end;
mod faults;
mod flapping;
mod fleet;
mod flow;
mod fuzz;
mod generic;
mod grafana;
mod health;
mod history;
mod hooks;
mod idempotency;
mod identity;
mod ids;
mod incident_operations;
mod inputs;
mod install;
mod levels;
mod lists;
mod mail;
mod mcp;
mod metrics;
mod monitoring;
mod mutes;
mod openapi;
mod operations;
mod outgoing;
mod pages;
mod payloads;
mod plans;
mod playbooks;
mod prometheus;
mod providers;
mod queues;
mod read_replica;
mod recipes;
mod recount;
mod redis_queue;
mod reload;
mod repairs;
mod report;
mod rooms;
mod scenarios;
mod secrets;
mod security;
mod sentry;
mod signoz;
mod source_watch;
mod sources;
mod stale;
mod stories;
mod take_over;
mod tallies;
mod traces;
mod upgrade;
