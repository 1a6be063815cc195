//! Operations: whether somebody presses a button, sends a form or calls the API, the same is done, audited
//! and told; and what comes again is done once.

use std::collections::BTreeMap;

use reqwest::header::{LOCATION, ORIGIN};
use reqwest::redirect::Policy;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tocsin::config::{Config, People, Tell};
use tocsin::domain::buttons::{ButtonAction, CallbackData};
use tocsin::telegram::{Update, press};

use crate::harness::{Harness, alert};
use crate::on_all;

const ALICE: i64 = 42;

fn settings(config: &mut Config) {
    config.telegram.people = People::from_iter([(ALICE, "alice")]);
    config.telegram.tell.push(Tell::Resolved);
}

/// Where an operation is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    Api,
    Form,
    Button,
}

const DOORS: [Door; 3] = [Door::Api, Door::Form, Door::Button];

/// The operations that there are at each of the doors, in an order in which each does something.
const OPERATIONS: [&str; 5] = ["acknowledge", "mute", "unmute", "repair", "resolve"];

/// As a form sends it.
fn encoded(value: &str) -> String {
    value.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

impl Harness {
    /// The incident of an alert's name.
    async fn incident_named(&self, name: &str) -> Value {
        let found = self.get(&format!("/api/v1/incidents?q={name}")).await;
        found["items"][0].clone()
    }

    pub async fn form(&self, path: &str, fields: &[(&str, &str)]) -> (u16, String) {
        let http = tocsin::tls::client().redirect(Policy::none());
        let http: Client = http.build().unwrap();
        let page = http.get(format!("{}/queues", self.url)).send().await;
        let page = page.unwrap().text().await.unwrap();
        let (_, csrf) = page.split_once("name=\"csrf\" value=\"").unwrap();
        let csrf = csrf.split('"').next().unwrap();
        let mut form = BTreeMap::from([("csrf", csrf), ("operator", "alice")]);
        form.extend(fields.iter().copied());
        let form = form
            .into_iter()
            .map(|(name, value)| format!("{name}={}", encoded(value)));
        let request = http.post(format!("{}{path}", self.url));
        let request = request
            .header(ORIGIN, &self.url)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.collect::<Vec<_>>().join("&"));
        let answer = request.send().await.unwrap();
        let to = answer.headers().get(LOCATION);
        let to = to.map_or("", |to| to.to_str().unwrap()).to_owned();
        (answer.status().as_u16(), to)
    }

    async fn with_method(&self, method: Method, path: &str, body: &Value) {
        let request = self.http.request(method, format!("{}{path}", self.url));
        let answer = request.json(body).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
    }

    async fn by_api(&self, incident: &Value, operation: &str) {
        let (id, key) = (&incident["id"], &incident["anomaly_key"]);
        let incident = format!("/api/v1/incidents/{}", id.as_str().unwrap());
        let anomaly = format!("/api/v1/anomalies/{}", key.as_str().unwrap());
        let (method, path, body) = match operation {
            "mute" => (
                Method::POST,
                format!("{anomaly}/mute"),
                json!({"for": "1h"}),
            ),
            "unmute" => (Method::DELETE, format!("{anomaly}/mute"), json!({})),
            "repair" => {
                let body = json!({"action": "restart_pod", "success": true});
                (Method::POST, format!("{incident}/repairs"), body)
            }
            other => (Method::POST, format!("{incident}/{other}"), json!({})),
        };
        let mut body = body;
        body["operator"] = "alice".into();
        self.with_method(method, &path, &body).await;
    }

    async fn by_form(&self, incident: &Value, operation: &str) {
        let (id, key) = (&incident["id"], &incident["anomaly_key"]);
        let (id, key) = (id.as_str().unwrap(), key.as_str().unwrap());
        let (path, fields): (_, &[_]) = match operation {
            "mute" => (format!("/anomalies/{key}/mute"), &[("for", "1h")]),
            "unmute" => (format!("/anomalies/{key}/unmute"), &[]),
            "repair" => {
                let fields = &[("action", "restart_pod"), ("success", "yes")];
                (format!("/incidents/{id}/repair"), fields)
            }
            other => (format!("/incidents/{id}/{other}"), &[]),
        };
        let (status, to) = self.form(&path, fields).await;
        assert_eq!((status, to.ends_with(operation)), (303, true), "{to}");
    }

    async fn by_button(&self, incident: &Value, operation: &str) {
        let action = match operation {
            "acknowledge" => ButtonAction::Acknowledge,
            "mute" => ButtonAction::Mute,
            "unmute" => ButtonAction::Unmute,
            "repair" => ButtonAction::Repaired {
                action: "restart_pod".to_owned(),
                success: true,
            },
            "resolve" => ButtonAction::Resolve,
            other => panic!("{other} has no button"),
        };
        let incident = incident["id"].as_str().unwrap().parse().unwrap();
        let data = CallbackData { incident, action }.data();
        let update = json!({"update_id": 1, "callback_query": {
            "id": format!("press {operation}"), "from": {"id": ALICE}, "data": data,
        }});
        let query = Update::read(&update).unwrap().query.unwrap();
        press(&self.context, &query).await.unwrap();
    }

    /// What was written into the audit about an incident or its anomaly, without what differs each time.
    async fn audited_of(&self, incident: &Value) -> Vec<Value> {
        let mut entries = Vec::new();
        for target in [&incident["id"], &incident["anomaly_key"]] {
            let target = target.as_str().unwrap();
            let found = self.get(&format!("/api/v1/audit?target={target}")).await;
            for entry in found["items"].as_array().unwrap() {
                let mut detail = entry["detail"].clone();
                for changing in ["repair", "until"] {
                    if let Some(value) = detail.get_mut(changing) {
                        assert!(value.is_string(), "{detail}");
                        *value = "…".into();
                    }
                }
                entries.push(json!([entry["action"], entry["operator"], detail]));
            }
        }
        entries
    }

    /// What followed: the messages of the incident of an alert's name, and its repairs.
    async fn followed(&self, name: &str) -> Vec<i64> {
        let count = async |from: &str, what: &str| {
            let query = format!(
                "SELECT count(*) FROM {from} f JOIN incidents i ON i.id = f.incident_id \
                 JOIN anomalies a ON a.key = i.anomaly_key WHERE a.alert_name = '{name}' AND {what}"
            );
            self.sql(&query).await
        };
        vec![
            count("notifications", "f.kind = 'opened' AND f.state = 'sent'").await,
            count("notifications", "f.kind = 'resolved' AND f.state = 'sent'").await,
            count("notifications", "f.edit_due_since IS NOT NULL").await,
            count("repairs", "f.success AND f.operator = 'alice'").await,
        ]
    }

    /// The card of an alert's name, as it is shown now.
    fn card(&self, name: &str) -> String {
        let cards = self.telegram.messages().into_iter();
        cards
            .map(|card| card.shown)
            .find(|card| card.contains(name))
            .unwrap()
    }
}

