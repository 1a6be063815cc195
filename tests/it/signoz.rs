//! SigNoz: thresholds, rules without data, and tests, through its webhook.

mod apply;
mod server;

use std::time::Duration;

use serde_json::{Value, json};
use tocsin::config::Tokens;
use tocsin::domain::routing::{List, Pattern, Route};

use crate::harness::{Harness, On};
use crate::{on_all, payload};

const MINUTE: Duration = Duration::from_secs(60);
const EASED: &str = payload!("signoz_two_thresholds");
const NO_DATA: &str = payload!("signoz_no_data");

/// A body with these of the two thresholds' alerts: whether each fires.
fn body(h: &Harness, alerts: &[(&str, bool)]) -> String {
    let mut body: Value = serde_json::from_str(EASED).unwrap();
    let all = body["alerts"].take();
    let began = h.now().before(20 * MINUTE);
    let alerts = alerts.iter().map(|(severity, fires)| {
        let of = |alert: &&Value| alert["labels"]["severity"] == *severity;
        let mut alert = all.as_array().unwrap().iter().find(of).unwrap().clone();
        let start = began.after(if *severity == "critical" {
            4 * MINUTE
        } else {
            MINUTE
        });
        alert["startsAt"] = json!(start.to_rfc3339());
        (alert["status"], alert["endsAt"]) = match fires {
            true => (json!("firing"), json!("0001-01-01T00:00:00Z")),
            false => (json!("resolved"), json!(h.now().to_rfc3339())),
        };
        alert
    });
    body["alerts"] = alerts.collect();
    body.to_string()
}

/// The severity and the status of the one incident, how many firings there are, and how many of them are open.
async fn found(h: &Harness) -> (Value, Value, i64, i64) {
    let incident = h.incident().await;
    let open = h
        .sql("SELECT count(*) FROM occurrences WHERE ended_at IS NULL")
        .await;
    let all = h.sql("SELECT count(*) FROM occurrences").await;
    (
        incident["severity"].clone(),
        incident["status"].clone(),
        all,
        open,
    )
}

