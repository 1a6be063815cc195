//! Silences, and which alerts they match: as Alertmanager matches them.

use regex::{Regex, RegexBuilder};
use serde::Serialize;
use utoipa::ToSchema;

use super::api;
use crate::domain::verdict::TimeSpan;
use crate::time::Timestamp;

/// Bytes that a compiled pattern may take.
const PATTERN: usize = 1 << 20;

/// A silence in Alertmanager that matches an incident's labels, and holds now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Silence {
    /// Alertmanager's id of it.
    pub id: String,
    /// Who made it, by their own account.
    pub created_by: String,
    /// Why.
    pub comment: String,
    /// Since when it holds.
    pub starts_at: Option<Timestamp>,
    /// Until when.
    pub ends_at: Option<Timestamp>,
    /// Where Alertmanager shows it.
    pub url: String,
}

/// A silence that holds, or held, ready to be matched.
#[derive(Debug)]
pub(super) struct KnownSilence {
    silence: api::Silence,
    matchers: Vec<Matcher>,
}

#[derive(Debug)]
struct Matcher {
    name: String,
    is: Condition,
    /// Whether the label must not be like that.
    is_negated: bool,
}

#[derive(Debug)]
enum Condition {
    Equal(String),
    Like(Regex),
}

impl KnownSilence {
    /// `None` if it never held, or its matchers cannot be read.
    pub(super) fn of(mut silence: api::Silence) -> Option<Self> {
        if !matches!(&*silence.status.state, "active" | "expired") {
            return None;
        }
        let matchers = std::mem::take(&mut silence.matchers);
        let matchers: Vec<Matcher> = matchers
            .into_iter()
            .map(Matcher::of)
            .collect::<Option<_>>()?;
        (!matchers.is_empty()).then_some(Self { silence, matchers })
    }

    /// Whether it holds now.
    pub(super) fn holds(&self) -> bool {
        self.silence.status.state == "active"
    }

    /// From when, and to when, it holds or held.
    pub(super) fn span(&self) -> TimeSpan {
        let at = |text: &str| Timestamp::parse(text);
        (
            at(&self.silence.starts_at).unwrap_or_default(),
            at(&self.silence.ends_at).unwrap_or(Timestamp(i64::MAX)),
        )
    }

    /// Whether all of it matches these labels; a label that is missing is an empty one.
    pub(super) fn silences(&self, labels: &serde_json::Value) -> bool {
        self.matchers.iter().all(|matcher| {
            let value = labels.get(&matcher.name).and_then(|value| value.as_str());
            matcher.matches(value.unwrap_or_default())
        })
    }

    /// As it is shown, with its address in the Alertmanager at `page`.
    pub(super) fn silence(&self, page: &str) -> Silence {
        let silence = &self.silence;
        Silence {
            id: silence.id.clone(),
            created_by: silence.created_by.clone(),
            comment: silence.comment.clone(),
            starts_at: Timestamp::parse(&silence.starts_at),
            ends_at: Timestamp::parse(&silence.ends_at),
            url: format!("{page}/#/silences/{}", silence.id),
        }
    }
}

impl Matcher {
    fn of(matcher: api::Matcher) -> Option<Self> {
        let is = if matcher.is_regex {
            let pattern = format!("^(?:{})$", matcher.value);
            Condition::Like(
                RegexBuilder::new(&pattern)
                    .size_limit(PATTERN)
                    .build()
                    .ok()?,
            )
        } else {
            Condition::Equal(matcher.value)
        };
        Some(Self {
            name: matcher.name,
            is,
            is_negated: !matcher.is_equal,
        })
    }

    fn matches(&self, value: &str) -> bool {
        let is_like = match &self.is {
            Condition::Equal(wanted) => value == wanted,
            Condition::Like(pattern) => pattern.is_match(value),
        };
        is_like != self.is_negated
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn kept(state: &str, matchers: &serde_json::Value) -> Option<KnownSilence> {
        let silence = json!({"id": "s1", "status": {"state": state}, "createdBy": "ann",
            "comment": "we know", "startsAt": "2026-11-22T21:28:29.102Z",
            "endsAt": "2026-11-22T23:28:29.102Z", "updatedAt": "?", "matchers": matchers});
        KnownSilence::of(serde_json::from_value(silence).unwrap())
    }

    #[test]
    fn a_silence_matches_what_all_its_matchers_match() {
        let labels = json!({"alertname": "PodCrashLooping", "namespace": "prod", "pod": "api-1"});
        let is = |name: &str, value: &str| json!({"name": name, "value": value, "isRegex": false});
        let like = |name: &str, value: &str| json!({"name": name, "value": value, "isRegex": true});
        let not = |mut matcher: serde_json::Value| {
            matcher["isEqual"] = json!(false);
            matcher
        };
        let table = [
            (vec![is("namespace", "prod")], true),
            (vec![is("namespace", "Prod")], false),
            (vec![is("namespace", "prod"), is("pod", "api-2")], false),
            (vec![not(is("pod", "api-2"))], true),
            (vec![not(is("pod", "api-1"))], false),
            // Anchored at both ends, in all alternatives.
            (vec![like("pod", "api")], false),
            (vec![like("pod", "api-.*")], true),
            (vec![like("pod", "web|api-1")], true),
            (vec![like("pod", "a|1")], false),
            (vec![not(like("pod", "web-.+"))], true),
            (vec![not(like("pod", "api-.+"))], false),
            // Missing is empty.
            (vec![is("cluster", "")], true),
            (vec![is("cluster", "a")], false),
            (vec![like("cluster", ".*")], true),
            (vec![like("cluster", ".+")], false),
            (vec![not(is("cluster", "a"))], true),
        ];
        for (matchers, expected) in table {
            let silence = kept("active", &json!(matchers)).unwrap();
            assert_eq!(silence.silences(&labels), expected, "{matchers:?}");
        }
        let is_any = json!([is("namespace", "prod")]);
        assert!(kept("pending", &is_any).is_none());
        let held = kept("expired", &is_any).unwrap();
        assert!(!held.holds() && kept("active", &is_any).unwrap().holds());
        let at = |text: &str| Timestamp::parse(text).unwrap();
        assert_eq!(
            held.span(),
            (
                at("2026-11-22T21:28:29.102Z"),
                at("2026-11-22T23:28:29.102Z")
            )
        );
        assert!(kept("active", &json!([])).is_none(), "matches nothing");
        assert!(
            kept("active", &json!([like("pod", "(")])).is_none(),
            "cannot be told"
        );
    }

    #[test]
    fn a_silence_shows_its_creator_comment_and_end() {
        let silence = kept(
            "active",
            &json!([{"name": "a", "value": "b", "isRegex": false}]),
        );
        let at = |text: &str| Timestamp::parse(text);
        assert_eq!(
            silence.unwrap().silence("http://am"),
            Silence {
                id: "s1".to_owned(),
                created_by: "ann".to_owned(),
                comment: "we know".to_owned(),
                starts_at: at("2026-11-22T21:28:29.102Z"),
                ends_at: at("2026-11-22T23:28:29.102Z"),
                url: "http://am/#/silences/s1".to_owned(),
            }
        );
    }
}
