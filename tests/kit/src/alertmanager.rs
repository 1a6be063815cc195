//! A real Alertmanager.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::program::{self, Missing, find};

/// Debian's name for it, and its own.
const NAMES: [&str; 2] = ["prometheus-alertmanager", "alertmanager"];

fn program() -> Option<PathBuf> {
    find("TOCSIN_TEST_ALERTMANAGER", &NAMES)
}

/// What starts one alone, in this folder: it listens on this port.
///
/// # Errors
/// It is not installed.
pub fn command(config: &Path, folder: &Path, port: u16) -> Result<Command, Missing> {
    let program = program().ok_or(Missing {
        program: "Alertmanager",
        package: "prometheus-alertmanager",
    })?;
    let mut command = Command::new(program);
    command
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.path={}", folder.display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .arg("--cluster.listen-address=")
        .current_dir(folder);
    Ok(command)
}

/// The version that is installed.
#[must_use]
pub fn version() -> Option<String> {
    let said = program::version(&program()?)?;
    let mut words = said.split_whitespace();
    words.find(|word| *word == "version")?;
    words.next().map(str::to_owned)
}
