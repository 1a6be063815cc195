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
    /// The address of a webhook that messages are posted to.
    pub(super) hook_path: String,
    pub(super) hook_query: String,
    pub(super) hook_password: String,
    /// What they are signed with.
    pub(super) hook_secret: String,
    /// The key of an integration of PagerDuty.
    pub(super) pager: String,
    /// The addresses of a webhook of Discord and of a workflow of Teams.
    pub(super) discord: String,
    pub(super) teams: String,
    /// Who sends e-mail signs in with this.
    pub(super) mail: String,
    /// Who comments in Sentry has this token, and Sentry signs with the other.
    pub(super) sentry: String,
    pub(super) sentry_secret: String,
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
            hook_path: plant("hookpath"),
            hook_query: plant("hookquery"),
            hook_password: plant("hookpassword"),
            hook_secret: plant("hooksecret"),
            pager: plant("pager"),
            discord: plant("discord"),
            teams: plant("teams"),
            mail: plant("mail"),
            sentry: plant("sentry"),
            sentry_secret: plant("sentrysecret"),
            wrong: plant("wrong"),
        }
    }

    pub(super) fn all(&self) -> [&String; 21] {
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
            &self.hook_path,
            &self.hook_query,
            &self.hook_password,
            &self.hook_secret,
            &self.pager,
            &self.discord,
            &self.teams,
            &self.mail,
            &self.sentry,
            &self.sentry_secret,
            &self.wrong,
        ]
    }
}

/// What was said and kept, by where.
#[derive(Default)]
pub(super) struct Leaks(BTreeMap<String, String>);

impl Leaks {
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
