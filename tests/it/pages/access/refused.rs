//! Refusals are shown at once, in the reader's language.

use std::time::{Duration, Instant};

use serde_json::json;

use super::visitor::Visitor;
use crate::harness::{Harness, On, firing};

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_form_shows_the_reason_at_once() {
    let h = Harness::start(On::Sqlite).await;
    h.send_and_drain(vec![firing("a", h.now())]).await;
    let visitor = Visitor::new(&h);
    let page = format!("/incidents/{}", h.incident().await["id"].as_str().unwrap());
    let form = [
        ("csrf", &*visitor.csrf(&page).await),
        ("once", &*visitor.hidden(&page, "once").await),
    ];
    let resolve = visitor.post(&format!("{page}/resolve"), &form).await;
    assert_eq!(resolve.status(), 303);
    let began = Instant::now();
    let acknowledge = visitor.post(&format!("{page}/acknowledge"), &form).await;
    assert_eq!(acknowledge.status(), 409);
    // A form that is being done is waited for as long as five seconds.
    let took = began.elapsed();
    assert!(took < Duration::from_secs(4), "{took:?}");
    h.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_shown_in_the_readers_language() {
    let mut h = Harness::start(On::Sqlite).await;
    let unusable = json!({"status": "firing"});
    for alert in [&firing("a", h.now()), &unusable, &unusable] {
        let sent = json!({"alerts": [alert]});
        assert_eq!(h.post("/api/v1/alertmanager", sent).await.0, 200);
    }
    h.drain().await;
    let incident = h.incident().await;
    let (id, key) = (
        incident["id"].as_str().unwrap(),
        incident["anomaly_key"].as_str().unwrap(),
    );
    let letters = h.get("/api/v1/dead-letters").await;
    let letter = |n: usize| letters["items"][n]["id"].as_str().unwrap().to_owned();
    h.post(&format!("/api/v1/incidents/{id}/resolve"), json!({}))
        .await;
    let discarded = format!("/api/v1/dead-letters/{}", letter(0));
    let discard = h
        .http
        .delete(format!("{}{discarded}", h.url))
        .json(&json!({"operator": "Ann"}));
    assert_eq!(discard.send().await.unwrap().status(), 200);
    let visitor = Visitor::new(&h);
    let csrf = visitor.csrf(&format!("/incidents/{id}")).await;
    for (path, field, status, told) in [
        (
            format!("/anomalies/{key}/mute"),
            ("own", "soon"),
            400,
            "soon&quot; 不是有效的時間長度",
        ),
        (
            format!("/anomalies/{key}/mute"),
            ("own", "40d"),
            409,
            "靜音最長 30 天",
        ),
        (
            format!("/anomalies/{key}/mute"),
            ("own", "0s"),
            409,
            "必須晚於現在",
        ),
        (
            format!("/incidents/{id}/acknowledge"),
            ("x", "y"),
            409,
            "無法再認領",
        ),
        (
            format!("/incidents/{id}/repair"),
            ("success", "no"),
            400,
            "請填寫採取了什麼措施",
        ),
        (
            format!("/incidents/{id}/repair"),
            ("action", "restart_pod"),
            400,
            "請選擇修復是否有效",
        ),
        (
            format!("/dead-letters/{}/replay", letter(0)),
            ("x", "y"),
            409,
            "Ann 已捨棄",
        ),
        (
            format!("/dead-letters/{}/edit", letter(1)),
            ("payload", "{}"),
            409,
            "內容不是有效的 ingest 工作",
        ),
        (
            format!("/dead-letters/{}/edit", letter(1)),
            ("payload", "{"),
            400,
            "內容不是有效的 JSON",
        ),
        ("/anomalies/0/mute".to_owned(), ("for", "1h"), 404, "找不到"),
    ] {
        let body = format!("csrf={csrf}&{}={}", field.0, field.1);
        let request = visitor.http.post(format!("{}{path}", h.url)).body(body);
        let request = request
            .header("content-type", "application/x-www-form-urlencoded")
            .header("accept-language", "zh-TW");
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
        let page = answer.text().await.unwrap();
        assert!(
            page.contains(told) && !page.contains("<p lang=\"en\""),
            "{path}: {page}"
        );
        // What was written is there still, or the page that has the form is a click away.
        let place = path.rsplit_once('/').unwrap().0;
        let kept = format!("spellcheck=\"false\">{}</textarea>", field.1);
        let is_back = match path.ends_with("/edit") {
            true => page.contains(&kept),
            false => status == 404 || page.contains(&format!("href=\"{place}\"")),
        };
        assert!(is_back, "{path}: {page}");
    }
    assert_eq!(h.sql("SELECT count(*) FROM repairs").await, 0);
    h.finish_with_dead_letters().await;
}
