//! What nobody pushed, found in the queue: a dead letter with exactly its bytes, and no harm to the
//! jobs beside it.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree as _;
use sea_orm::{ConnectionTrait, DbBackend, EntityTrait, Value};
use tocsin::entity::dead_letters;
use tocsin::jobs::{CalculateTier, IngestAlert, Notify, QUEUES, RecordRepair, Recount};
use tocsin::store::rows::statement;
use tocsin::time::Timestamp;
use uuid::Uuid;

use super::json::{anything, damaged};
use super::runner;
use crate::harness::{Harness, firing};
use crate::on_all;

/// Of each queue.
const GARBAGE: usize = 12;

/// Jobs as they are written, each of its queue.
const SAMPLES: [(&str, &str); 5] = [
    (
        "ingest",
        r#"{"source":"alertmanager","received_at":"2026-11-22T21:28:29.102Z","content":{"alert":{"status":"firing","labels":{"alertname":"A"},"fingerprint":"f"}}}"#,
    ),
    (
        "tier",
        r#"{"incident":"01a20f8d-b24b-788f-8346-44d977859706"}"#,
    ),
    (
        "notify",
        r#"{"notification":"01a20f8d-b24b-788f-8346-44d977859706"}"#,
    ),
    (
        "repair",
        r#"{"incident":"01a20f8d-b24b-788f-8346-44d977859706","action":"scale","success":true,"at":"2026-11-22T21:28:29.102Z"}"#,
    ),
    ("recount", "{}"),
];

/// Whether a worker of this queue could read it.
fn is_a_job(queue: &str, payload: &[u8]) -> bool {
    match queue {
        "ingest" => serde_json::from_slice::<IngestAlert>(payload).is_ok(),
        "tier" => serde_json::from_slice::<CalculateTier>(payload).is_ok(),
        "notify" => serde_json::from_slice::<Notify>(payload).is_ok(),
        "repair" => serde_json::from_slice::<RecordRepair>(payload).is_ok(),
        _ => serde_json::from_slice::<Recount>(payload).is_ok(),
    }
}

/// What no worker of this queue can read.
fn garbage(queue: &'static str, sample: &'static str) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => damaged(Just(sample.as_bytes().to_vec())),
        1 => anything().prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 0..60),
        1 => select(SAMPLES.map(|(_, other)| other.as_bytes().to_vec()).to_vec()),
    ]
    .prop_filter("a job", move |payload| !is_a_job(queue, payload))
}

/// Something in a queue.
#[derive(Clone, Debug)]
struct Stray {
    /// What stands before the payload in Redis: a job's id and what else is known of it, or nothing.
    header: Option<Vec<u8>>,
    payload: Vec<u8>,
    errors: &'static str,
}

fn strays(queue: &'static str, sample: &'static str) -> impl Strategy<Value = Stray> {
    let id = Just(()).prop_perturb(|(), _| Uuid::now_v7().simple().to_string());
    let known = select(vec![
        "",
        " t",
        " tof two words",
        " t\0",
        " u",
        " r4294967295",
        " a-1",
        " a9223372036854775807 u",
    ]);
    let header = (id, known).prop_map(|(id, known)| format!("{id}{known}\n").into_bytes());
    let failed = r#"[{"at":"2026-11-22T21:28:29.102Z","error":"\u0000"}]"#;
    let errors = select(vec!["", "[]", "x", failed]);
    (
        proptest::option::weighted(0.7, header),
        garbage(queue, sample),
        errors,
    )
        .prop_map(|(header, payload, errors)| Stray {
            header,
            payload,
            errors,
        })
}

impl Harness {
    /// Puts bytes straight into a queue, as its store would keep them; some that no store of this
    /// kind can keep are changed. Returns what must be found again, or nothing if that is a job.
    async fn smuggle(&self, queue: &str, stray: Stray) -> Option<Vec<u8>> {
        let Some(keys) = self.redis() else {
            return self.smuggle_row(queue, stray.payload, stray.errors).await;
        };
        let entry = [stray.header.as_deref().unwrap_or_default(), &stray.payload].concat();
        let stream = format!("{}:{{{queue}}}:stream", keys.prefix);
        let mut add = redis::cmd("XADD");
        add.arg(stream)
            .arg("*")
            .arg("j")
            .arg(&entry)
            .arg("e")
            .arg(stray.errors);
        add.exec(&mut keys.connect()).unwrap();
        Some(if stray.header.is_some() {
            stray.payload
        } else {
            entry
        })
    }

    async fn smuggle_row(&self, queue: &str, payload: Vec<u8>, errors: &str) -> Option<Vec<u8>> {
        let db = self.context.db.write();
        let backend = db.get_database_backend();
        let (kept, value): (Vec<u8>, Value) = match backend {
            // It keeps what it is given.
            DbBackend::Sqlite => (payload.clone(), payload.into()),
            _ => {
                let text = String::from_utf8_lossy(&payload).replace('\0', "0");
                (text.clone().into_bytes(), text.into())
            }
        };
        if is_a_job(queue, &kept) {
            return None;
        }
        let now = Timestamp::now().0;
        let sql = "INSERT INTO jobs (id, queue, payload, errors, run_at, enqueued_at) \
                   VALUES ($1, $2, $3, $4, $5, $5)";
        let values = [
            Uuid::now_v7().into(),
            queue.into(),
            value,
            errors.into(),
            now.into(),
        ];
        db.execute_raw(statement(backend, sql, values))
            .await
            .unwrap();
        Some(kept)
    }
}

on_all! {
    async fn what_is_no_job_is_a_dead_letter_with_its_bytes(on) {
        let mut h = Harness::start(on).await;
        let mut runner = runner(1);
        let mut expected = Vec::new();
        for (queue, sample) in SAMPLES {
            for _ in 0..GARBAGE {
                let stray = strays(queue, sample).new_tree(&mut runner).unwrap().current();
                let kept = h.smuggle(queue, stray).await;
                expected.extend(kept.map(|kept| (queue.to_owned(), kept)));
            }
            h.send(vec![firing(queue, h.now())]).await;
        }
        h.drain().await;
        let dead = dead_letters::Entity::find().all(h.context.db.read()).await.unwrap();
        let mut found: Vec<_> = dead.into_iter().map(|row| (row.queue, row.payload)).collect();
        found.sort();
        expected.sort();
        assert_eq!(found, expected);
        assert_eq!(h.incident().await["aggregated_count"], QUEUES.len() as u64);
        h.finish_with_dead_letters().await;
    }
}
