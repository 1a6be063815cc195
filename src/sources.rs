//! Sources: senders of alerts. ADD A SOURCE HERE: a file that explains itself (what they send, what we make
//! of it, what must come out), its `mod` line, and its row in [`crate::sources!`].
//!
//! A source's file has one constant, `SOURCE`. What it shares with the others: [`Delivery`] is what it reads,
//! [`ReportedAlert`] makes an alert of what it read, [`Admission`] says whom it lets in, [`Answer`] what it
//! answers.

mod admission;
pub mod alertmanager;
mod answer;
mod bounded;
pub mod canary;
pub mod cluster;
mod delivery;
mod dialect;
pub mod draft;
pub mod fingerprint;
pub mod generic;
pub mod grafana;
mod plain;
pub mod prometheus;
mod reported;
pub mod sentry;
pub mod signoz;
mod text;

use std::borrow::Cow;
use std::collections::BTreeMap;

use utoipa::openapi::schema::Schema;

use crate::config::Config;
use crate::jobs::Content;

/// So many alerts at most are believed to be left out of one delivery.
pub(crate) const MOST_TRUNCATED: u64 = 1_000_000;
pub use admission::{Admission, NotSigned, Signature, SignedTime};
pub use answer::{Answer, WebhookAnswer};
pub use canary::{CanaryAlert, CanaryBody};
pub use delivery::{Delivery, Verb};
pub use reported::{ReportedAlert, known_time};
pub use text::{Texts, text_of_json, texts, texts_of_json};

/// Every source: its module, which has `SOURCE`, and the type of its section in the settings, `[sources.NAME]`,
/// of those in `src/config/sources.rs`. `sources!(then)` hands the rows to the macro `then`.
#[macro_export]
macro_rules! sources {
    ($then:ident) => {
        $then! {
            /// Prometheus' Alertmanager.
            alertmanager: Switch,
            /// Prometheus itself.
            prometheus: Switch,
            /// Grafana's alerting.
            grafana: SignedWithTime,
            /// SigNoz.
            signoz: Switch,
            /// Sentry.
            sentry: Signed,
            /// Any sender of JSON, each by a mapping of its own.
            generic: Generic,
        }
    };
}

/// Lists the sources, by rows as in [`crate::sources!`].
macro_rules! list {
    ($($(#[$meta:meta])* $source:ident: $settings:ty,)*) => {
        /// Every source.
        pub const SOURCES: [Source; [$(stringify!($source)),*].len()] = [$($source::SOURCE),*];
    };
}

sources!(list);

/// A kind of sender.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// Its name, as incidents and metrics have it.
    pub name: &'static str,
    /// What sends it, as people call it.
    pub sender: &'static str,
    /// The paths of its webhook, the documented one first. One may have `{name}` in it, which stands for
    /// one part.
    pub paths: &'static [&'static str],
    /// Of one that is many, each named in the path: the names that are set up. `None`: it is one.
    pub senders: Option<fn(&Config) -> Vec<&str>>,
    /// The methods that its webhook takes.
    pub methods: &'static [Verb],
    /// What a body must be, for the API's description: nothing in it that [`Source::translate`] takes all the
    /// same may be ruled out.
    pub schema: fn() -> Schema,
    /// A body as it was recorded.
    pub example: &'static str,
    /// Whether it is on, and whom it lets in, by the settings and by what stands for `{name}` in the path.
    pub admission: for<'c> fn(&'c Config, &str) -> Admission<'c>,
    /// Translates a delivery, by what the settings say of limits, signatures and what is ignored.
    pub translate: fn(&Delivery, &Config) -> Result<Translated, Refused>,
    /// Whether this is a delivery of this sender, judged without parsing it all. It is asked only about one that
    /// another source cannot translate.
    pub looks_like: fn(&Delivery) -> bool,
    /// What it answers, and how soon.
    pub answer: Answer,
    /// A synthetic alert as its sender would send it; none if it cannot be made.
    pub canary: fn(&CanaryAlert<'_>) -> Option<CanaryBody>,
}

impl Source {
    /// The path of its webhook that this is, and the value of `{name}` there.
    #[must_use]
    pub fn at<'p>(&self, path: &'p str) -> Option<(&'static str, &'p str)> {
        self.paths.iter().find_map(|known| {
            let Some((before, rest)) = known.split_once('{') else {
                return (*known == path).then_some((*known, ""));
            };
            let (_, after) = rest.split_once('}')?;
            let name = path.strip_prefix(before)?.strip_suffix(after)?;
            let is_part = !name.is_empty() && !name.contains('/');
            is_part.then_some((*known, name))
        })
    }

    /// What a delivery at this name comes from, as incidents have it: `generic/NAME` where it is one of many that are
    /// set up, so that no request makes up a name.
    #[must_use]
    pub fn called(&self, config: &Config, name: &str) -> Cow<'static, str> {
        let is_set_up = self
            .senders
            .is_some_and(|names| names(config).contains(&name));
        match is_set_up {
            true => format!("{}/{name}", self.name).into(),
            false => self.name.into(),
        }
    }

    /// The section of its settings that a delivery at this name goes by.
    #[must_use]
    pub fn section(&self, name: &str) -> String {
        match self.senders {
            Some(_) => format!("sources.{}.{name}", self.name),
            None => format!("sources.{}", self.name),
        }
    }
}

