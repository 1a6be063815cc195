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
pub mod buttons;
pub mod cards;
pub mod config;
pub mod context;
pub mod counter;
pub mod domain;
pub mod entity;
pub mod figures;
pub mod ingress;
pub mod jobs;
pub mod metrics;
pub mod operations;
pub mod pages;
pub mod probe;
pub mod queue;
pub mod redis;
pub mod routines;
pub mod seldom;
pub mod sources;
pub mod spans;
pub mod store;
pub mod task_context;
pub mod text;
pub mod time;
pub mod tls;
pub mod trace;
pub mod verify;

/// The version that was built.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
