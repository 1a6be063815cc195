//! Workers that are killed while they send: Telegram, or the queue, holds what they said last.

use std::time::{Duration, Instant};

use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};
use tocsin::domain::buttons::{ButtonAction, CallbackData};
use tocsin::time::Timestamp;
use tokio::sync::mpsc;

use super::oracle::{RECOVERY, Scenario};
use crate::fleet::processes::Launch;
use crate::harness::{On, alert, body};
use crate::process::PATIENCE;
use crate::proxy::{Fate, Piece, Proxy, Way, port_of};
use crate::telegram::Hold;

const NOTIFY: [&str; 3] = ["work", "--queues", "notify"];
const REST: [&str; 3] = ["work", "--queues", "ingest,tier,repair,recount"];

scenarios! {
    async fn killed_between_a_claim_and_the_message(on: postgres fleet) {
        let (mut scenario, told) = senders(on, &Launch::default()).await;
        scenario.fleet.telegram.hold(Hold::Requests);
        told.fire(&scenario, &["a"]).await;
        scenario.dies(1).await;
        assert_eq!(scenario.fleet.telegram.taken().len(), 0);
        scenario.recovers(1).await;
        assert_eq!(scenario.fleet.telegram.taken().len(), 1);
    }

    async fn killed_between_the_answer_to_a_message_and_its_note(on: postgres fleet) {
        let (mut scenario, told) = senders(on, &Launch::default()).await;
        scenario.fleet.telegram.hold(Hold::Answers);
        told.fire(&scenario, &["a"]).await;
        scenario.dies(1).await;
        assert_eq!(scenario.fleet.telegram.taken().len(), 1);
        scenario.recovers(1).await;
        // Nobody can know that it went out: once more, and no more than that.
        let taken = scenario.fleet.telegram.taken();
        assert_eq!((taken.len(), &taken[0]), (2, &taken[1]));
        assert_eq!(scenario.fleet.sql("SELECT attempts FROM notifications").await, 2);
    }

    async fn killed_between_the_claim_of_an_edit_and_the_edit(on: postgres fleet) {
        let (mut scenario, told) = senders(on, &Launch::default()).await;
        told.fire(&scenario, &["a"]).await;
        scenario.recovers(1).await;
        scenario.fleet.telegram.hold(Hold::Requests);
        told.fire(&scenario, &["b"]).await;
        scenario.dies(2).await;
        assert_eq!(scenario.fleet.telegram.messages()[0].edits, 0);
        scenario.recovers(2).await;
        let told = scenario.fleet.telegram.messages();
        assert_eq!(told.len(), 1, "{told:#?}");
        assert!(told[0].shown.contains("2 firings"), "{}", told[0].shown);
    }

    async fn killed_between_the_claim_of_a_digest_and_the_digest(on: postgres fleet) {
        let launch = Launch {
            settings: [
                ("TOCSIN_TELEGRAM__LIMITS", "true"),
                ("TOCSIN_TELEGRAM__STORM_ABOVE", "5"),
                ("TOCSIN_TELEGRAM__DIGEST_EVERY", "2s"),
                ("TOCSIN_TELEGRAM__CHAT_PER_SECOND", "1000"),
                ("TOCSIN_TELEGRAM__GROUP_PER_MINUTE", "60000"),
            ]
            .map(|(name, value)| (name, value.to_owned()))
            .into(),
            ..Launch::default()
        };
        let (mut scenario, told) = senders(on, &launch).await;
        scenario.fleet.telegram.hold(Hold::Requests);
        scenario.fleet.do_to_queue(&told.url, "notify", "pause").await;
        let alerts = (0..20).map(|n| alert(&format!("A{n:02}"), "a", Timestamp::now()));
        told.send(&scenario, alerts.collect()).await;
        scenario.until("SELECT count(*) FROM notifications", 20).await;
        scenario.fleet.do_to_queue(&told.url, "notify", "resume").await;
        scenario.dies(1).await;
        let digested = "SELECT count(*) FROM notifications WHERE state = 'digested'";
        assert_eq!(scenario.fleet.sql(digested).await, 20);
        scenario.recovers(20).await;
        let taken = scenario.fleet.telegram.taken();
        let digests = taken.iter().filter(|text| text.contains("20 incidents in one digest"));
        assert_eq!(digests.count(), 1, "{taken:#?}");
        assert!(taken.iter().all(|text| !text.contains("Opened")), "{taken:#?}");
        let lost = "SELECT count(*) FROM notifications n WHERE n.kind = 'opened' AND NOT EXISTS ( \
                        SELECT 1 FROM notifications d WHERE d.id = n.digest_id AND d.state = 'sent')";
        assert_eq!(scenario.fleet.sql(lost).await, 0);
    }

    async fn killed_between_a_buttons_deed_and_what_must_follow(on: fleet) {
        let people = ("TOCSIN_TELEGRAM__PEOPLE", "{\"42\" = \"alice\"}".to_owned());
        let scenario = Scenario::new(on).await;
        let redis = scenario.fleet.redis.as_ref().unwrap().url.clone();
        let (tell, mut reached) = mpsc::unbounded_channel();
        let judge = move |piece: &Piece| {
            let is_it = piece.way == Way::ToServer && piece.has("\"edit\":true");
            // The second process finds the way free.
            if is_it && tell.send(()).is_ok() {
                return Fate::Hold;
            }
            Fate::Pass
        };
        let proxy = Proxy::start(port_of(&redis), judge).await;
        let launch = Launch {
            settings: vec![people, ("TOCSIN_REDIS_URL", proxy.instead(&redis))],
            ..Launch::default()
        };
        let (mut scenario, told) = senders_in(scenario, &launch).await;
        told.fire(&scenario, &["a"]).await;
        scenario.recovers(1).await;
        let incident: Vec<uuid::Uuid> = scenario.fleet.column("SELECT id FROM incidents").await;
        let press = CallbackData { incident: incident[0], action: ButtonAction::Acknowledge };
        scenario.fleet.telegram.presses.press(42, &press.data());
        let pushes = tokio::time::timeout(PATIENCE, reached.recv()).await;
        assert_eq!(pushes, Ok(Some(())), "an edit is pushed");
        scenario.fleet.processes[NOTIFIES].kill();
        drop(reached);
        let acknowledged = "SELECT count(*) FROM audit WHERE action = 'incident.acknowledge'";
        assert_eq!(scenario.fleet.sql(acknowledged).await, 1, "the deed is done");
        // Somebody else's minute passes.
        let older = "UPDATE notifications SET edit_due_since = edit_due_since - 120000";
        scenario.execute(older).await;
        scenario.fleet.processes[NOTIFIES].restart().unwrap();
        let recount = scenario.fleet.http.post(format!("{}/api/v1/recount", told.url));
        assert_eq!(recount.send().await.unwrap().status(), 202);
        let began = Instant::now();
        while !scenario.fleet.telegram.messages()[0].shown.contains("cknowledged by alice") {
            assert!(began.elapsed() < RECOVERY, "the card does not say who has it");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // Telegram hands the press out again: it is answered, and not done again.
        while scenario.fleet.telegram.presses.answers().is_empty() {
            assert!(began.elapsed() < RECOVERY, "the press is not answered");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(scenario.fleet.telegram.presses.answers()[0].0, "Acknowledged.");
        assert_eq!(scenario.fleet.sql(acknowledged).await, 1);
    }
}

/// The number of the process that sends.
const NOTIFIES: usize = 2;

/// Where alerts are taken.
struct Ingress {
    url: String,
}

impl Ingress {
    /// One anomaly's firings.
    async fn fire(&self, scenario: &Scenario, pods: &[&str]) {
        let alerts = pods
            .iter()
            .map(|pod| alert("DiskFull", pod, Timestamp::now()));
        self.send(scenario, alerts.collect()).await;
    }

    async fn send(&self, scenario: &Scenario, alerts: Vec<Value>) {
        let post = scenario
            .fleet
            .http
            .post(format!("{}/api/v1/alertmanager", self.url));
        let taken = post.json(&body(&alerts)).send().await.unwrap();
        let taken: Value = taken.json().await.unwrap();
        assert_eq!(taken["enqueued"], json!(alerts.len()));
    }
}

/// An ingress, a process that sends, and one that does the rest.
async fn senders(on: On, launch: &Launch) -> (Scenario, Ingress) {
    senders_in(Scenario::new(on).await, launch).await
}

async fn senders_in(mut scenario: Scenario, launch: &Launch) -> (Scenario, Ingress) {
    let url = scenario.fleet.start("ingress", 1).await.remove(0);
    scenario.fleet.start_as(&REST, &Launch::default()).await;
    let number = scenario.fleet.start_as(&NOTIFY, launch).await;
    assert_eq!(number, NOTIFIES);
    (scenario, Ingress { url })
}

impl Scenario {
    /// Kills the process that sends, when so many messages and edits have arrived and the last is held,
    /// and starts it again.
    async fn dies(&mut self, arrived: usize) {
        self.fleet.telegram.arrives(arrived).await;
        self.fleet.processes[NOTIFIES].kill();
        self.fleet.telegram.abandoned().await;
        self.fleet.telegram.hold(Hold::Nothing);
        self.fleet.processes[NOTIFIES].restart().unwrap();
    }

    /// Nothing is left to do in time: every message is sent, every card shows the current state.
    async fn recovers(&mut self, episodes: usize) {
        self.fleet.settled(episodes, RECOVERY).await;
        self.until(
            "SELECT count(*) FROM notifications WHERE edit_due_since IS NOT NULL",
            0,
        )
        .await;
        self.fleet.assert_running();
    }

    async fn until(&self, sql: &str, expected: i64) {
        let began = Instant::now();
        loop {
            let found = self.fleet.sql(sql).await;
            if found == expected {
                return;
            }
            assert!(
                began.elapsed() < RECOVERY,
                "{sql} is {found}, not {expected}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn execute(&self, sql: &str) {
        let db = self.fleet.connect().await;
        db.execute_unprepared(sql).await.unwrap();
        db.close().await.unwrap();
    }
}
