//! Tocsin as processes: the real program on a database of a test's own, with a stand-in for
//! Telegram, started, killed and stopped as an operator or an accident would.

use std::collections::HashSet;
use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rand::RngExt as _;
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, QueryResult};
use sea_orm::{Statement, TryGetable};
use uuid::Uuid;

use crate::harness::{On, Scratch};
use crate::telegram::Telegram;

/// How long a busy machine may take for what should be done at once.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The program, built once for all tests of a run, in the profile that they were built in.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let test = std::env::current_exe().unwrap();
        let profile = test.parent().and_then(Path::parent).unwrap();
        let mut cargo = Command::new(env!("CARGO"));
        // Together with these tests, so that what both depend on is not built in two ways.
        cargo
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args(["build", "-q", "--locked", "--workspace", "--test", "it"])
            .args(["--bin", "tocsin", "--target-dir"])
            .arg(profile.parent().unwrap());
        if profile.ends_with("release") {
            cargo.arg("--release");
        }
        assert!(cargo.status().unwrap().success(), "the program is built");
        profile.join("tocsin")
    })
}

/// A port that nothing listens on, and that no outgoing connection takes while a process is down.
pub fn free_port() -> u16 {
    static TAKEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    let taken = taken.get_or_insert_default();
    loop {
        let port = rand::rng().random_range(20_000..32_000);
        if TcpListener::bind(("127.0.0.1", port)).is_ok() && taken.insert(port) {
            return port;
        }
    }
}

/// A folder of a test's own, for as long as the test runs.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Self {
        let name = format!("tocsin-it-{}", Uuid::now_v7().simple());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A child process whose log is a file; killed when dropped, with its log shown if the test failed.
pub struct Process {
    child: Child,
    command: Command,
    pub name: String,
    log: PathBuf,
}

impl Process {
    /// Starts `command`, which writes what it says to `log`.
    pub fn start(name: &str, mut command: Command, log: PathBuf) -> Self {
        let file = File::options().create(true).append(true).open(&log);
        let file = file.unwrap();
        command
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file);
        Self {
            child: command.spawn().unwrap(),
            command,
            name: name.to_owned(),
            log,
        }
    }

    /// SIGKILL: no word of farewell.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it again as it was started before.
    pub fn restart(&mut self) {
        self.kill();
        self.child = self.command.spawn().unwrap();
    }

    /// Sends a signal by its name, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let kill = Command::new("kill").args(["-s", name, &id]).status();
        assert!(kill.unwrap().success(), "SIG{name} to {}", self.name);
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits until it has ended by itself.
    pub async fn ended(&mut self) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            let name = &self.name;
            assert!(began.elapsed() < PATIENCE, "{name} does not end");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What it said so far.
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
            let lines: Vec<&str> = said.lines().collect();
            let last = &lines[lines.len().saturating_sub(40)..];
            eprintln!("--- {}, last lines:\n{}", self.name, last.join("\n"));
        }
    }
}

/// Processes that share a database and a Telegram.
pub struct Fleet {
    pub processes: Vec<Process>,
    pub telegram: Telegram,
    pub http: reqwest::Client,
    database: String,
    folder: Folder,
    _scratch: Option<Scratch>,
}

impl Fleet {
    /// None yet, on a database of their own.
    pub async fn new(on: On) -> Self {
        let scratch = Scratch::new(on).await;
        let mut fleet = Self::on(scratch.url.clone()).await;
        fleet._scratch = Some(scratch);
        fleet
    }

