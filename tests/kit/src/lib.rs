//! Servers and programs that the tests and the benchmark start: processes with a log, and real servers in
//! temporary folders on free ports of 127.0.0.1.

pub mod alertmanager;
pub mod exporters;
pub mod folder;
pub mod port;
pub mod postgres;
pub mod process;
pub mod program;
pub mod prometheus;
pub mod redis;

use std::time::Duration;

/// How long a busy machine may take for what should be done at once.
pub const PATIENCE: Duration = Duration::from_secs(60);
