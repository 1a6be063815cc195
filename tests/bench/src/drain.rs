//! `drain`: alerts that were accepted while nothing worked on them, until all are committed.

use std::time::{Duration, Instant};

use anyhow::bail;

use crate::Bench;
use crate::accept::DEEP;
use crate::body::Shape;
use crate::combination::On;
use crate::figures::written;
use crate::instance::Instance;
use crate::load::{AS_FAST_AS_ANSWERED, Load, Plan};
use crate::progress::Progress;
use crate::row::{Bound, Row};

/// How long nothing may happen.
const PATIENCE: Duration = Duration::from_secs(60);
/// The shortest pause between two looks.
const LOOK: Duration = Duration::from_millis(50);
/// Looking takes at most this part of the time: counting what is queued costs the database something.
const SHARE: u32 = 20;

pub(crate) async fn measure(bench: &mut Bench, on: On) -> anyhow::Result<()> {
    let backlog = match on {
        On::Embedded | On::Postgres => 100_000,
        On::Fleet => 500_000,
    };
    bench.progress.begin(format!("drain: {on}"));
    let site = bench.servers.site(on).await?;
    let mut instance = Instance::start(&site, "serve", &[DEEP]).await?;
    fill(bench, &mut instance, backlog, 10).await?;
    let began = Instant::now();
    instance.resume("ingest").await?;
    let took = empty(&mut instance, backlog, began, &bench.progress).await?;
    let took = took.as_secs_f64();
    let what = format!("a backlog of {}", written(backlog as f64));
    let row = Row::new("drain", what, on.name())
        .value(backlog as f64 / took, "alerts/s")
        .detail("alerts", backlog)
        .detail("seconds", took);
    bench.rows.push(match on {
        On::Embedded | On::Postgres => row,
        On::Fleet => row
            .floor(&[Bound::AtLeast(25_000.0)])
            .goal(&[Bound::AtLeast(45_000.0)]),
    });
    Ok(())
}

/// Has so many alerts wait in the queue.
pub(crate) async fn fill(
    bench: &Bench,
    instance: &mut Instance,
    alerts: u64,
    together: usize,
) -> anyhow::Result<()> {
    instance.pause("ingest").await?;
    let load = Load::start(Plan {
        address: instance.address,
        shape: Shape::Webhook,
        together,
        connections: bench.args.connections.unwrap_or(AS_FAST_AS_ANSWERED),
        rate: None,
        alerts: Some(alerts),
    });
    let posted = load.run_to_end(&bench.progress).await;
    instance.check()?;
    posted.map(drop)
}

/// Waits until so many alerts are committed; returns when that was seen, from `began`.
pub(crate) async fn empty(
    instance: &mut Instance,
    alerts: u64,
    began: Instant,
    progress: &Progress,
) -> anyhow::Result<Duration> {
    let (mut last, mut moved) = (0, Instant::now());
    loop {
        let look = Instant::now();
        let committed = instance.ingested().await;
        instance.check()?;
        let (committed, took) = (committed?, began.elapsed());
        progress.show(&format!("{committed} of {alerts} committed"));
        if committed >= alerts {
            return Ok(took);
        }
        if committed > last {
            (last, moved) = (committed, Instant::now());
        }
        if moved.elapsed() > PATIENCE {
            bail!("no progress for {PATIENCE:?}, at {committed} of {alerts} alerts");
        }
        tokio::time::sleep(LOOK.max(look.elapsed() * SHARE)).await;
    }
}
