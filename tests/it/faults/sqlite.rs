//! Faults of a SQLite file, and of a process that writes it.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rand::RngExt as _;
use sea_orm::{ConnectionTrait as _, Database};
use tocsin::queue::store::DEAD_AFTER;

use super::health::{Health, READY};
use super::oracle::{RECOVERY, SENT_AT_ONCE, Scenario, refused_clearly};
use super::storm::Storm;
use crate::fleet::processes::{Fleet, Launch};
use crate::harness::On;
use crate::process::{Folder, beside_few, folder, free_port, program};
use tocsin_kit::postgres::is_root;

/// Too few to make a dead letter of a job that each of them hits.
const KILLS: usize = DEAD_AFTER as usize - 1;
/// Longer than a writer waits.
const LOCKED: Duration = Duration::from_secs(8);
const FULL: Duration = Duration::from_secs(5);

const STORM: Storm = Storm {
    anomalies: 60,
    pods: 50,
    together: 30,
    pace: Duration::from_millis(80),
};

scenarios! {
    async fn killed_in_a_commit(on: sqlite) {
        let mut scenario = Scenario::new(on).await;
        let port = free_port();
        let load = scenario.post(STORM, &[format!("http://127.0.0.1:{port}")]);
        for _ in 0..KILLS {
            die_in_a_commit(&mut scenario, port).await;
        }
        let number = scenario.fleet.run(&["serve"], port);
        scenario.fleet.ready(number, &format!("http://127.0.0.1:{port}")).await;
        let over = Instant::now();
        load.await.unwrap();
        let expected = STORM.expected().doubled((KILLS + 1) * SENT_AT_ONCE);
        scenario.verdict(over, &expected).await;
        let whole: Vec<String> = scenario.fleet.column("PRAGMA integrity_check").await;
        assert_eq!(whole, ["ok"]);
    }

    async fn locked_by_another_process(on: sqlite) {
        let mut scenario = Scenario::new(on).await;
        let (urls, _) = scenario.start(on, 1).await;
        let load = scenario.post(STORM, &urls);
        let moment = scenario.random.random_range(0.1..0.6);
        tokio::time::sleep(STORM.lasts().mul_f64(moment)).await;
        let other = Database::connect(&scenario.fleet.database).await.unwrap();
        other.execute_unprepared("BEGIN EXCLUSIVE").await.unwrap();
        tokio::time::sleep(LOCKED).await;
        // Closed with its transaction.
        other.close().await.unwrap();
        let over = Instant::now();
        refused_clearly(&load.await.unwrap());
        let expected = STORM.expected().doubled(SENT_AT_ONCE);
        scenario.verdict(over, &expected).await;
    }

    #[ignore = "soak"]
    async fn on_a_full_disk(_on: sqlite) {
        let disk = Disk::mount("2m");
        let url = format!("sqlite://{}/tocsin.db", disk.0.path().display());
        let mut scenario = Scenario::of(Fleet::on(url, None, beside_few().await).await);
        let (urls, _) = scenario.start(On::Sqlite, 1).await;
        let health = Health::watch(&urls[0]);
        let load = scenario.post(STORM, &urls);
        tokio::time::sleep(STORM.lasts() + FULL).await;
        let nothing = "not ready: store rejects writes";
        health.says(nothing, FULL).await;
        let (is_healthy, said) = scenario.fleet.asks(&urls[0], &["health"]);
        assert!(!is_healthy && said.contains(nothing), "{said}");
        disk.resize("200m");
        let over = Instant::now();
        health.says(READY, FULL).await;
        let refused = load.await.unwrap();
        assert!(!refused.is_empty(), "it is never full");
        refused_clearly(&refused);
        let expected = STORM.expected().within(2 * RECOVERY).doubled(2 * SENT_AT_ONCE);
        scenario.verdict(over, &expected).await;
        health.says(READY, FULL).await;
    }

    async fn in_a_place_that_it_may_not_write(on: sqlite) {
        let mut fleet = Fleet::in_turn(on, beside_few().await).await;
        let place = folder();
        let other = OtherUser::new();
        let file = place.join("tocsin.db");
        std::fs::write(&file, "").unwrap();
        // Neither the folder nor the file in it can be written; then the folder can, the file not.
        for folder_is_theirs in [false, true] {
            allow(place.path(), folder_is_theirs);
            allow(&file, false);
            let url = format!("sqlite://{}", file.display());
            let number = fleet.run_as(&["serve"], free_port(), &other.launch(url));
            let refused = &mut fleet.processes[number];
            assert_eq!(refused.ended().await.unwrap().code(), Some(1), "{}", refused.said());
            let said = refused.said();
            assert!(said.contains("tocsin.db"), "{said}");
            assert!(said.contains("cannot write") && said.contains("denied"), "{said}");
        }
    }
}

