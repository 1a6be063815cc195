//! Changes on a page that is open.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::browser::Browser;
use crate::harness::{Harness, On, firing, resolved};
use crate::on_all;
use crate::process::PATIENCE;

/// An open connection, and what was heard on it and not read yet.
struct Events {
    answer: reqwest::Response,
    heard: String,
}

impl Events {
    async fn open(h: &Harness, query: &str) -> Self {
        let request = h.http.get(format!("{}/events?{query}", h.url));
        let answer = request.send().await.unwrap();
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        let mut events = Self {
            answer,
            heard: String::new(),
        };
        assert_eq!(events.next().await.0, "hello");
        events
    }

    async fn next(&mut self) -> (String, Value) {
        loop {
            if let Some((event, rest)) = self.heard.split_once("\n\n") {
                let field = |name: &str| {
                    let line = event.lines().find_map(|line| line.strip_prefix(name));
                    line.unwrap_or_default().trim().to_owned()
                };
                let (name, data) = (field("event:"), field("data:"));
                self.heard = rest.to_owned();
                if !name.is_empty() {
                    return (name, serde_json::from_str(&data).unwrap());
                }
                continue;
            }
            let chunk = tokio::time::timeout(PATIENCE, self.answer.chunk()).await;
            let chunk = chunk.unwrap().unwrap().expect("the connection ended");
            self.heard.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// Waits for the next change that `fits`. Signs of life are none.
    async fn until(&mut self, fits: impl Fn(&Value) -> bool) -> Value {
        let found = async {
            loop {
                let (_, told) = self.next().await;
                if fits(&told) {
                    return told;
                }
            }
        };
        let found = tokio::time::timeout(PATIENCE, found).await;
        found.expect("nothing that fits is told")
    }
}

on_all! {
    async fn an_open_page_receives_new_incidents_and_changes_of_shown_ones(on) {
        let mut h = Harness::start(on).await;
        let mut list = Events::open(&h, "new=true").await;
        // The task has looked once before there is anything to tell.
        while list.next().await.0 != "all" {}
        let (start, began) = (h.now(), Instant::now());
        h.send(vec![firing("a", start)]).await;
        list.until(|told| told["new"] == 1).await;
        let page = h.http.get(format!("{}/incidents", h.url)).send().await.unwrap();
        assert!(page.text().await.unwrap().contains("CrashLooping in prod"));
        eprintln!("told and shown after {:?}", began.elapsed());
        h.drain().await;

        let id = h.incident().await["id"].as_str().unwrap().to_owned();
        let mut one = Events::open(&h, &format!("ids={id}")).await;
        one.until(|told| told["changed"][0] == *id).await;
        h.send(vec![resolved(firing("a", start), h.now())]).await;
        one.until(|told| told["changed"][0] == *id).await;
        h.drain().await;
        let path = format!("/api/v1/incidents/{id}/repairs");
        let repair = serde_json::json!({"action": "restart_pod", "success": true});
        h.post(&path, repair).await;
        h.drain().await;
        one.until(|told| told["changed"][0] == *id).await;
        h.stop_working().await;
        // An open page does not keep a process from stopping.
        let stopping = Instant::now();
        h.finish().await;
        assert!(stopping.elapsed() < Duration::from_secs(4), "{:?}", stopping.elapsed());
    }

    async fn other_pages_receive_an_event_only_when_their_topic_changes(on) {
        let mut h = Harness::start(on).await;
        let start = h.now();
        h.send_and_drain(vec![firing("a", start)]).await;
        let mut open = Vec::new();
        for topic in ["queues", "letters", "repairs", "anomalies", "system"] {
            let mut events = Events::open(&h, &format!("of={topic}")).await;
            // How it looks is known from now on. The first to watch anything gets all.
            while !matches!(events.next().await, (name, told) if name == "all" || told["of"] == topic) {}
            open.push((topic, events));
        }
        for (topic, events) in &mut open {
            let silence = Duration::from_secs(2);
            let told = tokio::time::timeout(silence, events.until(|told| told["of"] == **topic));
            // A heartbeat, or what is done once a minute, may fall into the silence.
            if let Ok(told) = told.await {
                assert!(["queues", "system"].contains(topic), "{topic}: {told}");
            }
        }
        let id = h.incident().await["id"].as_str().unwrap().to_owned();
        let repair = serde_json::json!({"action": "restart_pod", "success": true});
        h.post(&format!("/api/v1/incidents/{id}/repairs"), repair).await;
        h.until("SELECT count(*) FROM repairs", 1).await;
        h.send(vec![firing("b", start)]).await;
        h.post("/api/v1/alertmanager", serde_json::json!({"alerts": [{"status": "firing"}]})).await;
        h.post("/api/v1/queues/repair/pause", serde_json::json!({})).await;
        for (topic, events) in &mut open {
            events.until(|told| told["of"] == **topic).await;
        }
        h.post("/api/v1/queues/repair/resume", serde_json::json!({})).await;
        h.finish_with_dead_letters().await;
    }
}

/// Whatever a page is about, it does not pose as fresh when it is not.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_says_that_it_is_cut_off_and_from_when_it_is() {
    for path in ["/incidents", "/queues"] {
        let h = Harness::start(On::Sqlite).await;
        let browser = Browser::start(&h.url).await;
        browser.look_as("en", "light", 1280).await;
        browser.open(path).await;
        browser.wait_for("● Live").await;
        h.finish().await;
        browser.wait_for("⚠ Disconnected. Data as of").await;
        let name = format!(
            "disconnected-{}.en.light.1280",
            path.trim_start_matches('/')
        );
        browser.picture(&name).await;
        browser.close().await;
    }
}
