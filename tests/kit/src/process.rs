//! Processes as an operator, or an accident, treats them: started, killed, stopped.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use crate::PATIENCE;

/// So many of a log's last lines are shown.
const LINES: usize = 40;

/// A child process whose log is a file; killed when this is dropped, with the end of its log shown if
/// the thread panics.
#[derive(Debug)]
pub struct Process {
    child: Child,
    command: Command,
    name: String,
    log: PathBuf,
    killed: bool,
}

impl Process {
    /// Starts `command`, which writes what it says to the end of `log`.
    ///
    /// # Errors
    /// The log cannot be written, or the program cannot be run.
    pub fn start(name: &str, mut command: Command, log: PathBuf) -> anyhow::Result<Self> {
        let file = File::options().create(true).append(true).open(&log);
        let file = file.with_context(|| format!("opening {}", log.display()))?;
        command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file);
        let child = command
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        Ok(Self {
            child,
            command,
            name: name.to_owned(),
            log,
            killed: false,
        })
    }

    /// What it was called when it was started.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL: no word of farewell.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.killed = true;
    }

    /// Kills it and starts it again as it was started before.
    ///
    /// # Errors
    /// The program cannot be run.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.kill();
        let spawned = self.command.spawn();
        self.child = spawned.with_context(|| format!("starting {} again", self.name))?;
        self.killed = false;
        Ok(())
    }

    /// Sends a signal by its name, such as `TERM`.
    ///
    /// # Errors
    /// It has ended, or the signal has another name.
    pub fn signal(&self, name: &str) -> anyhow::Result<()> {
        let id = self.id().to_string();
        let kill = Command::new("kill").args(["-s", name, &id]).status()?;
        ensure!(kill.success(), "SIG{name} to {}: {kill}", self.name);
        Ok(())
    }

    /// Its exit, if it has ended.
    ///
    /// # Errors
    /// The system does not say.
    pub fn exited(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Whether it has not ended.
    #[must_use]
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Whether it was killed and not started again.
    #[must_use]
    pub const fn was_killed(&self) -> bool {
        self.killed
    }

    /// Waits until it has ended by itself.
    ///
    /// # Errors
    /// It takes longer than [`PATIENCE`].
    pub async fn ended(&mut self) -> anyhow::Result<ExitStatus> {
        let began = Instant::now();
        loop {
            if let Some(status) = self.exited()? {
                return Ok(status);
            }
            ensure!(began.elapsed() < PATIENCE, "{} does not end", self.name);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// An error, with the end of its log, if it has ended.
    ///
    /// # Errors
    /// It has.
    pub fn check(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.exited()? {
            bail!("{} ended ({status}): {}", self.name, tail(&self.said()));
        }
        Ok(())
    }

    /// Waits until it answers.
    ///
    /// # Errors
    /// It has ended, or takes longer than [`PATIENCE`].
    pub async fn ready(&mut self, mut is_ready: impl AsyncFnMut() -> bool) -> anyhow::Result<()> {
        let began = Instant::now();
        while !is_ready().await {
            self.check()?;
            if began.elapsed() > PATIENCE {
                bail!("{} does not respond: {}", self.name, tail(&self.said()));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// What it said so far.
    #[must_use]
    pub fn said(&self) -> String {
        let said = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&said).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let said = self.said();
            eprintln!("--- {}, last lines:\n{}", self.name, tail(&said));
        }
    }
}

fn tail(said: &str) -> String {
    let lines: Vec<&str> = said.trim().lines().collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_of_a_log_is_shown() {
        let log: Vec<String> = (0..100).map(|line| line.to_string()).collect();
        let shown = tail(&log.join("\n"));
        assert!(
            shown.starts_with("60\n") && shown.ends_with("\n99"),
            "{shown}"
        );
        assert_eq!(tail(""), "");
    }
}
