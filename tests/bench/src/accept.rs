//! `accept`: alerts that are posted and answered, each durably queued, while nothing works on them.
//! Compared with a real Alertmanager's own API, which keeps them in memory.

use std::time::Duration;

use anyhow::ensure;

use crate::Bench;
use crate::body::Shape;
use crate::combination::On;
use crate::instance::Instance;
use crate::load::{AS_FAST_AS_ANSWERED, Load, Plan, Tally};
use crate::row::{Bound, Row};

const NAME: &str = "accept";
const UNIT: &str = "alerts/s";
const INGEST: &str = "ingest";

/// Alerts per request.
pub(crate) const TOGETHER: [usize; 3] = [1, 10, 100];
/// Nothing takes from the queue; it must not be full before the run is over.
pub(crate) const DEEP: (&str, &str) = ("TOCSIN_QUEUE__MAX_DEPTH", "1000000000");

/// What Alertmanager takes, by alerts in one request.
pub(crate) type Alertmanagers = [Option<f64>; TOGETHER.len()];

pub(crate) async fn compare(bench: &mut Bench) -> anyhow::Result<Alertmanagers> {
    let mut rates = [None; TOGETHER.len()];
    for (rate, together) in rates.iter_mut().zip(TOGETHER) {
        let mut alertmanager = bench.servers.alertmanager().await?;
        let plan = plan(bench, alertmanager.address, Shape::Alertmanager, together);
        let tally = run(bench, "Alertmanager", plan).await;
        alertmanager.check()?;
        let tally = tally?;
        *rate = Some(tally.rate());
        bench.rows.push(row(together, "Alertmanager", &tally));
    }
    Ok(rates)
}

pub(crate) async fn measure(
    bench: &mut Bench,
    on: On,
    alertmanagers: Alertmanagers,
) -> anyhow::Result<()> {
    for (together, alertmanager) in TOGETHER.into_iter().zip(alertmanagers) {
        let site = bench.servers.site(on).await?;
        let command = match on {
            On::Embedded => "serve",
            On::Postgres | On::Fleet => "ingress",
        };
        let mut instance = Instance::start(&site, command, &[DEEP]).await?;
        if on == On::Embedded {
            instance.pause(INGEST).await?;
        }
        let plan = plan(bench, instance.address, Shape::Webhook, together);
        let tally = run(bench, on.name(), plan).await;
        instance.check()?;
        let tally = tally?;
        let queued = instance.queued(INGEST).await?;
        // A request that was answered with 503 may have been queued all the same.
        let is_all = queued == tally.accepted || (tally.refused > 0 && queued > tally.accepted);
        let accepted = tally.accepted;
        ensure!(
            is_all,
            "{accepted} alerts were accepted, and {queued} are queued"
        );
        let row = row(together, on.name(), &tally)
            .detail("queued", queued)
            .compared("Alertmanager", alertmanager);
        let row = match (on, together) {
            (On::Fleet, 10) => row.floor(&[Bound::AtLeast(60_000.0)]),
            _ => row,
        };
        bench.rows.push(match on {
            On::Fleet => row.goal(&[Bound::Times(1.5)]),
            On::Embedded | On::Postgres => row,
        });
    }
    Ok(())
}

fn plan(bench: &Bench, address: std::net::SocketAddr, shape: Shape, together: usize) -> Plan {
    Plan {
        address,
        shape,
        together,
        connections: bench.args.connections.unwrap_or(AS_FAST_AS_ANSWERED),
        rate: None,
        alerts: None,
    }
}

async fn run(bench: &Bench, on: &str, plan: Plan) -> anyhow::Result<Tally> {
    let what = what(plan.together);
    bench.progress.begin(format!("accept: {what}, {on}"));
    let mut load = Load::start(plan);
    let duration = Duration::from_secs(bench.args.seconds);
    load.run_for(duration, &bench.progress).await?;
    load.stop().await
}

fn row(together: usize, on: &str, tally: &Tally) -> Row {
    Row::new(NAME, what(together), on)
        .value(tally.rate(), UNIT)
        .detail("accepted", tally.accepted)
        .detail("answered_503", tally.refused)
        .detail("seconds", tally.took.as_secs_f64())
}

fn what(together: usize) -> String {
    match together {
        1 => "1 alert a request".to_owned(),
        _ => format!("{together} alerts a request"),
    }
}
