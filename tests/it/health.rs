//! Health that tries, and doors that do not stay open: what is said while nothing can be written, and who
//! may have the file.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sea_orm::DbBackend;
use serde_json::{Value, json};
use tocsin::config::Secret;
use tocsin::context::Context;
use tocsin::jobs::{CalculateTier, Part, scheduled};
use tocsin::queue::schedule;
use tocsin::queue::standstill::Standstill;
use tocsin::store::db::{OpenError, migrate};
use tocsin::store::{Db, refusals};
use tocsin::time::Timestamp;

use crate::harness::{Harness, On, firing};
use crate::on_all;
use crate::process::{PATIENCE, Process, beside_others, folder, free_port, program};
use crate::redis_keys::RedisKeys;
use crate::redis_server::{self, Fsync};

/// A look is shown for a second.
const LOOK_AGAIN: Duration = Duration::from_millis(1100);

impl Harness {
    async fn ready(&self) -> (u16, Value) {
        let answer = self
            .http
            .get(format!("{}/readyz", self.url))
            .send()
            .await
            .unwrap();
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap())
    }

    async fn system_page(&self) -> String {
        let page = self
            .http
            .get(format!("{}/system", self.url))
            .send()
            .await
            .unwrap();
        page.text().await.unwrap()
    }

    /// The store answers, but rejects writes, as on a full disk or after a failover to a standby.
    async fn refuse_to_write(&self, refuses: bool) {
        let sqlite = [
            "CREATE TRIGGER refused BEFORE INSERT ON marks BEGIN SELECT RAISE(ABORT, 'no room'); END",
            "DROP TRIGGER refused",
        ];
        let postgres = [
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN RAISE EXCEPTION 'no room' USING ERRCODE = '53100'; END $$; \
             CREATE TRIGGER refused BEFORE INSERT ON marks FOR EACH ROW EXECUTE FUNCTION refuse()",
            "DROP TRIGGER refused ON marks",
        ];
        let of = match self.context.db.backend() {
            DbBackend::Postgres => postgres,
            _ => sqlite,
        };
        for sql in of[usize::from(!refuses)].split("; CREATE TRIGGER") {
            let sql = match sql.starts_with(" refused") {
                true => format!("CREATE TRIGGER{sql}"),
                false => sql.to_owned(),
            };
            self.execute(&sql).await;
        }
    }
}

