//! Canaries: synthetic alerts that go the way of an alert, so that it is known that each link of it works.
//!
//! A canary is known by its mark, `TocsinCanary-` and its ID, in the value of a label. The mark alone does nothing: it
//! counts only if a canary of that ID was made for that source a few minutes ago, which takes an operator's token, or
//! Tocsin itself. So a mark in somebody else's alert does not hide it.

use std::time::Duration;

use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::alert::Labels;

/// What the source of Tocsin's own alerts is called, and what metrics call the source of canaries: they count for no
/// other.
pub const SOURCE: &str = "tocsin";
/// What made a canary that a person or a pipeline asked for.
pub const SMOKE: &str = "smoke";
/// What made one that Tocsin sent by itself.
pub const SCHEDULE: &str = "schedule";
/// What a mark begins with.
const PREFIX: &str = "TocsinCanary-";
/// How many digits an ID has in a mark.
const DIGITS: usize = 32;
/// How long after it was made a canary's mark counts.
pub const LIFE: Duration = Duration::from_secs(600);

/// The mark of a canary.
#[must_use]
pub fn mark(id: Uuid) -> String {
    format!("{PREFIX}{}", id.simple())
}

/// The canary whose mark is in these labels; whether there is such a canary is for the store to say.
#[must_use]
pub fn marked(labels: &Labels) -> Option<Uuid> {
    labels.values().find_map(in_text)
}

fn in_text(text: &str) -> Option<Uuid> {
    // Nearly every value is shorter than a mark, and the ingress looks at each.
    if text.len() < PREFIX.len() + DIGITS {
        return None;
    }
    let (_, rest) = text.split_once(PREFIX)?;
    Uuid::try_parse(rest.get(..DIGITS)?).ok()
}

/// A link of the chain from an alert to its message and its end.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    EnumIter,
    DeriveActiveEnum,
    ToSchema,
)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "lowercase")]
pub enum Link {
    /// The ingress accepts it.
    #[sea_orm(string_value = "ingress")]
    Ingress,
    /// A worker takes it from the queue.
    #[sea_orm(string_value = "queue")]
    Queue,
    /// It opens an incident.
    #[sea_orm(string_value = "incident")]
    Incident,
    /// The incident gets its level and its tier.
    #[sea_orm(string_value = "tier")]
    Tier,
    /// Its message is rendered, and sent if that was asked for.
    #[sea_orm(string_value = "message")]
    Message,
    /// Its end resolves the incident.
    #[sea_orm(string_value = "resolve")]
    Resolve,
}

impl Link {
    /// All of them, in the order of an alert's way.
    pub const ALL: [Self; 6] = [
        Self::Ingress,
        Self::Queue,
        Self::Incident,
        Self::Tier,
        Self::Message,
        Self::Resolve,
    ];

    /// As it is written everywhere.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ingress => "ingress",
            Self::Queue => "queue",
            Self::Incident => "incident",
            Self::Tier => "tier",
            Self::Message => "message",
            Self::Resolve => "resolve",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_wherever_it_stands_in_a_label() {
        let id = Uuid::from_u128(0x019a_ad6b_8bae_7c31_9d0e_52a1_7fb3_09c4);
        let marked_by = |value: &str| {
            let labels = Labels::from([("service", "tocsin"), ("alertname", value)]);
            marked(&labels)
        };
        let mark = mark(id);
        for (value, expected) in [
            (mark.clone(), Some(id)),
            (format!("check {mark} failed"), Some(id)),
            (mark[..mark.len() - 1].to_owned(), None),
            (mark.replace('9', "x"), None),
            ("TocsinCanary".to_owned(), None),
            ("TocsinCanary-€€€€€€€€€€€€".to_owned(), None),
            (String::new(), None),
        ] {
            assert_eq!(marked_by(&value), expected, "{value}");
        }
    }
}
