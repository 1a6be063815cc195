//! A standby of PostgreSQL answers what people ask, and the database does whenever the standby may not.

use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection};
use serde_json::{Value, json};
use tocsin_kit::postgres::Postgres;

use crate::fleet::processes::Fleet;
use crate::process::{PATIENCE, beside_few, folder};

/// How long it may take until the standby may answer: it is asked once a second, and a change has to be a few seconds
/// old.
const FRESH: Duration = Duration::from_secs(20);

/// An installation whose pages are read from a standby.
struct Replicated {
    fleet: Fleet,
    url: String,
    standby: Postgres,
    on_standby: DatabaseConnection,
    _primary: Postgres,
}

impl Replicated {
    async fn start() -> Self {
        let turn = beside_few().await;
        let primary = Postgres::start(folder()).await.unwrap();
        let standby = primary.standby(folder()).await.unwrap();
        // A standby that is gone is not waited for.
        let session = Database::connect(primary.url()).await.unwrap();
        for sql in [
            "ALTER SYSTEM RESET synchronous_standby_names",
            "SELECT pg_reload_conf()",
        ] {
            session.execute_unprepared(sql).await.unwrap();
        }
        let mut fleet = Fleet::on(primary.url(), None, turn).await;
        fleet.settings = vec![("TOCSIN_DATABASE_READ_URL", standby.url())];
        let url = fleet.start("serve", 1).await.remove(0);
        let on_standby = Database::connect(standby.url()).await.unwrap();
        Self {
            fleet,
            url,
            standby,
            on_standby,
            _primary: primary,
        }
    }

    async fn fires(&self, name: &str) {
        let alert = json!({"status": "firing", "labels": {"alertname": name, "service": "shop"}});
        let posted = self
            .fleet
            .http
            .post(format!("{}/api/v1/alertmanager", self.url));
        let answer = posted.json(&json!({"alerts": [alert]})).send().await;
        assert_eq!(answer.unwrap().status(), 200);
    }

    /// The incidents, if they can be read.
    async fn incidents(&self) -> Option<Vec<Value>> {
        let asked = self
            .fleet
            .http
            .get(format!("{}/api/v1/incidents", self.url));
        let answer = asked.send().await.ok()?.error_for_status().ok()?;
        let list: Value = answer.json().await.ok()?;
        list["items"].as_array().cloned()
    }

    async fn shows(&self, incidents: usize, within: Duration) {
        let began = Instant::now();
        while self.incidents().await.map(|shown| shown.len()) != Some(incidents) {
            assert!(
                began.elapsed() < within,
                "{incidents} incidents are not shown"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The standby replays what the primary writes, or stops to.
    async fn replays(&self, replays: bool) {
        let sql = match replays {
            true => "SELECT pg_wal_replay_resume()",
            false => "SELECT pg_wal_replay_pause()",
        };
        self.on_standby.execute_unprepared(sql).await.unwrap();
    }

    /// How often incidents were read on the standby.
    async fn reads(&self) -> i64 {
        let sql = "SELECT coalesce(sum(seq_scan + coalesce(idx_scan, 0)), 0)::bigint FROM pg_stat_user_tables \
                   WHERE relname = 'incidents'";
        let sql = sea_orm::Statement::from_string(sea_orm::DbBackend::Postgres, sql);
        let row = self.on_standby.query_one_raw(sql).await.unwrap().unwrap();
        row.try_get_by_index(0).unwrap()
    }

    async fn is_read(&self) {
        let began = Instant::now();
        while self.reads().await == 0 {
            assert!(began.elapsed() < FRESH, "nobody asks the standby");
            self.incidents().await.expect("the incidents");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_answers_and_people_see_what_they_did() {
    let replicated = Replicated::start().await;
    replicated.fires("Down").await;
    replicated.shows(1, PATIENCE).await;
    replicated.is_read().await;
    // It has what was committed up to now, and nothing after that.
    replicated.replays(false).await;
    let id = replicated.incidents().await.unwrap()[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let url = format!("{}/api/v1/incidents/{id}", replicated.url);
    let acknowledged = replicated.fleet.http.post(format!("{url}/acknowledge"));
    let answer = acknowledged.json(&json!({})).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let shown = replicated.incidents().await.unwrap();
    assert_eq!(shown[0]["status"], "ACKNOWLEDGED");
    // What others do is shown once the standby is too far behind.
    replicated.fires("Slow").await;
    replicated.shows(2, PATIENCE).await;
    replicated.replays(true).await;
    replicated.fires("Full").await;
    replicated.shows(3, PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_that_is_behind_or_gone_keeps_nothing_from_being_shown() {
    let mut replicated = Replicated::start().await;
    replicated.fires("Down").await;
    replicated.shows(1, PATIENCE).await;
    replicated.is_read().await;
    replicated.replays(false).await;
    replicated.fires("Slow").await;
    replicated.shows(2, PATIENCE).await;
    replicated.standby.kill().await.unwrap();
    replicated.fires("Full").await;
    replicated.shows(3, PATIENCE).await;
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(3) {
        assert!(replicated.incidents().await.is_some(), "nothing is shown");
    }
}
