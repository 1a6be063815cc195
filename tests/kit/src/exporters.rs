//! The exporters of PostgreSQL and Redis.

use std::process::Command;

use crate::program::{Missing, find};

/// What starts the exporter of PostgreSQL: it listens on this port.
///
/// # Errors
/// It is not installed.
pub fn postgres(port: u16) -> Result<Command, Missing> {
    let names = ["prometheus-postgres-exporter", "postgres_exporter"];
    let program = find("TOCSIN_TEST_POSTGRES_EXPORTER", &names).ok_or(Missing {
        program: "postgres_exporter",
        package: "prometheus-postgres-exporter",
    })?;
    let mut command = Command::new(program);
    command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
    Ok(command)
}

/// What starts the exporter of Redis: it listens on this port.
///
/// # Errors
/// It is not installed.
pub fn redis(port: u16) -> Result<Command, Missing> {
    let names = ["prometheus-redis-exporter", "redis_exporter"];
    let program = find("TOCSIN_TEST_REDIS_EXPORTER", &names).ok_or(Missing {
        program: "redis_exporter",
        package: "prometheus-redis-exporter",
    })?;
    let mut command = Command::new(program);
    command.arg(format!("-web.listen-address=127.0.0.1:{port}"));
    Ok(command)
}
