//! The secrets, and the search for them.

use std::collections::BTreeMap;

use uuid::Uuid;

/// A secret that nothing else contains.
pub(super) fn plant(what: &str) -> String {
    format!("planted{what}{}", Uuid::now_v7().simple())
}

pub(super) struct Planted {
    pub(super) database: String,
    pub(super) redis: String,
    pub(super) telegram: String,
    pub(super) presses: String,
    pub(super) webhook: String,
    pub(super) old_webhook: String,
    pub(super) read: String,
    pub(super) operate: String,
    pub(super) collector: String,
    pub(super) collector_header: String,
    /// Somebody's token, mistyped or for another place.
    pub(super) wrong: String,
}

impl Planted {
    pub(super) fn new() -> Self {
        Self {
            database: plant("database"),
            redis: plant("redis"),
            telegram: plant("telegram"),
            presses: plant("presses"),
            webhook: plant("webhook"),
            old_webhook: plant("oldwebhook"),
            read: plant("read"),
            operate: plant("operate"),
            collector: plant("collector"),
            collector_header: plant("header"),
            wrong: plant("wrong"),
        }
    }

    pub(super) fn all(&self) -> [&String; 11] {
        [
            &self.database,
            &self.redis,
            &self.telegram,
            &self.presses,
            &self.webhook,
            &self.old_webhook,
            &self.read,
            &self.operate,
            &self.collector,
            &self.collector_header,
            &self.wrong,
        ]
    }
}

/// What was said and kept, by where.
#[derive(Default)]
pub(super) struct Found(BTreeMap<String, String>);

impl Found {
    pub(super) fn add(&mut self, place: impl Into<String>, text: &str) {
        let said = self.0.entry(place.into()).or_default();
        said.push_str(text);
        said.push('\n');
    }

    pub(super) fn assert_free_of(&self, planted: &Planted) {
        for (place, text) in &self.0 {
            for secret in planted.all() {
                let at = text.find(secret.as_str());
                let around = at.map(|at| &text[at.saturating_sub(200)..(at + 100).min(text.len())]);
                assert!(at.is_none(), "{secret} is in {place}: {around:?}");
            }
        }
    }
}
