//! Processes as an operator, or an accident, treats them: started, killed, stopped; and what they
//! need: the program, ports, folders, time.

use std::collections::HashSet;
use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rand::RngExt as _;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, OwnedSemaphorePermit};
use tokio::sync::{RwLock, Semaphore};
use uuid::Uuid;

/// How long a busy machine may take for what should be done at once.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Faults that are survived at once: while they last there is little to compute, and their bounds
/// leave room for each other.
const FAULTS_AT_ONCE: usize = 6;

/// Whose turn it is: tests that say how long something may take run alone, all others beside each
/// other.
static TURN: LazyLock<Arc<RwLock<()>>> = LazyLock::new(Arc::default);
static FAULTS: LazyLock<Arc<Semaphore>> =
    LazyLock::new(|| Arc::new(Semaphore::new(FAULTS_AT_ONCE)));

/// Held by a test that does not mind others.
pub async fn beside_others() -> OwnedRwLockReadGuard<()> {
    Arc::clone(&TURN).read_owned().await
}

/// Held by a test whose bounds mean something only while the cores are its own.
pub async fn alone() -> OwnedRwLockWriteGuard<()> {
    Arc::clone(&TURN).write_owned().await
}

/// Held by a test that waits for most of its time: beside others, and beside few of its kind.
pub async fn beside_few() -> (OwnedSemaphorePermit, OwnedRwLockReadGuard<()>) {
    let one_of_few = Arc::clone(&FAULTS).acquire_owned().await;
    (one_of_few.unwrap(), beside_others().await)
}

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
        // What cargo says to a test of its package is not said to a build, and some build scripts ask.
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
                cargo.env_remove(name.as_ref());
            }
        }
        // By this the tests say how long they took; a build would be another with it.
        cargo.env_remove("RUSTC_BOOTSTRAP");
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
    killed: bool,
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
            killed: false,
        }
    }

    /// SIGKILL: no word of farewell.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.killed = true;
    }

    /// Starts it again as it was started before.
    pub fn restart(&mut self) {
        self.kill();
        self.child = self.command.spawn().unwrap();
        self.killed = false;
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

    /// Whether it was killed and not started again.
    pub const fn was_killed(&self) -> bool {
        self.killed
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
