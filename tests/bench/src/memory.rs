//! `memory`: what one process takes, idle, with a full queue and after it was worked off, and what
//! Redis takes for one queued alert.

use std::time::{Duration, Instant};

use crate::Bench;
use crate::accept::DEEP;
use crate::combination::On;
use crate::drain::{empty, fill};
use crate::figures::written;
use crate::instance::Instance;
use crate::row::{Bound, Row};

const NAME: &str = "memory";
const QUEUED: u64 = 200_000;
/// Alerts that Redis' memory is divided by.
const IN_REDIS: u64 = 100_000;
/// Until what is done once, at the start, is done.
const SETTLE: Duration = Duration::from_secs(3);

pub(crate) async fn measure(bench: &mut Bench, on: On) -> anyhow::Result<()> {
    bench.progress.begin(format!("memory: {on}"));
    let site = bench.servers.site(on).await?;
    let mut instance = Instance::start(&site, "serve", &[DEEP]).await?;
    tokio::time::sleep(SETTLE).await;
    let idle = instance.memory()?.now;
    fill(bench, &mut instance, QUEUED, 100).await?;
    let full = instance.memory()?.now;
    instance.resume("ingest").await?;
    empty(&mut instance, QUEUED, Instant::now(), &bench.progress).await?;
    let most = instance.memory()?.most;

    let queued = written(QUEUED as f64);
    let figure = |what: String, bytes: u64| {
        let mib = bytes as f64 / f64::from(1 << 20);
        Row::new(NAME, what, on.name()).value(mib, "MiB")
    };
    bench.rows.extend([
        figure("resident, idle".to_owned(), idle).floor(&[Bound::Below(50.0)]),
        figure(format!("resident, {queued} jobs queued"), full)
            .floor(&[Bound::Below(120.0)])
            .goal(&[Bound::AtMost(80.0)]),
        figure(format!("most resident, {queued} worked off"), most),
    ]);
    if on == On::Fleet {
        drop((instance, site));
        redis(bench).await?;
    }
    Ok(())
}

/// How much more Redis takes, all in all, for each alert that is queued.
async fn redis(bench: &mut Bench) -> anyhow::Result<()> {
    bench.progress.begin("memory: Redis".to_owned());
    let site = bench.servers.site(On::Fleet).await?;
    let mut instance = Instance::start(&site, "ingress", &[DEEP]).await?;
    let before = bench.servers.present_redis()?.memory().await?;
    fill(bench, &mut instance, IN_REDIS, 10).await?;
    let after = bench.servers.present_redis()?.memory().await?;
    let bytes = after.saturating_sub(before) as f64 / IN_REDIS as f64;
    bench.rows.push(
        Row::new(NAME, "in Redis, one queued alert", On::Fleet.name())
            .value(bytes, "bytes")
            .floor(&[Bound::Below(700.0)])
            .goal(&[Bound::AtMost(500.0)])
            .detail("alerts", IN_REDIS)
            .detail("own_server", bench.servers.present_redis()?.is_own()),
    );
    Ok(())
}
