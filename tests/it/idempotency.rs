//! Requests that are sent twice with one idempotency key: done once, answered the same.

use std::time::Duration;

use reqwest::{Method, Response};
use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};

use crate::harness::{Harness, firing};
use crate::on_all;

const PAUSE: &str = "/api/v1/queues/notify/pause";

impl Harness {
    async fn with_key(&self, key: &str, path: &str, body: Value) -> Response {
        let request = self
            .http
            .request(Method::POST, format!("{}{path}", self.url));
        let request = request.header("Idempotency-Key", key).json(&body);
        request.send().await.unwrap()
    }

    async fn operations(&self) -> i64 {
        self.sql("SELECT count(*) FROM audit").await
    }
}

/// Status, whether it was said before, and the body.
async fn parts(answer: Response) -> (u16, bool, String) {
    let status = answer.status().as_u16();
    let again = answer.headers().contains_key("idempotency-replayed");
    let kind = answer.headers()["content-type"].clone();
    let is_good = status < 300;
    let expected = if is_good {
        "application/json"
    } else {
        "application/problem+json"
    };
    assert_eq!(kind, expected);
    (status, again, answer.text().await.unwrap())
}

on_all! {
    async fn the_same_request_with_the_same_key_is_done_once_and_answered_the_same(on) {
        let h = Harness::start(on).await;
        h.send_and_drain(vec![firing("a", h.now())]).await;
        let id = h.incident().await["id"].as_str().unwrap().to_owned();
        let path = format!("/api/v1/incidents/{id}/acknowledge");
        let first = parts(h.with_key("k", &path, json!({"operator": "ann"})).await).await;
        assert_eq!((first.0, first.1), (200, false));
        h.post(&format!("/api/v1/incidents/{id}/resolve"), json!({})).await;
        let again = parts(h.with_key("k", &path, json!({"operator": "ann"})).await).await;
        assert_eq!((again.0, again.1), (200, true), "{again:?}");
        assert_eq!(again.2, first.2, "as it was answered then, though it is resolved by now");
        assert_eq!(h.operations().await, 2);
        let another = parts(h.with_key("l", &path, json!({"operator": "ann"})).await).await;
        assert_eq!(another.0, 409, "{another:?}");
        h.finish().await;
    }

    async fn a_key_belongs_to_one_request(on) {
        let h = Harness::start(on).await;
        assert_eq!(parts(h.with_key("k", PAUSE, json!({"operator": "ann"})).await).await.0, 200);
        let other = parts(h.with_key("k", PAUSE, json!({"operator": "bob"})).await).await;
        assert_eq!(other.0, 409, "{other:?}");
        // Elsewhere it is another.
        let resume = "/api/v1/queues/notify/resume";
        assert_eq!(parts(h.with_key("k", resume, json!({})).await).await.0, 200);
        for bad in ["", "two words", &"x".repeat(256)] {
            assert_eq!(parts(h.with_key(bad, PAUSE, json!({})).await).await.0, 400, "{bad}");
        }
        assert_eq!(h.operations().await, 2);
        h.finish().await;
    }

    async fn a_refused_request_can_be_retried_with_its_key(on) {
        let h = Harness::start(on).await;
        let refused = parts(h.with_key("k", PAUSE, json!({"operater": "ann"})).await).await;
        assert_eq!(refused.0, 400);
        assert_eq!(parts(h.with_key("k", PAUSE, json!({})).await).await.0, 200);
        h.post("/api/v1/queues/notify/resume", json!({})).await;
        h.finish().await;
    }

    async fn one_of_many_concurrent_requests_with_a_key_runs(on) {
        let h = Harness::start(on).await;
        let all = (0..8).map(|_| async { parts(h.with_key("k", "/api/v1/recount", json!({})).await).await });
        let all = futures::future::join_all(all).await;
        let mut done: Vec<&String> = all.iter().filter(|one| one.0 == 202).map(|one| &one.2).collect();
        done.dedup();
        assert_eq!(done.len(), 1, "{all:?}");
        assert!(all.iter().all(|one| matches!(one.0, 202 | 409)), "{all:?}");
        assert_eq!(h.operations().await, 1);
        h.drain().await;
        h.finish().await;
    }

    async fn a_request_whose_process_died_runs_again_after_a_minute(on) {
        let h = Harness::start(on).await;
        let first = parts(h.with_key("k", "/api/v1/recount", json!({})).await).await;
        let db = h.context.db.write();
        db.execute_unprepared("UPDATE requests SET status = NULL, answer = NULL").await.unwrap();
        assert_eq!(parts(h.with_key("k", "/api/v1/recount", json!({})).await).await.0, 409);
        h.advance(Duration::from_secs(61));
        let again = parts(h.with_key("k", "/api/v1/recount", json!({})).await).await;
        assert_eq!((again.0, again.1), (202, false));
        assert_eq!(again.2, first.2, "it is the same job");
        h.drain().await;
        h.finish().await;
    }

    async fn an_answer_is_remembered_for_a_day(on) {
        let h = Harness::start(on).await;
        h.with_key("k", PAUSE, json!({})).await;
        h.advance(Duration::from_secs(23 * 3600));
        assert!(parts(h.with_key("k", PAUSE, json!({})).await).await.1);
        h.advance(Duration::from_secs(2 * 3600));
        assert!(!parts(h.with_key("k", PAUSE, json!({})).await).await.1);
        h.advance(Duration::from_secs(25 * 3600));
        tocsin_workers::recount::prune(&h.context).await.unwrap();
        assert_eq!(h.sql("SELECT count(*) FROM requests").await, 0);
        h.post("/api/v1/queues/notify/resume", json!({})).await;
        h.finish().await;
    }
}