/// Runs it until it is killed when it has written so many pages, or has asked so often for what it
/// wrote to be on the disk; or at any moment where the system lets nobody look on.
async fn die_in_a_commit(scenario: &mut Scenario, port: u16) {
    let random = &mut scenario.random;
    let (calls, when) = match random.random_bool(0.5) {
        true => ("fsync,fdatasync", random.random_range(5..40)),
        false => ("pwrite64", random.random_range(30..200)),
    };
    let moment = Duration::from_millis(random.random_range(300..1200));
    let traced = Command::new("strace")
        .args(["-o", "/dev/null", "true"])
        .status();
    let is_traced = traced.is_ok_and(|status| status.success());
    let launch = if is_traced {
        let inject = format!("inject={calls}:signal=KILL:when={when}");
        let strace = ["strace", "-D", "-f", "-o", "/dev/null", "-e"];
        let trace = format!("trace={calls}");
        Launch::under(&[&strace[..], &[&trace, "-e", &inject]].concat())
    } else {
        eprintln!("strace may not look on: killed at any moment");
        Launch::default()
    };
    let number = scenario.fleet.run_as(&["serve"], port, &launch);
    let process = &mut scenario.fleet.processes[number];
    if is_traced {
        let status = process.ended().await.unwrap();
        assert_eq!(status.code(), None, "{status}: {}", process.said());
    } else {
        tokio::time::sleep(moment).await;
    }
    process.kill();
}

/// A small file system of a test's own.
struct Disk(Folder);

impl Disk {
    fn mount(size: &str) -> Self {
        assert!(is_root(), "only root mounts a file system");
        let folder = folder();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]);
        assert!(mount.arg(folder.path()).status().unwrap().success());
        Self(folder)
    }

    fn resize(&self, size: &str) {
        let mut mount = Command::new("mount");
        mount.args(["-o", &format!("remount,size={size}")]);
        assert!(mount.arg(self.0.path()).status().unwrap().success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount")
            .arg("--lazy")
            .arg(self.0.path())
            .status();
    }
}

/// Who runs the program: another user where we are root, ourselves without rights elsewhere.
struct OtherUser {
    /// Where that user can read the program.
    folder: Folder,
}

const OTHER: &str = "postgres";

impl OtherUser {
    fn new() -> Self {
        let folder = folder();
        std::fs::copy(program(), folder.join("tocsin")).unwrap();
        Self { folder }
    }

    fn launch(&self, url: String) -> Launch {
        let mut launch = Launch::with("TOCSIN_DATABASE_URL", url);
        launch.program = Some(self.folder.join("tocsin"));
        if is_root() {
            let user = [format!("--reuid={OTHER}"), format!("--regid={OTHER}")];
            launch.under = ["setpriv".to_owned(), "--clear-groups".to_owned()].into();
            launch.under.extend(user);
        }
        launch
    }
}

/// That user can write this, or only read it.
fn allow(path: &Path, write: bool) {
    let (owner, mode) = if write {
        (OTHER, "755")
    } else {
        ("root", "555")
    };
    if is_root() {
        let owned = Command::new("chown").arg(owner).arg(path).status();
        assert!(owned.unwrap().success());
    }
    let allowed = Command::new("chmod").arg(mode).arg(path).status();
    assert!(allowed.unwrap().success());
}
