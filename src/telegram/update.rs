//! An update about a press or a reply, as far as it is read:
//! <https://core.telegram.org/bots/api#callbackquery>, <https://core.telegram.org/bots/api#message>. All the rest is
//! left out, and so is an update that is none of the two.

use serde::Deserialize;
use serde_json::Value;

use crate::time::Timestamp;

/// The longest name that is kept of a stranger, in characters.
const NAME: usize = 64;

/// The longest note, in characters.
const NOTE: usize = 4_096;

/// One update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// Its number.
    pub id: i64,
    /// The press in it, if there is one.
    pub query: Option<Query>,
    /// The reply in it, if there is one.
    pub reply: Option<CardReply>,
}

/// A reply to a message.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct CardReply {
    /// Its number in the chat.
    pub message_id: i64,
    /// The chat.
    pub chat: Chat,
    /// Who wrote it. On behalf of a chat, it is an account that all who do so share.
    pub from: Person,
    /// The chat that it was written on behalf of: the group itself by an anonymous admin, or a channel.
    #[serde(default)]
    pub sender_chat: Option<Chat>,
    /// What it says; beneath a picture, `caption` does.
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    caption: Option<String>,
    /// The topic that it is in.
    #[serde(default)]
    pub message_thread_id: Option<i64>,
    /// Whether that is one of a forum; another thread is only what follows a message.
    #[serde(default)]
    pub is_topic_message: bool,
    /// What it replies to.
    pub reply_to_message: Answered,
}

/// The message that a reply is to.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Answered {
    /// Its number in the chat.
    pub message_id: i64,
    /// Who wrote it.
    #[serde(default)]
    from: Option<Person>,
    /// When it was sent, in seconds since 1970. An edit does not change it.
    #[serde(default)]
    date: i64,
}

/// A button that was pressed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Query {
    /// What Telegram calls it.
    pub id: String,
    /// Who pressed.
    pub from: Person,
    /// The message that it is beneath.
    #[serde(default)]
    pub message: Option<Message>,
    /// What the button carries.
    #[serde(default)]
    pub data: Option<String>,
}

/// A Telegram user.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Person {
    /// Their number.
    pub id: i64,
    /// Whether it is no person.
    #[serde(default)]
    pub is_bot: bool,
    /// The name that they chose.
    #[serde(default)]
    pub username: Option<String>,
}

/// A message with buttons.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Message {
    /// Its number in the chat.
    pub message_id: i64,
    /// The chat.
    pub chat: Chat,
}

/// A chat.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Chat {
    /// Its number.
    pub id: i64,
    /// The name that it is found by, if it is public.
    #[serde(default)]
    pub username: Option<String>,
}

impl Update {
    /// Reads one; `None` if it is none.
    #[must_use]
    pub fn read(value: &Value) -> Option<Self> {
        let id = value.get("update_id")?.as_i64()?;
        let query = value
            .get("callback_query")
            .and_then(|query| Query::deserialize(query).ok())
            .filter(|query| !query.id.is_empty() && query.id.len() <= 256);
        let reply = value
            .get("message")
            .and_then(|message| CardReply::deserialize(message).ok());
        Some(Self { id, query, reply })
    }
}

impl CardReply {
    /// Whether it replies to a message of the bot with this number. In a forum's topic each message replies to the one
    /// that began the topic.
    #[must_use]
    pub fn is_to(&self, bot: &str) -> bool {
        let answered = &self.reply_to_message;
        let begins_topic = self.message_thread_id == Some(answered.message_id);
        let from = answered.from.as_ref();
        !(self.is_topic_message && begins_topic)
            && from.is_some_and(|from| from.id.to_string() == bot)
    }

    /// Whether nobody can tell which person wrote it: it was written on behalf of a chat, or by a bot.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        self.sender_chat.is_some() || self.from.is_bot
    }

    /// When the message was sent that it replies to.
    pub(super) fn to_at(&self) -> Option<Timestamp> {
        let date = Some(self.reply_to_message.date).filter(|date| *date > 0)?;
        date.checked_mul(1000).map(Timestamp)
    }

    /// Its author, as the audit has them.
    pub(super) fn author(&self) -> Value {
        let mut author = self.from.shown();
        if let Some(chat) = &self.sender_chat {
            author["sender_chat"] = chat.id.into();
        }
        author
    }

    /// What it says. A picture alone says nothing. Telegram's texts are shorter than the longest note.
    #[must_use]
    pub fn said(&self) -> String {
        let text = self.text.as_deref().or(self.caption.as_deref());
        let text = text.unwrap_or_default().replace('\0', "\u{fffd}");
        text.chars().take(NOTE).collect()
    }

    /// The topic that an answer to it belongs to.
    pub(super) fn topic(&self) -> Option<i64> {
        self.message_thread_id.filter(|_| self.is_topic_message)
    }
}

