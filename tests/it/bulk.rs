//! Notes, and one operation on several incidents: named or selected, each with a result.

use std::time::Instant;

use serde_json::{Value, json};
use tocsin::store::incidents::find;

use crate::harness::{Harness, alert, firing};
use crate::on_all;

const BULK: &str = "/api/v1/incidents/bulk";

/// So many incidents, each of an anomaly of its own, newest last; their ids.
async fn incidents(h: &Harness, n: usize) -> Vec<String> {
    for some in (0..n).collect::<Vec<_>>().chunks(250) {
        let one = |n: &usize| {
            let mut alert = alert("BuildFailed", &format!("b{n}"), h.now());
            alert["labels"]["job"] = json!(format!("build-{n}"));
            alert
        };
        h.send_and_drain(some.iter().map(one).collect()).await;
    }
    let db = h.context.db.read();
    let all = tocsin::store::views::lists::Filter::default();
    let ids = tocsin::store::views::lists::incident_ids(db, &all, None, 10_000).await;
    let ids = ids.unwrap().into_iter().rev();
    ids.map(|id| id.to_string()).collect()
}

fn results(done: &Value) -> Vec<(&str, &str)> {
    let items = done["results"].as_array().unwrap().iter();
    items
        .map(|item| {
            let code = item["code"].as_str().unwrap_or_default();
            (item["result"].as_str().unwrap(), code)
        })
        .collect()
}

