//! Dead letters, from the handler that fails to the operator who decides.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use apalis_core::task::data::Data;
use serde_json::{Value, json};
use tocsin::context::Context;
use tocsin::jobs::{Content, IngestAlert, Job, JobError};
use tocsin::queue::consumer::JobHandle;
use tocsin_workers::fleet::Worker;
use tocsin_workers::ingest::Batchers;
use tocsin_workers::workers;

use crate::harness::{Harness, ingest_one};

mod lists;
mod operators;
mod replays;

const LETTERS: &str = "/api/v1/dead-letters";
const DAY: Duration = Duration::from_secs(86_400);

/// A version of the ingest worker with mistakes in it: it fails for one name, and for another it says
/// that it failed after it is done.
#[derive(Clone)]
struct Faulty {
    batchers: Arc<Batchers>,
    runs: Arc<AtomicUsize>,
}

/// The alert that the faulty version cannot do, and the one that it does and gives up.
const CURSED: &str = "Cursed";
const COUNTED: &str = "Counted";

async fn faulty(
    job: IngestAlert,
    held: Data<Arc<JobHandle>>,
    with: Data<Faulty>,
) -> Result<(), JobError> {
    let name = match &job.content {
        Content::Alert(alert) => alert.labels["alertname"].to_owned(),
        Content::Rejected { .. } => String::new(),
    };
    if name == CURSED {
        return Err(JobError::Retry(format!("no rule for {:?}", job.source)));
    }
    ingest_one(job, held, Data(Arc::clone(&with.batchers))).await?;
    match name.as_str() {
        COUNTED => Err(JobError::GiveUp("counted, and then it broke".to_owned())),
        _ => Ok(()),
    }
}

/// The same without its mistakes; says how often it ran.
async fn fixed(
    job: IngestAlert,
    held: Data<Arc<JobHandle>>,
    with: Data<Faulty>,
) -> Result<(), JobError> {
    with.runs.fetch_add(1, Ordering::SeqCst);
    ingest_one(job, held, Data(Arc::clone(&with.batchers))).await
}

fn all_but_ingest(context: &Context) -> Vec<Worker> {
    let mut others = workers(context);
    others.retain(|worker| worker.queue() != IngestAlert::POLICY.queue);
    others
}

impl Harness {
    /// Starts the faulty version.
    fn work_badly(&mut self) {
        let with = Faulty {
            batchers: Batchers::start(&self.context),
            runs: Arc::default(),
        };
        let mut fleet = all_but_ingest(&self.context);
        fleet.push(Worker::new(&self.context, with, faulty));
        self.work(fleet);
    }

    /// Starts the fixed version; returns how often its ingest worker ran.
    async fn work_well(&mut self) -> Arc<AtomicUsize> {
        self.stop_working().await;
        let with = Faulty {
            batchers: Batchers::start(&self.context),
            runs: Arc::default(),
        };
        let runs = Arc::clone(&with.runs);
        let mut fleet = all_but_ingest(&self.context);
        fleet.push(Worker::new(&self.context, with, fixed));
        self.work(fleet);
        runs
    }

    /// Runs what is queued, and lets the time pass that retries wait for.
    async fn drain_retries(&self) {
        loop {
            let (mut now, mut later) = (0, 0);
            for queue in tocsin::jobs::QUEUES {
                let depth = self.context.queues.store().depth(queue).await.unwrap();
                now += depth.ready + depth.in_flight;
                later += depth.delayed;
            }
            match (now, later) {
                (0, 0) => return,
                (0, _) => self.advance(Duration::from_secs(400)),
                _ => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    }

    async fn letters(&self, query: &str) -> Vec<Value> {
        let list = self.get(&format!("{LETTERS}?{query}")).await;
        list["items"].as_array().unwrap().clone()
    }

    /// The one dead letter that there is, whole.
    async fn letter(&self) -> Value {
        let letters = self.letters("state=all").await;
        assert_eq!(letters.len(), 1, "{letters:#?}");
        self.get(&format!("{LETTERS}/{}", id(&letters[0]))).await
    }

    async fn replay(&self, id: &str, body: Value) -> (u16, Value) {
        self.post(&format!("{LETTERS}/{id}/replay"), body).await
    }

    async fn discard(&self, id: &str, operator: &str) -> (u16, Value) {
        let request = self.http.delete(format!("{}{LETTERS}/{id}", self.url));
        let request = request.json(&json!({"operator": operator}));
        crate::harness::answer(request.send().await.unwrap()).await
    }

    /// Sends something that the ingress rejects.
    async fn send_unusable(&self, alert: Value) {
        let body = json!({"alerts": [alert]});
        let (_, taken) = self.post("/api/v1/alertmanager", body).await;
        assert_eq!(taken["rejected"], 1, "{taken}");
    }
}

fn id(letter: &Value) -> &str {
    letter["id"].as_str().unwrap()
}
