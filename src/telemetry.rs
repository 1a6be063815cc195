//! What a process says of itself: metrics, traces, and what its log lines belong to.

pub mod log_throttle;
pub mod metrics;
pub mod spans;
pub mod task_context;
pub mod trace_context;
