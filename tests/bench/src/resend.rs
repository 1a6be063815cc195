//! `resend`: what 5,000 firing alerts cost that Prometheus repeats by the minute.
//!
//! The rounds follow each other without the minute between them, so nothing of what is repeated within 90 s is
//! written. What is written every other minute is measured by leases of a second: then each repetition is.

use std::time::{Duration, Instant};

use anyhow::bail;
use serde_json::{Value, json};
use tocsin::time::Timestamp;

use crate::Bench;
use crate::combination::On;
use crate::drain::empty;
use crate::figures::written;
use crate::http::{Connection, refusal, write_request};
use crate::instance::Instance;
use crate::row::Row;

const NAME: &str = "resend";
/// Alerts that fire.
const FIRING: u64 = 5_000;
/// Alerts in a request, as Prometheus sends them.
const TOGETHER: u64 = 256;
/// How often each is repeated.
const ROUNDS: u64 = 10;
/// They began before.
const SINCE: Duration = Duration::from_secs(600);
/// Between repetitions of leases of a second, so that each is written.
const PAUSE: Duration = Duration::from_millis(500);

pub(crate) async fn measure(bench: &mut Bench, on: On) -> anyhow::Result<()> {
    bench.progress.begin(format!("resend: {on}"));
    let site = bench.servers.site(on).await?;
    let mut instance = Instance::start(&site, "serve", &[]).await?;
    let start = Timestamp::now().before(SINCE);
    let mut rounds = Rounds {
        start,
        sent: 0,
        took: Duration::ZERO,
    };
    let lasting = Duration::from_secs(240);
    rounds.send(bench, &mut instance, lasting).await?;
    for (what, lease, pause) in [
        ("nothing to write", lasting, Duration::ZERO),
        ("each written", Duration::from_secs(1), PAUSE),
    ] {
        rounds.took = Duration::ZERO;
        let before = instance.cpu()?;
        for _ in 0..ROUNDS {
            tokio::time::sleep(pause).await;
            rounds.send(bench, &mut instance, lease).await?;
        }
        let cpu = instance.cpu()?.saturating_sub(before);
        let each = FIRING * ROUNDS;
        let what = format!("{} firing, {what}", written(FIRING as f64));
        let row = Row::new(NAME, what, on.name())
            .value(cpu.as_secs_f64() * 1e6 / each as f64, "µs CPU/re-send")
            .detail("resends", each)
            .detail("seconds", rounds.took.as_secs_f64());
        bench.rows.push(row);
    }
    Ok(())
}

/// All of them, again and again.
struct Rounds {
    start: Timestamp,
    sent: u64,
    /// How long it took until they were committed, the pauses left out.
    took: Duration,
}

impl Rounds {
    /// Says once of each that it fires, and waits until that is known.
    async fn send(
        &mut self,
        bench: &Bench,
        instance: &mut Instance,
        lease: Duration,
    ) -> anyhow::Result<()> {
        let began = Instant::now();
        let mut connection = Connection::open(instance.address).await?;
        let mut request = Vec::new();
        for first in (0..FIRING).step_by(TOGETHER as usize) {
            let until = Timestamp::now().after(lease).to_rfc3339();
            let numbers = first..FIRING.min(first + TOGETHER);
            let body: Vec<Value> = numbers.map(|n| self.alert(n, &until)).collect();
            let body = serde_json::to_vec(&body)?;
            write_request(&mut request, "POST", "/api/v2/alerts", &body);
            let answer = connection.send(&request).await?;
            if answer.status != 200 {
                bail!("{}", refusal(&answer));
            }
        }
        self.sent += FIRING;
        empty(instance, self.sent, Instant::now(), &bench.progress).await?;
        self.took += began.elapsed();
        Ok(())
    }

    fn alert(&self, number: u64, until: &str) -> Value {
        json!({
            "labels": {
                "alertname": format!("Alert{}", number % 50),
                "job": format!("service-{}", number % 20),
                "instance": format!("10.0.{}.{}:9100", number / 250, number % 250),
                "severity": "warning",
            },
            "annotations": {"summary": "It is down"},
            "startsAt": self.start.to_rfc3339(),
            "endsAt": until,
            "generatorURL": "http://prometheus.example/graph",
        })
    }
}
