//! Health that tries, and doors that do not stay open: what is said while nothing can be written, and who
//! may have the file.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::process::Command;
use std::time::{Duration, Instant};

use sea_orm::DbBackend;
use serde_json::{Value, json};
use tocsin::config::Secret;
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
    async fn a_store_that_takes_nothing_is_told(on) {
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

    async fn it_is_said_when_recount_was_last_done(on) {
        let h = Harness::start(on).await;
        assert_eq!(h.ready().await.1["recount_age_seconds"], Value::Null);
        assert!(h.system_page().await.contains("not completed yet"));
        let (status, _) = h.post("/api/v1/recount", json!({})).await;
        assert_eq!(status, 202);
        h.drain().await;
        tokio::time::sleep(LOOK_AGAIN).await;
        let age = h.ready().await.1["recount_age_seconds"].as_u64().unwrap();
        assert!(age < 60, "{age}");
        assert!(h.system_page().await.contains("last completed"));
        h.advance(Duration::from_secs(600));
        tokio::time::sleep(LOOK_AGAIN).await;
        let age = h.ready().await.1["recount_age_seconds"].as_u64().unwrap();
        assert!((600..660).contains(&age), "{age}");
        let page = h.system_page().await;
        assert!(page.contains("not completed for") && page.contains("levels do not fall"), "{page}");
        let metrics = h.metrics().await;
        let line = metrics.lines().find(|l| l.starts_with("tocsin_recount_age_seconds "));
        let age: f64 = line.unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        assert!(age >= 600.0, "{age}");
        h.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_without_memory_is_told() {
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
async fn a_redis_that_will_soon_be_without_memory_is_told() {
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
async fn what_was_refused_before_the_process_ends_is_written() {
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
async fn a_sqlite_file_is_ours_alone_by_whatever_name() {
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