/// The name of a kind of sender, of a source as [`Source::called`] has it.
#[must_use]
pub fn kind_of(called: &str) -> &str {
    called.split_once('/').map_or(called, |(kind, _)| kind)
}

/// What was in a body.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Translated {
    /// One entry for each alert, in the order of the body: the alert, or why it cannot be used.
    pub alerts: Vec<Content>,
    /// How many alerts beside these only try whether we can be reached: they count as received and as tests, and
    /// as nothing else.
    pub tests: u64,
    /// How many events beside these are of a kind that is not used: they count as received and as unused.
    pub unused: u64,
    /// How many alerts the sender says that it left out: a million at most.
    pub truncated: u64,
    /// How many of the alerts have a time that cannot be read: it is as if it were missing.
    pub misdated: u64,
    /// How many of the alerts have a status that is neither firing nor resolved: it is as if it were firing.
    pub unknown_status: u64,
    /// The cluster that it speaks for, where the body says so.
    pub cluster: Option<String>,
    /// What its sender asks for before it sends anything.
    pub confirmation: Option<Confirmation>,
}

/// An address that is to be fetched once, so that a sender sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirmation {
    /// The address. It is one of the sender's own, and no other.
    pub url: String,
    /// Whether we fetch it; else a person does.
    pub is_ours: bool,
}

/// Puts what cannot be used of one request together, with the reasons and how often each was met: one dead
/// letter, whatever a sender makes of its list. One alone stays as it is, so that it can be mended.
#[must_use]
pub fn rejected_together(alerts: Vec<Content>) -> Vec<Content> {
    let is_rejected = |content: &Content| matches!(content, Content::Rejected { .. });
    if alerts.iter().filter(|content| is_rejected(content)).count() < 2 {
        return alerts;
    }
    let (rejected, mut kept): (Vec<_>, Vec<_>) = alerts.into_iter().partition(is_rejected);
    let mut reasons: BTreeMap<String, u64> = BTreeMap::new();
    let (mut all, mut list) = (0, String::from("["));
    for content in rejected {
        let Content::Rejected {
            reason,
            raw,
            alerts,
        } = content
        else {
            continue;
        };
        if list.len() > 1 {
            list.push(',');
        }
        list.push_str(&raw);
        *reasons.entry(reason).or_default() += alerts;
        all += alerts;
    }
    list.push(']');
    let reasons: Vec<String> = reasons
        .into_iter()
        .map(|(reason, times)| format!("{times} × {reason}"))
        .collect();
    kept.push(Content::Rejected {
        reason: format!(
            "{all} unusable alerts in one request: {}",
            reasons.join("; ")
        ),
        raw: list,
        alerts: all,
    });
    kept
}

/// Why a body as a whole cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is not what this source sends. Where it looks like what another one sends, the answer names that one's
    /// address.
    #[error("{0}")]
    Malformed(String),
    /// What it is for is not set up: the setting that is missing, and what to do.
    #[error("{detail}")]
    NotSetUp {
        /// The setting, such as `sources.generic.backups`.
        setting: String,
        /// What is missing, and what to do.
        detail: String,
    },
    /// The sender speaks a version that is not served any more; what it should do.
    #[error("{0}")]
    Gone(String),
    /// It holds more alerts than a request may.
    #[error("the body has {count} alerts; at most {most} are accepted per request")]
    TooMany {
        /// How many it holds.
        count: usize,
        /// How many it may hold.
        most: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_webhook_s_with_one_part_in_the_place_of_its_name() {
        let source = Source {
            paths: &["/api/v1/generic/{name}", "/api/v2/alerts"],
            ..alertmanager::SOURCE
        };
        for (path, expected) in [
            (
                "/api/v1/generic/ups",
                Some(("/api/v1/generic/{name}", "ups")),
            ),
            ("/api/v2/alerts", Some(("/api/v2/alerts", ""))),
            ("/api/v1/generic/", None),
            ("/api/v1/generic", None),
            ("/api/v1/generic/a/b", None),
            ("/api/v2/alerts/x", None),
            ("", None),
        ] {
            assert_eq!(source.at(path), expected, "{path}");
        }
    }

    #[test]
    fn no_two_sources_have_a_name_or_a_path_in_common() {
        let paths = SOURCES.iter().flat_map(|source| source.paths);
        let mut names: Vec<&str> = SOURCES
            .iter()
            .map(|source| source.name)
            .chain(paths.copied())
            .collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    fn rejected(reason: &str, raw: &str) -> Content {
        Content::Rejected {
            reason: reason.to_owned(),
            raw: raw.to_owned(),
            alerts: 1,
        }
    }

    #[test]
    fn unusable_alerts_of_a_request_become_one_dead_letter_with_reasons() {
        let one = vec![rejected("the alert has no labels", "{}")];
        assert_eq!(rejected_together(one.clone()), one);
        let body = r#"{"alerts":[1,{"labels":{"alertname":"A"}},"x",{}]}"#;
        let translated = (alertmanager::SOURCE.translate)(&Delivery::of(body), &Config::default());
        let together = rejected_together(translated.unwrap().alerts);
        assert!(matches!(together[0], Content::Alert(_)));
        let expected = Content::Rejected {
            reason: "3 unusable alerts in one request: 1 × the alert has no labels; 2 × the \
                     alert is not an object"
                .to_owned(),
            raw: r#"[1,"x",{}]"#.to_owned(),
            alerts: 3,
        };
        assert_eq!(together[1..], [expected]);
    }
}
