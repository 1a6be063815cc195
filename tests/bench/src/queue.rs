//! `queue`: jobs that do nothing, from push to durable acknowledgement, in this process: with
//! producers beside the worker, and off a backlog. Compared with apalis' own `RedisStorage`.

mod field;
mod redis_storage;

use std::time::{Duration, Instant};

use crate::Bench;
use crate::combination::On;
use crate::row::{Bound, Row};
use field::Field;

const NAME: &str = "queue";
const UNIT: &str = "jobs/s";

/// Jobs that are queued at once, beside the backlog.
const QUEUED: u64 = 20_000;

/// What is measured before the combinations' turn: `RedisStorage` on the same kind of server.
pub(crate) async fn compare(bench: &mut Bench) -> anyhow::Result<Option<f64>> {
    if !bench.wants(On::Fleet) {
        return Ok(None);
    }
    bench.progress.begin("queue: RedisStorage".to_owned());
    let redis = bench.servers.redis().await?;
    let (url, queue) = (redis.url().to_owned(), redis.prefix().to_owned());
    let folder = bench.servers.new_folder("redis-storage")?;
    let jobs = 30_000 * bench.args.seconds;
    let measured = redis_storage::measure(folder.path(), &url, jobs, &queue).await?;
    let rate = measured.per_second;
    bench.rows.push(
        Row::new(NAME, "push to ack", "RedisStorage")
            .value(rate, UNIT)
            .detail("jobs", measured.jobs)
            .detail("seconds", measured.seconds),
    );
    Ok(Some(rate))
}

pub(crate) async fn measure(
    bench: &mut Bench,
    on: On,
    redis_storage: Option<f64>,
) -> anyhow::Result<()> {
    let flowing = Box::pin(flowing(bench, on)).await?;
    let rate = flowing.value;
    bench.rows.push(match on {
        On::Fleet => flowing
            .compared("RedisStorage", redis_storage)
            .floor(&[Bound::AtLeast(120_000.0), Bound::Times(2.0)])
            .goal(&[Bound::AtLeast(150_000.0), Bound::Times(2.5)]),
        On::Embedded | On::Postgres => flowing,
    });
    let backlog = match on {
        On::Embedded | On::Postgres => 100_000,
        On::Fleet => 1_000_000,
    };
    let draining = Box::pin(draining(bench, on, backlog)).await?;
    let draining = draining.compared("no backlog", rate);
    bench.rows.push(match on {
        On::Fleet => draining.floor(&[Bound::Times(0.8)]),
        On::Embedded | On::Postgres => draining,
    });
    Ok(())
}

/// Producers and worker at once, for as long as a run is to take.
async fn flowing(bench: &mut Bench, on: On) -> anyhow::Result<Row> {
    bench.progress.begin(format!("queue: push to ack, {on}"));
    let site = bench.servers.site(on).await?;
    let mut field = Box::pin(Field::open(&site)).await?;
    field.work();
    let began = Instant::now();
    let until = began + Duration::from_secs(bench.args.seconds);
    field.push_until(until, QUEUED, &bench.progress).await?;
    let jobs = field.settle(&bench.progress).await?;
    let took = began.elapsed().as_secs_f64();
    field.close().await?;
    Ok(Row::new(NAME, "push to ack", on.name())
        .value(jobs as f64 / took, UNIT)
        .detail("jobs", jobs)
        .detail("seconds", took))
}

/// A worker alone, with all its jobs waiting.
async fn draining(bench: &mut Bench, on: On, backlog: u64) -> anyhow::Result<Row> {
    bench.progress.begin(format!("queue: off a backlog, {on}"));
    let site = bench.servers.site(on).await?;
    let mut field = Box::pin(Field::open(&site)).await?;
    let began = Instant::now();
    field.push(backlog, &bench.progress).await?;
    let pushed = backlog as f64 / began.elapsed().as_secs_f64();
    let began = Instant::now();
    field.work();
    let jobs = field.settle(&bench.progress).await?;
    let took = began.elapsed().as_secs_f64();
    field.close().await?;
    let what = format!(
        "off a backlog of {}",
        crate::figures::written(backlog as f64)
    );
    Ok(Row::new(NAME, what, on.name())
        .value(jobs as f64 / took, UNIT)
        .detail("jobs", jobs)
        .detail("seconds", took)
        .detail("pushed_per_second", pushed))
}
