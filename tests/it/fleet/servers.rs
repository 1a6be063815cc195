//! A PostgreSQL server of a test's own, that can be stopped without harm to others.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::process::{Folder, PATIENCE, Process, free_port};

/// The server. Stopped when dropped.
pub struct Postgres {
    process: Process,
    port: u16,
    data: PathBuf,
    folder: Folder,
}

impl Postgres {
    pub async fn start() -> Self {
        let (folder, port) = (Folder::new(), free_port());
        let data = folder.0.join("data");
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(&folder.0));
        }
        run(as_postgres("initdb", &folder.0)
            .args(["--username=postgres", "--auth=trust", "--encoding=UTF8"])
            .args(["--locale=C", "--no-sync", "--pgdata"])
            .arg(&data));
        let mut postgres = as_postgres("postgres", &folder.0);
        postgres
            .arg("-D")
            .arg(&data)
            .args(["-p", &port.to_string()]);
        for setting in ["listen_addresses=127.0.0.1", "unix_socket_directories="] {
            postgres.args(["-c", setting]);
        }
        let log = folder.0.join("postgres.log");
        let process = Process::start("postgres", postgres, log);
        let mut server = Self {
            process,
            port,
            data,
            folder,
        };
        server.answers().await;
        server
    }

    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    async fn answers(&mut self) {
        let began = Instant::now();
        while sea_orm::Database::connect(self.url()).await.is_err() {
            let said = self.process.said();
            assert!(began.elapsed() < PATIENCE, "it does not answer: {said}");
            if !self.process.is_running() {
                // What is left of one that was killed may take a moment to end.
                self.process.restart();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn control(&self, arguments: &[&str]) -> Command {
        let mut control = as_postgres("pg_ctl", &self.folder.0);
        control.args(arguments).arg("-D").arg(&self.data);
        control
    }

    /// In this mode, such as `fast`; waits until it has ended.
    pub async fn stop(&mut self, mode: &str) {
        run(&mut self.control(&["stop", "-m", mode, "-w"]));
        self.process.ended().await;
    }

    /// SIGKILL.
    pub async fn kill(&mut self) {
        let about = std::fs::read_to_string(self.data.join("postmaster.pid")).unwrap();
        let id = about.lines().next().unwrap();
        run(Command::new("kill").args(["-s", "KILL", id]));
        self.process.ended().await;
    }

    pub async fn start_again(&mut self) {
        self.process.restart();
        self.answers().await;
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let _ = self.control(&["stop", "-m", "immediate", "-w"]).output();
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}

/// Whether these tests run as root.
pub fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout.trim_ascii() == b"0"
}

/// A program of PostgreSQL's, as a user that may run it: it refuses to run as root.
fn as_postgres(program: &str, folder: &Path) -> Command {
    let program = bin().join(program);
    let mut command = if is_root() {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    command.current_dir(folder);
    command
}

/// Where `./scripts/test` says that PostgreSQL's programs are, else Debian's newest.
fn bin() -> PathBuf {
    if let Some(bin) = std::env::var_os("TOCSIN_TEST_POSTGRES_BIN") {
        return bin.into();
    }
    let versions = std::fs::read_dir("/usr/lib/postgresql").unwrap();
    let version = |path: &PathBuf| {
        let name = path.file_name().and_then(OsStr::to_str);
        name.and_then(|name| name.parse::<u32>().ok())
    };
    let newest = versions
        .map(|entry| entry.unwrap().path())
        .max_by_key(version);
    newest.unwrap().join("bin")
}