impl Harness {
    async fn post_once(&self, path: &str, key: &str, body: &Value) -> (u16, Value) {
        let request = self.http.post(format!("{}{path}", self.url));
        let request = request.header("idempotency-key", key).json(body);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// As if the process had died before it could store the answer.
    async fn forget_answers(&self) {
        self.execute("DELETE FROM requests").await;
    }
}

on_all! {
    async fn a_note_is_written_once_and_shown(on) {
        let h = Harness::start(on).await;
        h.send_and_drain(vec![firing("a", h.now())]).await;
        let id = h.incident().await["id"].as_str().unwrap().to_owned();
        let notes = format!("/api/v1/incidents/{id}/notes");
        let body = json!({"note": " rolled back <to> v41 ", "operator": "ann"});
        let (status, first) = h.post_once(&notes, "k", &body).await;
        assert_eq!((status, &first["note"], &first["operator"]), (201, &json!("rolled back <to> v41"), &json!("ann")));
        h.forget_answers().await;
        let (_, again) = h.post_once(&notes, "k", &body).await;
        assert_eq!(again, first, "the same key is the same note");
        let (status, refused) = h.post(&notes, json!({"note": " "})).await;
        assert_eq!((status, &refused["parameter"]), (400, &json!("note")));
        let unknown = "/api/v1/incidents/01a20f8d-b24b-788f-8346-44d977859706/notes";
        assert_eq!(h.post(unknown, json!({"note": "x"})).await.0, 404);

        // With the same key, another text is another note.
        let resolve = json!({"note": "and restarted", "operator": "ann"});
        assert_eq!(h.post_once(&notes, "k2", &resolve).await.0, 201);
        h.forget_answers().await;
        let (_, other) = h.post_once(&notes, "k2", &json!({"note": "and scaled", "operator": "ann"})).await;
        assert_eq!(other["note"], "and scaled");
        h.execute("DELETE FROM notes WHERE note LIKE 'and %'").await;
        h.execute("DELETE FROM audit").await;
        let act = format!("/api/v1/incidents/{id}/acknowledge");
        let (status, _) = h.post(&act, json!({"operator": "bob", "note": "mine"})).await;
        assert_eq!(status, 200);
        let (ok, said) = h.tocsin(&["incidents", "note", &id, "--note", "third\nline", "--operator", "eve"]);
        assert!(ok && said.contains("1 incident noted."), "{said}");
        let listed = h.get(&notes).await;
        let said: Vec<&str> = listed.as_array().unwrap().iter().map(|note| note["note"].as_str().unwrap()).collect();
        assert_eq!(said, ["third\nline", "mine", "rolled back <to> v41"]);
        assert_eq!(h.get(&format!("/api/v1/incidents/{id}")).await["notes"], listed);
        let (_, shown) = h.tocsin(&["incidents", "show", &id]);
        assert!(shown.contains("notes") && shown.contains("bob, ") && shown.contains("ago: mine"), "{shown}");
        let page = h.http.get(format!("{}/incidents/{id}", h.url)).send().await.unwrap();
        let page = page.text().await.unwrap();
        assert!(page.contains("rolled back &lt;to&gt; v41") && page.contains("by eve"), "{page}");
        let audited = "SELECT count(*) FROM audit WHERE action = 'incident.note'";
        assert_eq!(h.sql(audited).await, 2);
        let text = "SELECT count(*) FROM audit WHERE CAST(detail AS text) LIKE '%third%'";
        assert_eq!(h.sql(text).await, 0, "a note may hold what must be forgotten");
        let incident = find(h.context.db.read(), id.parse().unwrap()).await.unwrap().unwrap();
        assert_eq!(incident.operator.as_deref(), Some("bob"), "a note takes no incident over");
        h.drain().await;
        h.finish().await;
    }

    async fn each_named_incident_has_a_result_of_its_own(on) {
        let h = Harness::start(on).await;
        let ids = incidents(&h, 4).await;
        h.post(&format!("/api/v1/incidents/{}/resolve", ids[1]), json!({})).await;
        h.post(&format!("/api/v1/incidents/{}/acknowledge", ids[2]), json!({"operator": "bob"})).await;
        let unknown = "01a20f8d-b24b-788f-8346-44d977859706";
        let asked = json!({"action": "acknowledge", "ids": [ids[0], ids[1], ids[2], unknown, ids[0]],
            "operator": "ann", "note": "deploy of v42"});
        let (status, done) = h.post_once(BULK, "k", &asked).await;
        assert_eq!(status, 200, "{done}");
        let expected = [("changed", ""), ("refused", "already_resolved"), ("unchanged", ""), ("refused", "not_found")];
        assert_eq!(results(&done), expected);
        assert_eq!((&done["changed"], &done["next_cursor"]), (&json!(1), &json!(null)));
        let by_ann = "SELECT count(*) FROM incidents WHERE status = 'ACKNOWLEDGED' AND operator = 'ann'";
        let notes = "SELECT count(*) FROM notes WHERE note = 'deploy of v42' AND operator = 'ann'";
        assert_eq!((h.sql(by_ann).await, h.sql(notes).await), (1, 2));
        h.forget_answers().await;
        let (_, again) = h.post_once(BULK, "k", &asked).await;
        assert_eq!(results(&again)[0], ("unchanged", ""));
        assert_eq!(h.sql(notes).await, 2, "the same key is the same note");
        let audited = "SELECT count(*) FROM audit WHERE action = 'incident.acknowledge' AND operator = 'ann'";
        assert_eq!(h.sql(audited).await, 6);

        for body in [
            json!({"action": "note", "ids": [ids[0]]}),
            json!({"action": "acknowledge", "ids": [ids[0]], "all": true}),
            json!({"action": "resolve", "ids": [ids[0]], "dry_run": true}),
            json!({"action": "resolve", "ids": [ids[0]], "cursor": ids[1]}),
            json!({"action": "acknowledge"}),
            json!({"action": "reopen", "ids": [ids[0]]}),
            json!({"action": "resolve", "status": "RESOLVED"}),
            json!({"action": "acknowledge", "ids": vec![unknown; 2]
                .into_iter().map(str::to_owned).chain((0..1000).map(|n| format!("01a20f8d-b24b-788f-8346-{n:012}")))
                .collect::<Vec<_>>()}),
        ] {
            let (status, answer) = h.post(BULK, body).await;
            assert_eq!(status, 400, "{answer}");
        }
        let (status, _) = h.post(BULK, json!({"action": "mute", "ids": [ids[0]]})).await;
        assert_eq!(status, 409);
        let (_, muted) = h.post(BULK, json!({"action": "mute", "ids": [ids[0], ids[3]], "for": "1h", "note": "known"})).await;
        assert_eq!(results(&muted), [("changed", ""); 2]);
        assert_eq!(h.sql("SELECT count(*) FROM anomalies WHERE muted_why = 'known' AND muted_since IS NOT NULL").await, 2);
        let (_, resolved) = h.post(BULK, json!({"action": "resolve", "ids": ids, "operator": "ann"})).await;
        assert_eq!(resolved["changed"], 3);
        h.drain().await;
        assert_eq!(h.sql("SELECT count(*) FROM incidents WHERE status <> 'RESOLVED'").await, 0);
        h.finish().await;
    }

    async fn five_hundred_are_acknowledged_in_one_request(on) {
        let h = Harness::start(on).await;
        let ids = incidents(&h, 500).await;
        let began = Instant::now();
        let (status, done) = h.post(BULK, json!({"action": "acknowledge", "ids": ids, "operator": "ann"})).await;
        eprintln!("{on:?}: 500 acknowledged in {:?}", began.elapsed());
        assert_eq!((status, &done["changed"]), (200, &json!(500)));

        let asked = json!({"action": "note", "q": "BUILDFAILED", "note": "batch"});
        let mut counting = asked.clone();
        counting["dry_run"] = json!(true);
        let (_, found) = h.post(BULK, counting).await;
        assert_eq!((&found["matching"], &found["changed"]), (&json!(500), &json!(0)));
        let (_, done) = h.post(BULK, asked).await;
        assert_eq!((&done["changed"], &done["next_cursor"]), (&json!(500), &json!(null)));
        // Those that are acknowledged already are none of those that wait for it.
        let (_, none) = h.post(BULK, json!({"action": "acknowledge", "severity": "P1"})).await;
        assert_eq!(results(&none), []);

        let (ok, said) = h.tocsin(&["incidents", "mute", "--q", "buildfailed", "--for", "1h"]);
        assert!(!ok && said.contains("pass --yes to mute 500 incidents"), "{said}");
        let (ok, said) = h.tocsin(&["incidents", "mute", "--q", "buildfailed", "--for", "1h", "--yes"]);
        assert!(ok && said.contains("500 incidents muted."), "{said}");
        assert_eq!(h.sql("SELECT count(*) FROM anomalies WHERE muted_until IS NOT NULL").await, 500);
        let (ok, said) = h.tocsin(&["incidents", "acknowledge", &ids[0], &ids[1]]);
        assert!(ok && said.contains("0 incidents acknowledged. 2 incidents already acknowledged."), "{said}");
        let (ok, said) = h.tocsin(&["incidents", "resolve", &ids[0], &ids[1]]);
        assert!(ok && said.contains("2 incidents resolved."), "{said}");
        let (ok, said) = h.tocsin(&["incidents", "acknowledge", &ids[0], &ids[2]]);
        assert!(!ok && said.contains("1 incident refused:"), "{said}");
        h.drain().await;
        h.finish().await;
    }
}
