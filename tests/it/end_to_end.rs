//! From a server that fails to a message, and back: real exporters, Prometheus and Alertmanager with the shipped
//! configuration, sixty times as fast.

mod follow;

use std::time::Duration;

use serde_json::{Value, json};
use tocsin::config::{PrometheusServer, Secret, Span, Tokens};
use tocsin_chain::{Chain, Fault, Setup, configuration};
use tocsin_workers::{presence, recount};

use crate::harness::{Harness, On};
use crate::process::{folder, free_port};
use follow::{Link, begin, end, eventually};

const TOKEN: &str = "webhook-token-of-the-chain";

/// Tocsin, and the chain that leads to it.
async fn start() -> (Harness, Chain) {
    let ports = [free_port(), free_port()];
    let [prometheus, alertmanager] = ports;
    // Alone: a late scrape ends a firing and begins another.
    let h = Harness::start_alone_with(On::Fleet, |config| {
        config.webhook_token = Tokens::from(TOKEN);
        config.analysis.enabled = true;
        config.alertmanager_url = Some(Secret::from(&*format!("http://127.0.0.1:{alertmanager}")));
        config.reconcile.receiver = Some("tocsin".to_owned());
        config.reconcile.after = Span(Duration::from_secs(2));
        config.reconcile.prometheus = vec![PrometheusServer {
            url: Secret::from(&*format!("http://127.0.0.1:{prometheus}")),
            ..PrometheusServer::default()
        }];
    })
    .await;
    presence::pass(&h.context).await.unwrap();
    let setup = Setup {
        deploy: configuration::deploy(),
        tocsin: h.url.trim_start_matches("http://").to_owned(),
        token: TOKEN.to_owned(),
        prometheus,
        alertmanager,
        faster: 60,
    };
    let chain = Chain::start(folder(), &setup).await.unwrap();
    (h, chain)
}

/// What an incident is to be, whatever else happened.
fn is_as_it_should(h: &Harness, fault: Fault, incident: &Value) {
    let signature = ["service", "namespace", "error_type"].map(|name| incident[name].as_str());
    assert_eq!(signature, fault.signature().map(Some), "{incident:#}");
    assert_eq!(incident["severity"], fault.severity());
    assert_eq!(incident["title"], fault.summary());
    assert_eq!(
        (&incident["tier"], &incident["escalation_level"]),
        (&json!(1), &json!("NONE"))
    );
    let findings = incident["analysis"]["findings"].as_array().unwrap();
    let found = |kind: &str| findings.iter().find(|finding| finding["kind"] == kind);
    assert!(found("first").is_some(), "{findings:?}");
    let runbook = found("runbook").unwrap()["url"].as_str().unwrap();
    let (_, page) = runbook.split_once("/blob/main/").unwrap();
    let page = configuration::deploy().join("..").join(page);
    assert!(page.exists(), "{runbook}");
    let opened = format!("Opened · {}: {}</b>", fault.severity(), fault.summary());
    let told = h.telegram.headlines();
    let times = told.iter().filter(|line| line.ends_with(&opened)).count();
    assert_eq!(times, 1, "{opened}: {told:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn five_faults_pass_the_whole_chain_and_nothing_is_lost_while_alertmanager_is_down() {
    let (h, mut chain) = start().await;
    let mut table = Vec::new();
    for faults in [&Fault::ALL[..3], &Fault::ALL[3..]] {
        let mut began = begin(&h, &mut chain, faults).await;
        for link in &began {
            is_as_it_should(&h, link.fault, &link.incident(&h).await);
        }
        end(&h, &mut chain, &mut began).await;
        for link in &began {
            let incident = link.incident(&h).await;
            let ended = (&incident["status"], &incident["resolved_by"]);
            assert_eq!(
                ended,
                (&json!("RESOLVED"), &json!("itself")),
                "{incident:#}"
            );
        }
        table.extend(began);
    }
    eprintln!("{}", Link::table(&table));
    alertmanager_is_down(&h, &mut chain).await;
    drop(chain);
    h.drain().await;
    h.finish().await;
}

/// Prometheus sends by Alertmanager alone, and that is killed while one fault ends and another begins.
async fn alertmanager_is_down(h: &Harness, chain: &mut Chain) {
    chain.send_by_alertmanager_alone().await.unwrap();
    chain.begin(Fault::Memory).await.unwrap();
    let firings = |fault: Fault, which: &str| {
        format!(
            "SELECT count(*) FROM occurrences o JOIN incidents i ON i.id = o.incident_id \
             WHERE i.title = '{}' AND {which}",
            fault.summary()
        )
    };
    const OPEN: &str = "o.ended_at IS NULL";
    h.until(&firings(Fault::Memory, OPEN), 1).await;
    // Alertmanager says that it has it. What begins after its last answer cannot be silenced there.
    recount::reconcile(&h.context).await.unwrap();
    chain.kill_alertmanager();
    chain.end(Fault::Memory).await.unwrap();
    chain.begin(Fault::Lock).await.unwrap();
    chain.until(Fault::Lock, true).await.unwrap();
    chain.until(Fault::Memory, false).await.unwrap();
    h.drain().await;
    assert_eq!(h.sql(&firings(Fault::Lock, OPEN)).await, 0, "who tells?");
    assert_eq!(h.sql(&firings(Fault::Memory, OPEN)).await, 1, "who tells?");

    // Prometheus knows.
    eventually(async || {
        recount::reconcile(&h.context).await.unwrap();
        h.drain().await;
        let taken_in = h.sql(&firings(Fault::Lock, OPEN)).await;
        taken_in == 1 && h.sql(&firings(Fault::Memory, OPEN)).await == 0
    })
    .await;
    let closed = firings(Fault::Memory, "o.ended_by = 'unseen'");
    assert_eq!(h.sql(&closed).await, 1);

    // Alertmanager is back, and posts what was taken in: with the same labels, and a later start.
    chain.start_alertmanager().await.unwrap();
    // Taken in, it was received twice.
    let by_both = "o.ended_at IS NULL AND o.deliveries > 2";
    h.until(&firings(Fault::Lock, by_both), 1).await;
    chain.end(Fault::Lock).await.unwrap();
    h.until(&firings(Fault::Lock, OPEN), 0).await;
    h.drain().await;
    // Each was counted once, whoever told of it how often.
    for fault in [Fault::Memory, Fault::Lock] {
        assert_eq!(h.sql(&firings(fault, "true")).await, 2, "{fault:?}");
    }
}
