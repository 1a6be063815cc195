//! Incidents at PagerDuty, in Discord and Teams, and by e-mail; and channels that are tried.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tocsin::config::{
    Config, Discord, EmailSettings, PagerDuty, Secret, Security, Span, Teams, Tell,
};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use crate::harness::{Harness, alert, firing, levels_by_counts, resolved};
use crate::on_all;
use crate::receiver::Receiver;

const MINUTE: Duration = Duration::from_secs(60);

/// A provider by HTTP, which takes everything and gives each message an ID, or fails at everything.
struct Provider {
    server: MockServer,
    is_down: Arc<AtomicBool>,
    taken: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Provider {
    async fn start() -> Self {
        let server = MockServer::start().await;
        let (is_down, taken) = (Arc::<AtomicBool>::default(), Arc::default());
        let (down, all) = (Arc::clone(&is_down), Arc::clone(&taken));
        let answer = move |request: &Request| {
            if down.load(Ordering::SeqCst) {
                return ResponseTemplate::new(500);
            }
            let body: Value = serde_json::from_slice(&request.body).unwrap();
            let all: &Mutex<Vec<(String, Value)>> = &all;
            let mut all = all.lock().unwrap();
            all.push((request.method.to_string(), body));
            ResponseTemplate::new(202).set_body_json(json!({"id": all.len().to_string()}))
        };
        Mock::given(any()).respond_with(answer).mount(&server).await;
        Self {
            server,
            is_down,
            taken,
        }
    }

    fn be_down(&self, is_down: bool) {
        self.is_down.store(is_down, Ordering::SeqCst);
    }

    /// The bodies that came by this method.
    fn taken(&self, method: &str) -> Vec<Value> {
        let taken = self.taken.lock().unwrap();
        let by = taken.iter().filter(|(by, _)| by == method);
        by.map(|(_, body)| body.clone()).collect()
    }

    /// What the events do, one after the other.
    fn actions(&self) -> Vec<String> {
        let events = self.taken("POST").into_iter();
        events
            .map(|event| event["event_action"].as_str().unwrap().to_owned())
            .collect()
    }

    fn pagerduty(&self, config: &mut Config) {
        let settings = PagerDuty {
            routing_key: Secret::from("R0123456789abcdef0123456789abcde"),
            url: self.server.uri(),
        };
        config.pagerduty.insert("ops".to_owned(), settings);
    }

    fn discord(&self, config: &mut Config) {
        let settings = Discord {
            url: Secret::from(self.server.uri().as_str()),
            tell: Tell::usual(),
        };
        config.discord.insert("ops".to_owned(), settings);
    }

    fn teams(&self, config: &mut Config) {
        let settings = Teams {
            url: Secret::from(self.server.uri().as_str()),
            tell: Tell::usual(),
        };
        config.teams.insert("ops".to_owned(), settings);
    }
}

/// A server that takes every e-mail.
async fn mail_server(config: &mut Config) -> Arc<Mutex<Vec<String>>> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    config.email = EmailSettings {
        server: Some(listener.local_addr().unwrap().to_string()),
        security: Security::None,
        from: Some("Tocsin <tocsin@example.org>".to_owned()),
        to: vec!["oncall@example.org".to_owned()],
        ..EmailSettings::default()
    };
    let taken: Arc<Mutex<Vec<String>>> = Arc::default();
    let all = Arc::clone(&taken);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let all = Arc::clone(&all);
            tokio::spawn(async move { take_mail(stream, &all).await });
        }
    });
    taken
}

async fn take_mail(stream: TcpStream, taken: &Mutex<Vec<String>>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 there\r\n").await.ok()?;
    let (mut data, mut is_data) = (String::new(), false);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let command = line.trim_end();
        if is_data && command != "." {
            data.push_str(&line);
            continue;
        }
        if is_data {
            taken.lock().unwrap().push(std::mem::take(&mut data));
        }
        is_data = command == "DATA";
        let answer: &[u8] = match is_data {
            true => b"354 go on\r\n",
            false => b"250 ok\r\n",
        };
        stream.write_all(answer).await.ok()?;
    }
}

