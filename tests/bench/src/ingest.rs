//! `ingest`: from webhook to committed incident, in one process, while more is posted than it
//! commits: ten alerts a request, over 200 anomalies.

use std::time::{Duration, Instant};

use crate::Bench;
use crate::body::Shape;
use crate::combination::On;
use crate::instance::Instance;
use crate::load::{AT_A_PACE, Load, Plan};
use crate::row::{Bound, Row};

/// How long it runs before it counts.
const WARM_UP: Duration = Duration::from_secs(3);

/// Alerts per second that are posted: a little more than is committed.
const fn rate(on: On) -> f64 {
    match on {
        On::Embedded | On::Postgres => 8000.0,
        On::Fleet => 33_000.0,
    }
}

pub(crate) async fn measure(bench: &mut Bench, on: On) -> anyhow::Result<()> {
    bench.progress.begin(format!("ingest: {on}"));
    let site = bench.servers.site(on).await?;
    let mut instance = Instance::start(&site, "serve", &[]).await?;
    let offered = bench.args.rate.unwrap_or_else(|| rate(on));
    let mut load = Load::start(Plan {
        address: instance.address,
        shape: Shape::Webhook,
        together: 10,
        connections: bench.args.connections.unwrap_or(AT_A_PACE),
        rate: Some(offered),
        alerts: None,
    });
    load.run_for(WARM_UP, &bench.progress).await?;
    let (began, before, posted) = (Instant::now(), instance.ingested().await?, load.accepted());
    let duration = Duration::from_secs(bench.args.seconds);
    let ran = load.run_for(duration, &bench.progress).await;
    instance.check()?;
    ran?;
    let (committed, accepted) = (
        instance.ingested().await? - before,
        load.accepted() - posted,
    );
    let took = began.elapsed().as_secs_f64();
    let tally = load.stop().await?;
    let row = Row::new("ingest", "webhook to commit, load running", on.name())
        .value(committed as f64 / took, "alerts/s")
        .detail("offered_per_second", offered)
        .detail("accepted_per_second", accepted as f64 / took)
        .detail("answered_503", tally.refused)
        .detail("committed", committed)
        .detail("seconds", took);
    bench.rows.push(match on {
        On::Embedded | On::Postgres => row.floor(&[Bound::AtLeast(5000.0)]),
        On::Fleet => row
            .floor(&[Bound::AtLeast(20_000.0)])
            .goal(&[Bound::AtLeast(35_000.0)]),
    });
    Ok(())
}