on_all! {
    async fn a_read_only_store_is_reported(on) {
        let h = Harness::start(on).await;
        assert_eq!(h.ready().await.0, 200);
        h.refuse_to_write(true).await;
        tokio::time::sleep(LOOK_AGAIN).await;
        let (status, said) = h.ready().await;
        assert_eq!(status, 503, "{said}");
        assert_eq!(said["detail"], "not ready: store rejects writes");
        assert!(h.system_page().await.contains("responds, but rejects writes"));
        h.refuse_to_write(false).await;
        tokio::time::sleep(LOOK_AGAIN).await;
        assert_eq!(h.ready().await.0, 200);
        assert!(!h.system_page().await.contains("responds, but rejects writes"));
        h.finish().await;
    }

    async fn health_shows_when_each_routine_last_ran(on) {
        let h = Harness::start(on).await;
        let schedules = async || {
            let said = h.ready().await.1;
            let schedules = said["schedules"].as_array().unwrap().clone();
            let of = |one: &Value| (one["name"].as_str().unwrap().to_owned(), one["age_seconds"].as_u64());
            let overdue = schedules.iter().filter(|one| one["overdue"] == true).count();
            (schedules.iter().map(of).collect::<Vec<_>>(), overdue, said["warnings"].clone())
        };
        let (ages, overdue, _) = schedules().await;
        let names: Vec<&str> = ages.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["recount", "verify", "pruning"]);
        assert!(ages.iter().all(|(_, age)| age.is_none()) && overdue == 0, "{ages:?}");
        assert_eq!(h.system_page().await.matches("not completed yet").count(), 3);
        h.advance(Duration::from_secs(60));
        assert_eq!(schedule::pass(&h.context.queues, scheduled()).await.unwrap(), Part::ALL.len() + 1);
        h.drain().await;
        tokio::time::sleep(LOOK_AGAIN).await;
        let (ages, overdue, _) = schedules().await;
        assert!(ages.iter().all(|(_, age)| age.is_some_and(|age| age < 60)) && overdue == 0, "{ages:?}");
        assert_eq!(h.system_page().await.matches("last completed <time").count(), 3);
        h.advance(Duration::from_secs(600));
        tokio::time::sleep(LOOK_AGAIN).await;
        let (ages, overdue, warnings) = schedules().await;
        assert!(ages.iter().all(|(_, age)| age.is_some_and(|age| (600..660).contains(&age))), "{ages:?}");
        assert!(overdue == 1 && warnings[0].as_str().unwrap().starts_with("recount has not completed for 6"), "{warnings}");
        let page = h.system_page().await;
        assert!(page.contains("not completed for") && page.contains("levels do not fall"), "{page}");
        assert_eq!(page.matches("last completed <time").count(), 2);
        let metrics = h.metrics().await;
        for name in names {
            let line = format!("tocsin_schedule_age_seconds{{schedule=\"{name}\"}} ");
            let age = metrics.lines().find_map(|l| l.strip_prefix(&line)).unwrap();
            assert!((600.0..660.0).contains(&age.parse::<f64>().unwrap()), "{name} {age}");
        }
        h.advance(Duration::from_secs(3 * 3600));
        tokio::time::sleep(LOOK_AGAIN).await;
        assert_eq!(schedules().await.1, 3);
        let page = h.system_page().await;
        assert!(page.contains("drift of counters is not detected"), "{page}");
        h.execute("ALTER TABLE marks RENAME TO elsewhere").await;
        tokio::time::sleep(LOOK_AGAIN).await;
        let page = h.system_page().await;
        assert_eq!(page.matches("unknown: the store does not respond").count(), 3, "{page}");
        assert!(!page.contains("not completed"), "{page}");
        h.execute("ALTER TABLE elsewhere RENAME TO marks").await;
        h.finish().await;
    }

    async fn the_ingress_reports_that_no_worker_ingests_alerts(on) {
        let mut h = Harness::without_workers(on, |_| {}).await;
        h.send(vec![firing("a", h.now())]).await;
        assert_eq!(h.ready().await.1["warnings"], json!([]));
        h.advance(Duration::from_secs(40));
        tokio::time::sleep(LOOK_AGAIN).await;
        let (status, said) = h.ready().await;
        let warning = said["warnings"][0].as_str().unwrap();
        let expected = "alerts have been queued for 4";
        assert!(status == 200 && warning.starts_with(expected) && warning.contains("no worker"), "{said}");
        assert!(h.system_page().await.contains("no worker is running"));
        assert!(h.system_page().await.contains("Total outcomes</dt><dd><span class=\"n\">–<"));
        h.work(tocsin_workers::workers(&h.context));
        h.drain().await;
        tokio::time::sleep(LOOK_AGAIN).await;
        assert_eq!(h.ready().await.1["warnings"], json!([]));
        h.finish().await;
    }

    async fn a_queue_without_workers_is_reported(on) {
        let mut h = Harness::without_workers(on, |_| {}).await;
        let job = CalculateTier::of(uuid::Uuid::now_v7());
        h.context.queues.push(&job).await.unwrap();
        h.measure_figures().await;
        assert_eq!(h.ready().await.1["warnings"], json!([]));
        h.advance(Duration::from_secs(40));
        h.measure_figures().await;
        tokio::time::sleep(LOOK_AGAIN).await;
        let warnings = h.ready().await.1["warnings"].clone();
        let warning = warnings[0].as_str().unwrap();
        assert!(warning.starts_with("tier jobs have been queued for 4") && warning.contains("no worker"), "{warnings}");
        assert!(h.system_page().await.contains("Jobs of the queue tier have been waiting for 4"));
        h.work(tocsin_workers::workers(&h.context));
        h.drain().await;
        h.measure_figures().await;
        assert_eq!(h.ready().await.1["warnings"], json!([]));
        h.finish().await;
    }

    async fn the_ingress_reports_that_workers_cannot_ingest_alerts(on) {
        let h = Harness::start(on).await;
        h.execute("ALTER TABLE occurrences RENAME TO elsewhere").await;
        h.send(vec![firing("a", h.now())]).await;
        // It has the same stores, and works on nothing.
        let other = Context {
            probe: Arc::default(),
            ..h.context.clone()
        };
        let stands = async || other.probe.look(&other.stores()).await.standstill;
        let began = Instant::now();
        let why = loop {
            if let Some(Standstill::Stuck { lasts, why }) = stands().await {
                assert!(lasts >= Duration::from_secs(5), "{lasts:?}");
                break why;
            }
            assert!(began.elapsed() < PATIENCE, "nobody hears of it");
            tokio::time::sleep(Duration::from_millis(200)).await;
        };
        assert!(why.contains("occurrences"), "{why}");
        let queue = h.get("/api/v1/queues?limit=1").await["items"][0].clone();
        assert!(queue["consumers"][0]["stuck_seconds"].as_u64().is_some(), "{queue}");
        h.execute("ALTER TABLE elsewhere RENAME TO occurrences").await;
        h.drain().await;
        while stands().await.is_some() {
            assert!(began.elapsed() < 2 * PATIENCE, "nobody hears that it is over");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        h.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_without_memory_is_reported() {
    let redis = redis_server::start_with(Fsync::EverySecond, &["--maxmemory", "20mb"]).await;
    let keys = RedisKeys::at(redis.url());
    let h = Harness::start_with(On::Postgres, |config| {
        config.redis_url = Some(Secret::from(keys.url.as_str()));
        config.redis_prefix.clone_from(&keys.prefix);
    });
    let h = h.await;
    assert_eq!(h.ready().await.0, 200);
    let mut connection = redis.connect().await.unwrap();
    let set = |most: &'static str| {
        let mut set = redis::cmd("CONFIG");
        set.arg("SET").arg("maxmemory").arg(most);
        set
    };
    set("1mb").exec_async(&mut connection).await.unwrap();
    tokio::time::sleep(LOOK_AGAIN).await;
    let (status, said) = h.ready().await;
    assert_eq!(status, 503, "{said}");
    assert_eq!(said["detail"], "not ready: queue rejects writes");
    set("20mb").exec_async(&mut connection).await.unwrap();
    tokio::time::sleep(LOOK_AGAIN).await;
    assert_eq!(h.ready().await.0, 200);
    h.send_and_drain(vec![firing("a", h.now())]).await;
    h.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_nearly_out_of_memory_is_reported() {
    let redis = redis_server::start_with(Fsync::EverySecond, &["--maxmemory", "100mb"]).await;
    let keys = RedisKeys::at(redis.url());
    let h = Harness::start_with(On::Postgres, |config| {
        config.redis_url = Some(Secret::from(keys.url.as_str()));
        config.redis_prefix.clone_from(&keys.prefix);
        config.counter.memory = 95;
    });
    let h = h.await;
    let none = json!([]);
    assert_eq!(h.ready().await.1["warnings"], none);
    assert!(!h.system_page().await.contains("maxmemory is used"));
    // So much that what else is there makes little of a difference.
    let mut connection = redis.connect().await.unwrap();
    let mut set = redis::cmd("SETRANGE");
    set.arg("ballast").arg(20 << 20).arg("x");
    set.exec_async(&mut connection).await.unwrap();
    let mut info = redis::cmd("INFO");
    let info: String = info
        .arg("memory")
        .query_async(&mut connection)
        .await
        .unwrap();
    let used = info
        .lines()
        .find_map(|line| line.strip_prefix("used_memory:"));
    let used: u64 = used.unwrap().trim().parse().unwrap();
    let mut limit = redis::cmd("CONFIG");
    limit.arg("SET").arg("maxmemory").arg(used * 10 / 9);
    limit.exec_async(&mut connection).await.unwrap();
    tokio::time::sleep(LOOK_AGAIN).await;
    let (status, said) = h.ready().await;
    assert_eq!(status, 200, "{said}");
    let warning = said["warnings"][0].as_str().unwrap();
    assert!(
        warning.contains("% of Redis' maxmemory is used"),
        "{warning}"
    );
    let page = h.system_page().await;
    assert!(page.contains("maxmemory: at 100%"), "{page}");
    assert!(
        !page.contains("The counter stores nothing more in Redis"),
        "{page}"
    );
    let metrics = h.metrics().await;
    let line = metrics
        .lines()
        .find(|l| l.starts_with("tocsin_redis_memory_used_ratio "));
    let ratio: f64 = line.unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    assert!((0.85..0.95).contains(&ratio), "{ratio}");
    h.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_written_before_the_process_ends() {
    let _turn = beside_others().await;
    let (folder, port) = (folder(), free_port());
    let database = format!("sqlite://{}/tocsin.db", folder.path().display());
    let mut command = Command::new(program());
    command
        .arg("serve")
        .current_dir(folder.path())
        .env("TOCSIN_DATABASE_URL", &database)
        .env("TOCSIN_LISTEN", format!("127.0.0.1:{port}"))
        .env("TOCSIN_STOP__DELAY", "0s")
        .env_remove("TOCSIN_REDIS_URL");
    let mut server = Process::start("serve", command, folder.join("serve.log")).unwrap();
    let (http, url) = (
        tocsin::tls::client().build().unwrap(),
        format!("http://127.0.0.1:{port}"),
    );
    let began = Instant::now();
    while http.get(format!("{url}/healthz")).send().await.is_err() {
        assert!(began.elapsed() < PATIENCE, "it does not start");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let webhook = http.post(format!("{url}/api/v1/alertmanager"));
    let answer = webhook.body("no alert").send().await.unwrap();
    assert_eq!(answer.status(), 400);
    server.signal("TERM").unwrap();
    assert!(server.ended().await.unwrap().success());
    let db = Db::open(&database, 1, Duration::from_secs(10))
        .await
        .unwrap();
    let refused = refusals::lately(db.read(), Timestamp::now()).await.unwrap();
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].body.as_deref(), Some("no alert"));
}

#[tokio::test]
async fn a_sqlite_file_is_locked_under_any_path() {
    let folder = folder();
    let [path, link, hard] = ["t.db", "link.db", "hard.db"].map(|name| folder.join(name));
    let open = async |path: &std::path::Path| {
        let url = format!("sqlite://{}", path.display());
        Db::open(&url, 1, Duration::from_secs(10)).await
    };
    let db = open(&path).await.unwrap();
    migrate(&db, &format!("sqlite://{}", path.display()))
        .await
        .unwrap();
    symlink(&path, &link).unwrap();
    std::fs::hard_link(&path, &hard).unwrap();
    for name in [&path, &link, &hard] {
        let refused = open(name).await.unwrap_err();
        assert!(matches!(refused, OpenError::InUse(_)), "{refused}");
    }
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let file = file.unwrap();
        let mode = std::fs::metadata(file.path()).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", file.path());
    }
    assert_eq!(
        std::fs::metadata(&path).unwrap().ino(),
        std::fs::metadata(&hard).unwrap().ino()
    );
    db.close().await.unwrap();
    drop(db);
    open(&link).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_is_too_large_is_refused_and_not_kept() {
    let h = Harness::start(On::Sqlite).await;
    for path in ["/language", "/sign-in"] {
        let form = h.http.post(format!("{}{path}", h.url));
        let form = form.header("content-type", "application/x-www-form-urlencoded");
        let answer = form
            .body(format!("to={}", "x".repeat(100_000)))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 413, "{path}");
    }
    h.finish().await;
}