on_all! {
    async fn a_button_a_form_and_the_api_have_the_same_effects(on) {
        let h = Harness::start_with(on, settings).await;
        let alerts = DOORS.map(|door| alert(&format!("At{door:?}"), "a", h.now()));
        h.send_and_drain(alerts.to_vec()).await;
        let mut done = Vec::new();
        for door in DOORS {
            let name = format!("At{door:?}");
            let incident = h.incident_named(&name).await;
            let mut edited = Vec::new();
            for operation in OPERATIONS {
                let before = h.card(&name);
                match door {
                    Door::Api => h.by_api(&incident, operation).await,
                    Door::Form => h.by_form(&incident, operation).await,
                    Door::Button => h.by_button(&incident, operation).await,
                }
                h.drain().await;
                edited.push(h.card(&name) != before);
            }
            let after = h.incident_named(&name).await;
            assert_eq!((&after["status"], &after["operator"]), (&json!("RESOLVED"), &json!("alice")));
            done.push((door, h.audited_of(&incident).await, h.followed(&name).await, edited));
        }
        let (_, audited, followed, edited) = &done[0];
        assert_eq!(audited.len(), OPERATIONS.len(), "{audited:?}");
        assert_eq!(*followed, [1, 1, 0, 1]);
        assert!(edited[0] && edited[1] && edited[2], "the card says so at once: {edited:?}");
        for (door, audited_there, followed_there, edited_there) in &done[1..] {
            assert_eq!(audited_there, audited, "{door:?}");
            assert_eq!(followed_there, followed, "{door:?}");
            assert_eq!(edited_there, edited, "{door:?}");
        }
        h.finish().await;
    }

    async fn a_form_and_a_request_that_come_again_are_done_once_and_answered_the_same(on) {
        let h = Harness::start(on).await;
        h.send_and_drain(vec![alert("Form", "a", h.now()), alert("Api", "a", h.now())]).await;
        let key = async |name| h.incident_named(name).await["anomaly_key"].as_str().unwrap().to_owned();
        let (by_form, by_api) = (key("Form").await, key("Api").await);
        let audited = async |key: &str| {
            let entries = h.get(&format!("/api/v1/audit?action=anomaly.fix&target={key}")).await;
            entries["items"].as_array().unwrap().len()
        };

        let path = format!("/anomalies/{by_form}/fix");
        let first = [("once", "k"), ("reference", "PR 1")];
        for _ in 0..2 {
            let to = format!("/anomalies/{by_form}?done=fix");
            assert_eq!(h.form(&path, &first).await, (303, to), "as it was answered then");
        }
        assert_eq!(audited(&by_form).await, 1);
        // Something else in the same form is another request, and so is the same in a new form.
        for other in [[("once", "k"), ("reference", "PR 2")], [("once", "l"), ("reference", "PR 2")]] {
            let to = format!("/anomalies/{by_form}?done=fix{}", if other[0].1 == "l" { "-kept" } else { "" });
            assert_eq!(h.form(&path, &other).await, (303, to));
        }
        assert_eq!(audited(&by_form).await, 3);

        for again in [false, true] {
            let path = format!("{}/api/v1/anomalies/{by_api}/permanent-fix", h.url);
            let request = h.http.post(path).header("Idempotency-Key", "k");
            let answer = request.json(&json!({"reference": "PR 1"})).send().await.unwrap();
            assert_eq!(answer.headers().contains_key("idempotency-replayed"), again);
            let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
            assert_eq!(answer["changed"], true, "as it was answered then");
        }
        assert_eq!(audited(&by_api).await, 1);
        h.drain().await;
        h.finish().await;
    }

    async fn a_form_that_was_refused_is_tried_again(on) {
        let h = Harness::start(on).await;
        h.send_and_drain(vec![alert("Form", "a", h.now())]).await;
        let incident = h.incident_named("Form").await;
        let path = format!("/incidents/{}/acknowledge", incident["id"].as_str().unwrap());
        h.by_api(&incident, "resolve").await;
        let once = [("once", "k")];
        assert_eq!(h.form(&path, &once).await.0, 409);
        h.execute("UPDATE incidents SET status = 'OPEN', resolved_at = NULL, resolved_by = NULL").await;
        assert_eq!(h.form(&path, &once).await.0, 303);
        h.drain().await;
        h.finish().await;
    }

    async fn form_fields_have_the_limits_of_the_api(on) {
        let h = Harness::start(on).await;
        h.send_and_drain(vec![alert("Form", "a", h.now())]).await;
        let incident = h.incident_named("Form").await;
        let path = format!("/incidents/{}/acknowledge", incident["id"].as_str().unwrap());
        for (name, status) in [("x".repeat(4097), 400), ("a\0b".to_owned(), 400), ("x".repeat(4096), 303)] {
            assert_eq!(h.form(&path, &[("operator", &name)]).await.0, status, "{}", name.len());
        }
        h.drain().await;
        h.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browsers_line_ends_count_as_one_character_in_notes() {
    let h = Harness::start(crate::harness::On::Sqlite).await;
    h.send_and_drain(vec![alert("Long", "a", h.now())]).await;
    let incident = h.incident_named("Long").await;
    let path = format!("/incidents/{}/note", incident["id"].as_str().unwrap());
    let (status, said) = h.form(&path, &[("note", &"a\r\n".repeat(2_048))]).await;
    assert_eq!(status, 303, "{said}");
    let lines = "a\n".repeat(2_047) + "a";
    let notes = format!("/api/v1{}s", path);
    assert_eq!(h.get(&notes).await[0]["note"], lines);
    let (status, _) = h.form(&path, &[("note", &"a\r\n".repeat(2_049))]).await;
    assert_eq!(status, 400);
    h.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_names_what_an_operation_on_several_did_not_change() {
    let h = Harness::start(crate::harness::On::Sqlite).await;
    h.send_and_drain(vec![alert("Over", "a", h.now())]).await;
    let incident = h.incident_named("Over").await;
    h.by_api(&incident, "resolve").await;
    h.drain().await;
    let page = async |to: &str| {
        let page = h.http.get(format!("{}{to}", h.url)).send().await.unwrap();
        page.text().await.unwrap()
    };
    let id = incident["id"].as_str().unwrap();
    let fields = [("id", id), ("do", "acknowledge")];
    let (status, to) = h.form("/incidents", &fields).await;
    assert_eq!(
        (status, to.contains("changed=0&asked=1&refused=r")),
        (303, true),
        "{to}"
    );
    let shown = page(&to).await;
    let title = incident["title"].as_str().unwrap();
    let expected = format!("{title}</a>: The incident is resolved and cannot be acknowledged.");
    assert!(shown.contains(&expected), "{shown}");
    let gone = uuid::Uuid::now_v7().to_string();
    let (_, to) = h
        .form("/incidents", &[("id", &gone), ("do", "resolve")])
        .await;
    assert!(
        page(&to).await.contains("This incident no longer exists."),
        "{to}"
    );
    // An address may be anything.
    for refused in [
        "",
        "r",
        "x.y.z",
        "%C3%A9",
        "é",
        "7",
        "r-1.99999999999999999999",
    ] {
        let shown = page(&format!("/incidents?changed=0&asked=9&refused={refused}")).await;
        assert!(shown.contains("0 of 9 changed"), "{refused}");
    }
    h.finish().await;
}
