//! Why the queue's storage is our own: what apalis' own storage for Redis does in an alert storm.
//! Its script hands all due jobs to one command as arguments, and Lua's stack holds about 8,000.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use apalis_core::backend::TaskSink;
use apalis_core::error::{BoxDynError, WorkerError};
use apalis_core::worker::builder::WorkerBuilder;
use apalis_core::worker::context::WorkerContext;
use apalis_redis::{ConnectionManager, RedisStorage};
use redis::AsyncTypedCommands as _;
use redis::aio::ConnectionManagerConfig;
use tokio::time::timeout;

use crate::process::PATIENCE;
use crate::redis_server::{self, Fsync, RedisServer};

/// What is pushed in one round trip.
const TOGETHER: usize = 1000;

#[tokio::test(flavor = "multi_thread")]
async fn the_stock_storage_carries_two_thousand_queued_jobs() {
    let server = redis_server::start(Fsync::EverySecond).await;
    let storage = filled(&server, 2000).await;
    let (ended, done) = work(&storage, "only", 2000).await;
    ended.unwrap();
    assert_eq!(done, 2000);
    assert_eq!(due(&server, &storage).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_stock_storage_is_stuck_for_good_with_twenty_thousand_queued_jobs() {
    let server = redis_server::start(Fsync::EverySecond).await;
    let storage = filled(&server, 20_000).await;
    for worker in ["first", "second"] {
        let (ended, done) = work(&storage, worker, 20_000).await;
        let error = format!("{:?}", ended.unwrap_err());
        assert!(error.contains("too many results to unpack"), "{error}");
        assert_eq!(done, 0, "the {worker} worker");
        assert_eq!(due(&server, &storage).await, 20_000);
    }
}

/// A storage that holds so many jobs.
async fn filled(server: &RedisServer, jobs: usize) -> RedisStorage<usize> {
    // On a busy machine, its half a second for an answer would be another reason to fail.
    let patient = ConnectionManagerConfig::new().set_response_timeout(Some(PATIENCE));
    let client = apalis_redis::Client::open(server.url()).unwrap();
    let connection = ConnectionManager::new_with_config(client, patient);
    let mut storage = RedisStorage::new(connection.await.unwrap());
    for first in (0..jobs).step_by(TOGETHER) {
        let jobs = first..jobs.min(first + TOGETHER);
        storage.push_bulk(jobs.collect()).await.unwrap();
    }
    storage
}

/// Runs a worker until it has done so many jobs or ends by itself; says how, and how many it did.
async fn work(
    storage: &RedisStorage<usize>,
    name: &str,
    jobs: usize,
) -> (Result<(), WorkerError>, usize) {
    let done = Arc::new(AtomicUsize::new(0));
    let count = done.clone();
    let handle = move |_job: usize, worker: WorkerContext| {
        let count = count.clone();
        async move {
            if count.fetch_add(1, Ordering::SeqCst) + 1 == jobs {
                worker.stop()?;
            }
            Ok::<_, BoxDynError>(())
        }
    };
    let worker = WorkerBuilder::new(name)
        .backend(storage.clone())
        .build(handle);
    let ended = timeout(PATIENCE, worker.run())
        .await
        .expect("the worker ends");
    (ended, done.load(Ordering::SeqCst))
}

/// How many jobs still wait.
async fn due(server: &RedisServer, storage: &RedisStorage<usize>) -> usize {
    let config = storage.get_config();
    let mut redis = server.connect().await.unwrap();
    let scheduled = redis.zcard(config.scheduled_jobs_set()).await.unwrap();
    scheduled + redis.llen(config.active_jobs_list()).await.unwrap()
}
