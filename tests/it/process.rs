//! Exclusive use of the machine, and the program that tests run; servers come from the kit.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, LazyLock, OnceLock};

pub use tocsin_kit::PATIENCE;
pub use tocsin_kit::folder::Folder;
pub use tocsin_kit::port::free as free_port;
pub use tocsin_kit::process::Process;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, OwnedSemaphorePermit};
use tokio::sync::{RwLock, Semaphore};

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

/// A folder of a test's own.
pub fn folder() -> Folder {
    Folder::new("tocsin-it").unwrap()
}
