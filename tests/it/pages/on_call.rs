//! A person on call at work in a browser, with script and without.

use serde_json::json;
use tocsin::config::Tokens;
use tocsin::jobs::{Content, IngestAlert};

use crate::browser::Browser;
use crate::harness::{Harness, On, firing};

const TOKEN: &str = "a-token-to-operate";

async fn guarded() -> Harness {
    Harness::start_with(On::Sqlite, |config| {
        config.api_token = Tokens::from(TOKEN);
    })
    .await
}

async fn sign_in(browser: &Browser, wanted: &str) {
    browser.open(wanted).await;
    assert!(browser.address().await.starts_with("/sign-in"));
    browser.fill("#token", TOKEN).await;
    browser.fill("#name", "Ann").await;
    browser.click("button.primary").await;
    browser.wait_to_be_at(wanted).await;
}

/// Records a repair on the page of an incident and waits until it is there.
async fn repair(browser: &Browser, h: &Harness, action: &str) {
    browser.fill("#action", action).await;
    browser.click("input[name=success][value=no]").await;
    browser.fill("#note", "by the book").await;
    browser
        .click("form[action$='/repair'] button.primary")
        .await;
    browser.wait_to_be_at("?done=repair").await;
    h.drain().await;
}

/// An alert that cannot be used dies; with another payload its job is done.
async fn replay(browser: &Browser, h: &Harness, pod: &str) {
    let dead = json!({"alerts": [{"status": "firing", "labels": {"pod": pod}}]});
    let (status, _) = h.post("/api/v1/alertmanager", dead).await;
    assert_eq!(status, 200);
    h.drain().await;
    browser.open("/dead-letters").await;
    browser.click("tbody th a").await;
    let usable = json!({"alerts": [firing(pod, h.now())]});
    let config = tocsin::config::Config::default();
    let body = usable.to_string();
    let taken =
        (tocsin::sources::SOURCES[0].translate)(&tocsin::sources::Delivery::of(body), &config)
            .unwrap();
    let Content::Alert(alert) = taken.alerts.into_iter().next().unwrap() else {
        panic!("{usable} is usable");
    };
    let job = IngestAlert {
        source: "alertmanager".to_owned(),
        received_at: h.now(),
        content: Content::Alert(alert),
    };
    browser.fill("#payload", &json!(job).to_string()).await;
    browser.click("form[action$='/edit'] button").await;
    browser.wait_for("Replayed with the edited payload.").await;
    h.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engineer_signs_in_watches_reads_repairs_and_replays() {
    let mut h = guarded().await;
    let browser = Browser::start(&h.url).await;

    browser.open("/system").await;
    browser.fill("#token", "something else").await;
    browser.click("button.primary").await;
    browser.wait_for("Unknown token.").await;
    sign_in(&browser, "/incidents").await;
    browser.wait_for("No alerts received yet").await;
    browser.wait_for("● Live").await;

    h.send(vec![firing("a", h.now())]).await;
    let took = browser.wait_for("CrashLooping in prod").await;
    eprintln!("a new incident was seen {took:?} after its POST");
    h.drain().await;
    browser.wait_for("Tier 1: restart").await;

    browser
        .driver
        .action_chain()
        .send_keys("j")
        .perform()
        .await
        .unwrap();
    let focused = browser
        .script("return document.activeElement.textContent")
        .await;
    assert_eq!(focused, "CrashLooping in prod");
    browser.click(".card h2 a").await;
    browser.wait_for("Why this tier").await;
    browser.wait_for("Default tier").await;
    repair(&browser, &h, "restart_pod").await;
    browser.wait_for("Repair restart_pod: did not help").await;
    browser.wait_for("by Ann: by the book").await;

    // What others do shows by itself.
    let id = h
        .sql_text("SELECT CAST(max(key) AS text) FROM anomalies")
        .await;
    h.execute(&format!(
        "UPDATE anomalies SET level = 'ESCALATE', level_seq = 9 WHERE key = '{id}'"
    ))
    .await;
    browser.wait_for("ESCALATE").await;

    replay(&browser, &h, "b").await;
    browser.open("/incidents").await;
    browser.wait_for("2 firings").await;
    browser.click("form[action='/sign-out'] button").await;
    browser.wait_for("You are signed out.").await;
    browser.open("/incidents").await;
    assert!(browser.address().await.starts_with("/sign-in"));
    browser.close().await;
    h.finish_with_dead_letters().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_script_all_of_it_works_too() {
    let mut h = guarded().await;
    let browser = Browser::start(&h.url).await;
    browser.allow_scripts(false).await;
    sign_in(&browser, "/incidents").await;
    browser
        .wait_for("this page does not update by itself")
        .await;
    h.send_and_drain(vec![firing("a", h.now())]).await;
    browser.open("/incidents?q=crashloop&sort=newest").await;
    browser.click(".card h2 a").await;
    browser.wait_for("Why this level").await;
    let time = browser.element("time.at").await;
    let exact = time.attr("title").await.unwrap().unwrap();
    assert!(exact.ends_with('Z') && time.text().await.unwrap().ends_with(" UTC"));
    repair(&browser, &h, "scale_up").await;
    browser.open(&browser.address().await).await;
    browser.wait_for("Repair scale_up: did not help").await;
    browser
        .click("form[action$='/acknowledge'] button.primary")
        .await;
    browser.wait_for("Acknowledged.").await;
    replay(&browser, &h, "b").await;
    browser.open("/queues").await;
    browser
        .click("form[action='/queues/notify/pause'] button")
        .await;
    browser.wait_for("Queue paused").await;
    browser
        .click("form[action='/queues/notify/resume'] button")
        .await;
    browser.wait_for("Queue resumed").await;
    browser.close().await;
    h.finish_with_dead_letters().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn incidents_are_ticked_and_acknowledged_together() {
    let h = Harness::start(On::Sqlite).await;
    let named = |name: &str| crate::harness::alert(name, "p", h.now());
    h.send_and_drain(vec![named("A"), named("B"), named("C")])
        .await;
    let browser = Browser::start(&h.url).await;
    browser.open("/incidents").await;
    browser.wait_for("● Live").await;
    let bar = "return document.getElementById('bulk').hidden";
    assert_eq!(browser.script(bar).await, json!(true));
    for key in ["j", "x", "j", "x"] {
        let keys = browser.driver.action_chain().send_keys(key);
        keys.perform().await.unwrap();
    }
    browser.wait_for("2 selected").await;
    let named = "return document.querySelector('.card > input:checked').getAttribute('aria-label')";
    let named = browser.script(named).await;
    assert!(named.as_str().unwrap().starts_with("Select: "), "{named}");
    // What changes meanwhile takes no tick away, and nothing moves.
    h.execute("UPDATE incidents SET aggregated_count = 7, updated_at = updated_at + 1")
        .await;
    browser.wait_for("7 firings").await;
    browser.wait_for("2 selected").await;
    browser.fill("#bulk input[name=note]", "deploy").await;
    browser.click("#bulk button.primary").await;
    browser.wait_for("2 of 2 changed.").await;
    h.drain().await;
    let acknowledged = "SELECT count(*) FROM incidents WHERE status = 'ACKNOWLEDGED'";
    assert_eq!(h.sql(acknowledged).await, 2);
    assert_eq!(h.sql("SELECT count(*) FROM notes").await, 2);
    browser.close().await;
    h.finish().await;
}
