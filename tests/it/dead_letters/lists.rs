//! Dead letters listed, exported and pruned.

use std::time::Duration;

use serde_json::{Value, json};
use tocsin::queue::consumer::JobHandle;
use tocsin::queue::store::Lease;
use tocsin::store::dead_letters::bury;

use super::{DAY, LETTERS, id};
use crate::harness::Harness;
use crate::on_all;

const HOUR: Duration = Duration::from_secs(3600);

/// A letter whose payload is not even text.
async fn bury_bytes(h: &Harness) {
    let held = JobHandle {
        lease: Lease {
            id: uuid::Uuid::now_v7(),
            delivery: 1,
            replay: 0,
            place: tocsin::queue::store::StorePosition::default(),
        },
        payload: b"\xff\\x".to_vec(),
        failed: Vec::new(),
        trace_id: Some("4bf92f".to_owned()),
        enqueued_at: h.now(),
        put_off: false,
        waits: Default::default(),
    };
    let burial = held.burial("ingest", "cannot parse the payload", &[], h.now());
    bury(h.context.db.write(), &[burial]).await.unwrap();
}

impl Harness {
    async fn export(&self, query: &str) -> Vec<Value> {
        let request = self
            .http
            .get(format!("{}{LETTERS}/export?{query}", self.url));
        let response = request.send().await.unwrap();
        assert_eq!(response.headers()["content-type"], "application/x-ndjson");
        let text = response.text().await.unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

on_all! {
    async fn letters_are_found_by_queue_reason_age_and_text_and_go_when_they_are_old(on) {
        let mut h = Harness::start_with(on, |config| {
            config.retention.dead_letters = tocsin::config::Span(10 * DAY);
        }).await;
        bury_bytes(&h).await;
        h.advance(2 * HOUR);
        for n in 0..3 {
            h.send_unusable(json!({"labels": {"job": format!("Bäckerei\\{n}%")}})).await;
            h.drain().await;
        }
        h.send_unusable(json!({"labels": {}})).await;
        h.drain().await;

        let found = async |query: &str| h.letters(query).await.len();
        let table = [
            ("", 5), ("state=dead", 5), ("state=all", 5), ("state=replayed", 0),
            ("queue=ingest", 5), ("queue=tier", 0),
            ("reason=ALERTNAME", 3), ("reason=no+labels", 1), ("reason=%25", 0),
            ("q=b%C3%A4CKEREI", 3), ("q=kerei%5C%5C%5C%5C1%25", 1), ("q=no+labels", 1), ("q=kerei_", 0), ("q=%5Cx", 1),
            ("since=1h", 4), ("younger_than=3h", 5), ("older_than=1h", 1), ("older_than=1h&younger_than=2h", 0),
            ("queue=ingest&q=b%C3%A4ckerei&younger_than=1h&reason=alertname", 3),
        ];
        for (query, letters) in table {
            assert_eq!(found(query).await, letters, "{query}");
        }
        let page = h.get(&format!("{LETTERS}?limit=2")).await;
        let next = page["next_cursor"].as_str().unwrap();
        let mut paged = page["items"].as_array().unwrap().clone();
        paged.extend(h.letters(&format!("limit=200&cursor={next}")).await);
        assert_eq!(paged, h.letters("").await);
        assert!(paged.is_sorted_by(|a, b| a["died_at"].as_str() >= b["died_at"].as_str()));

        let whole = h.export("").await;
        assert_eq!(whole.len(), 5);
        for (line, letter) in whole.iter().zip(&paged) {
            assert_eq!(line, &h.get(&format!("{LETTERS}/{}", id(letter))).await);
        }
        assert_eq!(h.export("q=no+labels").await.len(), 1);
        let bytes = whole.last().unwrap();
        assert_eq!((&bytes["payload_text"], &bytes["payload_base64"]), (&json!("\u{fffd}\\x"), &json!("/1x4")));
        assert!(bytes.get("payload").is_none());
        assert_eq!(bytes["trace_id"], "4bf92f");
        for path in ["?state=x", "?queue=x", "?older_than=soon", "?cursor=x", "?colour=red", "?q=%00", "/export?limit=5"] {
            let response = h.http.get(format!("{}{LETTERS}{path}", h.url)).send().await.unwrap();
            assert_eq!(response.status(), 400, "{path}");
            assert_eq!(response.headers()["content-type"], "application/problem+json", "{path}");
        }

        // What is not text or was rejected cannot be replayed as it is; alone it says so, among others it is
        // left out.
        h.execute("UPDATE dead_letters SET payload = substr(payload, 2) WHERE reason LIKE '%alertname'").await;
        assert_eq!(h.replay(id(bytes), json!({})).await.0, 409);
        let ask = async |body| h.post(&format!("{LETTERS}/replay"), body).await.1;
        let dry = ask(json!({"queue": "ingest", "dry_run": true})).await;
        assert_eq!((&dry["matching"], &dry["changed"]), (&json!(5), &json!(0)));
        let again = json!({"queue": "ingest", "as_of": dry["as_of"]});
        let done = ask(again.clone()).await;
        assert_eq!((&done["changed"], &done["skipped"], &done["owed"]), (&json!(3), &json!(2), &json!(0)));
        h.drain().await;
        assert_eq!(found("state=dead").await, 5, "they died once more, of the same");
        assert_eq!(ask(again).await["changed"], 0, "which is no reason to go on for ever");
        let oldest = h.metrics().await;
        let oldest = oldest.lines().find(|line| line.starts_with("tocsin_dead_letters_oldest_age_seconds{queue=\"ingest\"}"));
        let age: f64 = oldest.unwrap().rsplit_once(' ').unwrap().1.parse().unwrap();
        assert!((7200.0..7300.0).contains(&age), "{age}");

        h.advance(9 * DAY);
        h.execute(&format!("UPDATE dead_letters SET push_owed_since = {} WHERE reason LIKE '%no labels'", h.now().0)).await;
        h.execute("UPDATE dead_letters SET state = 'replayed' WHERE reason LIKE '%no labels'").await;
        h.discard(id(&paged[1]), "ann").await;
        h.advance(2 * DAY);
        tocsin_workers::recount::prune(&h.context).await.unwrap();
        let left = h.letters("state=all").await;
        let states: Vec<&str> = left.iter().map(|letter| letter["state"].as_str().unwrap()).collect();
        assert_eq!(states, ["discarded", "replayed"], "one is owed, one was decided on a day ago");
        h.recount().await;
        h.finish_with_dead_letters().await;
    }
}
