//! Faults that are followed from link to link.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::Value;
use tocsin::time::Timestamp;
use tocsin_chain::{Chain, Fault};

use crate::harness::Harness;
use crate::process::PATIENCE;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);

/// When each link had what a fault leads to.
pub struct Link {
    pub fault: Fault,
    id: String,
    began: Timestamp,
    fires: Timestamp,
    alertmanager: Timestamp,
    opened: Timestamp,
    message: Timestamp,
    ended: Timestamp,
    quiet: Timestamp,
    resolved: Timestamp,
}

impl Link {
    pub async fn incident(&self, h: &Harness) -> Value {
        h.get(&format!("/api/v1/incidents/{}", self.id)).await
    }

    /// The time that each link took, in seconds.
    pub fn table(links: &[Self]) -> String {
        let mut table = String::from(
            "seconds since the fault began                                 | since it ended\n\
             fault                  rule fires Alertmanager  incident  message | rule quiet  resolved\n",
        );
        for link in links {
            let since = |at: Timestamp, start: Timestamp| {
                let millis = i32::try_from(at.0 - start.0).unwrap();
                f64::from(millis) / 1000.0
            };
            let [fires, alertmanager, opened, message] =
                [link.fires, link.alertmanager, link.opened, link.message]
                    .map(|at| since(at, link.began));
            let [quiet, resolved] = [link.quiet, link.resolved].map(|at| since(at, link.ended));
            writeln!(
                table,
                "{:<22} {fires:>10.2} {alertmanager:>12.2} {opened:>9.2} {message:>8.2} | \
                 {quiet:>10.2} {resolved:>9.2}",
                link.fault.title()
            )
            .unwrap();
        }
        table
    }
}

/// Waits until a condition holds.
pub async fn eventually(mut holds: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < PATIENCE, "it does not come true");
        tokio::time::sleep(LOOK).await;
    }
}

/// Has these faults begin, and follows each until its message is there.
pub async fn begin(h: &Harness, chain: &mut Chain, faults: &[Fault]) -> Vec<Link> {
    let mut began = Vec::new();
    for fault in faults {
        began.push((*fault, Timestamp::now()));
        chain.begin(*fault).await.unwrap();
    }
    let chain = &*chain;
    let followed = began
        .into_iter()
        .map(|(fault, at)| follow(h, chain, fault, at));
    let links = join_all(followed).await;
    h.drain().await;
    links
}

/// Ends these faults, and follows each until it is resolved.
pub async fn end(h: &Harness, chain: &mut Chain, links: &mut [Link]) {
    for link in &mut *links {
        link.ended = Timestamp::now();
        chain.end(link.fault).await.unwrap();
    }
    let chain = &*chain;
    join_all(links.iter_mut().map(async |link| {
        let quiet = async || chain.firing(link.fault).await.unwrap().is_none();
        link.quiet = first(quiet).await;
        eventually(async || !link.incident(h).await["resolved_at"].is_null()).await;
        let incident = link.incident(h).await;
        link.resolved = Timestamp::parse(incident["resolved_at"].as_str().unwrap()).unwrap();
    }))
    .await;
    h.drain().await;
}

async fn first(holds: impl AsyncFnMut() -> bool) -> Timestamp {
    eventually(holds).await;
    Timestamp::now()
}

async fn follow(h: &Harness, chain: &Chain, fault: Fault, began: Timestamp) -> Link {
    let fires = first(async || chain.firing(fault).await.unwrap().is_some());
    let told = first(async || {
        let told = h.telegram.taken();
        told.iter().any(|text| text.contains(fault.summary()))
    });
    // What came by the way without leases.
    let query = format!(
        "SELECT coalesce(max(o.unleased_at), 0) FROM occurrences o JOIN incidents i ON i.id = o.incident_id \
         WHERE i.title = '{}'",
        fault.summary()
    );
    let posted = async {
        let mut at = 0;
        eventually(async || {
            at = h.sql(&query).await;
            at > 0
        })
        .await;
        Timestamp(at)
    };
    let (fires, message, alertmanager) = tokio::join!(fires, told, posted);
    let incidents = h.incidents().await;
    let incident = incidents.iter().find(|one| one["title"] == fault.summary());
    let incident = incident.unwrap();
    let opened = Timestamp::parse(incident["opened_at"].as_str().unwrap()).unwrap();
    Link {
        fault,
        id: incident["id"].as_str().unwrap().to_owned(),
        began,
        fires,
        alertmanager,
        opened,
        message,
        ended: began,
        quiet: began,
        resolved: began,
    }
}
