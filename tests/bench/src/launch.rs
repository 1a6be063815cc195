//! Launchers of programs that were built beside this one, and of others.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use tocsin_kit::process::Process;

/// A program of this workspace that was not built.
#[derive(Debug, thiserror::Error)]
#[error("{0} was not built (scripts/bench builds it)")]
pub(crate) struct NotBuilt(&'static str);

/// Where a program is that is built together with this one.
pub(crate) fn beside(name: &'static str) -> anyhow::Result<PathBuf> {
    let this = std::env::current_exe().context("finding this program")?;
    let program = this.with_file_name(name);
    if !program.is_file() {
        return Err(NotBuilt(name).into());
    }
    Ok(program)
}

/// Starts a process that keeps its log in a folder and runs there.
pub(crate) fn start(name: &str, mut command: Command, folder: &Path) -> anyhow::Result<Process> {
    command
        .current_dir(folder)
        // Ctrl-C is for us: we end the others in order.
        .process_group(0);
    Process::start(name, command, folder.join(format!("{name}.log")))
}
