//! What waits for somebody, in the tab's title and icon and on the desktop.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::browser::Browser;
use crate::harness::{Harness, On, alert};
use crate::process::PATIENCE;

/// What the desktop would show.
const DESKTOP: &str = "
    window.shown = [];
    window.Notification = class extends EventTarget {
        static permission = 'granted';
        static async requestPermission() { return 'granted'; }
        constructor(title, {body, tag}) { super(); window.shown.push([title, body, tag]); }
    };
    document.getElementById('desktop').click();";

async fn wait_for_title(browser: &Browser, title: &str) {
    let began = Instant::now();
    loop {
        let shown = browser.script("return document.title").await;
        if shown == title {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{shown} instead of {title}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tab_counts_what_waits_and_the_desktop_tells_of_what_is_new() {
    let h = Harness::start(On::Sqlite).await;
    let browser = Browser::start(&h.url).await;
    browser.look_as("en", "light", 1280).await;
    h.send_and_drain(vec![alert("DiskFull", "a", h.now())])
        .await;
    browser.open("/system").await;
    wait_for_title(&browser, "(1) System · Tocsin").await;
    let icon = "return document.querySelector('link[rel=icon]').href";
    let icon = browser.script(icon).await;
    assert!(icon.as_str().unwrap().contains("icon-waiting"), "{icon}");

    browser.script(DESKTOP).await;
    h.send_and_drain(vec![alert("HighLatency", "b", h.now())])
        .await;
    wait_for_title(&browser, "(2) System · Tocsin").await;
    let newest = h.incidents().await[0].clone();
    let place = format!(
        "{} · {}",
        newest["severity"].as_str().unwrap(),
        newest["service"].as_str().unwrap()
    );
    let shown = browser.script("return window.shown").await;
    assert_eq!(shown, json!([[newest["title"], place, newest["id"]]]));

    // Whoever is at it needs no reminder, nor does a muted anomaly.
    let incidents = h.incidents().await;
    let id = incidents[0]["id"].as_str().unwrap();
    h.post(
        &format!("/api/v1/incidents/{id}/acknowledge"),
        json!({"operator": "Ann"}),
    )
    .await;
    wait_for_title(&browser, "(1) System · Tocsin").await;
    let key = incidents[1]["anomaly_key"].as_str().unwrap();
    h.post(
        &format!("/api/v1/anomalies/{key}/mute"),
        json!({"for": "1h", "operator": "Ann"}),
    )
    .await;
    wait_for_title(&browser, "System · Tocsin").await;
    browser.close().await;
    h.finish().await;
}
