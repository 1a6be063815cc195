//! Executors that are asked to run recommended actions, and what they report.

mod button;
mod dying;
mod limits;

use std::time::Duration;

use serde_json::{Value, json};
use tocsin::config::{Config, Span};
use tocsin_workers::workers;

use crate::harness::{Harness, On, alert, resolved};
use crate::on_all;
use crate::receiver::{Receiver, SECRET};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// A playbook for the alert `Loop`, and a hook that runs its actions.
fn set(config: &mut Config, receiver: &Receiver, mode: &str, more: &Value) {
    let playbook = json!({
        "name": "loop", "alert_name": "Loop", "tier_1": ["restart_pod"], "tier_2": ["rollback"],
    });
    config.playbooks = vec![serde_json::from_value(playbook).unwrap()];
    // The tier follows from what is tried, not from how often.
    config.escalation.rules.clear();
    let mut hook =
        json!({"url": receiver.url, "secret": SECRET, "alert_name": "Loop", "mode": mode});
    for (name, value) in more.as_object().into_iter().flatten() {
        hook[name] = value.clone();
    }
    let hook = serde_json::from_value(hook).unwrap();
    config.repairs.hooks.insert("pods".to_owned(), hook);
    config.queues.execute.backoff = Span(Duration::from_millis(10));
}

async fn start(on: On, mode: &str, more: Value) -> (Harness, Receiver) {
    let receiver = Receiver::start().await;
    let h = Harness::start_with(on, |config| set(config, &receiver, mode, &more)).await;
    (h, receiver)
}

impl Harness {
    async fn executions(&self, incident: &str) -> Vec<Value> {
        let shown = self.get(&format!("/api/v1/incidents/{incident}")).await;
        shown["executions"].as_array().unwrap().clone()
    }

    async fn newest_id(&self) -> String {
        self.incidents().await[0]["id"].as_str().unwrap().to_owned()
    }

    /// The executor reports.
    async fn reports(&self, id: &str, what: &str, body: Value) -> (u16, Value) {
        self.post(&format!("/api/v1/executions/{id}/{what}"), body)
            .await
    }

    async fn done_by_audit(&self) -> Vec<String> {
        let audit = self.get("/api/v1/audit?limit=200").await;
        let entries = audit["items"].as_array().unwrap().iter();
        let mut done: Vec<_> = entries
            .map(|entry| entry["action"].as_str().unwrap().to_owned())
            .collect();
        done.reverse();
        done
    }
}

on_all! {
    async fn an_executor_is_asked_once_and_its_reports_are_a_repair_with_a_verdict(on) {
        let (h, receiver) = start(on, "run", json!({})).await;
        let began = h.now();
        let firing = alert("Loop", "a", began);
        for _ in 0..3 {
            h.send_and_drain(vec![firing.clone(), alert("Loop", "b", began)]).await;
        }
        let incident = h.newest_id().await;
        let [asked] = &receiver.deliveries()[..] else {
            panic!("{:#?}", receiver.deliveries());
        };
        assert_eq!(asked.key.as_ref(), Some(&asked.id));
        let data = &asked.body["data"];
        assert_eq!((&asked.body["type"], &data["action"], &data["tier"]),
            (&json!("execution.asked"), &json!("restart_pod"), &json!(1)));
        assert_eq!(data["incident"]["id"], incident.as_str());
        assert_eq!(data["anomaly"]["alert_name"], "Loop");
        assert_eq!(data["recommendation"]["said"], "not judged yet; next in playbook loop");
        assert_eq!(data["report"]["started"], format!("/api/v1/executions/{}/started", asked.id));
        let [execution] = &h.executions(&incident).await[..] else {
            panic!("not one execution");
        };
        assert_eq!((&execution["state"], &execution["id"]), (&json!("asked"), &json!(asked.id)));
        assert_eq!(execution["wanted_by"], Value::Null);

        for _ in 0..2 {
            let (status, started) = h.reports(&asked.id, "started", json!({})).await;
            assert_eq!((status, &started["state"]), (200, &json!("started")), "{started}");
        }
        let repair = h.get(&format!("/api/v1/repairs/{}", asked.id)).await;
        assert_eq!((&repair["state"], &repair["operator"]), (&json!("started"), &json!("hook pods")));
        h.advance(MINUTE);
        for _ in 0..2 {
            let (status, finished) = h.reports(&asked.id, "finished", json!({"success": true, "note": "ok"})).await;
            assert_eq!((status, &finished["state"]), (200, &json!("finished")), "{finished}");
        }
        let (status, refused) = h.reports(&asked.id, "finished", json!({"success": false})).await;
        assert_eq!((status, &refused["code"]), (409, &json!("repair_finished")), "{refused}");
        h.drain().await;
        let now = h.now();
        h.send_and_drain(vec![resolved(firing, now), resolved(alert("Loop", "b", began), now)]).await;
        h.advance(HOUR);
        h.recount().await;
        let repair = h.get(&format!("/api/v1/repairs/{}", asked.id)).await;
        assert_eq!((&repair["verdict"], &repair["note"]), (&json!("verified"), &json!("ok")), "{repair:#}");
        let done = h.done_by_audit().await;
        assert_eq!(done, ["execution.ask", "execution.start", "execution.finish"]);
        let metrics = h.metrics().await;
        assert!(metrics.contains(r#"tocsin_executions_total{outcome="asked",reason=""} 1"#), "{metrics}");
        let (ok, shown) = h.tocsin(&["incidents", "show", &incident]);
        assert!(ok && shown.contains("restart_pod by hook pods: finished, helped"), "{shown}");
        assert_eq!(receiver.deliveries().len(), 1);
        h.finish().await;
    }

    async fn two_workers_at_once_make_one_execution(on) {
        let receiver = Receiver::start().await;
        let mut h = Harness::without_workers(on, |config| set(config, &receiver, "run", &json!({}))).await;
        for _ in 0..2 {
            h.work(workers(&h.context));
        }
        let sent = (0..24).map(|pod| h.send(vec![alert("Loop", &format!("pod-{pod}"), h.now())]));
        futures::future::join_all(sent).await;
        h.drain().await;
        assert_eq!(h.sql("SELECT count(*) FROM executions").await, 1);
        assert_eq!(receiver.deliveries().len(), 1);
        h.finish().await;
    }
}
