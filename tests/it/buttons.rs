//! Buttons: who may press them, what each does, and that it is done once.

mod poller_crash;
mod polling;
mod replies;
mod webhook;

use std::time::Duration;

use serde_json::{Value, json};
use tocsin::config::{Config, People, Tell};
use tocsin::domain::buttons::{ButtonAction, CallbackData};
use tocsin::telegram::Bot;
use tocsin::telegram::poller::{Poll, Poller};

use crate::harness::{Harness, On, firing, resolved};
use crate::on_all;
use crate::telegram::presses::encode;

pub(crate) const ALICE: i64 = 42;
const BOB: i64 = 43;
const STRANGER: i64 = 666;

pub(crate) fn people(config: &mut Config) {
    config.telegram.people = People::from_iter([(ALICE, "alice"), (BOB, "bob")]);
}

/// One incident with a card, and a poller.
async fn with_poller(on: On) -> (Harness, Poller) {
    let h = Harness::start_with(on, people).await;
    h.send_and_drain(vec![firing("a", h.now())]).await;
    let poller = h.poller();
    (h, poller)
}

impl Harness {
    pub(crate) fn poller(&self) -> Poller {
        let bot = Bot::of(&self.context.config).unwrap().unwrap();
        Poller::new(&self.context, bot)
    }

    /// Somebody presses a button beneath the one incident's card.
    async fn press(&self, user: i64, action: ButtonAction) -> Value {
        let incident = self.incident().await;
        let incident = incident["id"].as_str().unwrap().parse().unwrap();
        let data = CallbackData { incident, action }.data();
        self.telegram.presses.press(user, &data)
    }

    async fn audited(&self, action: &str) -> Vec<Value> {
        let operations = self.get(&format!("/api/v1/audit?action={action}")).await;
        operations["items"].as_array().unwrap().clone()
    }

    /// What was answered to the last press, once that is there.
    pub(crate) async fn answered(&self, poller: &mut Poller) -> (String, bool) {
        poller.answered().await;
        self.telegram.presses.answers().pop().unwrap()
    }
}

fn said(text: &str) -> (String, bool) {
    (text.to_owned(), false)
}

