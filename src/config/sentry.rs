//! Sentry, where incidents that come from there are commented on.

use serde::{Deserialize, Serialize};

use super::channels::{self, ChannelKind};
use super::{Config, Secret, text};

/// The channel of comments.
pub(super) const NAME: &str = "sentry";

/// Where comments are written, and who writes them.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SentrySettings {
    /// Sentry's base URL.
    pub url: String,
    /// The organization's slug, as addresses have it.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "text")]
    pub organization: Option<String>,
    /// The token of an internal integration that may write issues. Unset: nothing is commented on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<Secret>,
}

impl Default for SentrySettings {
    fn default() -> Self {
        Self {
            url: "https://sentry.io".to_owned(),
            organization: None,
            token: None,
        }
    }
}

/// Comments. They go to the issue that an incident is about, and no route leads there.
pub(super) const CHANNEL: ChannelKind = ChannelKind {
    name: NAME,
    check: |_, _| {
        Err(
            "comments in Sentry follow no route: each incident that comes from there gets them"
                .to_owned(),
        )
    },
    secrets: &["sentry__token"],
    edits: |config| config.sentry.token.is_some(),
    reports: false,
    ..channels::PLAIN
};

impl Config {
    /// The channel of comments in Sentry, if they are set up.
    #[must_use]
    pub fn comments(&self) -> Option<&'static str> {
        self.sentry.token.as_ref().map(|_| NAME)
    }
}

impl SentrySettings {
    /// Whether comments can be written; else why not.
    pub(super) fn check(&self) -> Result<(), String> {
        channels::check_base("url", &self.url).map_err(|why| format!("sentry.{why}"))?;
        let is_slug = |slug: &String| {
            let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
            !slug.is_empty() && slug.bytes().all(fits)
        };
        if !self.organization.as_ref().is_none_or(is_slug) {
            return Err(
                "sentry.organization must be the organization's slug: letters, digits, - and _"
                    .to_owned(),
            );
        }
        match (&self.organization, &self.token) {
            (None, Some(_)) => {
                Err("sentry.token is set without sentry.organization: set both or none".to_owned())
            }
            (Some(_), None) => {
                Err("sentry.organization is set without sentry.token: set both or none".to_owned())
            }
            (_, Some(token)) if !token.expose().bytes().all(|b| b.is_ascii_graphic()) => {
                Err("sentry.token must be letters, digits and signs".to_owned())
            }
            (_, Some(token)) if token.expose().is_empty() => {
                Err("sentry.token must not be empty".to_owned())
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::tests::load;
    use crate::domain::notification::Kind;
    use crate::domain::routing::RoutingKey;

    const SET: [(&str, &str); 2] = [
        ("TOCSIN_SENTRY__ORGANIZATION", "acme"),
        ("TOCSIN_SENTRY__TOKEN", "planted"),
    ];

    #[test]
    fn incidents_from_sentry_are_commented_on_whatever_the_routes_say() {
        let config = load("[[routes]]\nto = \"log\"", &SET).unwrap();
        assert_eq!(config.comments(), Some("sentry"));
        assert_eq!(config.channels(), ["log"]);
        assert_eq!(config.all_channels(), ["log", "sentry"]);
        let messages = config.messages();
        let issue = RoutingKey {
            has_sentry_issue: true,
            ..RoutingKey::default()
        };
        let other = RoutingKey::default();
        for (kind, expected) in [
            (Kind::Opened, &["log", "sentry"][..]),
            (Kind::Escalated, &["log", "sentry"]),
            (Kind::Worsened, &["log"]),
            (Kind::Reopened, &["log"]),
            (Kind::Repeated, &[]),
            (Kind::Resolved, &["sentry"]),
        ] {
            assert_eq!(messages.channels(&issue, kind), expected, "{kind:?}");
            let elsewhere: Vec<&str> = expected
                .iter()
                .copied()
                .filter(|c| *c != "sentry")
                .collect();
            assert_eq!(messages.channels(&other, kind), elsewhere, "{kind:?}");
        }
        assert!(messages.sends_anywhere(Kind::Resolved));
        let unset = load("", &[]).unwrap();
        assert_eq!(unset.messages().channels(&issue, Kind::Opened), ["log"]);
        assert!(!unset.messages().sends_anywhere(Kind::Resolved));
        assert!(!format!("{config:?}").contains("planted"));
    }

    #[test]
    fn what_cannot_comment_is_refused_by_name_and_without_its_token() {
        for (toml, set, named) in [
            ("", &SET[..1], "sentry.token"),
            ("", &SET[1..], "sentry.organization"),
            ("[sentry]\nurl = \"sentry.io\"", &SET[..], "sentry.url"),
            (
                "[sentry]\nurl = \"https://s.io/?a=b\"",
                &SET[..],
                "sentry.url",
            ),
            (
                "[sentry]\norganization = \"a/b\"\ntoken = \"planted\"",
                &[],
                "sentry.organization",
            ),
            (
                "[sentry]\norganization = \"a\"\ntoken = \"planted b\"",
                &[],
                "sentry.token",
            ),
            (
                "[sentry]\norganization = \"a\"\ntoken = \"\"",
                &[],
                "sentry.token",
            ),
            ("[[routes]]\nto = \"sentry\"", &SET[..], "follow no route"),
        ] {
            let refused = load(toml, set).unwrap_err().to_string();
            assert!(
                refused.contains(named) && !refused.contains("planted"),
                "{refused}"
            );
        }
    }
}
