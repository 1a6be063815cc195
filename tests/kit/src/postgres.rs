//! A PostgreSQL server of one's own, that can be stopped without harm to others.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use sea_orm::{ConnectOptions, ConnectionTrait as _, Database};

use crate::folder::Folder;
use crate::port;
use crate::process::Process;
use crate::program::{Missing, find};

/// Where Debian has them, by version.
const DEBIAN: &str = "/usr/lib/postgresql";
/// It does not run as root; then it runs as this user.
const USER: &str = "postgres";

/// The server. Stopped, and its files deleted, when dropped.
#[derive(Debug)]
pub struct Postgres {
    process: Process,
    port: u16,
    bin: PathBuf,
    data: PathBuf,
    folder: Folder,
}

impl Postgres {
    /// Starts one with its default settings and waits until it answers.
    ///
    /// # Errors
    /// It is not installed ([`Missing`]), or does not start.
    pub async fn start(folder: Folder) -> anyhow::Result<Self> {
        Self::start_with(folder, &[]).await
    }

    /// The same with more arguments, such as `["-c", "max_connections=20"]`.
    ///
    /// # Errors
    /// It is not installed ([`Missing`]), or does not start.
    pub async fn start_with(folder: Folder, more: &[&str]) -> anyhow::Result<Self> {
        let bin = bin().ok_or(Missing {
            program: "PostgreSQL",
            package: "postgresql",
        })?;
        let port = port::free();
        if is_root() {
            run(Command::new("chown").arg(USER).arg(folder.path()))?;
        }
        let mut initdb = as_user(&bin.join("initdb"), folder.path());
        initdb
            .args(["--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"])
            .arg(format!("--username={USER}"))
            .arg("--pgdata")
            .arg(folder.join("data"));
        run(&mut initdb)?;
        Self::serve(bin, port, folder, more).await
    }

    /// A hot standby of this one: it follows, answers, and takes nothing until it is promoted. What this
    /// one commits from now on is on the standby's disk, too.
    ///
    /// # Errors
    /// This one does not let itself be copied, or the standby does not start.
    pub async fn standby(&self, folder: Folder) -> anyhow::Result<Self> {
        if is_root() {
            run(Command::new("chown").arg(USER).arg(folder.path()))?;
        }
        let mut copy = as_user(&self.bin.join("pg_basebackup"), folder.path());
        copy.args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync"])
            .arg(format!("--dbname={}", self.url()))
            .arg("--pgdata")
            .arg(folder.join("data"));
        run(&mut copy)?;
        let standby = Self::serve(self.bin.clone(), port::free(), folder, &[]).await?;
        let db = Database::connect(options(&self.url())).await?;
        db.execute_unprepared("ALTER SYSTEM SET synchronous_standby_names = '*'")
            .await?;
        db.execute_unprepared("SELECT pg_reload_conf()").await?;
        db.close().await?;
        Ok(standby)
    }

    /// A standby takes what is written from now on.
    ///
    /// # Errors
    /// It is none.
    pub fn promote(&self) -> anyhow::Result<()> {
        run(&mut self.control(&["promote", "-w"]))
    }

    /// Starts the server whose data are in this folder, and waits until it answers.
    async fn serve(bin: PathBuf, port: u16, folder: Folder, more: &[&str]) -> anyhow::Result<Self> {
        let data = folder.join("data");
        let mut postgres = as_user(&bin.join("postgres"), folder.path());
        postgres
            .arg("-D")
            .arg(&data)
            .args(["-p", &port.to_string()])
            .args(["-c", "listen_addresses=127.0.0.1"])
            .args(["-c", "unix_socket_directories="])
            .args(more);
        let log = folder.join("postgres.log");
        let mut server = Self {
            process: Process::start("postgres", postgres, log)?,
            port,
            bin,
            data,
            folder,
        };
        server.answers().await?;
        Ok(server)
    }

    /// Where its database `postgres` is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/postgres", self.port)
    }

    /// Where it listens, on 127.0.0.1.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    async fn answers(&mut self) -> anyhow::Result<()> {
        let url = self.url();
        let is_ready = async || Database::connect(options(&url)).await.is_ok();
        self.process.ready(is_ready).await
    }

    fn control(&self, arguments: &[&str]) -> Command {
        let mut control = as_user(&self.bin.join("pg_ctl"), self.folder.path());
        control.args(arguments).arg("-D").arg(&self.data);
        control
    }

    /// Stops it in this mode, such as `fast`; waits until it has ended.
    ///
    /// # Errors
    /// It does not end.
    pub async fn stop(&mut self, mode: &str) -> anyhow::Result<()> {
        run(&mut self.control(&["stop", "-m", mode, "-w"]))?;
        self.process.ended().await.map(drop)
    }

    /// SIGKILL.
    ///
    /// # Errors
    /// It is not running.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        let about = std::fs::read_to_string(self.data.join("postmaster.pid"))?;
        let id = about.lines().next().context("postmaster.pid is empty")?;
        run(Command::new("kill").args(["-s", "KILL", id]))?;
        self.process.ended().await.map(drop)
    }

    /// After [`Self::stop`] or [`Self::kill`]: on the same port and the same data.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        // What is left of one that was killed may take a moment to end, and keeps others away until then.
        let mut tries = 0;
        loop {
            self.process.restart()?;
            match self.answers().await {
                Err(_) if !self.process.is_running() && tries < 20 => tries += 1,
                answered => return answered,
            }
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Killing what started it would leave the server behind.
        let _ = run(&mut self.control(&["stop", "-m", "immediate", "-w"]));
    }
}

fn options(url: &str) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    options
}

/// The folder of its programs: where the environment says, else Debian's newest version, else where
/// `initdb` is by the search path.
fn bin() -> Option<PathBuf> {
    if let Some(bin) = std::env::var_os("TOCSIN_TEST_POSTGRES_BIN") {
        return Some(bin.into());
    }
    let version = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let debian = std::fs::read_dir(DEBIAN).into_iter().flatten().flatten();
    let newest = debian
        .map(|entry| entry.path())
        .filter(|path| path.join("bin/initdb").is_file())
        .max_by_key(version);
    newest.map(|path| path.join("bin")).or_else(|| {
        let initdb = find("", &["initdb"])?.canonicalize().ok()?;
        initdb.parent().map(Path::to_owned)
    })
}

/// Whether this process runs as root.
#[must_use]
pub fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// A program of PostgreSQL's, as a user that may run it.
fn as_user(program: &Path, folder: &Path) -> Command {
    let mut command = if is_root() {
        let mut command = Command::new("runuser");
        command.args(["-u", USER, "--"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    command.current_dir(folder);
    command
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}", said.trim());
    Ok(())
}
