//! Settings of Telegram's buttons: who may press them, and how presses arrive.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, de};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::{Config, Secret, Text};
use crate::domain::buttons::{ACTION, is_action};

/// The longest name, in characters.
const NAME: usize = 100;
/// Accounts that are no person: Telegram names all anonymous admins of groups, and all who write as a channel, by these.
const SHARED: [(i64, &str); 2] = [
    (1_087_968_824, "GroupAnonymousBot"),
    (136_817_688, "Channel_Bot"),
];
/// Repairs that fit beneath a card.
const ACTIONS: usize = 8;
/// Characters of a secret that is too short.
const SHORTEST: usize = 16;

/// Who may press buttons: Telegram's number of each, and the name that is shown and audited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct People(BTreeMap<String, String>);

impl People {
    /// Whether the list is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The name of the user with this ID.
    #[must_use]
    pub fn name(&self, user: i64) -> Option<&str> {
        self.0.get(&user.to_string()).map(String::as_str)
    }
}

impl<'a> FromIterator<(i64, &'a str)> for People {
    fn from_iter<I: IntoIterator<Item = (i64, &'a str)>>(people: I) -> Self {
        let entry = |(user, name): (i64, &str)| (user.to_string(), name.to_owned());
        Self(people.into_iter().map(entry).collect())
    }
}

impl<'de> Deserialize<'de> for People {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let given = BTreeMap::<String, Text>::deserialize(deserializer)?;
        let mut people = BTreeMap::new();
        for (user, name) in given {
            let name = name.into_string().trim().to_owned();
            let number = user.parse::<i64>().ok();
            let number = number.filter(|n| *n > 0 && n.to_string() == user);
            let Some(number) = number else {
                let wrong = format!("{user:?} is not a Telegram user ID, such as 123456789");
                return Err(de::Error::custom(wrong));
            };
            if let Some((_, account)) = SHARED.iter().find(|(shared, _)| *shared == number) {
                let wrong = format!(
                    "{user} is {account}, an account that many people share: use the people's own user IDs"
                );
                return Err(de::Error::custom(wrong));
            }
            if name.is_empty() || name.chars().count() > NAME || name.contains(char::is_control) {
                let wrong = format!("the name of {user} must have 1 to {NAME} characters");
                return Err(de::Error::custom(wrong));
            }
            people.insert(user, name);
        }
        Ok(Self(people))
    }
}

/// How presses come here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Updates {
    /// One process of all asks for them.
    #[default]
    Poll,
    /// Telegram sends them to `POST /api/v1/telegram`.
    Webhook,
    /// Not at all: there are no buttons.
    Off,
}

/// The repairs that are offered.
#[must_use]
pub(super) fn actions() -> Vec<String> {
    ["restart_pod", "restart_container", "scale_up", "rollback"]
        .map(str::to_owned)
        .to_vec()
}

impl Config {
    /// Whether cards have buttons.
    #[must_use]
    pub fn has_buttons(&self) -> bool {
        let set = &self.telegram;
        self.telegram_token.is_some() && !set.people.is_empty() && set.updates != Updates::Off
    }

    /// Whether presses are sent here.
    #[must_use]
    pub fn has_webhook(&self) -> bool {
        self.has_buttons() && self.telegram.updates == Updates::Webhook
    }

    /// Whether it is the secret that Telegram sends with every press; in the same time for every
    /// answer.
    #[must_use]
    pub fn is_webhook_secret(&self, given: &[u8]) -> bool {
        let Some(secret) = &self.telegram.webhook_secret else {
            return false;
        };
        let hash = |bytes: &[u8]| Sha256::digest(bytes);
        bool::from(hash(secret.expose().as_bytes()).ct_eq(&hash(given)))
    }

    pub(super) fn check_buttons(&self) -> Result<(), String> {
        let set = &self.telegram;
        if set.actions.len() > ACTIONS || !set.actions.iter().all(|action| is_action(action)) {
            return Err(format!(
                "telegram.actions must be at most {ACTIONS}, each of 1 to {ACTION} bytes"
            ));
        }
        let fits = |secret: &Secret| {
            let secret = secret.expose();
            let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            (1..=256).contains(&secret.len()) && secret.chars().all(is_plain)
        };
        if !set.webhook_secret.as_ref().is_none_or(fits) {
            return Err(
                "telegram.webhook_secret must have 1 to 256 characters of A-Z, a-z, 0-9, _ and -"
                    .to_owned(),
            );
        }
        if self.has_webhook() && set.webhook_secret.is_none() {
            return Err(
                "telegram.updates is \"webhook\" but telegram.webhook_secret is not set: set it, or anybody \
                 could press buttons"
                    .to_owned(),
            );
        }
        Ok(())
    }

