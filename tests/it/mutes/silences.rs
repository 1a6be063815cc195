//! Mutes that are silences in Alertmanager, too.

use serde_json::{Value, json};
use tocsin::config::Secret;
use tocsin_workers::recount::silence_mutes;
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::harness::{Harness, firing};
use crate::on_all;

/// An Alertmanager that has these silences, and makes one.
async fn with_silences(server: &MockServer, has: Value) {
    server.reset().await;
    let made = json!({"silenceID": "s-1"});
    for (verb, at, answer) in [
        ("GET", "/api/v2/silences", has),
        ("POST", "/api/v2/silences", made),
        ("DELETE", "/api/v2/silence/s-1", json!({})),
    ] {
        Mock::given(method(verb))
            .and(path(at))
            .respond_with(ResponseTemplate::new(200).set_body_json(answer))
            .mount(server)
            .await;
    }
}

/// What was asked of it that changes something.
async fn changes(server: &MockServer) -> Vec<(String, Value)> {
    let asked = server.received_requests().await.unwrap();
    let changes = asked.iter().filter(|asked| asked.method.as_str() != "GET");
    let change = changes.map(|asked| {
        let body = serde_json::from_slice(&asked.body).unwrap_or_default();
        (format!("{} {}", asked.method, asked.url.path()), body)
    });
    change.collect()
}

on_all! {
    async fn a_mute_is_one_silence_that_is_expired_with_it(on) {
        let server = MockServer::start().await;
        let url = server.uri();
        let h = Harness::start_with(on, |config| {
            config.alertmanager_url = Some(Secret::from(&*url));
            config.silences.create = true;
        }).await;
        h.send_and_drain(vec![firing("a", h.now())]).await;
        let key = h.key().await;
        // It does not answer: nobody who mutes notices, and the next pass tries again.
        let muted = json!({"for": "4h", "operator": "ann", "why": "known"});
        assert_eq!(h.mute(muted).await.0, 200);
        assert_eq!(silence_mutes(&h.context).await.unwrap(), 0);
        with_silences(&server, json!([])).await;
        assert_eq!(silence_mutes(&h.context).await.unwrap(), 1);
        assert_eq!(silence_mutes(&h.context).await.unwrap(), 0);
        let made = changes(&server).await;
        assert_eq!(made.len(), 1, "{made:?}");
        let matcher = |name: &str, value: &str| json!({"name": name, "value": value, "isRegex": false, "isEqual": true});
        let wanted = [("alertname", "CrashLooping"), ("job", "checkout"), ("namespace", "prod"), ("reason", "CrashLoopBackOff")];
        assert_eq!(made[0].1["matchers"], json!(wanted.map(|(name, value)| matcher(name, value))));
        let comment = made[0].1["comment"].clone();
        assert_eq!(comment, format!("Muted in Tocsin by ann: known (anomaly {key})"));
        // The worker died before it wrote that: the silence is found again, and there is no second one.
        h.execute("DELETE FROM made_silences").await;
        let status = json!({"state": "active"});
        with_silences(&server, json!([{"id": "s-1", "status": status, "createdBy": "tocsin", "comment": comment}])).await;
        assert_eq!(silence_mutes(&h.context).await.unwrap(), 1);
        assert_eq!(changes(&server).await[0].1["id"], "s-1");
        // Muted anew it is changed, and unmuted expired.
        with_silences(&server, json!([])).await;
        let longer = json!({"for": "5h", "operator": "ann"});
        assert_eq!(h.mute(longer).await.0, 200);
        silence_mutes(&h.context).await.unwrap();
        assert_eq!(changes(&server).await[0].1["id"], "s-1");
        assert_eq!(h.unmute().await.0, 200);
        assert_eq!(silence_mutes(&h.context).await.unwrap(), 1);
        let all = changes(&server).await;
        assert_eq!(all[1].0, "DELETE /api/v2/silence/s-1");
        assert_eq!(h.sql("SELECT count(*) FROM made_silences").await, 0);
        h.finish().await;
    }
}
