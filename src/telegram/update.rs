//! An update about a press, as far as it is read:
//! <https://core.telegram.org/bots/api#callbackquery>. All the rest is left out, and so is an update
//! that is none of a press.

use serde::Deserialize;
use serde_json::Value;

/// The longest name that is kept of a stranger, in characters.
const NAME: usize = 64;

/// One update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// Its number.
    pub id: i64,
    /// The press in it, if there is one.
    pub query: Option<Query>,
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

/// The Telegram user who pressed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Person {
    /// Their number.
    pub id: i64,
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
        Some(Self { id, query })
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