impl Person {
    /// As the audit has it.
    #[must_use]
    pub fn shown(&self) -> Value {
        let name = self.username.as_deref().map(|name| {
            let name: String = name.chars().take(NAME).collect();
            name
        });
        serde_json::json!({"user": self.id, "username": name})
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_reply_is_to_the_bot_and_in_a_topic_not_to_its_beginning() {
        let read = |message: Value| {
            let update = json!({"update_id": 7, "message": message});
            Update::read(&update).unwrap().reply
        };
        let message = json!({
            "message_id": 9, "date": 0, "from": {"id": 42, "is_bot": false},
            "chat": {"id": -100, "type": "supergroup", "username": "ops"}, "text": "a\u{0}b",
            "reply_to_message": {"message_id": 3, "from": {"id": 77, "is_bot": true}, "text": "a card"},
        });
        let with = |name: &str, value: Value| {
            let mut message = message.clone();
            message[name] = value;
            read(message)
        };
        let reply = read(message.clone()).unwrap();
        assert_eq!(reply.said(), "a\u{fffd}b");
        assert!(reply.is_to("77") && !reply.is_to("7") && !reply.is_to(""));
        assert_eq!(reply.topic(), None);
        assert_eq!(reply.to_at(), None);
        let sent = json!({"message_id": 3, "date": 1_790_000_000, "from": {"id": 77}});
        let sent = with("reply_to_message", sent).unwrap();
        assert_eq!(sent.to_at(), Some(Timestamp(1_790_000_000_000)));
        let by_nobody = with("reply_to_message", json!({"message_id": 3})).unwrap();
        assert!(!by_nobody.is_to("77"));

        // An anonymous admin, a post of a channel, another bot.
        assert!(!reply.is_anonymous());
        let admin = with("sender_chat", json!({"id": -100, "type": "supergroup"})).unwrap();
        assert!(admin.is_anonymous());
        assert_eq!(
            admin.author(),
            json!({"user": 42, "username": null, "sender_chat": -100})
        );
        let bot = with("from", json!({"id": 136_817_688, "is_bot": true})).unwrap();
        assert!(bot.is_anonymous());

        let in_topic = |thread: i64| {
            let mut message = message.clone();
            message["is_topic_message"] = true.into();
            message["message_thread_id"] = thread.into();
            read(message).unwrap()
        };
        assert!(!in_topic(3).is_to("77"));
        assert!(in_topic(2).is_to("77"));
        assert_eq!(in_topic(2).topic(), Some(2));

        let mut picture = message.clone();
        picture["caption"] = picture["text"].take();
        assert_eq!(read(picture).unwrap().said(), "a\u{fffd}b");
        assert_eq!(with("text", Value::Null).unwrap().said(), "");
        let long = with("text", "é".repeat(NOTE + 1).into()).unwrap().said();
        assert_eq!(long.chars().count(), NOTE);

        let plain = json!({"message_id": 9, "from": {"id": 42}, "chat": {"id": 1}, "text": "hi"});
        assert_eq!(read(plain), None);
        let edited = json!({"update_id": 7, "edited_message": message});
        assert_eq!(Update::read(&edited).unwrap().reply, None);
    }

    #[test]
    fn a_press_is_read_and_anything_else_is_left_out() {
        let press = json!({"update_id": 7, "callback_query": {
            "id": "4382bfdwdsb323b2d9", "chat_instance": "1", "data": "1:a:x",
            "from": {"id": 42, "is_bot": false, "first_name": "Ann", "username": "ann"},
            "message": {"message_id": 3, "date": 0, "chat": {"id": -100, "type": "supergroup"}},
        }});
        let query = Update::read(&press).unwrap().query.unwrap();
        assert_eq!((query.from.id, query.data.as_deref()), (42, Some("1:a:x")));
        let message = query.message.unwrap();
        assert_eq!((message.message_id, message.chat.id), (3, -100));

        let other = |value: Value| Update::read(&value).map(|update| update.query.is_none());
        assert_eq!(
            other(json!({"update_id": 7, "message": {"text": "hi"}})),
            Some(true)
        );
        assert_eq!(
            other(json!({"update_id": 7, "callback_query": {"id": 5}})),
            Some(true)
        );
        for none in [json!({}), json!([]), json!(null), json!({"update_id": "7"})] {
            assert_eq!(other(none.clone()), None, "{none}");
        }
        // Telegram leaves the message out where it is too old.
        let bare = json!({"update_id": 1, "callback_query": {"id": "a", "from": {"id": 1}}});
        assert_eq!(Update::read(&bare).unwrap().query.unwrap().message, None);
    }
}
