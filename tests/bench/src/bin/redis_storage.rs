//! What apalis' own `RedisStorage` does with jobs that do nothing: pushed, handled, acknowledged.
//! `bench queue` runs this beside its own queue, on the same server.
//!
//! ```text
//! redis_storage REDIS_URL JOBS QUEUE
//! ```
//!
//! Prints one line of JSON. It is given its best: bulk pushes on a connection of their own, large
//! batches, no leases and no events (both can be switched off), and never more than 5,000 jobs
//! queued: above about 8,000 that are due its fetch fails and the worker ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{self, Poll};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use apalis::prelude::{BackendExt as _, Data, TaskSink as _, WorkerBuilder};
use apalis_core::backend::ext::poll_strategy::{PollSnapshot, PollStrategy};
use apalis_redis::{Client, Config, ConnectionManager, RedisStorage};
use redis::aio::ConnectionManagerConfig;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// Jobs in one push.
const TOGETHER: u64 = 500;
/// Jobs that are queued at once, at most.
const QUEUED: u64 = 5000;
/// Jobs that the worker fetches at once.
const FETCHED: usize = 1000;
/// Tasks that push.
const PRODUCERS: u64 = 2;
/// How often an idle worker looks for jobs.
const IDLE: Duration = Duration::from_millis(1);
/// How long nothing may happen.
const PATIENCE: Duration = Duration::from_secs(20);

/// A job with nothing to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Nothing {
    number: u64,
}

#[derive(Default)]
struct Counts {
    pushed: AtomicU64,
    handled: AtomicU64,
}

async fn handle(_: Nothing, counts: Data<Arc<Counts>>) {
    counts.handled.fetch_add(1, Ordering::Relaxed);
}

/// Wakes an idle worker. That of the crate, `poll_with_interval`, forgets to now and then: where
/// its time has come just as the queue is found empty, nothing wakes the worker for half a minute.
struct Steady(Interval);

impl Steady {
    fn new() -> Self {
        let mut interval = interval(IDLE);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self(interval)
    }
}

impl PollStrategy for Steady {
    fn poll_drive(&mut self, cx: &mut task::Context<'_>, _: &PollSnapshot) -> Poll<Option<()>> {
        while self.0.poll_tick(cx).is_ready() {}
        Poll::Pending
    }
}

#[tokio::main]
#[allow(clippy::print_stdout)]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, jobs, queue] = arguments.as_slice() else {
        bail!("usage: redis_storage REDIS_URL JOBS QUEUE");
    };
    let jobs: u64 = jobs.parse().context("JOBS must be a number")?;
    let took = run(url, jobs, queue).await?.as_secs_f64();
    forget(url, queue).await?;
    let per_second = jobs as f64 / took;
    println!(
        "{}",
        serde_json::json!({"jobs": jobs, "seconds": took, "per_second": per_second})
    );
    Ok(())
}

/// From the first push until all jobs are acknowledged.
async fn run(url: &str, jobs: u64, queue: &str) -> anyhow::Result<Duration> {
    let config = Config::default()
        .queue(queue)
        .batch_size(FETCHED)
        .lock_tasks(false)
        .emit_events(false);
    let done = config.done_jobs_set();
    let mut observer = connect(url).await?;
    let _: () = redis::cmd("DEL")
        .arg(&done)
        .query_async(&mut observer)
        .await?;
    let counts = Arc::new(Counts::default());

    let mut tasks = JoinSet::new();
    let storage = RedisStorage::<Nothing>::new(connect(url).await?)
        .with_config(config.clone())
        .poll_with_strategy(Steady::new());
    let worker = WorkerBuilder::new(format!("bench-{}", std::process::id()))
        .backend(storage)
        .data(Arc::clone(&counts))
        .build(handle);
    tasks.spawn(async move { worker.run().await.context("the worker ended") });

    let began = Instant::now();
    for _ in 0..PRODUCERS {
        let storage = RedisStorage::new(connect(url).await?).with_config(config.clone());
        tasks.spawn(produce(storage, Arc::clone(&counts), jobs));
    }
    let acknowledged = acknowledged(&mut observer, &done, &counts, jobs);
    tokio::pin!(acknowledged);
    loop {
        tokio::select! {
            result = &mut acknowledged => return result.map(|()| began.elapsed()),
            Some(ended) = tasks.join_next() => ended??,
        }
    }
}

/// Pushes until there are `jobs`, in step with the worker.
async fn produce(
    mut storage: RedisStorage<Nothing>,
    counts: Arc<Counts>,
    jobs: u64,
) -> anyhow::Result<()> {
    loop {
        let first = counts.pushed.fetch_add(TOGETHER, Ordering::Relaxed);
        if first >= jobs {
            return Ok(());
        }
        let end = (first + TOGETHER).min(jobs);
        while end.saturating_sub(counts.handled.load(Ordering::Relaxed)) > QUEUED {
            tokio::time::sleep(IDLE).await;
        }
        let batch = (first..end).map(|number| Nothing { number }).collect();
        storage.push_bulk(batch).await.context("pushing")?;
    }
}

/// Returns when Redis has all jobs in the set of those that are done.
async fn acknowledged(
    redis: &mut ConnectionManager,
    done: &str,
    counts: &Counts,
    jobs: u64,
) -> anyhow::Result<()> {
    let (mut last, mut moved) = (0, Instant::now());
    loop {
        tokio::time::sleep(IDLE).await;
        let mut now = counts.handled.load(Ordering::Relaxed);
        if now >= jobs {
            let acknowledged: u64 = redis::cmd("SCARD").arg(done).query_async(redis).await?;
            if acknowledged >= jobs {
                return Ok(());
            }
            now += acknowledged;
        }
        if now > last {
            (last, moved) = (now, Instant::now());
        }
        if moved.elapsed() > PATIENCE {
            bail!("nothing has moved for {PATIENCE:?}, at {last} of {jobs} jobs");
        }
    }
}

/// Takes the queue off the list that the crate keeps of all of a server's; what else is left of it
/// bears its name.
async fn forget(url: &str, queue: &str) -> anyhow::Result<()> {
    let mut remove = redis::cmd("ZREM");
    let workers = Config::default().queue(queue).workers_set();
    remove.arg("core:apalis:queues:list").arg(workers);
    Ok(remove.query_async(&mut connect(url).await?).await?)
}

/// Not the half second that a reply may take by default: the server shares its cores.
async fn connect(url: &str) -> anyhow::Result<ConnectionManager> {
    let config = ConnectionManagerConfig::new().set_response_timeout(Some(PATIENCE));
    let client = Client::open(url).context("REDIS_URL")?;
    let connection = client.get_connection_manager_with_config(config).await;
    connection.context("cannot reach Redis")
}
