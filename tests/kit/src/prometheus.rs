//! A real Prometheus.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::program::{Missing, find};

/// Its name everywhere.
const NAMES: [&str; 1] = ["prometheus"];

fn program() -> Option<PathBuf> {
    find("TOCSIN_TEST_PROMETHEUS", &NAMES)
}

/// What starts one in this folder: it listens on this port, repeats what fires by the second, and reads its files
/// again when it is asked to.
///
/// # Errors
/// It is not installed.
pub fn command(config: &Path, folder: &Path, port: u16) -> Result<Command, Missing> {
    let program = program().ok_or(Missing {
        program: "Prometheus",
        package: "prometheus",
    })?;
    let mut command = Command::new(program);
    command
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", folder.display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .arg("--web.enable-lifecycle")
        .arg("--rules.alert.resend-delay=1s")
        .current_dir(folder);
    Ok(command)
}