    /// None yet, on this database.
    pub async fn on(database: String) -> Self {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(20));
        Self {
            processes: Vec::new(),
            telegram: Telegram::start().await,
            http: http.build().unwrap(),
            database,
            folder: Folder::new(),
            _scratch: None,
        }
    }

    /// Runs the program with these arguments, on this port if it listens; returns its number.
    pub fn run(&mut self, arguments: &[&str], port: u16) -> usize {
        let mut command = Command::new(program());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("TOCSIN_") || name == "RUST_LOG" {
                command.env_remove(name);
            }
        }
        let listen = match arguments[0] {
            "work" => "TOCSIN_METRICS_LISTEN",
            _ => "TOCSIN_LISTEN",
        };
        command
            .args(arguments)
            .current_dir(&self.folder.0)
            .env(listen, format!("127.0.0.1:{port}"))
            .env("TOCSIN_DATABASE_URL", &self.database)
            .env("TOCSIN_DATABASE_CONNECTIONS", "8")
            .env("TOCSIN_TELEGRAM_TOKEN", "1:token")
            .env("TOCSIN_TELEGRAM_CHAT", "-100")
            .env("TOCSIN_TELEGRAM_API", &self.telegram.url);
        let number = self.processes.len();
        let name = format!("{}-{number}", arguments.join("-"));
        let log = self.folder.0.join(format!("{name}.log"));
        self.processes.push(Process::start(&name, command, log));
        number
    }

    /// Starts so many `tocsin COMMAND` and waits until all are ready; returns their addresses.
    pub async fn start(&mut self, command: &str, how_many: usize) -> Vec<String> {
        let ports: Vec<u16> = (0..how_many).map(|_| free_port()).collect();
        let numbers: Vec<usize> = ports
            .iter()
            .map(|port| self.run(&[command], *port))
            .collect();
        let urls: Vec<String> = ports
            .iter()
            .map(|p| format!("http://127.0.0.1:{p}"))
            .collect();
        for (number, url) in numbers.into_iter().zip(&urls) {
            self.ready(number, url).await;
        }
        urls
    }

    /// Waits until a process is ready.
    pub async fn ready(&mut self, number: usize, url: &str) {
        let began = Instant::now();
        loop {
            let answer = self.http.get(format!("{url}/readyz")).send().await;
            if answer.is_ok_and(|answer| answer.status() == 200) {
                return;
            }
            let process = &mut self.processes[number];
            assert!(process.is_running(), "{} ended", process.name);
            assert!(began.elapsed() < PATIENCE, "{} is not ready", process.name);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn rows(&self, query: &str) -> Vec<QueryResult> {
        let mut options = ConnectOptions::new(&self.database);
        options.max_connections(1).sqlx_logging(false);
        let db: DatabaseConnection = Database::connect(options).await.unwrap();
        let query = Statement::from_string(db.get_database_backend(), query);
        let rows = db.query_all_raw(query).await.unwrap();
        db.close().await.unwrap();
        rows
    }

    /// The first column of what a query finds.
    pub async fn column<T: TryGetable>(&self, query: &str) -> Vec<T> {
        let rows = self.rows(query).await;
        rows.iter()
            .map(|r| r.try_get_by_index(0).unwrap())
            .collect()
    }

    /// A number that a query finds.
    pub async fn sql(&self, query: &str) -> i64 {
        self.column(query).await[0]
    }

    /// The answers to several questions for a number, in one look.
    pub async fn look<const N: usize>(&self, questions: [&str; N]) -> [i64; N] {
        let row = self
            .rows(&format!("SELECT ({})", questions.join("), (")))
            .await;
        std::array::from_fn(|i| row[0].try_get_by_index(i).unwrap())
    }

    /// Waits until so many episodes are in the books and nothing is left to do; returns how long
    /// that took.
    pub async fn settled(&self, episodes: usize, within: Duration) -> Duration {
        let began = Instant::now();
        loop {
            let state = self
                .look([
                    "SELECT count(*) FROM occurrences",
                    "SELECT count(*) FROM jobs",
                    "SELECT count(*) FROM incidents WHERE tier_due_since IS NOT NULL",
                    "SELECT count(*) FROM notifications WHERE state IN ('owed', 'sending')",
                    "SELECT count(*) FROM dead_letters",
                ])
                .await;
            if state == [i64::try_from(episodes).unwrap(), 0, 0, 0, 0] {
                return began.elapsed();
            }
            if began.elapsed() >= within {
                let jobs = "SELECT queue || ': ' || count(*) || ' delivered ' || deliveries || \
                            ' times, leased: ' || count(lease_until) \
                            FROM jobs GROUP BY queue, deliveries ORDER BY queue, deliveries";
                let jobs: Vec<String> = self.column(jobs).await;
                panic!(
                    "after {within:?} (episodes, jobs, due, owed, dead) are {state:?} instead of \
                     {episodes} and nothing else; jobs: {jobs:#?}"
                );
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}
