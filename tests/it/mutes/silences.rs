//! Mutes that are silences in Alertmanager, too.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tocsin::config::Secret;
use tocsin_workers::recount::silence_mutes;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use crate::harness::{Harness, On, alert, answer, firing};
use crate::on_all;

/// An Alertmanager: each change of a silence expires it and makes another, as the real one does where the start differs.
#[derive(Clone, Default)]
struct Alertmanager(Arc<Mutex<Held>>);

#[derive(Default)]
struct Held {
    silences: Vec<Value>,
    /// What was asked that changes something, and with which body.
    changes: Vec<(String, Value)>,
    /// Silences for alerts of this name are refused.
    refuses: &'static str,
    /// The next silence is made, and that is not answered.
    is_cut_off: bool,
}

impl Held {
    fn expire(&mut self, id: &str) -> u16 {
        let found = self.silences.iter_mut().find(|silence| silence["id"] == id);
        match found {
            None => 404,
            Some(silence) if silence["status"]["state"] == "expired" => 500,
            Some(silence) => {
                silence["status"]["state"] = json!("expired");
                200
            }
        }
    }

    fn make(&mut self, mut silence: Value) -> ResponseTemplate {
        if silence["matchers"][0]["value"] == self.refuses {
            return ResponseTemplate::new(400);
        }
        if let Some(id) = silence["id"].as_str()
            && self.expire(id) == 404
        {
            return ResponseTemplate::new(404);
        }
        let id = format!("s-{}", self.silences.len() + 1);
        silence["id"] = json!(id);
        silence["status"] = json!({"state": "active"});
        self.silences.push(silence);
        match std::mem::take(&mut self.is_cut_off) {
            true => ResponseTemplate::new(502),
            false => ResponseTemplate::new(200).set_body_json(json!({"silenceID": id})),
        }
    }
}

impl Respond for Alertmanager {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let (mut held, path) = (self.held(), request.url.path().to_owned());
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let verb = request.method.as_str();
        if verb != "GET" {
            held.changes.push((format!("{verb} {path}"), body.clone()));
        }
        let id = path.rsplit('/').next().unwrap();
        match verb {
            "GET" => ResponseTemplate::new(200).set_body_json(&held.silences),
            "DELETE" => ResponseTemplate::new(held.expire(id)),
            _ => held.make(body),
        }
    }
}

impl Alertmanager {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answers(&self, server: &MockServer) {
        Mock::given(any())
            .respond_with(self.clone())
            .mount(server)
            .await;
    }

    /// The silences that hold, with the names of the alerts that they are for.
    fn live(&self) -> Vec<(String, String)> {
        let held = self.held();
        let live = held.silences.iter();
        let live = live.filter(|silence| silence["status"]["state"] == "active");
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        live.map(|silence| (text(&silence["id"]), text(&silence["matchers"][0]["value"])))
            .collect()
    }

    fn changes(&self) -> Vec<(String, Value)> {
        self.held().changes.clone()
    }
}

fn one(id: &str) -> Vec<(String, String)> {
    vec![(id.to_owned(), "CrashLooping".to_owned())]
}

async fn start(on: On) -> (MockServer, Harness) {
    let server = MockServer::start().await;
    let url = server.uri();
    let h = Harness::start_with(on, |config| {
        config.alertmanager_url = Some(Secret::from(&*url));
        config.silences.create = true;
    })
    .await;
    (server, h)
}