on_all! {
    async fn a_press_acknowledges_and_the_card_says_who(on) {
        let (h, mut poller) = with_poller(on).await;
        let card = || h.telegram.messages().remove(0);
        let offered = encode(&card().markup);
        assert_eq!(offered.len(), 4, "{offered:?}");
        h.telegram.presses.press(ALICE, &offered[0]);
        assert_eq!(poller.poll().await.unwrap(), Poll::Done(1));
        assert_eq!(h.answered(&mut poller).await, said("Acknowledged."));
        let incident = h.incident().await;
        assert_eq!((&incident["status"], &incident["operator"]), (&json!("ACKNOWLEDGED"), &json!("alice")));
        let operations = h.audited("incident.acknowledge").await;
        assert_eq!((&operations[0]["actor"], &operations[0]["operator"]), (&json!("telegram"), &json!("alice")));
        h.drain().await;
        assert!(card().shown.contains("cknowledged by alice"), "{}", card().shown);
        let now_offered = encode(&card().markup);
        assert_eq!(now_offered[1..], offered[1..]);

        h.press(BOB, ButtonAction::Acknowledge).await;
        poller.poll().await.unwrap();
        assert_eq!(h.answered(&mut poller).await, said("alice has already done that."));
        // Bob takes it over, which the card says; whoever saw alice there is told, and so is bob.
        let take_over = &now_offered[0];
        h.telegram.presses.press(BOB, take_over);
        poller.poll().await.unwrap();
        assert_eq!(h.answered(&mut poller).await, said("Taken over from alice."));
        h.drain().await;
        assert!(card().shown.contains("cknowledged by bob"), "{}", card().shown);
        h.telegram.presses.press(BOB, take_over);
        poller.poll().await.unwrap();
        assert_eq!(h.answered(&mut poller).await, said("You have it already."));
        h.telegram.presses.press(ALICE, take_over);
        poller.poll().await.unwrap();
        assert_eq!(h.answered(&mut poller).await, ("bob has the incident now.".to_owned(), true));
        assert_eq!(h.audited("incident.take_over").await.len(), 3);
        h.press(BOB, ButtonAction::Resolve).await;
        poller.poll().await.unwrap();
        assert_eq!(h.answered(&mut poller).await, said("Resolved."));
        let incident = h.incident().await;
        assert_eq!((&incident["resolved_by"], &incident["operator"]), (&json!("person"), &json!("bob")));
        h.press(ALICE, ButtonAction::Acknowledge).await;
        poller.poll().await.unwrap();
        let (text, is_alert) = h.answered(&mut poller).await;
        assert!(is_alert && text.starts_with("The incident is resolved"), "{text}");
        h.finish().await;
    }

    async fn a_stranger_is_refused_and_that_is_audited(on) {
        let (h, mut poller) = with_poller(on).await;
        for action in [ButtonAction::Acknowledge, ButtonAction::Resolve, ButtonAction::Mute, ButtonAction::Repairs] {
            h.press(STRANGER, action).await;
        }
        assert_eq!(poller.poll().await.unwrap(), Poll::Done(4));
        poller.answered().await;
        let answers = h.telegram.presses.answers();
        assert_eq!(answers.len(), 4);
        for (text, is_alert) in answers {
            assert!(is_alert && text.contains("not authorized") && text.contains("666"), "{text}");
        }
        assert_eq!(h.telegram.presses.keyboards().len(), 0);
        let incident = h.incident().await;
        assert_eq!((&incident["status"], &incident["muted_until"]), (&json!("OPEN"), &json!(null)));
        let operations = h.audited("telegram.refused").await;
        assert_eq!((operations.len(), &operations[0]["detail"]["user"]), (4, &json!(STRANGER)));
        assert_eq!(operations[0]["target"], incident["id"]);
        assert_eq!(h.get("/api/v1/audit").await["items"].as_array().unwrap().len(), 4);
        h.finish().await;
    }

    async fn the_buttons_mute_unmute_and_record_repairs(on) {
        let (h, mut poller) = with_poller(on).await;
        h.press(ALICE, ButtonAction::Mute).await;
        poller.poll().await.unwrap();
        let (text, _) = h.answered(&mut poller).await;
        assert!(text.starts_with("Muted until "), "{text}");
        let incident = h.incident().await;
        assert_eq!(incident["muted_by"], "alice");
        h.drain().await;
        let shown = h.telegram.messages().remove(0).shown;
        assert!(shown.contains("uted until") && shown.contains("by alice"), "{shown}");
        h.press(BOB, ButtonAction::Unmute).await;
        poller.poll().await.unwrap();
        assert_eq!(h.answered(&mut poller).await, said("Unmuted."));
        assert_eq!(h.incident().await["muted_until"], json!(null));

        h.press(ALICE, ButtonAction::Repairs).await;
        poller.poll().await.unwrap();
        poller.answered().await;
        let offered = h.telegram.presses.keyboards().pop().unwrap();
        assert_eq!(offered.len(), 2 * 4 + 1, "{offered:?}");
        h.press(ALICE, ButtonAction::Back).await;
        poller.poll().await.unwrap();
        poller.answered().await;
        let offered = h.telegram.presses.keyboards().pop().unwrap();
        assert_eq!(offered.len(), 4, "{offered:?}");

        let repaired = |action: &str, success| ButtonAction::Repaired { action: action.to_owned(), success };
        h.press(ALICE, repaired("rollback", true)).await;
        h.press(BOB, repaired("restart_pod", false)).await;
        // What is not on the list any more is not done.
        h.press(BOB, repaired("reboot", true)).await;
        assert_eq!(poller.poll().await.unwrap(), Poll::Done(3));
        poller.answered().await;
        h.drain().await;
        let stats = h.incident().await["repair_stats"].clone();
        assert_eq!((&stats["total_attempts"], &stats["successful_attempts"]), (&json!(2), &json!(1)));
        let operations = h.audited("incident.repair").await;
        let mut by: Vec<&str> = operations.iter().filter_map(|deed| deed["operator"].as_str()).collect();
        by.sort_unstable();
        assert_eq!(by, ["alice", "bob"]);
        h.finish().await;
    }

    async fn a_mute_is_shown_on_the_card_that_it_was_pressed_on(on) {
        let (h, mut poller) = with_poller(on).await;
        h.press(ALICE, ButtonAction::Resolve).await;
        poller.poll().await.unwrap();
        h.drain().await;
        let card = || h.telegram.messages().remove(0);
        let resolved = card();
        h.press(ALICE, ButtonAction::Mute).await;
        poller.poll().await.unwrap();
        h.drain().await;
        assert!(card().shown.contains("uted until"), "{}", card().shown);
        h.press(ALICE, ButtonAction::Unmute).await;
        poller.poll().await.unwrap();
        poller.answered().await;
        h.drain().await;
        assert_eq!((card().shown, card().markup), (resolved.shown, resolved.markup));
        h.finish().await;
    }

    async fn resolving_an_auto_resolved_incident_says_so(on) {
        let h = Harness::start_with(on, people).await;
        let alert = firing("a", h.now());
        h.send_and_drain(vec![alert.clone()]).await;
        let mut poller = h.poller();
        h.press(ALICE, ButtonAction::Acknowledge).await;
        poller.poll().await.unwrap();
        h.send_and_drain(vec![resolved(alert, h.now())]).await;
        h.press(BOB, ButtonAction::Resolve).await;
        poller.poll().await.unwrap();
        assert_eq!(h.answered(&mut poller).await, said("Already resolved: the alert ended."));
        h.finish().await;
    }

    async fn a_card_says_who_repaired_and_whatever_opens_it_has_buttons(on) {
        let h = Harness::start_with(on, |config| {
            people(config);
            config.telegram.tell = vec![Tell::Repeat, Tell::Resolved];
        })
        .await;
        let alerts: Vec<_> = ["a", "b", "c"].map(|pod| firing(pod, h.now())).into();
        h.send_and_drain(alerts.clone()).await;
        let card = || h.telegram.messages().remove(0);
        assert_eq!(encode(&card().markup).len(), 4, "{:#?}", card());
        let mut poller = h.poller();
        h.press(ALICE, ButtonAction::Repaired { action: "rollback".to_owned(), success: true }).await;
        poller.poll().await.unwrap();
        poller.answered().await;
        h.drain().await;
        assert!(card().shown.contains("<code>rollback</code> by alice"), "{}", card().shown);
        let over = alerts.into_iter().map(|alert| resolved(alert, h.now())).collect();
        h.send_and_drain(over).await;
        let told = h.telegram.messages();
        assert_eq!((told.len(), encode(&told[1].markup).len()), (2, 0), "{told:#?}");
        h.finish().await;
    }

    async fn a_double_tap_records_one_repair_and_a_later_tap_another(on) {
        let (h, mut poller) = with_poller(on).await;
        let repaired = || ButtonAction::Repaired { action: "rollback".to_owned(), success: true };
        let recorded = "SELECT count(*) FROM repairs";
        h.press(ALICE, repaired()).await;
        let second = h.press(ALICE, repaired()).await;
        // Another person's is their own, and what nobody confirmed comes again.
        h.press(BOB, repaired()).await;
        h.telegram.presses.say(second);
        assert_eq!(poller.poll().await.unwrap(), Poll::Done(4));
        let (text, _) = h.answered(&mut poller).await;
        assert_eq!(text, "Recorded: rollback helped.");
        h.drain().await;
        assert_eq!(h.sql(recorded).await, 2);
        h.advance(Duration::from_secs(11));
        h.press(ALICE, repaired()).await;
        poller.poll().await.unwrap();
        poller.answered().await;
        h.drain().await;
        assert_eq!(h.sql(recorded).await, 3);
        h.finish().await;
    }

    async fn an_open_menu_of_repairs_is_not_edited_away(on) {
        let (h, mut poller) = with_poller(on).await;
        h.press(ALICE, ButtonAction::Repairs).await;
        poller.poll().await.unwrap();
        poller.answered().await;
        let edits = h.telegram.messages().remove(0).edits;
        h.send(vec![firing("another", h.now())]).await;
        let due = "SELECT count(*) FROM notifications WHERE edit_due_since IS NOT NULL";
        h.until(due, 1).await;
        // Without the menu it would be edited at once.
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(h.sql(due).await, 1);
        assert_eq!(h.telegram.messages().remove(0).edits, edits);
        h.drain().await;
        assert!(h.telegram.messages().remove(0).edits > edits);
        h.finish().await;
    }

    async fn a_press_that_comes_again_is_done_once(on) {
        let (h, mut poller) = with_poller(on).await;
        let repaired = ButtonAction::Repaired { action: "rollback".to_owned(), success: true };
        for action in [ButtonAction::Mute, repaired, ButtonAction::Acknowledge] {
            let update = h.press(ALICE, action).await;
            for _ in 0..3 {
                h.telegram.presses.say(update.clone());
            }
        }
        assert_eq!(poller.poll().await.unwrap(), Poll::Done(12));
        poller.answered().await;
        h.drain().await;
        for action in ["anomaly.mute", "incident.repair", "incident.acknowledge"] {
            assert_eq!(h.audited(action).await.len(), 1, "{action}");
        }
        assert_eq!(h.sql("SELECT count(*) FROM repairs").await, 1);
        // A repair has a row more, by which a double tap is known.
        assert_eq!(h.sql("SELECT count(*) FROM presses").await, 4);
        let answers = h.telegram.presses.answers();
        let acknowledged = answers.iter().filter(|answer| **answer == said("Acknowledged."));
        assert_eq!(acknowledged.count(), 4, "{answers:?}");
        h.finish().await;
    }

    async fn an_unreadable_callback_is_answered_and_ignored(on) {
        let (h, mut poller) = with_poller(on).await;
        let gone = CallbackData { incident: uuid::Uuid::now_v7(), action: ButtonAction::Acknowledge }.data();
        for data in ["", "x", "9:a:b", "1:a:zzz", "\u{0}", &"x".repeat(5000)] {
            h.telegram.presses.press(ALICE, data);
        }
        for update in [
            json!({"message": {"text": "hello"}}),
            json!({"callback_query": {}}),
            json!({"callback_query": {"id": 5, "from": "me"}}),
            json!({"callback_query": {"id": "bare", "from": {"id": ALICE}}}),
            json!({"callback_query": []}),
        ] {
            h.telegram.presses.say(update);
        }
        h.telegram.presses.press(ALICE, &gone);
        assert_eq!(poller.poll().await.unwrap(), Poll::Done(8));
        poller.answered().await;
        let answers = h.telegram.presses.answers();
        assert_eq!(answers.len(), 8);
        assert!(answers.contains(&said("This incident no longer exists.")), "{answers:?}");
        let unknown = answers.iter().filter(|(text, _)| text.contains("has expired"));
        assert_eq!(unknown.count(), 7);
        assert_eq!(h.get("/api/v1/audit").await["items"], json!([]));
        // None of it is asked for again.
        assert_eq!(poller.poll().await.unwrap(), Poll::Done(0));
        assert_eq!(h.telegram.presses.asked(), [0, 13]);
        h.finish().await;
    }
}
