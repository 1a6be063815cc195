//! Who sends alerts. ADD A SOURCE HERE: a file that explains itself (what they send, what we make
//! of it, what must come out), and its line in [`SOURCES`].

pub mod alertmanager;
mod bounded;
pub mod cluster;
pub mod draft;
pub mod fingerprint;
mod plain;
mod text;

use std::collections::BTreeMap;

use utoipa::openapi::schema::Schema;

use crate::config::Config;
use crate::jobs::Content;

/// A kind of sender.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// Its name: `POST /api/v1/{name}`.
    pub name: &'static str,
    /// What sends it, as people call it.
    pub sender: &'static str,
    /// What a body must be, for the API's description: nothing in it that [`Source::translate`] takes all the
    /// same may be ruled out.
    pub schema: fn() -> Schema,
    /// A body as it was recorded.
    pub example: &'static str,
    /// Translates a body, by what the settings say of limits, signatures and what is ignored.
    pub translate: fn(&[u8], &Config) -> Result<Translated, Refused>,
}

/// Every source.
pub const SOURCES: [Source; 1] = [alertmanager::SOURCE];

/// What was in a body.
#[derive(Debug, PartialEq, Eq)]
pub struct Translated {
    /// One entry for each alert, in the order of the body: the alert, or why it cannot be used.
    pub alerts: Vec<Content>,
    /// How many alerts the sender says that it left out.
    pub truncated: u64,
    /// How many of the alerts have a time that cannot be read: it is as if it were missing.
    pub misdated: u64,
    /// How many of the alerts have a status that is neither firing nor resolved: it is as if it were firing.
    pub unknown_status: u64,
    /// Which cluster it speaks for, where the body tells.
    pub cluster: Option<String>,
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
    /// It is not what this source sends.
    #[error("{0}")]
    Malformed(String),
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
        let translated = (alertmanager::SOURCE.translate)(body.as_bytes(), &Config::default());
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
