//! Replies to cards: each is one note, by somebody who may write notes, about what the card shows.

use std::time::Duration;

use serde_json::{Value, json};
use tocsin::config::Config;
use tocsin::store::cards;
use tocsin::telegram::poller::Poll;
use tocsin::time::Timestamp;

use super::{ALICE, BOB, STRANGER, people, with_poller};
use crate::harness::{Harness, On, firing, resolved};
use crate::on_all;

pub(super) const NOTES: &str = "SELECT count(*) FROM notes";

impl Harness {
    async fn notes(&self, incident: &Value) -> Vec<Value> {
        let id = incident["id"].as_str().unwrap();
        let notes = self.get(&format!("/api/v1/incidents/{id}/notes")).await;
        notes.as_array().unwrap().clone()
    }

    /// The texts of what was written to the chat that is no card.
    fn said(&self) -> Vec<String> {
        let said = self.telegram.messages();
        said.into_iter()
            .filter(|said| said.reply_to.is_some())
            .map(|said| said.text)
            .collect()
    }
}

on_all! {
    async fn a_reply_to_a_card_is_one_note_however_often_it_comes(on) {
        let (h, mut poller) = with_poller(on).await;
        let update = h.telegram.presses.reply(ALICE, 1, "  the <b>disk</b> is full ");
        h.telegram.presses.say(update.clone());
        assert_eq!(poller.poll().await.unwrap(), Poll::Done(2));
        poller.answered().await;
        let incident = h.incident().await;
        let notes = h.notes(&incident).await;
        assert_eq!(notes.len(), 1, "{notes:#?}");
        assert_eq!((&notes[0]["note"], &notes[0]["operator"]), (&json!("the <b>disk</b> is full"), &json!("alice")));
        let number = update["message"]["message_id"].as_i64().unwrap();
        assert_eq!(h.telegram.presses.reactions(), [number, number]);
        assert_eq!(h.telegram.messages().len(), 1);

        // The number of the next update was lost: another process asks for all of it again.
        poller.leave().await;
        h.execute("UPDATE pollers SET next_update = 0").await;
        let mut next = h.poller();
        assert_eq!(next.poll().await.unwrap(), Poll::Done(2));
        next.answered().await;
        assert_eq!(h.sql(NOTES).await, 1);
        let audited = h.audited("incident.note").await;
        assert_eq!(audited.len(), 1);
        assert_eq!((&audited[0]["actor"], &audited[0]["operator"], &audited[0]["target"]), (&json!("telegram"), &json!("alice"), &incident["id"]));

        // The same words in another reply are another note.
        h.telegram.presses.reply(BOB, 1, "the <b>disk</b> is full");
        assert_eq!(next.poll().await.unwrap(), Poll::Done(1));
        next.answered().await;
        assert_eq!(h.sql(NOTES).await, 2);
        h.finish().await;
    }

    async fn a_reply_is_about_the_incident_that_the_card_shows_now(on) {
        let h = Harness::start_with(on, |config| {
            people(config);
            config.telegram.again = Config::default().telegram.again;
        }).await;
        let mut poller = h.poller();
        let alert = firing("a", h.now());
        h.send_and_drain(vec![alert.clone()]).await;
        h.advance(Duration::from_secs(60));
        h.send_and_drain(vec![resolved(alert, h.now())]).await;
        h.advance(Duration::from_secs(3 * 3600));
        h.send_and_drain(vec![firing("b", h.now())]).await;
        assert_eq!(h.telegram.messages().len(), 1);
        h.telegram.presses.reply(ALICE, 1, "again");
        assert_eq!(poller.poll().await.unwrap(), Poll::Done(1));
        poller.answered().await;
        let incidents = h.incidents().await;
        let (newest, first) = (&incidents[0], &incidents[1]);
        assert_eq!((h.notes(newest).await.len(), h.notes(first).await.len()), (1, 0));

        // Which messages are of which chat.
        let shown = async |chat: i64, name: Option<&str>, id: i64| {
            cards::incident_of(h.context.db.read(), (chat, name), id, None).await.unwrap().is_some()
        };
        let update = async |channel: &str, id: &str| {
            h.execute(&format!("UPDATE notifications SET channel = '{channel}', message_id = '{id}' WHERE state = 'sent'")).await;
        };
        assert!(shown(-100, None, 1).await && !shown(-100, None, 2).await && !shown(-1, Some("x"), 1).await);
        // A message of that number at another time was another bot's; clocks differ by minutes.
        let sent = h.sql("SELECT max(sent_at) FROM notifications").await;
        for (after, is_ours) in [(0, true), (599_000, true), (-599_000, true), (601_000, false), (-86_400_000, false)] {
            let at = Some(Timestamp(sent + after));
            let found = cards::incident_of(h.context.db.read(), (-100, None), 1, at).await.unwrap();
            assert_eq!(found.is_some(), is_ours, "{after} ms later");
        }
        update("telegram:-100/7", "1").await;
        assert!(shown(-100, None, 1).await && !shown(-1007, None, 1).await);
        update("telegram:@Ops_team", "1").await;
        assert!(shown(-5, Some("ops_team"), 1).await && !shown(-5, Some("opsxteam"), 1).await && !shown(-5, None, 1).await);
        update("telegram:-100", "-1009/1").await;
        assert!(shown(-1009, None, 1).await && !shown(-100, None, 1).await);
        update("discord:ops", "1").await;
        assert!(!shown(-100, None, 1).await);
        update("telegram:-100", "1").await;
        h.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strangers_reply_is_refused_audited_and_answered_once_in_ten_minutes() {
    let (h, mut poller) = with_poller(On::Sqlite).await;
    let first = h.telegram.presses.reply(STRANGER, 1, "let me in");
    h.telegram.presses.reply(STRANGER, 1, "please");
    // What is no card is nobody's business.
    h.telegram.presses.reply(STRANGER, 77, "hello");
    assert_eq!(poller.poll().await.unwrap(), Poll::Done(3));
    poller.answered().await;
    let said = h.said();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].contains("not authorized") && said[0].contains("666"),
        "{said:?}"
    );
    let audited = h.audited("telegram.refused").await;
    assert_eq!(audited.len(), 1, "as often as they are answered");
    assert_eq!(
        (&audited[0]["target"], &audited[0]["detail"]["user"]),
        (&h.incident().await["id"], &json!(STRANGER))
    );
    // What they wrote is nowhere.
    assert!(!audited[0].to_string().contains("let me in"), "{audited:?}");
    assert_eq!(h.sql(NOTES).await, 0);

    // It comes again: the answer may have been lost.
    h.telegram.presses.say(first);
    h.advance(Duration::from_secs(601));
    h.telegram.presses.reply(STRANGER, 1, "still here");
    assert_eq!(poller.poll().await.unwrap(), Poll::Done(2));
    poller.answered().await;
    assert_eq!(h.said().len(), 3);
    assert_eq!(h.audited("telegram.refused").await.len(), 2);
    assert_eq!(h.telegram.presses.reactions().len(), 0);
    h.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_reply_to_a_card_is_no_note() {
    let (h, mut poller) = with_poller(On::Sqlite).await;
    let reply = h.telegram.presses.reply(ALICE, 1, "first thoughts");
    // An edit of it, another message, a reply to a person, and a picture.
    h.telegram
        .presses
        .say(json!({"edited_message": reply["message"]}));
    let with = |name: &str, value: Value| {
        let mut update = reply.clone();
        update["message"]["message_id"] = json!(5000);
        update["message"][name] = value;
        h.telegram.presses.say(update);
    };
    with("reply_to_message", Value::Null);
    with(
        "reply_to_message",
        json!({"message_id": 1, "from": {"id": BOB}}),
    );
    with("text", Value::Null);
    assert_eq!(poller.poll().await.unwrap(), Poll::Done(2));
    poller.answered().await;
    assert_eq!(h.sql(NOTES).await, 1);
    assert_eq!(h.said(), [""; 0]);

    // A message of the bot that shows no incident: its author learns that nothing is written.
    h.telegram.presses.reply(ALICE, 77, "thanks");
    poller.poll().await.unwrap();
    poller.answered().await;
    assert_eq!(
        h.said(),
        ["This message shows no incident that Tocsin knows. No note was added."]
    );

    // A chat without reactions, and an incident that is gone.
    h.telegram.presses.allow_no_reaction();
    h.telegram.presses.reply(ALICE, 1, "second thoughts");
    poller.poll().await.unwrap();
    poller.answered().await;
    assert_eq!(
        (h.sql(NOTES).await, h.said().pop().unwrap().as_str()),
        (2, "The note was added.")
    );
    h.execute("UPDATE notifications SET shows_id = id").await;
    h.telegram.presses.reply(ALICE, 1, "third thoughts");
    poller.poll().await.unwrap();
    poller.answered().await;
    assert_eq!(
        (h.sql(NOTES).await, h.said().pop().unwrap().as_str()),
        (2, "This incident no longer exists.")
    );
    h.execute("UPDATE notifications SET shows_id = NULL").await;
    h.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_by_no_person_and_one_to_another_bots_card_are_no_notes() {
    let (h, mut poller) = with_poller(On::Sqlite).await;
    let reply = h.telegram.presses.reply(ALICE, 1, "first thoughts");
    let mut number = 5000;
    let mut twice_with = |name: &str, value: Value| {
        for _ in 0..2 {
            number += 1;
            let mut update = reply.clone();
            update["message"]["message_id"] = json!(number);
            update["message"][name] = value.clone();
            h.telegram.presses.say(update);
        }
    };
    // An anonymous admin, another bot, and what an older bot wrote under the card's number.
    twice_with("sender_chat", json!({"id": -100, "type": "supergroup"}));
    twice_with("from", json!({"id": ALICE, "is_bot": true}));
    let older = json!({"message_id": 1, "date": 1, "from": {"id": 1, "is_bot": true}});
    twice_with("reply_to_message", older);
    assert_eq!(poller.poll().await.unwrap(), Poll::Done(7));
    poller.answered().await;
    assert_eq!(h.sql(NOTES).await, 1);
    let mut said = h.said();
    said.sort_unstable();
    assert_eq!(said.len(), 3, "each once: {said:?}");
    assert!(said[0].starts_with("A note needs an author") && said[0] == said[1]);
    assert!(
        said[2].starts_with("This message shows no incident"),
        "{said:?}"
    );
    let audited = h.audited("telegram.refused").await;
    let chats: Vec<&Value> = audited
        .iter()
        .map(|one| &one["detail"]["sender_chat"])
        .collect();
    assert_eq!(chats, [&Value::Null, &json!(-100)]);
    h.finish().await;
}
