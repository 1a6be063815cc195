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
    for action in ["restart_pod", "rollback"] {
        let body =
            json!({"definition": {"tier_1": action}, "why": "first of all", "operator": "Ann"});
        let playbook = format!("{}/api/v1/playbooks/pods", h.url);
        h.http.put(playbook).json(&body).send().await.unwrap();
    }
    let dead = json!({"alerts": [{"status": "firing"}]});
    h.post("/api/v1/alertmanager", dead).await;
    h.drain().await;
}

/// A language, a theme, a width, and whether axe-core judges. Every language comes in every theme; what a page is made
/// of depends on neither, and colours on the theme alone, so that half of them are judged.
type Look = (&'static str, &'static str, u32, bool);

#[tokio::test(flavor = "multi_thread")]
async fn everybody_can_use_every_page_in_english() {
    const LOOKS: [Look; 3] = [
        ("en", "light", 1280, true),
        ("en", "dark", 1280, false),
        ("en", "light", 360, true),
    ];
    Box::pin(everybody_can_use_every_page(&LOOKS)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_can_use_every_page_in_chinese() {
    const LOOKS: [Look; 3] = [
        ("zh-TW", "dark", 1280, true),
        ("zh-TW", "light", 1280, false),
        ("zh-TW", "dark", 360, false),
    ];
    Box::pin(everybody_can_use_every_page(&LOOKS)).await;
}

async fn everybody_can_use_every_page(looks: &[Look]) {
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
        ("firings", format!("/incidents/{id}/firings")),
        ("anomalies", "/anomalies".to_owned()),
        ("anomaly", format!("/anomalies/{key}")),
        (
            "service",
            format!("/services/{}", incident["service"].as_str().unwrap()),
        ),
        ("repairs", "/repairs".to_owned()),
        ("report", "/report".to_owned()),
        ("maintenance", "/maintenance".to_owned()),
        ("playbooks", "/playbooks".to_owned()),
        ("playbook", "/playbooks/pods".to_owned()),
        ("queues", "/queues".to_owned()),
        ("dead-letters", "/dead-letters".to_owned()),
        (
            "dead-letter",
            format!("/dead-letters/{}", dead.as_str().unwrap()),
        ),
        ("system", "/system".to_owned()),
        ("api", "/api".to_owned()),
        ("not-found", format!("/incidents/{}", Uuid::now_v7())),
        ("nowhere", "/nowhere".to_owned()),
    ];
    for &(lang, theme, width, is_judged) in looks {
        browser.look_as(lang, theme, width).await;
        for (name, path) in &pages {
            let name = format!("{name}.{lang}.{theme}.{width}");
            browser.open(path).await;
            // What is folded is judged, too.
            browser
                .script("document.querySelectorAll('.op').forEach((one) => { one.open = true; })")
                .await;
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

/// The links of the navigation that cannot be seen whole without scrolling.
const HIDDEN: &str = "
    const box = document.querySelector('.top nav').getBoundingClientRect();
    const right = Math.min(box.right, innerWidth);
    return [...document.querySelectorAll('.top nav a')].filter((link) => {
        const at = link.getBoundingClientRect();
        return at.left < 0 || at.right > right || at.bottom > box.bottom + 1 || at.height < 24;
    }).map((link) => link.textContent)";

#[tokio::test(flavor = "multi_thread")]
async fn every_section_can_be_seen_on_a_telephone() {
    let h = Harness::start(On::Sqlite).await;
    h.send_and_drain(vec![alert("KubePodCrashLooping", "a", h.now())])
        .await;
    let browser = Browser::start(&h.url).await;
    for lang in ["en", "zh-TW"] {
        for width in [320, 390, 500, 700] {
            browser.look_as(lang, "light", width).await;
            for (name, path) in [("first", "/incidents"), ("last", "/system")] {
                browser.open(path).await;
                let hidden = browser.script(HIDDEN).await;
                assert_eq!(hidden, json!([]), "{lang} {width} {path}");
                browser
                    .picture(&format!("sections-{name}.{lang}.{width}"))
                    .await;
            }
        }
    }
    browser.close().await;
    h.finish().await;
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

/// A browser that reads Chinese.
async fn asked(h: &Harness, method: reqwest::Method, path: &str) -> (u16, String) {
    let request = h.http.request(method, format!("{}{path}", h.url));
    let request = request
        .header("accept", "text/html,application/xhtml+xml,*/*;q=0.8")
        .header("accept-language", "zh-TW");
    let answer = request.send().await.unwrap();
    let kind = answer.headers()["content-type"]
        .to_str()
        .unwrap()
        .to_owned();
    let policy = answer.headers()["content-security-policy"].clone();
    let (status, body) = (answer.status().as_u16(), answer.text().await.unwrap());
    if kind.starts_with("text/html") {
        assert!(policy.to_str().unwrap().contains("style-src 'self'"));
    }
    (
        status,
        if kind.starts_with("text/html") {
            body
        } else {
            kind
        },
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_shown_as_a_page_in_the_readers_language() {
    use reqwest::Method;
    let h = Harness::start(On::Sqlite).await;
    for (method, path, status, told) in [
        (Method::GET, "/nowhere", 404, "找不到"),
        (Method::GET, "/incidents/x", 404, "找不到"),
        (Method::DELETE, "/incidents", 405, "此位址不支援"),
        (
            Method::GET,
            "/incidents?status=OPEN&status=OPEN",
            400,
            "lang=\"en\"",
        ),
        (Method::POST, "/language", 415, "lang=\"en\""),
    ] {
        let (was, page) = asked(&h, method, path).await;
        assert_eq!(was, status, "{path}");
        assert!(
            page.contains("<html lang=\"zh-TW\">") && page.contains(told),
            "{path}: {page}"
        );
    }
    for path in ["/api/v1/nowhere", "/api/v1/incidents?limit=0"] {
        let (_, kind) = asked(&h, Method::GET, path).await;
        assert_eq!(kind, "application/problem+json", "{path}");
    }
    let answer = h
        .http
        .get(format!("{}/nowhere", h.url))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    h.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_s_page_is_chinese_but_for_the_description_which_says_that_it_is_english() {
    let h = Harness::start(On::Sqlite).await;
    let (_, page) = asked(&h, reqwest::Method::GET, "/api").await;
    for told in [
        "回應",
        "參數",
        "不需權杖",
        "<h2 id=\"tag-incidents\" lang=\"en\">",
    ] {
        assert!(page.contains(told), "{told}");
    }
    for english in [
        ">Parameters<",
        ">Answers<",
        ">Body",
        ">Description<",
        ">Field<",
        "No token.",
    ] {
        assert!(!page.contains(english), "{english}");
    }
    h.finish().await;
}
