//! Workers that are killed while they analyze: the language model holds their question, or a lock what they found.

use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait as _, DatabaseBackend, Statement, TransactionTrait as _};
use serde_json::{Value, json};
use tocsin::time::Timestamp;
use wiremock::matchers::path;
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::oracle::{RECOVERY, Scenario};
use crate::fleet::processes::Launch;
use crate::harness::{alert, body};

const ANALYZES: [&str; 3] = ["work", "--queues", "analyze"];
const REST: [&str; 3] = ["work", "--queues", "ingest,tier,repair,recount,notify"];

scenarios! {
    async fn killed_while_the_model_is_asked(on: postgres fleet) {
        let model = model_that_hangs_once().await;
        let mut scenario = Scenario::new(on).await;
        scenario.fleet.settings.extend([
            ("TOCSIN_ANALYSIS__ENABLED", "true".to_owned()),
            ("TOCSIN_ANALYSIS__MODEL__URL", model.uri()),
            ("TOCSIN_ANALYSIS__MODEL__NAME", "small".to_owned()),
        ]);
        let url = scenario.fleet.start("ingress", 1).await.remove(0);
        scenario.fleet.start_as(&REST, &Launch::default()).await;
        let analyzes = scenario.fleet.start_as(&ANALYZES, &Launch::default()).await;
        let alerts = body(&[alert("DiskFull", "a", Timestamp::now())]);
        let post = scenario.fleet.http.post(format!("{url}/api/v1/alertmanager"));
        assert_eq!(post.json(&alerts).send().await.unwrap().status(), 200);

        until("the model is asked", async || asked(&model).await == 1).await;
        scenario.fleet.processes[analyzes].kill();
        let incident = async || -> Value {
            let list = scenario.fleet.http.get(format!("{url}/api/v1/incidents"));
            let list: Value = list.send().await.unwrap().json().await.unwrap();
            list["items"][0].clone()
        };
        assert_eq!(incident().await["status"], "ANALYZING");
        until("it is told all the same", async || {
            scenario.fleet.telegram.messages().len() == 1
        })
        .await;

        scenario.fleet.processes[analyzes].restart().unwrap();
        until("it is open", async || incident().await["status"] == "OPEN").await;
        let found = incident().await;
        let generated = json!({"text": "Free some space.", "model": "small"});
        assert_eq!(found["analysis"]["generated"], generated, "{found}");
        assert_eq!(found["analyze_due_since"], Value::Null);
        until("its card shows the analysis", async || {
            scenario.fleet.telegram.messages()[0].shown.contains("Free some space.")
        })
        .await;
        scenario.fleet.settled(1, RECOVERY).await;
        let told = scenario.fleet.telegram.messages();
        assert_eq!((told.len(), told[0].edits, asked(&model).await), (1, 1, 2));
    }

    async fn killed_before_its_analysis_is_written(on: postgres fleet) {
        let mut scenario = Scenario::new(on).await;
        scenario.fleet.settings.push(("TOCSIN_ANALYSIS__ENABLED", "true".to_owned()));
        let url = scenario.fleet.start("ingress", 1).await.remove(0);
        let first = ["work", "--queues", "ingest,tier,notify"];
        scenario.fleet.start_as(&first, &Launch::default()).await;
        let alerts = body(&[alert("DiskFull", "a", Timestamp::now())]);
        let post = scenario.fleet.http.post(format!("{url}/api/v1/alertmanager"));
        assert_eq!(post.json(&alerts).send().await.unwrap().status(), 200);
        let done = "SELECT count(*) FROM incidents i JOIN notifications n ON n.incident_id = i.id \
            WHERE i.tier IS NOT NULL AND i.tier_due_since IS NULL AND n.state = 'sent'";
        until("it is told", async || scenario.fleet.sql(done).await == 1).await;

        let session = scenario.fleet.connect().await;
        let held = session.begin().await.unwrap();
        held.execute_unprepared("SELECT 1 FROM anomalies FOR UPDATE").await.unwrap();
        let holder = "SELECT pid FROM pg_stat_activity WHERE pid = pg_backend_pid()";
        let holder = Statement::from_string(DatabaseBackend::Postgres, holder);
        let holder = held.query_one_raw(holder).await.unwrap().unwrap();
        let holder: i32 = holder.try_get("", "pid").unwrap();
        let waiting = format!("SELECT count(*) FROM pg_stat_activity WHERE {holder} = ANY(pg_blocking_pids(pid))");
        assert_eq!(scenario.fleet.sql(&waiting).await, 0);
        let analyzes = scenario.fleet.start_as(&ANALYZES, &Launch::default()).await;
        until("it is about to be written", async || scenario.fleet.sql(&waiting).await == 1).await;
        scenario.fleet.processes[analyzes].kill();
        held.rollback().await.unwrap();
        let analyzing = "SELECT count(*) FROM incidents WHERE status = 'ANALYZING' AND analysis IS NULL";
        assert_eq!(scenario.fleet.sql(analyzing).await, 1);

        scenario.fleet.processes[analyzes].restart().unwrap();
        let open = "SELECT count(*) FROM incidents \
            WHERE status = 'OPEN' AND analysis IS NOT NULL AND analyze_due_since IS NULL";
        until("it is open", async || scenario.fleet.sql(open).await == 1).await;
        let rest = ["work", "--queues", "repair,recount"];
        scenario.fleet.start_as(&rest, &Launch::default()).await;
        scenario.fleet.settled(1, RECOVERY).await;
        let told = scenario.fleet.telegram.messages();
        assert_eq!(told.len(), 1);
    }
}

/// Answers all but the first question, which it takes and never answers.
async fn model_that_hangs_once() -> MockServer {
    let server = MockServer::start().await;
    let text = "Free some space.";
    let answer = json!({"choices": [{"message": {"role": "assistant", "content": text}}]});
    let answer = ResponseTemplate::new(200).set_body_json(answer);
    let hangs = answer.clone().set_delay(Duration::from_secs(600));
    let chat = || Mock::given(path("/chat/completions"));
    let first = chat().respond_with(hangs).up_to_n_times(1);
    first.with_priority(1).mount(&server).await;
    chat().respond_with(answer).mount(&server).await;
    server
}

async fn asked(model: &MockServer) -> usize {
    model.received_requests().await.unwrap().len()
}

pub(super) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < RECOVERY, "{what}: not in time");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
