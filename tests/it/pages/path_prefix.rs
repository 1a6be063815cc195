//! Below a path of a proxy: one that leaves the path in what is asked for, and one that takes it away.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use reqwest::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use serde_json::{Value, json};
use tocsin::config::{OWN_PATHS, Tokens};
use tocsin::web::{ConnectionLimits, Ingress, router, serve};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::browser::Browser;
use crate::harness::{Harness, On, alert, firing, resolved};

const BASE: &str = "/ops/tocsin";
const TOKEN: &str = "a-token-to-operate";

async fn start(tokens: Tokens) -> Harness {
    Harness::start_with(On::Sqlite, |config| {
        config.public_url = Some(format!("http://ops.example{BASE}/"));
        config.api_token = tokens;
    })
    .await
}

/// A server that takes the path away, and has nothing beside it.
async fn stripping(h: &Harness) -> (String, DropGuard) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let ingress = Ingress::new(h.context.clone(), Arc::clone(&h.gate));
    let proxy = Router::new().nest_service(BASE, router(&ingress));
    let stop = CancellationToken::new();
    let bounds = ConnectionLimits {
        connections: 100,
        anonymous: 900,
        proxies: Arc::default(),
        patience: Duration::from_secs(5),
    };
    tokio::spawn(serve(listener, proxy, stop.clone(), bounds));
    (url, stop.drop_guard())
}

/// A visitor who follows nothing by itself.
struct Visitor {
    http: Client,
    server: String,
    cookie: String,
}

impl Visitor {
    fn new(server: &str) -> Self {
        Self {
            http: tocsin::tls::client()
                .redirect(Policy::none())
                .build()
                .unwrap(),
            server: server.to_owned(),
            cookie: String::new(),
        }
    }

    async fn get(&self, address: &str) -> Response {
        let request = self.http.get(format!("{}{address}", self.server));
        let request = request
            .header("accept", "text/html")
            .header(COOKIE, &self.cookie);
        request.send().await.unwrap()
    }

    async fn post(&self, address: &str, form: &[(&str, &str)]) -> Response {
        let body: Vec<String> = form.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let request = self.http.post(format!("{}{address}", self.server));
        let request = request
            .header(COOKIE, &self.cookie)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body.join("&"));
        request.send().await.unwrap()
    }

    /// Where an answer leads.
    async fn led(&self, address: &str) -> String {
        to(&self.get(address).await)
    }
}

fn to(answer: &Response) -> String {
    assert_eq!(answer.status(), 303, "{}", answer.url());
    answer.headers()[LOCATION].to_str().unwrap().to_owned()
}

/// The addresses of a page that begin at the root, with the name of the attribute; what a form carries or
/// takes is none.
fn addresses(page: &str) -> Vec<(&str, String)> {
    let attributes = page.match_indices("=\"/").map(|(at, _)| {
        let name = page[..at].rsplit(' ').next().unwrap();
        let value = page[at + 2..].split('"').next().unwrap();
        (name, value.replace("&amp;", "&"))
    });
    attributes.filter(|(name, _)| *name != "value").collect()
}

/// What stands in an answer's place below the base, asked for without it.
fn without_base(address: &str) -> &str {
    match address.strip_prefix(BASE) {
        Some("") => "/",
        Some(rest) => rest,
        None => panic!("{address} is not below {BASE}"),
    }
}

