//! Programs of others: where they are, and which version.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A program that is needed and not there.
#[derive(Debug, thiserror::Error)]
#[error("{program} is not installed (apt-get install {package})")]
pub struct Missing {
    /// What it is called.
    pub program: &'static str,
    /// The package of Debian that it is in.
    pub package: &'static str,
}

/// Where a program is: where the environment's `variable` says, else by the search path.
#[must_use]
pub fn find(variable: &str, names: &[&str]) -> Option<PathBuf> {
    if let Some(path) = std::env::var_os(variable) {
        return Some(path.into());
    }
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let files = names
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    files.into_iter().find(|file| file.is_file())
}

/// The first line of what `program --version` says.
#[must_use]
pub fn version(program: &Path) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok()?;
    // Alertmanager says it on either.
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    said.lines().next().map(|line| line.trim().to_owned())
}
