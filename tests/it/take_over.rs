//! Taking an incident over from who acknowledged it.

use serde_json::{Value, json};

use crate::harness::{Harness, On, firing};
use crate::on_all;

impl Harness {
    async fn take_over(&self, id: &str, from: Value, by: &str) -> (u16, Value) {
        let body = json!({"from": from, "operator": by, "note": format!("{by} goes on")});
        self.post(&format!("/api/v1/incidents/{id}/take-over"), body)
            .await
    }
}

on_all! {
    async fn of_two_who_take_an_incident_over_one_has_it_and_the_other_is_told(on) {
        let h = Harness::start(on).await;
        h.send_and_drain(vec![firing("a", h.now())]).await;
        let incident = h.incident().await;
        let id = incident["id"].as_str().unwrap();
        let (status, refused) = h.take_over(id, json!(null), "bob").await;
        assert_eq!((status, &refused["code"]), (409, &json!("not_acknowledged")));
        let path = format!("/api/v1/incidents/{id}");
        let (_, acknowledged) = h.post(&format!("{path}/acknowledge"), json!({"operator": "ann"})).await;

        let ann = || json!("ann");
        let both = tokio::join!(h.take_over(id, ann(), "bob"), h.take_over(id, ann(), "kim"));
        let [(won, lost)] = match (both.0.0, both.1.0) {
            (200, 409) => [(&both.0.1, &both.1.1)],
            (409, 200) => [(&both.1.1, &both.0.1)],
            _ => panic!("{both:?}"),
        };
        let winner = won["operator"].as_str().unwrap();
        assert_eq!((&won["status"], &won["changed"]), (&json!("ACKNOWLEDGED"), &json!(true)));
        assert_eq!(won["acknowledged_at"], acknowledged["acknowledged_at"]);
        assert_eq!((&lost["code"], lost["operator"].as_str()), (&json!("taken_over"), Some(winner)));
        assert_eq!(h.incident().await["operator"], winner);

        // Asked for again, it changes nothing; and only who is there can be taken over from.
        let (status, again) = h.take_over(id, ann(), winner).await;
        assert_eq!((status, &again["changed"]), (200, &json!(false)));
        let (status, refused) = h.take_over(id, json!(null), "lee").await;
        assert_eq!((status, refused["operator"].as_str()), (409, Some(winner)));
        let audited = h.get("/api/v1/audit?action=incident.take_over").await;
        let audited = audited["items"].as_array().unwrap();
        let changed: Vec<&Value> = audited.iter().filter(|entry| entry["detail"]["changed"] == true).collect();
        assert_eq!((audited.len(), changed.len()), (5, 1));
        assert_eq!((&changed[0]["detail"]["from"], changed[0]["detail"]["to"].as_str()), (&ann(), Some(winner)));
        assert_eq!(changed[0]["operator"].as_str(), Some(winner));

        // What was refused left no note.
        let notes = h.get(&format!("{path}/notes")).await;
        assert_eq!(notes.as_array().unwrap().len(), 2);
        h.drain().await;
        let card = h.telegram.messages().remove(0).shown;
        assert!(card.contains(&format!("cknowledged by {winner}")), "{card}");
        h.post(&format!("{path}/resolve"), json!({"operator": "ann"})).await;
        assert_eq!(h.take_over(id, json!("ann"), "bob").await.0, 409);
        h.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_takes_an_incident_over_from_who_has_it() {
    let h = Harness::start(On::Sqlite).await;
    h.send_and_drain(vec![firing("a", h.now())]).await;
    let id = h.incident().await["id"].as_str().unwrap().to_owned();
    let (ok, said) = h.tocsin(&["incidents", "take-over", &id, "--operator", "bob"]);
    assert!(
        !ok && said.contains("only an acknowledged incident"),
        "{said}"
    );
    h.tocsin(&["incidents", "acknowledge", &id, "--operator", "ann"]);
    let (ok, said) = h.tocsin(&[
        "incidents",
        "take-over",
        &id,
        "--operator",
        "bob",
        "--note",
        "my shift",
    ]);
    assert!(ok && said.contains("ACKNOWLEDGED by bob"), "{said}");
    assert!(said.contains("taken over from ann"), "{said}");
    assert_eq!(
        h.sql("SELECT count(*) FROM notes WHERE operator = 'bob'")
            .await,
        1
    );
    let (ok, said) = h.tocsin(&["incidents", "take-over", &id, "--operator", "bob"]);
    assert!(ok && said.contains("nothing changed"), "{said}");
    let from = |name: &'static str| {
        let by = ["incidents", "take-over", &id, "--operator", "kim"];
        h.tocsin(&[&by[..], &["--from", name]].concat())
    };
    let (ok, said) = from("ann");
    assert!(!ok && said.contains("bob has the incident now"), "{said}");
    let (ok, said) = from("bob");
    assert!(ok && said.contains("taken over from bob"), "{said}");
    h.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_take_over_needs_a_name_and_leaves_who_acknowledged() {
    let h = Harness::start(On::Sqlite).await;
    h.send_and_drain(vec![firing("a", h.now())]).await;
    let id = h.incident().await["id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/incidents/{id}");
    h.post(&format!("{path}/acknowledge"), json!({"operator": "ann"}))
        .await;
    let nobody = h.take_over(&id, json!("ann"), " ").await;
    assert_eq!(
        (nobody.0, &nobody.1["code"]),
        (400, &json!("operator_missing"))
    );
    assert_eq!(h.incident().await["operator"], "ann");
    let page = async || {
        let request = h.http.get(format!("{}/incidents/{id}", h.url));
        let request = request.header("accept", "text/html");
        request.send().await.unwrap().text().await.unwrap()
    };
    let shown = page().await;
    // The name is needed by the one button alone, and Enter in a field presses the first.
    assert!(shown.contains("autocomplete=\"name\" required"), "{shown}");
    let [note, taken] = ["/note\" formnovalidate", "/take-over\""].map(|one| shown.find(one));
    assert!(note.is_some() && note < taken, "{note:?} {taken:?}");

    h.take_over(&id, json!("ann"), "bob").await;
    h.take_over(&id, json!("bob"), "kim").await;
    // So many entries came since that this one is not among the newest.
    h.execute("DELETE FROM audit WHERE action = 'incident.acknowledge'")
        .await;
    let shown = page().await;
    let acknowledged = shown.rsplit(">◔<").next().unwrap();
    assert!(acknowledged.contains("by ann"), "{acknowledged}");
    h.finish().await;
}