/// Follows every link from there on; returns the paths of the pages that were seen, and what was posted to.
async fn walk(
    visitor: &Visitor,
    also_without: bool,
    start: Vec<String>,
) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut open, mut seen) = (start, BTreeSet::new());
    let mut posts = BTreeSet::new();
    while let Some(address) = open.pop() {
        if !seen.insert(address.clone()) {
            continue;
        }
        let answer = visitor.get(&address).await;
        assert_eq!(answer.status(), 200, "{address}");
        let kind = answer.headers()[CONTENT_TYPE].to_str().unwrap().to_owned();
        let text = answer.text().await.unwrap();
        if also_without {
            let answer = visitor.get(without_base(&address)).await;
            assert_eq!(answer.status(), 200, "{address} without the base");
        }
        if !kind.starts_with("text/html") {
            continue;
        }
        for (name, found) in addresses(&text) {
            assert!(
                found.starts_with(&format!("{BASE}/")),
                "{name} of {address} leads to {found}"
            );
            let first = without_base(&found).split(['/', '?']).nth(1).unwrap();
            assert!(OWN_PATHS.contains(&first), "{first} is not known as ours");
            match name {
                "href" | "src" => open.push(found),
                "action" if text.contains(&format!("method=\"get\" action=\"{found}\"")) => {
                    open.push(found);
                }
                "action" | "formaction" => drop(posts.insert(found)),
                _ => panic!("{name} of {address} is an address: {found}"),
            }
        }
    }
    let pages = seen.into_iter().map(|address| {
        let path = without_base(&address).split('?').next().unwrap();
        path.to_owned()
    });
    (pages.collect(), posts)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_address_of_every_page_leads_below_the_path_of_public_url_and_is_found_there() {
    let mut h = start(Tokens::default()).await;
    for (name, times) in [("HighLatency", 5), ("DiskFull", 1)] {
        for n in 0..times {
            let firing = alert(name, &format!("pod-{n}"), h.now());
            h.send_and_drain(vec![firing.clone()]).await;
            if n % 2 == 0 {
                h.send_and_drain(vec![resolved(firing, h.now())]).await;
            }
        }
    }
    let (id, key) = {
        let incident = &h.incidents().await[0];
        let of = |name: &str| incident[name].as_str().unwrap().to_owned();
        (of("id"), of("anomaly_key"))
    };
    let repair = json!({"action": "restart_pod", "success": true, "operator": "Ann"});
    h.post(&format!("/api/v1/incidents/{id}/repairs"), repair)
        .await;
    let dead = json!({"alerts": [{"status": "firing"}]});
    let (status, _) = h.post(&format!("{BASE}/api/v1/alertmanager"), dead).await;
    assert_eq!(status, 200, "webhooks are taken below the base, too");
    h.drain().await;
    let letter = h.get("/api/v1/dead-letters").await["items"][0]["id"].clone();

    let (proxy, _stop) = stripping(&h).await;
    for (server, also_without) in [(h.url.as_str(), true), (proxy.as_str(), false)] {
        let visitor = Visitor::new(server);
        // Long timelines alone lead to all firings.
        let start = ["", "/firings"].map(|part| format!("{BASE}/incidents/{id}{part}"));
        let (pages, posts) = walk(&visitor, also_without, start.to_vec()).await;
        for page in [
            "/incidents".to_owned(),
            format!("/incidents/{id}"),
            format!("/incidents/{id}/firings"),
            "/anomalies".to_owned(),
            format!("/anomalies/{key}"),
            "/services/checkout".to_owned(),
            "/repairs".to_owned(),
            "/report".to_owned(),
            "/maintenance".to_owned(),
            "/playbooks".to_owned(),
            "/queues".to_owned(),
            "/dead-letters".to_owned(),
            format!("/dead-letters/{}", letter.as_str().unwrap()),
            "/system".to_owned(),
            "/api".to_owned(),
            "/openapi.json".to_owned(),
        ] {
            assert!(pages.contains(&page), "nothing leads to {page}: {pages:?}");
        }
        let assets = pages.iter().filter(|path| path.starts_with("/assets/"));
        assert_eq!(assets.count(), 4, "{pages:?}");
        for part in [
            "/acknowledge",
            "/resolve",
            "/repair",
            "/fix",
            "/mute",
            "/pause",
            "/replay",
            "/edit",
            "/discard",
            "/language",
        ] {
            assert!(
                posts.iter().any(|to| to.ends_with(part)),
                "{part}: {posts:?}"
            );
        }
        for to in &posts {
            // Found, and not taken: it carries nothing.
            let status = visitor.post(to, &[("none", "")]).await.status();
            let expected = if to.ends_with("/language") { 303 } else { 403 };
            assert_eq!(status, expected, "{to}");
        }
        assert_eq!(
            visitor.led(&format!("{BASE}/")).await,
            format!("{BASE}/incidents")
        );
        let nowhere = visitor.get(&format!("{BASE}/nowhere")).await;
        assert_eq!(nowhere.status(), 404);
        let nowhere = nowhere.text().await.unwrap();
        assert!(
            nowhere.contains(&format!("href=\"{BASE}/incidents\"")),
            "{nowhere}"
        );
        let described: Value = visitor
            .get(&format!("{BASE}/openapi.json"))
            .await
            .json()
            .await
            .unwrap();
        assert_eq!(described["servers"], json!([{"url": BASE}]));
        let beside = visitor.get(&format!("{BASE}x/incidents")).await;
        assert_eq!(beside.status(), 404);
    }
    // A HEAD's length is the page's.
    let page = format!("{}/api", h.url);
    let head = h.http.head(&page).send().await.unwrap();
    let length = head.headers()["content-length"]
        .to_str()
        .unwrap()
        .to_owned();
    let body = h
        .http
        .get(&page)
        .send()
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap();
    assert_eq!(length, body.len().to_string());
    h.finish_with_dead_letters().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_stay_below_the_base_path() {
    let h = start(Tokens::from(TOKEN)).await;
    h.send_and_drain(vec![firing("a", h.now())]).await;
    let ids = tocsin::store::views::changes::newest(h.context.db.read(), 1)
        .await
        .unwrap();
    let incident = format!("/incidents/{}", ids[0]);
    let (proxy, _stop) = stripping(&h).await;
    for (server, before) in [(&h.url, BASE), (&h.url, ""), (&proxy, BASE)] {
        let mut visitor = Visitor::new(server);
        let at = |path: &str| format!("{before}{path}");
        let sign_in = visitor.led(&at("/system?a=b")).await;
        assert_eq!(sign_in, format!("{BASE}/sign-in?to=%2Fsystem%3Fa%3Db"));
        let page = visitor.get(&sign_in).await.text().await.unwrap();
        assert!(
            page.contains(&format!("action=\"{BASE}/sign-in\"")),
            "{page}"
        );
        let whole = format!("{BASE}/system");
        for (wanted, reached) in [
            ("/system", whole.as_str()),
            (&whole, &whole),
            ("//evil", &format!("{BASE}/incidents")),
        ] {
            let form = [("token", TOKEN), ("to", wanted)];
            let answer = visitor.post(&at("/sign-in"), &form).await;
            assert_eq!(to(&answer), reached, "{wanted}");
            let cookie = answer.headers()[SET_COOKIE].to_str().unwrap();
            assert!(cookie.contains(&format!("; Path={BASE}; ")), "{cookie}");
            visitor.cookie = cookie.split(';').next().unwrap().to_owned();
        }
        let answer = visitor
            .post(&at("/language"), &[("language", "en"), ("to", "/queues")])
            .await;
        assert_eq!(to(&answer), format!("{BASE}/queues"));
        let cookie = answer.headers()[SET_COOKIE].to_str().unwrap();
        assert!(cookie.contains(&format!("; Path={BASE}; ")), "{cookie}");

        let page = visitor.get(&at(&incident)).await.text().await.unwrap();
        let (_, csrf) = page.split_once("name=\"csrf\" value=\"").unwrap();
        let csrf = csrf.split('"').next().unwrap();
        let answer = visitor
            .post(&at(&format!("{incident}/acknowledge")), &[("csrf", csrf)])
            .await;
        assert_eq!(to(&answer), format!("{BASE}{incident}?done=acknowledge"));

        let mut events = visitor.get(&at("/events?new=true")).await;
        assert_eq!(events.headers()[CONTENT_TYPE], "text/event-stream");
        let first = events.chunk().await.unwrap().unwrap();
        assert!(first.starts_with(b"event: hello"), "{first:?}");
        drop(events);

        let answer = visitor.post(&at("/sign-out"), &[("csrf", csrf)]).await;
        assert_eq!(to(&answer), format!("{BASE}/sign-in?out=1"));
    }
    h.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_works_behind_a_proxy_that_takes_the_path_away() {
    let h = start(Tokens::from(TOKEN)).await;
    h.send_and_drain(vec![firing("a", h.now())]).await;
    let (proxy, _stop) = stripping(&h).await;
    let browser = Browser::start(&format!("{proxy}{BASE}")).await;
    browser.open("/incidents").await;
    assert_eq!(browser.address().await, "/sign-in?to=%2Fincidents");
    browser.fill("#token", TOKEN).await;
    browser.click("button.primary").await;
    browser.wait_to_be_at("/incidents").await;
    // It is styled, and notified of what is new.
    browser.element("#live[data-state=live]").await;
    let sheets = browser
        .script("return document.styleSheets[0].cssRules.length > 0")
        .await;
    assert_eq!(sheets, true);
    h.send_and_drain(vec![alert("DiskFull", "b", h.now())])
        .await;
    browser.wait_for("DiskFull").await;
    browser.click(".card h2 a").await;
    browser
        .click("form[action$='/acknowledge'] button.primary")
        .await;
    browser.wait_to_be_at("?done=acknowledge").await;
    browser
        .script(
            "document.body.dispatchEvent(new KeyboardEvent('keydown', {key: 'u', bubbles: true}))",
        )
        .await;
    browser.wait_to_be_at("/incidents").await;
    browser.open("/api").await;
    let named = browser
        .script("return document.querySelector('.here').textContent")
        .await;
    assert_eq!(named, format!("{proxy}{BASE}"));
    browser.close().await;
    h.finish().await;
}
