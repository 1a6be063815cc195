//! Queues and who works on them, as operators see them; paused and resumed.

use sea_orm::{EntityTrait as _, QueryOrder as _};
use serde_json::{Value, json};
use tocsin::VERSION;
use tocsin::config::{QueuePolicy, Span};
use tocsin::entity::audit;
use tocsin::queue::about::host;

use crate::harness::{Harness, On, firing};
use crate::on_all;

impl Harness {
    async fn queue(&self, name: &str) -> Value {
        let queues = self.get("/api/v1/queues").await;
        let mut queues = queues["items"].as_array().unwrap().iter();
        queues.find(|queue| queue["name"] == name).unwrap().clone()
    }

    /// Waits until every queue's worker has sent a heartbeat.
    async fn heard_of(&self) {
        while self.get("/api/v1/queues").await["items"]
            .as_array()
            .unwrap()
            .iter()
            .any(|queue| queue["workers"] == 0)
        {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }
}

on_all! {
    async fn a_queue_is_shown_with_its_workers_and_what_they_are_set_to(on) {
        let h = Harness::start_with(on, |config| {
            config.queues.tier = QueuePolicy { concurrency: 7, timeout: Span::secs(5), ..config.queues.tier };
        }).await;
        h.heard_of().await;
        let queue = h.queue("tier").await;
        assert_eq!((&queue["concurrency"], &queue["workers"]), (&json!(7), &json!(1)));
        assert_eq!((&queue["rate"], &queue["paused_since"]), (&json!(0.0), &Value::Null));
        let worker = &queue["consumers"][0];
        let (name, pid) = (worker["name"].as_str().unwrap(), std::process::id());
        assert!(name.starts_with(&format!("{}-{pid}-", host())), "{name}");
        assert_eq!((&worker["host"], &worker["pid"]), (&json!(host()), &json!(pid)));
        assert_eq!((&worker["version"], &worker["concurrency"]), (&json!(VERSION), &json!(7)));
        assert_eq!((&worker["in_flight"], &worker["rate"]), (&json!(0), &json!(0.0)));
        assert!(worker["seen_ms_ago"].as_u64().unwrap() < 5000, "{worker}");
        let since = worker["since"].as_str().unwrap();
        assert!(since <= h.now().to_rfc3339().as_str(), "{since}");

        let metrics = h.metrics().await;
        for line in [
            "tocsin_workers{queue=\"tier\"} 1",
            "tocsin_queue_paused{queue=\"tier\"} 0",
            &format!("tocsin_build_info{{version=\"{VERSION}\"}} 1"),
        ] {
            assert!(metrics.contains(line), "{line}: {metrics}");
        }
        h.finish().await;
    }

    async fn a_worker_that_has_stopped_in_order_is_shown_no_more(on) {
        let mut h = Harness::start(on).await;
        h.heard_of().await;
        let store = std::sync::Arc::clone(h.context.queues.store());
        h.finish_with_dead_letters().await;
        for name in tocsin::jobs::QUEUES {
            assert_eq!(store.consumers(name).await.unwrap(), [], "{name}");
        }
    }

    async fn pausing_and_resuming_a_queue_records_the_operator(on) {
        let h = Harness::start(on).await;
        let pause = async |operator: Value| {
            h.post("/api/v1/queues/ingest/pause", json!({"operator": operator})).await
        };
        let (status, queue) = pause(json!("ann")).await;
        assert_eq!((status, &queue["paused"], &queue["paused_by"]), (200, &json!(true), &json!("ann")));
        let since = queue["paused_since"].clone();
        let (_, queue) = pause(json!("bob")).await;
        assert_eq!((&queue["paused_since"], &queue["paused_by"]), (&since, &json!("ann")));
        h.send(vec![firing("a", h.now())]).await;
        let queue = h.queue("ingest").await;
        assert_eq!((&queue["ready"], &queue["in_flight"]), (&json!(1), &json!(0)));
        assert!(h.metrics().await.contains("tocsin_queue_paused{queue=\"ingest\"} 1"));

        h.post("/api/v1/queues/ingest/resume", json!({"operator": ""})).await;
        h.drain().await;
        assert_eq!(h.incidents().await.len(), 1);
        let queue = h.queue("ingest").await;
        let untold = (&queue["paused"], &queue["paused_since"], &queue["paused_by"]);
        assert_eq!(untold, (&json!(false), &Value::Null, &Value::Null));
        let (_, queue) = h.post("/api/v1/queues/ingest/pause", json!({})).await;
        assert_eq!(queue["paused_by"], "anyone", "nobody said a name, and no token was asked for");
        h.post("/api/v1/queues/ingest/resume", json!({})).await;

        let rows = audit::Entity::find().order_by_asc(audit::Column::Id);
        let rows = rows.all(h.context.db.read()).await.unwrap();
        let rows: Vec<_> = rows.iter().map(|row| (row.action.as_str(), row.operator.as_deref())).collect();
        assert_eq!(rows, [
            ("queue.pause", Some("ann")),
            ("queue.pause", Some("bob")),
            ("queue.resume", None),
            ("queue.pause", None),
            ("queue.resume", None),
        ]);
        h.finish().await;
    }

    async fn a_paused_queue_is_told_on_every_page_and_by_readiness_until_it_is_resumed(on) {
        let h = Harness::start(on).await;
        let page = async |h: &Harness, path: &str| {
            let request = h.http.get(format!("{}{path}", h.url)).header("accept-language", "en");
            request.send().await.unwrap().text().await.unwrap()
        };
        let told = "The queue notify is paused since <time";
        assert!(!page(&h, "/incidents").await.contains(told));
        assert_eq!(h.get("/readyz").await["paused_queues"], json!([]));

        let (_, queue) = h.post("/api/v1/queues/notify/pause", json!({"operator": "a<b>nn"})).await;
        h.send(vec![firing("a", h.now())]).await;
        h.until("SELECT count(*) FROM notifications", 1).await;
        let incident = h.incidents().await.remove(0);
        let of_incident = format!("/incidents/{}", incident["id"].as_str().unwrap());
        for path in ["/incidents", "/anomalies", "/repairs", "/maintenance", "/playbooks", "/report", "/queues", "/dead-letters", "/system", "/api"] {
            let page = page(&h, path).await;
            assert!(page.contains(told) && page.contains(" by a&lt;b&gt;nn: no notifications are sent."), "{path}: {page}");
            assert!(page.contains("tocsin queues resume notify"), "{path}");
        }
        let page_of_incident = page(&h, &of_incident).await;
        assert_eq!(page_of_incident.matches(told).count(), 2, "above, and at the pending notification: {page_of_incident}");
        let ready = h.get("/readyz").await;
        assert_eq!((&ready["status"], &ready["warnings"]), (&json!("ready"), &json!([])));
        let paused = &ready["paused_queues"][0];
        assert_eq!((&paused["name"], &paused["since"]), (&json!("notify"), &queue["paused_since"]));
        assert!(!ready.to_string().contains("nn\""), "who paused it is not for those without a token: {ready}");

        h.post("/api/v1/queues/notify/resume", json!({})).await;
        h.drain().await;
        assert!(!page(&h, &of_incident).await.contains(told));
        assert_eq!(h.get("/readyz").await["paused_queues"], json!([]));
        h.finish().await;
    }

    async fn a_process_that_stops_says_so_and_asks_for_other_connections(on) {
        let h = Harness::start(on).await;
        let readyz = format!("{}/readyz", h.url);
        let ready = h.http.get(&readyz).send().await.unwrap();
        assert_eq!((ready.status().as_u16(), ready.headers().get("connection")), (200, None));
        h.gate.stop();
        let unready = h.http.get(&readyz).send().await.unwrap();
        assert_eq!(unready.status(), 503);
        let told = unready.text().await.unwrap();
        assert!(told.contains("not ready: stopping"), "{told}");
        assert_eq!(h.get("/healthz").await["status"], "ok");
        let body = json!({"alerts": [firing("a", h.now())]});
        let webhook = h.http.post(format!("{}/api/v1/alertmanager", h.url)).json(&body);
        let taken = webhook.send().await.unwrap();
        assert_eq!(taken.headers()["connection"], "close");
        assert_eq!(taken.status(), 200);
        h.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_settings_of_a_queue_decide_how_often_its_jobs_are_tried() {
    let h = Harness::start_with(On::Sqlite, |config| {
        config.queues.notify.attempts = 2;
        config.queues.notify.backoff = Span(std::time::Duration::from_millis(20));
    });
    let mut h = h.await;
    for _ in 0..3 {
        h.telegram.answer_next(500, json!({"ok": false}));
    }
    h.send_and_drain(vec![firing("a", h.now())]).await;
    let tried = "SELECT attempts FROM notifications WHERE state = 'given up'";
    assert_eq!(h.sql(tried).await, 2);
    h.finish_with_dead_letters().await;
}
