//! `latency`: from a webhook until its incident can be read, with other alerts coming in meanwhile.
//! One alert of an anomaly that is new is posted, and the API asked for it until it is there.

use std::time::{Duration, Instant};

use anyhow::{bail, ensure};
use tocsin::time::Timestamp;

use crate::Bench;
use crate::body::{Shape, single};
use crate::combination::On;
use crate::figures::quantile;
use crate::http::{Connection, refusal, write_request};
use crate::instance::Instance;
use crate::load::{AT_A_PACE, Load, Plan};
use crate::row::{Bound, Row};

/// Alerts per second that come in meanwhile.
const RATES: [u32; 2] = [500, 1000];
/// Probes, and for how long they are made at most if they take that long.
const PROBES: usize = 300;
const LONGEST: Duration = Duration::from_secs(120);
/// Between two looks whether it is there.
const LOOK: Duration = Duration::from_millis(1);
/// How long it may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it runs before it counts.
const WARM_UP: Duration = Duration::from_secs(2);
/// How a list begins that has nothing in it.
const EMPTY: &[u8] = br#"{"items":[]"#;

pub(crate) async fn measure(bench: &mut Bench, on: On) -> anyhow::Result<()> {
    for rate in RATES {
        bench
            .progress
            .begin(format!("latency: at {rate} alerts/s, {on}"));
        let site = bench.servers.site(on).await?;
        let mut instance = Instance::start(&site, "serve", &[]).await?;
        let probed = probe(bench, &instance, rate).await;
        instance.check()?;
        let (mut took, background) = probed?;
        took.sort_by(f64::total_cmp);
        for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
            let row = Row::new("latency", format!("{name} at {rate} alerts/s"), on.name())
                .value(quantile(&took, share).unwrap_or_default(), "ms")
                .detail("probes", took.len())
                .detail("most_ms", took.last().copied().unwrap_or_default())
                .detail("accepted_per_second", background);
            bench.rows.push(match (name, rate) {
                ("p99", 500) => row.floor(&[Bound::AtMost(60.0)]),
                ("p99", 1000) => row.goal(&[Bound::AtMost(30.0)]),
                _ => row,
            });
        }
    }
    Ok(())
}

/// How long each probe took, in milliseconds, and the rate at which the others were accepted.
async fn probe(bench: &Bench, instance: &Instance, rate: u32) -> anyhow::Result<(Vec<f64>, f64)> {
    let mut load = Load::start(Plan {
        address: instance.address,
        shape: Shape::Webhook,
        together: 10,
        connections: bench.args.connections.unwrap_or(AT_A_PACE),
        rate: Some(f64::from(rate)),
        alerts: None,
    });
    load.run_for(WARM_UP, &bench.progress).await?;
    let mut connection = Connection::open(instance.address).await?;
    let mut took = Vec::with_capacity(4 * PROBES);
    let (began, least) = (Instant::now(), Duration::from_secs(bench.args.seconds));
    while began.elapsed() < least || (took.len() < PROBES && began.elapsed() < LONGEST) {
        let one = once(&mut connection, took.len() as u64).await?;
        took.push(one.as_secs_f64() * 1000.0);
        load.check()?;
        bench.progress.show(&format!("{} probes", took.len()));
    }
    let tally = load.stop().await?;
    ensure!(
        tally.refused == 0,
        "{} requests were refused",
        tally.refused
    );
    Ok((took, tally.rate()))
}

async fn once(connection: &mut Connection, number: u64) -> anyhow::Result<Duration> {
    let service = format!("probe-{number}");
    let body = single(&service, number, &Timestamp::now().to_rfc3339());
    let (mut post, mut get) = (Vec::new(), Vec::new());
    write_request(&mut post, "POST", "/api/v1/alertmanager", &body);
    let path = format!("/api/v1/incidents?service={service}&limit=1");
    write_request(&mut get, "GET", &path, &[]);

    let began = Instant::now();
    let answer = connection.send(&post).await?;
    ensure!(answer.status == 200, "a probe: {}", refusal(&answer));
    loop {
        let answer = connection.send(&get).await?;
        ensure!(answer.status == 200, "asking for it: {}", refusal(&answer));
        if !answer.body.starts_with(EMPTY) {
            return Ok(began.elapsed());
        }
        if began.elapsed() > PATIENCE {
            bail!("an alert was accepted, and no incident can be read after {PATIENCE:?}");
        }
        tokio::time::sleep(LOOK).await;
    }
}
