//! A count that comes between a tier worker's look at the counts and its commit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use tocsin::time::Timestamp;

use super::processes::{Fleet, Launch};
use crate::harness::{On, alert, body};
use crate::process::{PATIENCE, beside_few};
use crate::proxy::{Fate, Piece, Proxy, Way, port_of};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread")]
async fn counts_added_during_a_tier_pass_trigger_another() {
    let turn = beside_few().await;
    let mut fleet = Fleet::in_turn(On::Fleet, turn).await;
    let url = fleet.start("ingress", 1).await.remove(0);
    let redis = fleet.redis.as_ref().unwrap().url.clone();
    let (counts, slow) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let (seen, is_slow) = (Arc::clone(&counts), Arc::clone(&slow));
    let late_counts = Proxy::start(port_of(&redis), move |piece: &Piece| {
        if piece.way == Way::FromServer || !piece.has(":count:") {
            return Fate::Pass;
        }
        seen.fetch_add(1, Ordering::SeqCst);
        match is_slow.load(Ordering::SeqCst) {
            true => Fate::Late(SECOND),
            false => Fate::Pass,
        }
    })
    .await;
    let launch = Launch::with("TOCSIN_REDIS_URL", late_counts.instead(&redis));
    fleet
        .start_as(&["work", "--queues", "ingest"], &launch)
        .await;
    // What is written after the counts were read, with which the mark is cleared.
    let late_tiers = Proxy::start(port_of(&fleet.database), |piece: &Piece| {
        match piece.way == Way::ToServer && piece.has("\"count_1h\"") {
            true => Fate::Late(2 * SECOND),
            false => Fate::Pass,
        }
    })
    .await;
    let launch = Launch::with("TOCSIN_DATABASE_URL", late_tiers.instead(&fleet.database));
    let rest = ["work", "--queues", "tier,notify,repair,recount"];
    fleet.start_as(&rest, &launch).await;

    let since = Timestamp::now();
    let alerts = ["a", "b", "c"].map(|pod| alert("DiskFull", pod, since));
    send(&fleet, &url, &alerts[0]).await;
    fleet.settled(1, PATIENCE).await;
    let before = counts.load(Ordering::SeqCst);
    send(&fleet, &url, &alerts[1]).await;
    while counts.load(Ordering::SeqCst) == before {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // The tier's job is on its way and has not begun: the third is committed before it, and counted
    // while it writes.
    slow.store(true, Ordering::SeqCst);
    send(&fleet, &url, &alerts[2]).await;
    fleet.settled(3, PATIENCE).await;
    let counted = "SELECT CAST(frequency_stats->>'count_1h' AS BIGINT) FROM incidents";
    assert_eq!(fleet.sql(counted).await, 3);
    let level = "SELECT count(*) FROM anomalies WHERE level = 'REPEAT'";
    assert_eq!(fleet.sql(level).await, 1);
}

async fn send(fleet: &Fleet, url: &str, alert: &Value) {
    let post = fleet.http.post(format!("{url}/api/v1/alertmanager"));
    let post = post.json(&body(std::slice::from_ref(alert)));
    assert_eq!(post.send().await.unwrap().status(), 200);
}
