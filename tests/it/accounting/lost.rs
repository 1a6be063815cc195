//! Alerts that only Redis had and lost are reported once, with their number.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tocsin::context::Context;
use tocsin::telemetry::metrics::ByQueue;
use tocsin::web::Gate;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::harness::{Harness, On, Scratch, firing, number, serve_on_free_port};
use crate::process::PATIENCE;

const ALERTS: usize = 500;

fn reported(context: &Context) -> u64 {
    let queue = ByQueue { queue: "ingest" };
    context.metrics.jobs_lost.get_or_create(&queue).get()
}

async fn post(http: &reqwest::Client, url: &str, alerts: Vec<Value>) {
    let request = http.post(format!("{url}/api/v1/alertmanager"));
    let request = request.json(&json!({"alerts": alerts}));
    assert_eq!(request.send().await.unwrap().status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_processes_that_notice_a_loss_reports_the_number_of_alerts() {
    let scratch = Scratch::new(On::Fleet).await;
    let keys = scratch.redis.as_ref().unwrap();
    let processes = [
        Context::open(scratch.config(6)).await.unwrap(),
        Context::open(scratch.config(6)).await.unwrap(),
    ];
    let gates = [Arc::new(Gate::default()), Arc::new(Gate::default())];
    let look = async || {
        for (gate, context) in gates.iter().zip(&processes) {
            gate.look(context).await.unwrap();
        }
    };
    let (mut parts, stop, http) = (
        JoinSet::new(),
        CancellationToken::new(),
        tocsin::tls::client().build().unwrap(),
    );
    let url = serve_on_free_port(&processes[0], &gates[0], &mut parts, &stop).await;

    look().await;
    let now = processes[0].clock.now();
    let alerts = (0..ALERTS).map(|n| firing(&n.to_string(), now)).collect();
    post(&http, &url, alerts).await;
    look().await;
    keys.flush().unwrap();
    for _ in 0..2 {
        look().await;
    }
    assert_eq!(
        processes.each_ref().map(reported).iter().sum::<u64>(),
        ALERTS as u64
    );
    let rows = number(
        &processes[0],
        "SELECT count(*) FROM losses WHERE queue = 'ingest'",
    )
    .await;
    assert_eq!(rows, 1);

    // And another time, which both notice at once.
    post(&http, &url, vec![firing("again", now)]).await;
    look().await;
    keys.flush().unwrap();
    let both = gates
        .iter()
        .zip(&processes)
        .map(|(gate, context)| gate.look(context));
    futures::future::try_join_all(both).await.unwrap();
    assert_eq!(
        processes.each_ref().map(reported).iter().sum::<u64>(),
        ALERTS as u64 + 1
    );

    let queues = http
        .get(format!("{url}/api/v1/queues"))
        .send()
        .await
        .unwrap();
    let queues: Value = serde_json::from_str(&queues.text().await.unwrap()).unwrap();
    assert_eq!(queues["items"][0]["lost"], json!(ALERTS + 1));
    assert_eq!(queues["items"][1]["lost"], json!(0));
    stop.cancel();
    parts.join_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_notice_a_loss_without_an_ingress() {
    let h = Harness::start(On::Fleet).await;
    h.context
        .queues
        .store()
        .set_paused("ingest", true)
        .await
        .unwrap();
    let (began, mut lost) = (Instant::now(), 0);
    // They look once a second: whether they saw what waited is a matter of time.
    while reported(&h.context) == 0 {
        assert!(began.elapsed() < PATIENCE, "nobody tells");
        h.send(vec![firing(&lost.to_string(), h.now())]).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        lost += 1;
        if lost % 4 == 0 {
            h.flush_redis();
            h.context
                .queues
                .store()
                .set_paused("ingest", true)
                .await
                .unwrap();
        }
    }
    h.context
        .queues
        .store()
        .set_paused("ingest", false)
        .await
        .unwrap();
    h.drain().await;
    assert!(reported(&h.context) <= lost);
    assert_eq!(
        h.sql("SELECT CAST(sum(jobs) AS BIGINT) FROM losses").await,
        reported(&h.context) as i64
    );
    h.finish().await;
}
