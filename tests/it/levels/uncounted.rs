//! What was committed and could not be counted is counted when its alerts come again, and its level is
//! worked out then, though somebody worked out the incident meanwhile.

use redis::Commands as _;
use tocsin::config::NotifySettings;

use crate::harness::{Harness, On, firing, levels_by_counts};

#[tokio::test(flavor = "multi_thread")]
async fn a_rise_is_not_lost_whose_count_failed_until_its_alert_was_put_off() {
    let set = |config: &mut tocsin::config::Config| {
        config.notify = NotifySettings::default();
        config.escalation.rules = levels_by_counts();
    };
    let h = Harness::start_with(On::Fleet, set).await;
    let pods = (0..4).map(|pod| firing(&format!("pod-{pod}"), h.now()));
    h.send_and_drain(pods.collect()).await;
    assert_eq!(h.incident().await["escalation_level"], "REPEAT");

    let mut redis = h.redis().unwrap().connect();
    let key = h.sql_text("SELECT key FROM anomalies").await;
    let set = format!("{}:count:episode:{key}", h.context.config.redis_prefix);
    let counted: u64 = redis.del(&set).unwrap();
    assert_eq!(counted, 1, "{set} is not what it is counted in");
    let _: () = redis.set(&set, "no set").unwrap();
    h.pause("tier", true).await;
    h.send(vec![firing("pod-4", h.now())]).await;
    h.until("SELECT count(*) FROM occurrences", 5).await;
    // As a tier does that counts without it, though its mark was set again.
    let put_off = async || {
        let depth = h.context.queues.store().depth("ingest").await.unwrap();
        depth.delayed
    };
    while put_off().await == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    h.execute("UPDATE incidents SET tier_due_since = NULL")
        .await;
    h.lose("tier").await;
    let _: u64 = redis.del(&set).unwrap();
    h.pause("tier", false).await;
    h.until("SELECT count(*) FROM anomalies WHERE level = 'ESCALATE'", 1)
        .await;
    h.finish().await;
}