on_all! {
    async fn two_thresholds_of_a_rule_are_one_firing_whose_rise_is_told_and_routed(on) {
        let h = Harness::start_with(on, |config| {
            let critical = Route {
                severity: List(vec![Pattern("critical".to_owned())]),
                to: List(vec!["telegram:-200".to_owned()]),
                ..Route::default()
            };
            let all = Route { to: List(vec!["telegram:-100".to_owned()]), ..Route::default() };
            config.routes = vec![critical, all];
        })
        .await;
        h.deliver("signoz", body(&h, &[("warning", true)])).await;
        assert_eq!(found(&h).await, (json!("warning"), json!("OPEN"), 1, 1));
        let critical = body(&h, &[("critical", true)]);
        h.deliver("signoz", critical.clone()).await;
        h.deliver("signoz", critical).await;
        let worse = (json!("critical"), json!("OPEN"), 1, 1);
        assert_eq!(found(&h).await, worse);
        let told = "SELECT count(*) FROM notifications WHERE kind = 'worsened' AND state = 'sent'";
        assert_eq!(h.sql(told).await, 1);
        let routed = format!("{told} AND channel = 'telegram:-200'");
        assert_eq!(h.sql(&routed).await, 1);

        // It eases, in either order, and is worse once more: nothing is over, and nothing is sent.
        for alerts in [[("critical", false), ("warning", true)], [("warning", true), ("critical", false)]] {
            h.deliver("signoz", body(&h, &alerts)).await;
            assert_eq!(found(&h).await, worse);
        }
        h.deliver("signoz", body(&h, &[("critical", true), ("warning", true)])).await;
        assert_eq!((found(&h).await, h.sql(told).await), (worse, 1));
        h.deliver("signoz", body(&h, &[("critical", false), ("warning", false)])).await;
        assert_eq!(found(&h).await, (json!("critical"), json!("RESOLVED"), 1, 0));
        let stats = &h.incident().await["frequency_stats"];
        assert_eq!(stats["count_24h"], 1, "{stats}");
        h.finish().await;
    }

    async fn where_groups_part_the_thresholds_the_end_of_one_is_taken_back_when_the_other_fires(on) {
        let h = Harness::start(on).await;
        h.deliver("signoz", body(&h, &[("warning", true)])).await;
        h.deliver("signoz", body(&h, &[("critical", true)])).await;
        h.deliver("signoz", body(&h, &[("critical", false)])).await;
        assert_eq!(found(&h).await.1, "RESOLVED");
        h.deliver("signoz", body(&h, &[("warning", true)])).await;
        h.advance(11 * MINUTE);
        h.recount().await;
        assert_eq!(found(&h).await, (json!("critical"), json!("OPEN"), 1, 1));
        h.finish().await;
    }

    async fn a_rule_without_data_has_the_service_of_its_alerts_and_keeps_it_until_it_is_over(on) {
        let h = Harness::start(on).await;
        let anomalies = "SELECT count(*) FROM anomalies WHERE error_type = 'no_data' AND alert_name = 'CheckoutIsSlow'";
        let open = "SELECT count(*) FROM occurrences WHERE ended_at IS NULL";
        let over = |body: &str| body.replace("\"firing\"", "\"resolved\"");
        let later = NO_DATA.replace("10:03:00", "11:03:00").replace("09:48:00", "10:48:00");
        // Nothing is known of the rule when it begins, and something when it is over.
        h.deliver("signoz", NO_DATA).await;
        assert_eq!(h.sql(&format!("{anomalies} AND service = ''")).await, 1);
        h.deliver("signoz", payload!("signoz_firing")).await;
        h.deliver("signoz", payload!("signoz_resolved")).await;
        h.deliver("signoz", over(NO_DATA)).await;
        assert_eq!((h.sql(anomalies).await, h.sql(open).await), (1, 0));
        // The next time it is known.
        h.deliver("signoz", later.clone()).await;
        let known = format!("{anomalies} AND service = 'checkout' AND namespace = 'shop'");
        assert_eq!(h.sql(&known).await, 1);
        // Another service makes it unknown, for what begins after that.
        let cart = payload!("signoz_resolved").replace("\"checkout\"", "\"cart\"");
        h.deliver("signoz", cart).await;
        h.deliver("signoz", over(&later)).await;
        assert_eq!((h.sql(anomalies).await, h.sql(open).await), (2, 0));
        h.deliver("signoz", later.replace("11:03:00", "12:03:00")).await;
        let of_both = format!("{anomalies} AND service = '' AND namespace = 'shop'");
        assert_eq!((h.sql(&of_both).await, h.sql(open).await), (1, 1));
        assert_eq!(h.sql("SELECT count(*) FROM alert_rules").await, 1);
        // Rules without alerts are deleted.
        h.advance(400 * 24 * 60 * MINUTE);
        h.recount().await;
        assert_eq!(h.sql("SELECT count(*) FROM alert_rules").await, 0);
        h.finish().await;
    }

    async fn tests_of_rules_and_channels_are_counted_and_a_replay_is_counted_once(on) {
        let h = Harness::start_with(on, |config| config.webhook_token = Tokens::from("hook")).await;
        let post = async |token: &str, body: &'static str| {
            let sent = h.webhook("signoz", body).bearer_auth(token).send().await.unwrap();
            crate::harness::answer(sent).await
        };
        for token in ["", "wrong"] {
            assert_eq!(post(token, NO_DATA).await.0, 401);
        }
        assert_eq!(h.post_to("signoz", NO_DATA).await.0, 401);
        for body in [payload!("signoz_test_rule"), payload!("signoz_test_channel")] {
            let (status, taken) = post("hook", body).await;
            let expected = json!({"status": "ok", "processed": 1, "enqueued": 0, "rejected": 0, "tests": 1});
            assert_eq!((status, taken), (200, expected));
        }
        h.drain().await;
        assert_eq!(h.sql("SELECT count(*) FROM anomalies").await, 0);
        for _ in 0..2 {
            let (_, taken) = post("hook", EASED).await;
            let expected = json!({"status": "ok", "processed": 2, "enqueued": 1, "rejected": 0, "unused": 1});
            assert_eq!(taken, expected);
            h.drain().await;
        }
        assert_eq!(found(&h).await, (json!("warning"), json!("OPEN"), 1, 1));
        let metrics = h.metrics().await;
        for line in [
            "tocsin_alerts_received_total{source=\"signoz\"} 6",
            "tocsin_alerts_total{source=\"signoz\",outcome=\"test\"} 2",
            "tocsin_alerts_total{source=\"signoz\",outcome=\"unused\"} 2",
            "tocsin_alerts_total{source=\"signoz\",outcome=\"counted\"} 1",
            "tocsin_alerts_total{source=\"signoz\",outcome=\"resent\"} 1",
        ] {
            assert!(metrics.contains(line), "{line}\n{metrics}");
        }
        h.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_rule_is_about_is_noted_by_many_at_once_and_more_than_once() {
    use tocsin::domain::alert_rule::{About, RuleTargets};
    use tocsin::store::alert_rules::{find, note};
    let h = Harness::start(On::Postgres).await;
    let about = |service: &str, namespace: &str| About {
        service: service.to_owned(),
        namespace: namespace.to_owned(),
    };
    let db = h.context.db.write();
    for (named, expected) in [
        (about("", "shop"), ("", false, "shop", false)),
        (about("a", ""), ("a", false, "shop", false)),
        (about("a", "shop"), ("a", false, "shop", false)),
        (about("b", "shop"), ("a", true, "shop", false)),
        (about("a", "other"), ("a", true, "shop", true)),
    ] {
        let note = || note(db, ("signoz", "r"), &named, h.now());
        let (one, other) = tokio::join!(note(), note());
        one.and(other).unwrap();
        let (service, has_services, namespace, has_namespaces) = expected;
        let known = RuleTargets {
            first: about(service, namespace),
            has_services,
            has_namespaces,
        };
        assert_eq!(find(db, "signoz", "r").await.unwrap(), Some(known));
    }
    assert_eq!(find(db, "signoz@eu", "r").await.unwrap(), None);
    h.finish().await;
}
