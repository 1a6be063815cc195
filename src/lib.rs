//! Tocsin: from a firing alert to a counted, tiered incident and one message.
//!
//! ```text
//! POST /api/v1/{source} ─▶ IngestAlert ─▶ CalculateTier ─▶ Notify ─▶ Telegram
//! POST …/repairs ────────▶ RecordRepair ─▶ (effectiveness) ┄ read by CalculateTier
//! schedule ──────────────▶ Recount ──────▶ decay, sweep, retention, drift
//! ```
//!
//! This library is what the ingress and the workers share, and the ingress; the workers and the
//! program are in `workers/`, the schema in `migration/`.

pub mod alertmanager;
pub mod config;
pub mod context;
pub mod counter;
pub mod domain;
pub mod entity;
pub mod executions;
pub mod http_client;
pub mod ids;
pub mod jobs;
pub mod operations;
pub mod outbox;
pub mod playbooks;
pub mod probe;
pub mod prometheus;
pub mod queue;
pub mod recommendations;
pub mod redis;
pub mod report;
pub mod routines;
pub mod sources;
pub mod store;
pub mod telegram;
pub mod telemetry;
pub mod text;
pub mod time;
pub mod tls;
pub mod verdicts;
pub mod verify;
pub mod web;

/// The version that was built.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
