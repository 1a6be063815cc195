//! Cards: one message for an incident, which is edited as the incident changes.

mod budget;
mod edit_failures;
mod routes;
mod storm;

use std::time::{Duration, Instant};

use sea_orm::DbBackend;
use serde_json::json;
use tocsin::config::{Span, Tell};
use tocsin::outbox;
use tocsin::store::cards::DueCard;
use uuid::Uuid;

use crate::harness::{Harness, alert, firing, resolved};
use crate::on_all;

const MINUTE: Duration = Duration::from_secs(60);

on_all! {
    async fn a_card_is_edited_in_place_as_its_incident_changes(on) {
        let h = Harness::start(on).await;
        let (a, b) = (firing("a", h.now()), firing("b", h.now()));
        h.send_and_drain(vec![a.clone()]).await;
        let card = || h.telegram.messages()[0].clone();
        assert_eq!(card().text, card().shown);
        h.send_and_drain(vec![b.clone()]).await;
        assert!(card().shown.contains("2 firings"), "{}", card().shown);
        assert!(card().shown.contains("1 h: 2"), "{}", card().shown);
        let incident = h.incident().await;
        let path = format!("/api/v1/incidents/{}", incident["id"].as_str().unwrap());
        h.post(&format!("{path}/acknowledge"), json!({"operator": "ann"})).await;
        h.drain().await;
        assert!(card().shown.contains("Acknowledged by ann"), "{}", card().shown);
        h.post(&format!("{path}/repairs"), json!({"action": "restart_pod", "success": true})).await;
        h.drain().await;
        assert!(card().shown.contains("1, 1 reported to have helped"), "{}", card().shown);
        h.send_and_drain(vec![resolved(a, h.now()), resolved(b, h.now())]).await;
        assert!(card().shown.contains("Resolved: the alert ended"), "{}", card().shown);
        h.advance(MINUTE);
        h.send_and_drain(vec![firing("c", h.now())]).await;
        assert!(!card().shown.contains("Resolved: the alert ended"), "{}", card().shown);
        assert_eq!(h.telegram.messages().len(), 1, "{:#?}", h.telegram.messages());
        assert!(!card().text.contains("firings"), "{}", card().text);
        h.finish().await;
    }

    async fn a_re_sent_alert_edits_no_card(on) {
        let h = Harness::start(on).await;
        let a = firing("a", h.now());
        h.send_and_drain(vec![a.clone()]).await;
        for _ in 0..3 {
            h.send_and_drain(vec![a.clone()]).await;
        }
        h.recount().await;
        assert_eq!(h.telegram.messages()[0].edits, 0);
        assert_eq!(h.sql("SELECT edit_seq FROM notifications").await, 0);
        h.finish().await;
    }

    async fn a_rise_and_a_reopening_answer_the_card_and_the_card_shows_them(on) {
        let h = Harness::start(on).await;
        h.send_and_drain(vec![firing("a", h.now())]).await;
        h.send_and_drain(vec![alert("Other", "a", h.now())]).await;
        let more = (0..4).map(|n| firing(&format!("b{n}"), h.now())).collect();
        h.send_and_drain(more).await;
        let told = h.telegram.messages();
        assert_eq!(told.len(), 3, "{told:#?}");
        assert_eq!((told[0].reply_to, told[1].reply_to, told[2].reply_to), (None, None, Some(1)));
        assert!(told[2].text.contains("Escalated"), "{}", told[2].text);
        assert!(told[0].shown.contains("ESCALATE"), "{}", told[0].shown);
        assert_eq!(told[2].edits, 0, "only the card is edited");
        h.finish().await;
    }

    async fn changes_fold_into_few_edits(on) {
        let fold = Duration::from_secs(2);
        let h = Harness::start_with(on, |config| config.telegram.fold = Span(fold)).await;
        h.send_and_drain(vec![firing("0", h.now())]).await;
        let began = Instant::now();
        for n in 1..8 {
            h.send(vec![firing(&n.to_string(), h.now())]).await;
            // The next is to be a change of its own.
            let seen = format!("SELECT count(*) FROM notifications WHERE kind = 'opened' AND edit_seq >= {n}");
            while h.sql(&seen).await == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        h.drain().await;
        let card = h.telegram.messages()[0].clone();
        let most = began.elapsed().as_secs() as usize / 2 + 1;
        assert!((1..=most).contains(&card.edits), "{} edits, {most} at most", card.edits);
        assert!(card.shown.contains("8 firings"), "{}", card.shown);
        h.finish().await;
    }

    async fn a_change_that_comes_before_the_last_edits_job_is_removed_is_shown(on) {
        let h = Harness::start(on).await;
        let since = h.now();
        h.send_and_drain(vec![firing("a", since)]).await;
        let id = Uuid::parse_str(&h.sql_text(match h.context.db.backend() {
            DbBackend::Postgres => "SELECT CAST(id AS text) FROM notifications",
            _ => "SELECT lower(hex(id)) FROM notifications",
        }).await).unwrap();
        let last = outbox::edit(&DueCard { id, since }).after(60 * MINUTE);
        h.context.queues.push(last).await.unwrap();
        h.advance(Duration::from_secs(1));
        h.send(vec![firing("b", h.now())]).await;
        h.until("SELECT shown_seq FROM notifications", 1).await;
        let card = h.telegram.messages()[0].clone();
        assert!(card.shown.contains("2 firings"), "{}", card.shown);
        h.advance(60 * MINUTE);
        h.drain().await;
        h.finish().await;
    }

    async fn a_resolved_message_is_not_sent_for_a_reopened_incident(on) {
        let h = Harness::start_with(on, |config| config.telegram.tell.push(Tell::Resolved)).await;
        h.pause("notify", true).await;
        let alert = firing("a", h.now());
        let rows = |kind: &str| format!("SELECT count(*) FROM notifications WHERE kind = '{kind}'");
        h.send(vec![alert.clone()]).await;
        h.until(&rows("opened"), 1).await;
        h.send(vec![resolved(alert, h.now())]).await;
        h.until(&rows("resolved"), 1).await;
        h.send(vec![firing("b", h.now())]).await;
        h.until("SELECT count(*) FROM incidents WHERE status = 'OPEN'", 1).await;
        h.pause("notify", false).await;
        h.drain().await;
        let told = h.telegram.taken();
        assert_eq!(told.len(), 1, "{told:#?}");
        assert!(told[0].contains("Opened"), "{}", told[0]);
        let why = "SELECT count(*) FROM notifications WHERE state = 'given up' AND error LIKE '%open again%'";
        assert_eq!(h.sql(why).await, 1);
        h.finish().await;
    }

    async fn a_reopened_message_follows_a_resolved_message(on) {
        let h = Harness::start_with(on, |config| config.telegram.tell.push(Tell::Resolved)).await;
        for pod in ["a", "b"] {
            let alert = firing(pod, h.now());
            h.send_and_drain(vec![alert.clone(), alert.clone()]).await;
            h.send_and_drain(vec![resolved(alert, h.now())]).await;
            h.advance(MINUTE);
        }
        let told = h.telegram.headlines();
        let began = |word: &str| told.iter().filter(|told| told.contains(word)).count();
        let counted = ["Opened", "Resolved", "Reopened"].map(began);
        assert_eq!(counted, [1, 2, 1], "{told:#?}");
        assert!(told[2].contains("Reopened"), "{told:#?}");
        let again = h.telegram.taken()[2].clone();
        assert!(again.contains("It was resolved, but its alert fires"), "{again}");
        h.finish().await;
    }

    async fn resolved_and_repeat_notify_where_configured(on) {
        let h = Harness::start_with(on, |config| {
            config.telegram.tell.extend([Tell::Resolved, Tell::Repeat]);
        })
        .await;
        let pods = ["a", "b", "c"];
        let alerts: Vec<_> = pods.iter().map(|pod| firing(pod, h.now())).collect();
        for alert in &alerts {
            h.send_and_drain(vec![alert.clone()]).await;
        }
        let over = alerts.into_iter().map(|alert| resolved(alert, h.now())).collect();
        h.send_and_drain(over).await;
        let told = h.telegram.messages();
        assert_eq!(told.len(), 3, "{told:#?}");
        assert!(told[1].text.contains("REPEAT"), "{}", told[1].text);
        assert!(told[2].text.contains("Resolved"), "{}", told[2].text);
        assert!(told[1..].iter().all(|message| message.reply_to == Some(1)));
        h.advance(11 * MINUTE);
        h.send_and_drain(vec![firing("d", h.now())]).await;
        let newest = h.incidents().await[0]["id"].as_str().unwrap().to_owned();
        for _ in 0..2 {
            h.post(&format!("/api/v1/incidents/{newest}/resolve"), json!({})).await;
        }
        h.drain().await;
        let told = h.telegram.messages();
        assert_eq!(told.len(), 5, "{told:#?}");
        assert_eq!(told[4].reply_to, Some(4));
        h.finish().await;
    }
}