    pub(super) fn warn_of_buttons(&self) -> Option<String> {
        let secret = self.telegram.webhook_secret.as_ref()?;
        (self.has_webhook() && secret.expose().len() < SHORTEST).then(|| {
            "telegram.webhook_secret has fewer than 16 characters and can be guessed: generate one \
             with openssl rand -hex 32"
                .to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::config::tests::load;

    const TOKEN: (&str, &str) = ("TOCSIN_TELEGRAM_TOKEN", "1:t");
    const CHAT: (&str, &str) = ("TOCSIN_TELEGRAM_CHAT", "-100");

    #[test]
    fn people_come_from_the_file_and_from_the_environment() {
        let file = "[telegram.people]\n\"123456789\" = \"alice\"";
        let config = load(file, &[TOKEN, CHAT]).unwrap();
        assert_eq!(config.telegram.people.name(123_456_789), Some("alice"));
        assert_eq!(config.telegram.people.name(1), None);
        assert!(config.has_buttons() && !config.has_webhook());
        assert_eq!(config.telegram.actions.len(), 4);
        for variable in [
            ("TOCSIN_TELEGRAM__PEOPLE", "{\"5\" = \"bob\", 6 = \"eve\"}"),
            ("TOCSIN_TELEGRAM__PEOPLE__5", "bob"),
        ] {
            let config = load(file, &[TOKEN, CHAT, variable]).unwrap();
            assert_eq!(config.telegram.people.name(5), Some("bob"), "{variable:?}");
            assert_eq!(config.telegram.people.name(123_456_789), Some("alice"));
        }
        assert!(!load("", &[TOKEN, CHAT]).unwrap().has_buttons());
        assert!(!load(file, &[]).unwrap().has_buttons());
        let off = ("TOCSIN_TELEGRAM__UPDATES", "off");
        assert!(!load(file, &[TOKEN, CHAT, off]).unwrap().has_buttons());
    }

    #[test]
    fn an_invalid_setting_is_refused_by_name() {
        let people = "[telegram.people]\n\"1\" = \"alice\"\n";
        let long = format!("{people}[telegram]\nactions = [\"{}\"]", "x".repeat(40));
        for (toml, message) in [
            (
                "[telegram.people]\n\"@alice\" = \"alice\"",
                "telegram.people",
            ),
            (
                "[telegram.people]\n\"-1\" = \"alice\"",
                "not a Telegram user ID",
            ),
            (
                "[telegram.people]\n\"01\" = \"alice\"",
                "not a Telegram user ID",
            ),
            (
                "[telegram.people]\n\"1087968824\" = \"admins\"",
                "GroupAnonymousBot, an account that many people share",
            ),
            (
                "[telegram.people]\n\"136817688\" = \"ops\"",
                "Channel_Bot, an account that many people share",
            ),
            ("[telegram.people]\n\"1\" = \" \"", "the name of 1"),
            ("[telegram]\nupdates = \"push\"", "telegram.updates"),
            (
                "[telegram]\nwebhook_secret = \"a b\"",
                "telegram.webhook_secret",
            ),
            (&long, "telegram.actions"),
        ] {
            let refused = load(toml, &[TOKEN, CHAT]).unwrap_err().to_string();
            assert!(refused.contains(message), "{toml}: {refused}");
        }
        let webhook = ("TOCSIN_TELEGRAM__UPDATES", "webhook");
        let refused = load(people, &[TOKEN, CHAT, webhook]).unwrap_err();
        assert!(refused.to_string().contains("webhook_secret"), "{refused}");
    }

    #[test]
    fn the_secret_is_known_and_not_shown() {
        let secret = ("TOCSIN_TELEGRAM__WEBHOOK_SECRET", "planted");
        let webhook = ("TOCSIN_TELEGRAM__UPDATES", "webhook");
        let people = "[telegram.people]\n\"1\" = \"alice\"";
        let config = load(people, &[TOKEN, CHAT, secret, webhook]).unwrap();
        assert!(config.has_webhook() && config.is_webhook_secret(b"planted"));
        for wrong in ["", "plante", "planted "] {
            assert!(!config.is_webhook_secret(wrong.as_bytes()), "{wrong:?}");
        }
        let shown = format!("{config:?}{}", toml::to_string(&config).unwrap());
        assert!(!shown.contains("planted"), "{shown}");
        let file = std::env::temp_dir().join(format!("tocsin-secret-{}", std::process::id()));
        std::fs::write(&file, "planted\n").unwrap();
        let in_file = (
            "TOCSIN_TELEGRAM__WEBHOOK_SECRET_FILE",
            file.to_str().unwrap(),
        );
        let config = load(people, &[TOKEN, CHAT, in_file, webhook]).unwrap();
        assert!(config.is_webhook_secret(b"planted"));
        std::fs::remove_file(file).unwrap();
    }
}
