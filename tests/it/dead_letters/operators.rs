//! Operators: two at once, double clicks, edits.

use std::sync::atomic::Ordering;

use futures::future::join_all;
use serde_json::json;
use tocsin::telemetry::metrics::Outcome;

use super::{COUNTED, LETTERS, id};
use crate::harness::{Harness, alert};
use crate::on_all;

on_all! {
    async fn a_letter_is_decided_on_once_however_many_do_it_at_once(on) {
        let mut h = Harness::without_workers(on, |_| {}).await;
        h.work_badly();
        h.send(["a", "b", "c"].map(|pod| alert(COUNTED, pod, h.now())).to_vec()).await;
        h.drain().await;
        let letters = h.letters("").await;
        let (first, second, third) = (id(&letters[0]), id(&letters[1]), id(&letters[2]));
        let runs = h.work_well().await;
        let by = |n: usize| if n.is_multiple_of(2) { "ann" } else { "bob" };

        let answers = join_all((0..20).map(|n| h.replay(first, json!({"operator": by(n), "replay": 0})))).await;
        assert!(answers.iter().all(|(status, _)| *status == 200), "{answers:#?}");
        let changed = |answers: &[(u16, serde_json::Value)]| answers.iter().filter(|a| a.1["changed"] == true).count();
        assert_eq!(changed(&answers), 1);
        assert!(answers.iter().all(|(_, letter)| letter["replay"] == 1 && letter["state"] == "replayed"));
        h.drain().await;
        assert_eq!(runs.load(Ordering::SeqCst), 1);
        assert_eq!(h.discard(first, "bob").await.0, 409);

        let either = async |n: usize| match n % 2 {
            0 => h.replay(second, json!({"operator": "ann"})).await,
            _ => h.discard(second, "bob").await,
        };
        let mixed = join_all((0..20).map(either)).await;
        assert_eq!(changed(&mixed), 1);
        assert_eq!(mixed.iter().filter(|(status, _)| *status == 200).count(), 10);
        h.drain().await;
        let replayed = usize::from(mixed[0].0 == 200);
        assert_eq!(runs.load(Ordering::SeqCst), 1 + replayed);

        let all = json!({"all": true, "operator": "ann"});
        let many = join_all((0..8).map(|_| h.post("/api/v1/dead-letters/discard", all.clone()))).await;
        let discarded: u64 = many.iter().map(|(_, done)| done["changed"].as_u64().unwrap()).sum();
        assert_eq!(discarded, 1);
        assert_eq!(h.discard(third, "ann").await.1["changed"], false);
        assert_eq!(h.replay(third, json!({})).await.0, 409);
        assert_eq!(h.sql("SELECT count(*) FROM audit WHERE action LIKE 'dead_letter.%' AND operator IS NOT NULL").await, 3);
        h.finish_with_dead_letters().await;
    }

    async fn an_edited_payload_must_be_a_job_of_the_queue_and_is_what_runs(on) {
        let mut h = Harness::start(on).await;
        h.send_unusable(json!({"labels": {"job": "checkout"}, "annotations": {"summary": "50% fail\u{0}"}})).await;
        h.drain().await;
        let letter = h.letter().await;
        let letter_id = id(&letter);
        assert_eq!((&letter["reason"], &letter["attempts"]), (&json!("the alert has no alertname"), &json!(1)));
        let (status, refused) = h.replay(letter_id, json!({"replay": 0})).await;
        assert_eq!(status, 409, "{refused}");
        assert!(refused["detail"].as_str().unwrap().contains("tocsin dead edit"), "{refused}");
        assert_eq!(h.letter().await, letter, "what was rejected is not run as it is");
        h.execute("UPDATE dead_letters SET replay = 1").await;
        let letter = h.letter().await;

        let payload = |content: serde_json::Value| {
            let mut payload = letter["payload"].clone();
            payload["content"] = content;
            json!({"payload": payload, "operator": "ann"})
        };
        let nameless = json!({"alert": {"status": "firing", "labels": {}, "fingerprint": "f"}});
        for body in [
            json!({"payload": 7}),
            json!({"payload": {"notification": letter_id}}),
            json!({"payloads": {}}),
            payload(letter["payload"]["content"].clone()),
            payload(nameless.clone()),
        ] {
            let (status, problem) = h.replay(letter_id, body.clone()).await;
            // What the letter's queue does not take is no mistake in the request itself.
            let expected = if body.get("payload").is_some() { 409 } else { 400 };
            assert_eq!(status, expected, "{body}: {problem}");
            assert!(!problem["detail"].as_str().unwrap().is_empty());
        }
        assert_eq!(h.letter().await, letter, "nothing was decided");

        let mut named = nameless;
        named["alert"]["labels"] = json!({"alertname": "Named", "job": "checkout"});
        let edited = payload(named);
        let mut older = edited.clone();
        older["replay"] = json!(0);
        assert_eq!(h.replay(letter_id, older).await.0, 409, "it is another letter by now");
        assert_eq!(h.replay(letter_id, edited.clone()).await.1["changed"], true);
        assert_eq!(h.replay(letter_id, edited.clone()).await.1["changed"], false);
        assert_eq!(h.replay(letter_id, json!({})).await.0, 200);
        let mut other = edited;
        other["payload"]["source"] = json!("elsewhere");
        assert_eq!(h.replay(letter_id, other).await.0, 409, "another payload is what was replayed");
        h.drain().await;
        assert_eq!(h.incident().await["alert_name"], "Named");
        let kept = "SELECT count(*) FROM audit WHERE action = 'dead_letter.replay' AND operator = 'ann' \
                    AND CAST(detail AS text) LIKE '%payload_before%50% fail%'";
        assert_eq!(h.sql(kept).await, 1);
        let both = json!({"all": true, "queue": "ingest"});
        assert_eq!(h.post(&format!("{LETTERS}/discard"), both).await.0, 400);
        let unknown = "00000000-0000-7000-8000-000000000000";
        assert_eq!(h.replay(unknown, json!({})).await.0, 404);
        assert_eq!(h.discard("7", "ann").await.0, 404);
        assert_eq!(h.post(&format!("{LETTERS}/replay"), json!({"operator": "ann"})).await.0, 400);
        h.finish_with_dead_letters().await;
    }

    async fn an_edited_alert_is_the_firing_that_its_sender_delivers_again(on) {
        let mut h = Harness::start(on).await;
        let mut alert = json!({"status": "firing", "startsAt": h.now().to_rfc3339(), "labels": {"service": "x"}});
        h.send_unusable(alert.clone()).await;
        h.drain().await;
        let letter = h.letter().await;
        let mut payload = tocsin::sources::draft::of(letter["payload"].clone());
        payload["content"]["alert"]["labels"]["alertname"] = json!("A");
        assert_eq!(h.replay(id(&letter), json!({"payload": payload})).await.1["changed"], true);
        assert_eq!(h.replay(id(&letter), json!({"payload": payload})).await.1["changed"], false);
        h.drain().await;
        alert["labels"]["alertname"] = json!("A");
        h.send_and_drain(vec![alert.clone()]).await;
        assert_eq!(h.sql("SELECT count(*) FROM occurrences").await, 1);
        alert["status"] = json!("resolved");
        alert["endsAt"] = json!(h.now().to_rfc3339());
        h.send_and_drain(vec![alert]).await;
        assert_eq!(h.incident().await["status"], "RESOLVED");
        h.finish_with_dead_letters().await;
    }

    async fn a_dead_letter_of_several_alerts_is_not_replayed_and_counts_once(on) {
        let mut h = Harness::start(on).await;
        let body = json!({"alerts": [7, {"labels": {}}, {"labels": {"job": "a"}}]});
        assert_eq!(h.post("/api/v1/alertmanager", body).await.1["rejected"], 3);
        h.drain().await;
        let letter = h.letter().await;
        let mut usable = letter["payload"].clone();
        usable["content"] = json!({"alert": {"status": "firing", "labels": {"alertname": "A"}, "fingerprint": "f"}});
        for body in [json!({}), json!({"payload": usable})] {
            let (status, refused) = h.replay(id(&letter), body).await;
            assert_eq!(status, 409, "{refused}");
            let detail = refused["detail"].as_str().unwrap();
            assert!(detail.contains("3 rejected alerts") && detail.contains("send them to the webhook again"), "{detail}");
        }
        let (_, done) = h.post(&format!("{LETTERS}/replay"), json!({"all": true})).await;
        assert_eq!((&done["changed"], &done["skipped"], &done["more"]), (&json!(0), &json!(1), &json!(false)), "{done}");
        h.drain().await;
        assert_eq!(h.letter().await, letter);
        assert_eq!(h.context.metrics.alerts.total(Outcome::Rejected), 3);
        assert_eq!(h.discard(id(&letter), "ann").await.1["changed"], true);
        h.finish_with_dead_letters().await;
    }
}
