//! Mutes as people see and make them on the page, without script.

use serde_json::json;

use crate::browser::Browser;
use crate::harness::{Harness, On, firing};

#[tokio::test(flavor = "multi_thread")]
async fn a_mute_is_made_seen_and_ended_on_the_page() {
    let h = Harness::start(On::Sqlite).await;
    h.send_and_drain(vec![firing("a", h.now())]).await;
    let (incident, key) = (h.incident().await, h.key().await);
    let page = format!("/incidents/{}", incident["id"].as_str().unwrap());
    let browser = Browser::start(&h.url).await;
    browser.allow_scripts(false).await;

    browser.open(&page).await;
    browser
        .click("details.act:has(form[action$='/mute']) summary")
        .await;
    browser.fill("#mute-own", "soon").await;
    browser.click("form[action$='/mute'] button").await;
    browser.wait_for("is not a duration").await;
    browser.open(&page).await;
    browser
        .click("details.act:has(form[action$='/mute']) summary")
        .await;
    browser.click("#mute-for option[value='4h']").await;
    browser.fill("#mute-why", "the fix is on its way").await;
    browser.fill("#by-mute", "Ann").await;
    browser.click("form[action$='/mute'] button").await;
    browser
        .wait_for("Muted. Notifications are suppressed until then.")
        .await;
    assert!(browser.address().await.starts_with(&page));
    let seen = browser.page().await;
    for words in [
        "muted until",
        "by Ann: the fix is on its way",
        "Muted until",
    ] {
        assert!(seen.contains(words), "{words}:\n{seen}");
    }
    let until = h.incident().await["muted_until"].clone();
    let until = tocsin::time::Timestamp::parse(until.as_str().unwrap()).unwrap();
    let left = until.since(h.now()).as_secs();
    assert!((4 * 3600 - 120..=4 * 3600).contains(&left), "{left} s");

    // Once more: the form says what it replaces, and the first can still be read.
    browser
        .click("details.act:has(form[action$='/mute']) summary")
        .await;
    browser
        .wait_for("A new mute replaces the current one")
        .await;
    browser.fill("#mute-why", "it came broken").await;
    browser.fill("#by-mute", "Bob").await;
    browser.click("form[action$='/mute'] button").await;
    browser.wait_for("by Bob: it came broken").await;
    browser.wait_for("by Ann: the fix is on its way").await;

    // A person resolves it, and it fires on.
    browser.click("button[formaction$='/resolve']").await;
    browser.wait_for("If it is still received after").await;

    browser.open("/incidents?status=all").await;
    browser.wait_for("muted, ").await;
    browser.open("/anomalies").await;
    browser.wait_for("muted until").await;
    browser.open(&format!("/anomalies/{key}")).await;
    browser.wait_for("by Ann: the fix is on its way").await;

    browser.allow_scripts(true).await;
    for (lang, theme, width) in [
        ("en", "light", 1280),
        ("zh-TW", "dark", 1280),
        ("en", "dark", 360),
        ("zh-TW", "light", 360),
    ] {
        browser.look_as(lang, theme, width).await;
        for (name, path) in [
            ("list", "/incidents?status=all"),
            ("incident", &page),
            ("anomalies", "/anomalies"),
            ("anomaly", &format!("/anomalies/{key}")),
        ] {
            browser.open(path).await;
            let open = "for (const d of document.querySelectorAll('details.act')) d.open = true";
            browser.script(open).await;
            let wider = "return document.documentElement.scrollWidth - innerWidth";
            let wider = browser.script(wider).await;
            assert!(
                wider.as_i64() <= Some(0),
                "{name} {lang} {width}: {wider} pixels too wide"
            );
            let found = browser.accessibility().await;
            assert!(found.is_empty(), "{name} {lang} {width}: {found:#?}");
            browser
                .picture(&format!("muted-{name}.{lang}.{theme}.{width}"))
                .await;
        }
    }
    browser.look_as("en", "light", 1280).await;
    browser.open(&format!("/anomalies/{key}")).await;
    browser.click("form[action$='/unmute'] button").await;
    browser.wait_for("Unmuted.").await;
    assert_eq!(h.incident().await["muted_until"], json!(null));
    browser.close().await;
    h.finish().await;
}