async fn acknowledge(h: &Harness) {
    let id = h.incident().await["id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/incidents/{id}/acknowledge");
    assert_eq!(h.post(&path, json!({"operator": "ann"})).await.0, 200);
    h.drain().await;
}

on_all! {
    async fn an_incident_stands_at_pagerduty_as_it_does_here(on) {
        let pagerduty = Provider::start().await;
        let h = Harness::start_with(on, |config| pagerduty.pagerduty(config)).await;
        let alert = firing("a", h.now());
        h.send_and_drain(vec![alert.clone()]).await;
        // That it fires more often is no other state.
        h.send_and_drain(vec![firing("b", h.now())]).await;
        assert_eq!(pagerduty.actions(), ["trigger"]);
        acknowledge(&h).await;
        assert_eq!(pagerduty.actions(), ["trigger", "acknowledge"]);
        let both = vec![resolved(alert, h.now()), resolved(firing("b", h.now()), h.now())];
        h.send_and_drain(both).await;
        assert_eq!(pagerduty.actions(), ["trigger", "acknowledge", "resolve"]);
        h.advance(MINUTE);
        h.send_and_drain(vec![firing("c", h.now())]).await;
        // Somebody has it still.
        let actions = pagerduty.actions();
        assert_eq!(actions, ["trigger", "acknowledge", "resolve", "trigger", "acknowledge"]);
        let id = h.incident().await["id"].clone();
        let events = pagerduty.taken("POST");
        assert!(events.iter().all(|event| event["dedup_key"] == id), "{events:#?}");
        h.finish().await;
    }

    async fn a_rise_updates_the_incident_at_pagerduty(on) {
        let pagerduty = Provider::start().await;
        let h = Harness::start_with(on, |config| {
            pagerduty.pagerduty(config);
            config.escalation.rules = levels_by_counts();
        })
        .await;
        h.send_and_drain(vec![firing("0", h.now())]).await;
        for n in 1..5 {
            h.send_and_drain(vec![firing(&n.to_string(), h.now())]).await;
        }
        let events = pagerduty.taken("POST");
        let levels = events.iter().map(|event| &event["payload"]["custom_details"]["escalation_level"]);
        assert!(levels.clone().any(|level| level == "ESCALATE"), "{events:#?}");
        assert!(pagerduty.actions().iter().all(|action| action == "trigger"));
        let keys: std::collections::HashSet<_> = events.iter().map(|event| &event["dedup_key"]).collect();
        assert_eq!(keys.len(), 1);
        h.finish().await;
    }

    async fn what_was_over_before_pagerduty_could_be_told_pages_nobody(on) {
        let pagerduty = Provider::start().await;
        let h = Harness::start_with(on, |config| pagerduty.pagerduty(config)).await;
        pagerduty.be_down(true);
        let alert = firing("a", h.now());
        h.send(vec![alert.clone()]).await;
        let tried = "SELECT count(*) FROM notifications WHERE channel = 'pagerduty:ops' AND attempts > 0";
        h.until(tried, 1).await;
        h.send(vec![resolved(alert, h.now())]).await;
        h.until("SELECT count(*) FROM incidents WHERE status = 'RESOLVED'", 1).await;
        pagerduty.be_down(false);
        h.drain().await;
        let actions = pagerduty.actions();
        assert!(!actions.is_empty() && actions.iter().all(|action| action == "resolve"), "{actions:?}");
        h.finish().await;
    }

    async fn each_channel_is_told_of_an_incident_and_what_can_be_edited_is(on) {
        let (discord, teams) = (Provider::start().await, Provider::start().await);
        let mut set = Config::default();
        let mails = mail_server(&mut set).await;
        let h = Harness::start_with(on, |config| {
            discord.discord(config);
            teams.teams(config);
            config.email = set.email.clone();
        })
        .await;
        h.send_and_drain(vec![firing("a", h.now())]).await;
        acknowledge(&h).await;
        let posted = discord.taken("POST");
        assert_eq!(posted.len(), 1, "{posted:#?}");
        let title = posted[0]["embeds"][0]["title"].as_str().unwrap();
        assert_eq!(title, "🚨 Opened · critical: CrashLooping in prod");
        let edited = discord.taken("PATCH");
        let shown = edited.last().unwrap()["embeds"][0]["description"].as_str().unwrap();
        assert!(shown.contains("Acknowledged by ann"), "{shown}");
        let cards = teams.taken("POST");
        assert_eq!(cards.len(), 1, "{cards:#?}");
        let text = &cards[0]["attachments"][0]["content"]["fallbackText"];
        assert_eq!(text, "Opened · critical: CrashLooping in prod");
        let mails = mails.lock().unwrap().clone();
        assert_eq!(mails.len(), 1, "{mails:#?}");
        let id = h.incident().await["id"].as_str().unwrap().to_owned();
        for expected in ["Subject: [Tocsin] CrashLooping in prod", &format!("<{id}@example.org>")] {
            assert!(mails[0].contains(expected), "{expected} in {}", mails[0]);
        }
        h.finish().await;
    }

    async fn a_storm_is_told_by_digests_in_discord_too(on) {
        let discord = Provider::start().await;
        let h = Harness::start_with(on, |config| {
            discord.discord(config);
            config.telegram.storm_above = 20;
            config.telegram.digest_every = Span::secs(2);
        })
        .await;
        h.send_and_drain((0..60).map(|n| alert(&format!("A{n}"), "a", h.now())).collect()).await;
        let posted = discord.taken("POST");
        let titles: Vec<&str> = posted.iter().map(|body| body["embeds"][0]["title"].as_str().unwrap()).collect();
        assert!(titles.len() < 30, "{titles:#?}");
        assert!(titles.iter().any(|title| title.contains("in one digest")), "{titles:#?}");
        h.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_channel_can_be_tried_and_says_what_it_answered() {
    let (provider, hook) = (Provider::start().await, Receiver::start().await);
    let mut set = Config::default();
    let mails = mail_server(&mut set).await;
    let settings = hook.settings();
    let h = Harness::start_with(crate::harness::On::Sqlite, |config| {
        provider.pagerduty(config);
        provider.discord(config);
        provider.teams(config);
        config.email = set.email.clone();
        config.webhooks.insert("ops".to_owned(), settings);
    })
    .await;
    for (channel, answer) in [
        ("telegram:-100", "message 1 in chat -100"),
        ("webhook:ops", "answered 204"),
        ("pagerduty:ops", "answered 202"),
        ("discord:ops", "message 2"),
        ("teams:ops", "answered 202"),
        ("email:oncall@example.org", "answered 250"),
        ("log", "written to the log"),
    ] {
        let (went_well, said) = h.tocsin(&["notify", "test", channel]);
        assert!(went_well, "{channel}: {said}");
        assert!(
            said.contains(&format!("Sent to {channel}: {answer}")),
            "{said}"
        );
    }
    let told = h.telegram.messages();
    assert!(
        told[0].text.contains("Requested by kim"),
        "{}",
        told[0].text
    );
    assert_eq!(hook.deliveries()[0].body["type"], "test");
    assert_eq!(mails.lock().unwrap().len(), 1);
    assert_eq!(h.sql("SELECT count(*) FROM notifications").await, 0);
    let audit = h
        .get("/api/v1/audit?action=channel.test&target=teams:ops")
        .await;
    assert_eq!(audit["items"][0]["operator"], "kim", "{audit}");

    provider.be_down(true);
    let (went_well, said) = h.tocsin(&["notify", "test", "teams:ops"]);
    assert!(
        !went_well && said.contains("teams:ops answered 500"),
        "{said}"
    );
    let (went_well, said) = h.tocsin(&["notify", "test", "teams:nobody"]);
    assert!(
        !went_well && said.contains("unknown channel") && said.contains("webhook:ops"),
        "{said}"
    );
    h.finish().await;
}
