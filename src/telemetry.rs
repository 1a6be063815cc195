//! Telemetry: metrics, traces, and the context of log lines.

pub mod log_throttle;
pub mod metrics;
pub mod spans;
pub mod task_context;
pub mod trace_context;
