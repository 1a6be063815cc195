//! The whole chain with real servers: PostgreSQL and Redis, their exporters, Prometheus and Alertmanager, which send to
//! one Tocsin. Their configuration is that of `deploy/`, with other addresses and shorter times; and five faults that
//! its rules are for.
//!
//! A test follows each fault through it, and `scripts/demo` shows the same to people.

pub mod configuration;
mod fault;
mod holders;
mod prometheus;
mod servers;

pub use fault::Fault;
pub use prometheus::Firing;
pub use servers::{Chain, Setup};
