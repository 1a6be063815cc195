//! Every page in both languages and themes, wide and narrow: nothing that axe-core objects to, nothing
//! wider than the screen; and a picture of each for people to look at.

use std::time::Duration;

use serde_json::json;
use uuid::Uuid;

use crate::browser::Browser;
use crate::harness::{Harness, On, alert, resolved};

/// Incidents of every level, a repair, a dead letter.
async fn fill(h: &Harness) {
    for (name, times) in [
        ("HighLatency", 12),
        ("DiskFull", 6),
        ("JobFailed", 3),
        ("Restarted", 1),
    ] {
        for n in 0..times {
            let firing = alert(name, &format!("pod-{n}"), h.now());
            h.send_and_drain(vec![firing.clone()]).await;
            if n % 2 == 0 {
                h.send_and_drain(vec![resolved(firing, h.now())]).await;
            }
        }
        h.advance(Duration::from_secs(180));
    }
    let id = h.incidents().await[0]["id"].as_str().unwrap().to_owned();
    for success in [true, false] {
        let repair = json!({"action": "restart_pod", "success": success, "operator": "Ann"});
        h.post(&format!("/api/v1/incidents/{id}/repairs"), repair)
            .await;
    }
    let dead = json!({"alerts": [{"status": "firing"}]});
    h.post("/api/v1/alertmanager", dead).await;
    h.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_can_use_every_page() {
    let mut h = Harness::start(On::Sqlite).await;
    let browser = Browser::start(&h.url).await;
    let mut objections = Vec::new();
    browser.look_as("en", "light", 1280).await;
    browser.open("/incidents").await;
    browser.picture("nothing-yet").await;
    fill(&h).await;
    let incident = h.incidents().await.pop().unwrap();
    let (id, key) = (
        incident["id"].as_str().unwrap(),
        incident["anomaly_key"].as_str().unwrap(),
    );
    let dead = h.get("/api/v1/dead-letters").await["items"][0]["id"].clone();
    let pages = [
        ("incidents", "/incidents".to_owned()),
        (
            "nothing-found",
            "/incidents?q=nothing+like+that&service=x".to_owned(),
        ),
        ("incident", format!("/incidents/{id}")),
        ("anomalies", "/anomalies".to_owned()),
        ("anomaly", format!("/anomalies/{key}")),
        ("repairs", "/repairs".to_owned()),
        ("queues", "/queues".to_owned()),
        ("dead-letters", "/dead-letters".to_owned()),
        (
            "dead-letter",
            format!("/dead-letters/{}", dead.as_str().unwrap()),
        ),
        ("system", "/system".to_owned()),
        ("not-found", format!("/incidents/{}", Uuid::now_v7())),
    ];
    // Every language in every theme; what a page is made of depends on neither, and colours on the
    // theme alone, so that half of them are judged.
    let looks = [
        ("en", "light", 1280, true),
        ("zh-TW", "dark", 1280, true),
        ("en", "dark", 1280, false),
        ("zh-TW", "light", 1280, false),
        ("en", "light", 360, true),
        ("zh-TW", "dark", 360, false),
    ];
    for (lang, theme, width, is_judged) in looks {
        browser.look_as(lang, theme, width).await;
        for (name, path) in &pages {
            let name = format!("{name}.{lang}.{theme}.{width}");
            browser.open(path).await;
            let found = browser.script("return document.documentElement.lang").await;
            assert_eq!(found, lang, "{name}");
            let wider = "return document.documentElement.scrollWidth - innerWidth";
            let wider = browser.script(wider).await;
            if wider.as_i64() > Some(0) {
                objections.push(format!("{name}: {wider} pixels too wide"));
            }
            browser.picture(&name).await;
            if is_judged {
                let found = browser.accessibility().await;
                objections.extend(found.into_iter().map(|line| format!("{name}: {line}")));
            }
        }
    }
    assert!(objections.is_empty(), "{}", objections.join("\n"));
    browser.close().await;
    h.finish_with_dead_letters().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_can_sign_in() {
    let h = Harness::start_with(On::Sqlite, |config| {
        config.api_token = tocsin::config::Tokens::from("a-token-to-operate");
    })
    .await;
    let browser = Browser::start(&h.url).await;
    let mut objections = Vec::new();
    for (lang, theme, width) in [
        ("en", "light", 1280),
        ("zh-TW", "dark", 1280),
        ("en", "dark", 360),
    ] {
        browser.look_as(lang, theme, width).await;
        browser.open("/incidents").await;
        browser
            .picture(&format!("sign-in.{lang}.{theme}.{width}"))
            .await;
        objections.extend(browser.accessibility().await);
        browser.fill("#token", "something else").await;
        browser.click("button.primary").await;
        browser.element(".wrong").await;
        browser
            .picture(&format!("sign-in-refused.{lang}.{theme}.{width}"))
            .await;
        objections.extend(browser.accessibility().await);
    }
    assert!(objections.is_empty(), "{}", objections.join("\n"));
    browser.close().await;
    h.finish().await;
}