on_all! {
    async fn a_mute_is_one_silence_that_is_expired_with_it(on) {
        let (server, h) = start(on).await;
        let alertmanager = Alertmanager::default();
        h.send_and_drain(vec![firing("a", h.now())]).await;
        let key = h.key().await;
        // It does not answer: nobody who mutes notices, and the next pass tries again.
        let muted = json!({"for": "4h", "operator": "ann", "why": "known"});
        assert_eq!(h.mute(muted).await.0, 200);
        assert_eq!(silence_mutes(&h.context).await.unwrap(), 0);
        alertmanager.answers(&server).await;
        assert_eq!(silence_mutes(&h.context).await.unwrap(), 1);
        assert_eq!(silence_mutes(&h.context).await.unwrap(), 0);
        let made = alertmanager.changes();
        assert_eq!(made.len(), 1, "{made:?}");
        let matcher = |name: &str, value: &str| json!({"name": name, "value": value, "isRegex": false, "isEqual": true});
        let wanted = [("alertname", "CrashLooping"), ("job", "checkout"), ("namespace", "prod"), ("reason", "CrashLoopBackOff")];
        assert_eq!(made[0].1["matchers"], json!(wanted.map(|(name, value)| matcher(name, value))));
        let comment = made[0].1["comment"].as_str().unwrap().to_owned();
        let (before, installation) = comment.rsplit_once(' ').unwrap();
        assert_eq!(before, format!("Muted in Tocsin by ann: known (anomaly {key}, Tocsin"));
        assert_eq!(installation.len(), 9, "{installation}");
        // The worker died before it wrote that: the silence is found again, and there is no second one.
        h.execute("DELETE FROM made_silences").await;
        assert_eq!(silence_mutes(&h.context).await.unwrap(), 1);
        assert_eq!((&alertmanager.changes()[1].1["id"], alertmanager.live()), (&json!("s-1"), one("s-2")));
        // Muted anew it is changed; that answer is lost, and the id that is known is that of an expired one.
        alertmanager.held().is_cut_off = true;
        let longer = json!({"for": "5h", "operator": "ann"});
        assert_eq!(h.mute(longer).await.0, 200);
        assert_eq!(silence_mutes(&h.context).await.unwrap(), 0);
        assert_eq!(alertmanager.live(), one("s-3"));
        assert_eq!(silence_mutes(&h.context).await.unwrap(), 1);
        assert_eq!(alertmanager.live(), one("s-4"));
        assert_eq!(silence_mutes(&h.context).await.unwrap(), 0);
        // Of two with its mark one stays.
        let mut second = alertmanager.held().silences[3].clone();
        second["id"] = json!("x");
        alertmanager.held().silences.push(second);
        assert_eq!(silence_mutes(&h.context).await.unwrap(), 1);
        assert_eq!(alertmanager.live(), one("s-4"));
        // It lost its data: the silence is made again.
        alertmanager.held().silences.clear();
        assert_eq!(silence_mutes(&h.context).await.unwrap(), 1);
        assert_eq!(alertmanager.live(), one("s-1"));
        // Those of another Tocsin, and of people, are left alone.
        let mut other = alertmanager.held().silences[0].clone();
        other["comment"] = json!(format!("Muted in Tocsin by ann (anomaly {key}, Tocsin 01234567)"));
        other["id"] = json!("y");
        alertmanager.held().silences.push(other);
        // Unmuted it is expired, also where its id is not known any more.
        h.execute("UPDATE made_silences SET silence_id = 's-9'").await;
        assert_eq!(h.unmute().await.0, 200);
        assert_eq!(silence_mutes(&h.context).await.unwrap(), 1);
        assert_eq!(alertmanager.live(), one("y"));
        assert_eq!(h.sql("SELECT count(*) FROM made_silences").await, 0);
        h.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silence_that_is_refused_keeps_no_other_waiting() {
    let (server, h) = start(On::Sqlite).await;
    let alertmanager = Alertmanager::default();
    alertmanager.held().refuses = "CrashLooping";
    alertmanager.answers(&server).await;
    let alerts = vec![firing("a", h.now()), alert("Other", "b", h.now())];
    h.send_and_drain(alerts).await;
    let path = async |name: &str| {
        let key = format!("SELECT key FROM anomalies WHERE alert_name = '{name}'");
        format!("/api/v1/anomalies/{}/mute", h.sql_text(&key).await)
    };
    for (name, time) in [("CrashLooping", "1h"), ("Other", "4h")] {
        let muted = json!({"for": time, "operator": "ann"});
        assert_eq!(h.post(&path(name).await, muted).await.0, 200);
    }
    assert_eq!(silence_mutes(&h.context).await.unwrap(), 1);
    assert_eq!(
        alertmanager.live(),
        [("s-1".to_owned(), "Other".to_owned())]
    );
    let other = format!("{}{}", h.url, path("Other").await);
    let unmuted = answer(h.http.delete(other).send().await.unwrap()).await;
    assert_eq!(unmuted.0, 200);
    assert_eq!(silence_mutes(&h.context).await.unwrap(), 1);
    assert_eq!(alertmanager.live(), []);
    h.finish().await;
}

#[tokio::test]
async fn a_silence_that_is_gone_when_it_is_changed_is_made() {
    let server = MockServer::start().await;
    Alertmanager::default().answers(&server).await;
    let url = Secret::from(&*server.uri());
    let asked = tocsin::alertmanager::Alertmanager::new(&url).unwrap();
    let now = tocsin::time::Timestamp(0);
    let new = tocsin::alertmanager::NewSilence {
        id: Some("gone"),
        matchers: &[("alertname".to_owned(), "A".to_owned())],
        starts_at: now,
        ends_at: now,
        mark: "m",
        why: "w",
    };
    assert_eq!(asked.silence(&new).await.unwrap(), "s-1");
}
