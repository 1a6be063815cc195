//! The database goes away under load and comes back.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::load::Storm;
use super::processes::Fleet;
use crate::process::{Folder, PATIENCE, Process, alone, free_port};

const OUTAGE: Duration = Duration::from_secs(20);
/// From the moment that the database is back.
const SETTLED: Duration = Duration::from_secs(40);

const STORM: Storm = Storm {
    anomalies: 100,
    pods: 60,
    together: 20,
    pace: Duration::from_millis(100),
};

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_goes_away_for_a_while_costs_no_alert() {
    let turn = alone().await;
    let mut server = Server::start().await;
    let mut fleet = Fleet::on(server.url(), None, turn).await;
    let urls = fleet.start("ingress", 1).await;
    fleet.start("work", 2).await;
    let load = tokio::spawn(STORM.post(fleet.http.clone(), urls.clone()));
    tokio::time::sleep(Duration::from_secs(5)).await;
    server.stop().await;
    tokio::time::sleep(OUTAGE / 2).await;
    let answer = fleet
        .http
        .get(format!("{}/readyz", urls[0]))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 503);
    assert!(answer.text().await.unwrap().contains("store"));
    tokio::time::sleep(OUTAGE / 2).await;
    for process in &mut fleet.processes {
        assert!(process.is_running(), "{} ended", process.name);
    }
    server.start_again().await;
    let back = Instant::now();

    let refused = load.await.unwrap();
    fleet.settled(STORM.alerts(), SETTLED).await;
    eprintln!(
        "settled {:?} after the database was back; {} requests were refused",
        back.elapsed(),
        refused.len()
    );
    assert!(back.elapsed() < SETTLED, "{:?}", back.elapsed());
    assert!(!refused.is_empty());
    let unavailable = (503, "application/problem+json".to_owned(), true);
    for refusal in refused {
        assert_eq!(refusal.as_ref(), Some(&unavailable));
    }
    fleet.assert_all_counted_once(STORM).await;
    for process in &mut fleet.processes {
        assert!(process.is_running(), "{} ended", process.name);
    }
}

/// A PostgreSQL server of a test's own, that can be stopped without harm to others.
struct Server {
    process: Process,
    port: u16,
    data: PathBuf,
    folder: Folder,
}

impl Server {
    async fn start() -> Self {
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

    fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    async fn answers(&mut self) {
        let began = Instant::now();
        while sea_orm::Database::connect(self.url()).await.is_err() {
            assert!(self.process.is_running(), "{}", self.process.said());
            assert!(began.elapsed() < PATIENCE, "PostgreSQL does not answer");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn control(&self, arguments: &[&str]) -> Command {
        let mut control = as_postgres("pg_ctl", &self.folder.0);
        control.args(arguments).arg("-D").arg(&self.data);
        control
    }

    /// As if its machine had lost power.
    async fn stop(&mut self) {
        run(&mut self.control(&["stop", "-m", "immediate", "-w"]));
        self.process.ended().await;
    }

    async fn start_again(&mut self) {
        self.process.restart();
        self.answers().await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.control(&["stop", "-m", "immediate", "-w"]).output();
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}

fn is_root() -> bool {
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
