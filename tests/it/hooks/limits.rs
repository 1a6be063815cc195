//! Limits of hooks: actions that are not run, or not at once.

use serde_json::json;

use super::{HOUR, MINUTE, start};
use crate::harness::{alert, resolved};
use crate::on_both;

on_both! {
    async fn in_suggest_mode_a_person_decides(on) {
        let (h, receiver) = start(on, "suggest", json!({})).await;
        h.send_and_drain(vec![alert("Loop", "a", h.now())]).await;
        let incident = h.newest_id().await;
        let page = async || {
            let page = h.http.get(format!("{}/incidents/{incident}", h.url)).send().await.unwrap();
            page.text().await.unwrap()
        };
        assert!(page().await.contains("Run restart_pod"));
        let suggested = h.executions(&incident).await;
        assert_eq!((suggested.len(), &suggested[0]["state"]), (1, &json!("suggested")));
        // It was not asked, so it has nothing to report.
        let id = suggested[0]["id"].as_str().unwrap().to_owned();
        let (status, refused) = h.reports(&id, "started", json!({})).await;
        assert_eq!((status, &refused["code"]), (409, &json!("not_asked")));
        let path = format!("/api/v1/incidents/{incident}/executions");
        let (status, refused) = h.post(&path, json!({"action": "rollback"})).await;
        assert_eq!((status, &refused["code"]), (409, &json!("not_recommended")), "{refused}");
        assert!(receiver.deliveries().is_empty());
        for _ in 0..2 {
            let (ok, told) = h.tocsin(&["execute", &incident, "Restart Pod", "--operator", "ann"]);
            assert!(ok && told.contains("restart_pod by hook pods"), "{told}");
            h.drain().await;
        }
        let asked = h.executions(&incident).await;
        assert_eq!((asked.len(), &asked[0]["state"], &asked[0]["wanted_by"]), (1, &json!("asked"), &json!("ann")));
        assert_eq!((receiver.deliveries().len(), &receiver.deliveries()[0].id), (1, &id));
        assert!(!page().await.contains("Run restart_pod"));
        // Without a report in time it is shown so; a late one is recorded.
        h.advance(HOUR);
        assert_eq!(h.executions(&incident).await[0]["state"], "expired");
        let (status, finished) = h.reports(&id, "finished", json!({"success": false})).await;
        assert_eq!((status, &finished["state"], &finished["success"]), (200, &json!("finished"), &json!(false)));
        h.send_and_drain(vec![resolved(alert("Loop", "a", h.now()), h.now())]).await;
        h.finish().await;
    }

    async fn while_an_anomaly_is_muted_nothing_is_run_by_itself(on) {
        let (h, receiver) = start(on, "run", json!({})).await;
        let firing = alert("Loop", "a", h.now());
        // Muted between the decision and the request.
        h.pause("execute", true).await;
        h.send(vec![firing.clone()]).await;
        h.until("SELECT count(*) FROM executions WHERE state = 'asking'", 1).await;
        let key = h.incidents().await[0]["anomaly_key"].as_str().unwrap().to_owned();
        let mute = format!("/api/v1/anomalies/{key}/mute");
        let (status, muted) = h.post(&mute, json!({"for": "2h", "operator": "ann"})).await;
        assert_eq!(status, 200, "{muted}");
        h.pause("execute", false).await;
        h.drain().await;
        let refused = h.executions(&h.newest_id().await).await;
        assert_eq!((&refused[0]["state"], &refused[0]["reason"]), (&json!("refused"), &json!("muted")));
        h.send_and_drain(vec![resolved(firing, h.now())]).await;
        h.advance(HOUR);
        // Muted before: the page says why nothing was run, and a person can have it run.
        h.send_and_drain(vec![alert("Loop", "a", h.now())]).await;
        let incident = h.newest_id().await;
        let refused = h.executions(&incident).await;
        assert_eq!((&refused[0]["state"], &refused[0]["reason"]), (&json!("refused"), &json!("muted")));
        for (lang, said) in [("en", "the anomaly was muted"), ("zh-TW", "異常靜音期間，hook 不會自動執行")] {
            let page = h.page_in(lang, &format!("/incidents/{incident}")).await;
            assert!(page.contains(said), "{page}");
        }
        // The end of the mute runs nothing either.
        h.advance(2 * HOUR);
        h.recount().await;
        h.drain().await;
        assert!(receiver.deliveries().is_empty());
        let action = refused[0]["action"].clone();
        let (status, _) = h.post(&format!("/api/v1/incidents/{incident}/executions"), json!({"action": action})).await;
        assert_eq!(status, 202);
        h.drain().await;
        assert_eq!(receiver.deliveries().len(), 1);
        let metrics = h.metrics().await;
        assert!(metrics.contains(r#"tocsin_executions_total{outcome="refused",reason="muted"} 2"#), "{metrics}");
        h.finish().await;
    }

    async fn what_somebody_acknowledged_is_left_to_them(on) {
        let (h, receiver) = start(on, "run", json!({})).await;
        h.pause("execute", true).await;
        h.send(vec![alert("Loop", "a", h.now())]).await;
        h.until("SELECT count(*) FROM executions WHERE state = 'asking'", 1).await;
        let incident = h.newest_id().await;
        let path = format!("/api/v1/incidents/{incident}/acknowledge");
        assert_eq!(h.post(&path, json!({"operator": "ann"})).await.0, 200);
        h.pause("execute", false).await;
        h.drain().await;
        let refused = h.executions(&incident).await;
        assert_eq!((&refused[0]["state"], &refused[0]["reason"]), (&json!("refused"), &json!("acknowledged")));
        assert!(receiver.deliveries().is_empty());
        let page = h.page_in("en", &format!("/incidents/{incident}")).await;
        assert!(page.contains("somebody had acknowledged the incident"), "{page}");
        h.finish().await;
    }

    async fn executions_of_an_anomaly_are_one_at_a_time_and_so_many_in_an_hour(on) {
        let (h, receiver) = start(on, "run", json!({"per_hour": 2})).await;
        let mut asked = Vec::new();
        for n in 1..=3 {
            let firing = alert("Loop", "a", h.now());
            h.send_and_drain(vec![firing.clone()]).await;
            if n == 2 {
                // The first still runs.
                assert!(h.executions(&h.newest_id().await).await.is_empty());
                assert_eq!(receiver.deliveries().len(), 1);
                let first = &receiver.deliveries()[0].id;
                assert_eq!(h.reports(first, "finished", json!({"success": true})).await.0, 200);
                h.drain().await;
                // Whether it helped is known after the quiet time.
                assert_eq!(receiver.deliveries().len(), 1);
                h.advance(33 * MINUTE);
                h.recount().await;
                h.drain().await;
            }
            asked.push(receiver.deliveries().len());
            if n == 3 {
                let incident = h.newest_id().await;
                let refused = h.executions(&incident).await;
                assert_eq!((&refused[0]["state"], &refused[0]["reason"]), (&json!("refused"), &json!("budget")));
                let path = format!("/api/v1/incidents/{incident}/executions");
                let (status, no) = h.post(&path, json!({"action": refused[0]["action"]})).await;
                assert_eq!((status, &no["code"]), (409, &json!("execution_budget")), "{no}");
                h.advance(HOUR);
                let (status, _) = h.post(&path, json!({"action": refused[0]["action"]})).await;
                assert_eq!(status, 202);
                h.drain().await;
                asked.push(receiver.deliveries().len());
            }
            if n == 2 {
                let second = &receiver.deliveries()[1].id;
                assert_eq!(h.reports(second, "finished", json!({"success": true})).await.0, 200);
                h.drain().await;
            }
            h.send_and_drain(vec![resolved(firing, h.now())]).await;
            h.advance(11 * MINUTE);
        }
        assert_eq!(asked, [1, 2, 2, 3]);
        h.finish().await;
    }

    async fn what_an_executor_refuses_or_what_makes_no_sense_any_more_is_not_run(on) {
        let (mut h, receiver) = start(on, "run", json!({})).await;
        // It fails for a moment: the same request comes again.
        receiver.answer_next(500, "a moment");
        receiver.answer_next(404, "no such job");
        let firing = alert("Loop", "a", h.now());
        h.send_and_drain(vec![firing.clone()]).await;
        let deliveries = receiver.deliveries();
        assert_eq!(deliveries.len(), 2);
        assert_eq!((&deliveries[0].key, &deliveries[0].body), (&deliveries[1].key, &deliveries[1].body));
        let failed = h.executions(&h.newest_id().await).await;
        assert_eq!((&failed[0]["state"], &failed[0]["reason"]), (&json!("failed"), &json!("rejected")));
        assert!(failed[0]["answer"].as_str().unwrap().contains("404: no such job"), "{failed:?}");
        assert_eq!(h.sql("SELECT count(*) FROM dead_letters WHERE queue = 'execute'").await, 1);
        h.send_and_drain(vec![resolved(firing, h.now())]).await;
        h.advance(HOUR);
        // Its request waits until the incident is over.
        h.pause("execute", true).await;
        let firing = alert("Loop", "a", h.now());
        h.send(vec![firing.clone()]).await;
        h.until("SELECT count(*) FROM executions WHERE state = 'asking'", 1).await;
        // The queue loses it, and recount pushes it again.
        h.lose("execute").await;
        h.send(vec![resolved(firing, h.now())]).await;
        h.until("SELECT count(*) FROM incidents WHERE status <> 'RESOLVED'", 0).await;
        h.pause("execute", false).await;
        h.advance(2 * MINUTE);
        h.recount().await;
        let refused = h.executions(&h.newest_id().await).await;
        assert_eq!((&refused[0]["state"], &refused[0]["reason"]), (&json!("refused"), &json!("resolved")));
        assert_eq!(receiver.deliveries().len(), 2);
        h.finish_with_dead_letters().await;
    }

    async fn an_executor_that_hangs_holds_nothing_else_up(on) {
        let (h, receiver) = start(on, "run", json!({})).await;
        receiver.hold(true);
        let firing = alert("Loop", "a", h.now());
        h.send(vec![firing.clone()]).await;
        receiver.has(1).await;
        let incident = h.newest_id().await;
        let path = format!("/api/v1/incidents/{incident}/repairs");
        let report = json!({"action": "by_hand", "success": true});
        assert_eq!(h.post(&path, report).await.0, 202);
        h.until("SELECT count(*) FROM repairs", 1).await;
        h.send(vec![resolved(firing, h.now())]).await;
        h.until("SELECT count(*) FROM incidents WHERE status <> 'RESOLVED'", 0).await;
        h.until("SELECT count(*) FROM notifications WHERE state = 'sent'", 1).await;
        assert_eq!(h.executions(&incident).await[0]["state"], "asking");
        receiver.hold(false);
        h.drain().await;
        assert_eq!(h.executions(&incident).await[0]["state"], "asked");
        h.finish().await;
    }
}
