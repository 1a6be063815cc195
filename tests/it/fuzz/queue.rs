//! What nobody pushed, found in the queue: a dead letter with exactly its bytes, and no harm to the
//! jobs beside it.

use std::fmt::Debug;

use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::{Union, ValueTree as _};
use sea_orm::{ConnectionTrait, DbBackend, EntityTrait, Value};
use tocsin::entity::dead_letters;
// Whatever the queues carry.
use tocsin::jobs::*;
use tocsin::store::rows::statement;
use tocsin::time::Timestamp;
use uuid::Uuid;

use super::json::{anything, damaged};
use super::runner;
use crate::harness::{Harness, firing};
use crate::on_all;

/// Of each queue.
const GARBAGE: usize = 12;

/// Jobs as they are written, each of its queue. A queue without one is tried with what is damaged most
/// easily.
const SAMPLES: [(&str, &str); 6] = [
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
        "analyze",
        r#"{"incident":"01a20f8d-b24b-788f-8346-44d977859706"}"#,
    ),
    (
        "repair",
        r#"{"incident":"01a20f8d-b24b-788f-8346-44d977859706","action":"scale","success":true,"at":"2026-11-22T21:28:29.102Z"}"#,
    ),
    (
        "execute",
        r#"{"execution":"01a20f8d-b24b-788f-8346-44d977859707","incident":"01a20f8d-b24b-788f-8346-44d977859706"}"#,
    ),
];

/// Of this queue.
fn sample_of(queue: &str) -> &'static str {
    let known = SAMPLES.iter().find(|(of, _)| *of == queue);
    known.map_or("{}", |(_, sample)| sample)
}

macro_rules! is_a_job {
    ($($(#[$doc:meta])* $queue:ident: $job:ty,)*) => {
        /// Whether a worker of this queue can read it; then it is the same when it was written and read
        /// once more.
        fn is_a_job(queue: &str, payload: &[u8]) -> bool {
            match queue {
                $(stringify!($queue) => reads::<$job>(payload),)*
                _ => false,
            }
        }
    };
}

tocsin::queues!(is_a_job);

fn reads<J: Job + PartialEq + Debug>(payload: &[u8]) -> bool {
    let Ok(job) = serde_json::from_slice::<J>(payload) else {
        return false;
    };
    let written = serde_json::to_vec(&job).unwrap();
    assert_eq!(serde_json::from_slice::<J>(&written).unwrap(), job);
    true
}

/// What somebody might take for a job of this queue.
fn payloads(sample: &'static str) -> BoxedStrategy<Vec<u8>> {
    prop_oneof![
        3 => damaged(Just(sample.as_bytes().to_vec()).boxed()),
        1 => anything().prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 0..60),
        1 => select(QUEUES.map(|other| sample_of(other).as_bytes().to_vec()).to_vec()),
    ]
    .boxed()
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
    let payload = payloads(sample).prop_filter("a job", move |payload| !is_a_job(queue, payload));
    (weighted(0.7, header), payload, errors).prop_map(|(header, payload, errors)| Stray {
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

#[test]
fn any_payload_is_read_or_refused() {
    let all = Union::new(QUEUES.map(|queue| payloads(sample_of(queue))));
    let check = |payload: Vec<u8>| {
        for queue in QUEUES {
            is_a_job(queue, &payload);
        }
        Ok(())
    };
    runner(2000).run(&all, check).unwrap();
}

on_all! {
    async fn an_undecodable_job_becomes_a_dead_letter_with_its_bytes(on) {
        let mut h = Harness::start(on).await;
        let mut runner = runner(1);
        let mut expected = Vec::new();
        for queue in QUEUES {
            for _ in 0..GARBAGE {
                let stray = strays(queue, sample_of(queue)).new_tree(&mut runner).unwrap().current();
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
