//! Where a message goes, and whether it makes a sound there.

use std::fmt;
use std::marker::PhantomData;

use chrono::{DateTime, NaiveTime};
use chrono_tz::Tz;
use serde::de::{IntoDeserializer as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::level::Level;
use crate::time::Timestamp;

/// What routes are chosen by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoutingKey {
    /// The opening alert's severity.
    pub severity: String,
    /// The anomaly's namespace.
    pub namespace: String,
    /// The anomaly's service.
    pub service: String,
    /// The anomaly's level now.
    pub level: Level,
    /// The alert's name.
    pub alert_name: String,
    /// Whether it is about an issue in Sentry, see [`crate::domain::sentry::issue`].
    pub has_sentry_issue: bool,
}

/// What an anomaly is called.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// Its service.
    pub service: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
    /// Its alert's name.
    pub alert_name: &'a str,
}

impl RoutingKey {
    /// What its anomaly is called.
    #[must_use]
    pub fn names(&self) -> Names<'_> {
        Names {
            service: &self.service,
            namespace: &self.namespace,
            alert_name: &self.alert_name,
        }
    }
}

/// A text to match: as it is, or with `*` for any part of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Pattern(pub String);

impl Pattern {
    /// Whether all of `value` is like this.
    #[must_use]
    pub fn matches(&self, value: &str) -> bool {
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = value.strip_prefix(first) else {
            return false;
        };
        let Some(last) = parts.next_back() else {
            return rest.is_empty();
        };
        for part in parts {
            match rest.find(part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        rest.ends_with(last)
    }
}

/// A list; one text is a list of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct List<T>(pub Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> List<T> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_any(OneOrMany(PhantomData))
            .map(Self)
    }
}

/// Reads a list, or one text. Unlike serde's untagged enums it says which element is wrong, and why.
struct OneOrMany<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrMany<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a list of texts")
    }

    fn visit_str<E: de::Error>(self, one: &str) -> Result<Vec<T>, E> {
        Ok(vec![T::deserialize(one.into_deserializer())?])
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut many: A) -> Result<Vec<T>, A::Error> {
        let mut list = Vec::new();
        while let Some(one) = many.next_element()? {
            list.push(one);
        }
        Ok(list)
    }
}

impl List<Pattern> {
    /// Whether it names `value`; an empty list names all.
    pub(crate) fn matches(&self, value: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|pattern| pattern.matches(value))
    }
}

/// A route: which messages go where. What it does not name matches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Route {
    /// The opening alert's severity.
    #[serde(skip_serializing_if = "List::is_empty")]
    pub severity: List<Pattern>,
    /// The anomaly's namespace.
    #[serde(skip_serializing_if = "List::is_empty")]
    pub namespace: List<Pattern>,
    /// The anomaly's service.
    #[serde(skip_serializing_if = "List::is_empty")]
    pub service: List<Pattern>,
    /// The anomaly's level when the message is pending.
    #[serde(skip_serializing_if = "List::is_empty")]
    pub level: List<Level>,
    /// The alert's name.
    #[serde(skip_serializing_if = "List::is_empty")]
    pub alert_name: List<Pattern>,
    /// The channels.
    pub to: List<String>,
    /// Whether later routes are evaluated, too, when this one matches.
    #[serde(rename = "continue")]
    pub goes_on: bool,
    /// Its quiet hours, if they are not those of all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quiet: Option<Quiet>,
}

impl Route {
    /// Whether messages about such an incident take it.
    #[must_use]
    pub fn matches(&self, facts: &RoutingKey) -> bool {
        self.severity.matches(&facts.severity)
            && self.namespace.matches(&facts.namespace)
            && self.service.matches(&facts.service)
            && (self.level.is_empty() || self.level.0.contains(&facts.level))
            && self.alert_name.matches(&facts.alert_name)
    }

    /// Whether messages that take it go to this channel.
    #[must_use]
    pub fn leads_to(&self, channel: &str) -> bool {
        self.to.0.iter().any(|to| to == channel)
    }
}

/// The routes that a message takes: the first that matches, and those behind it for as long as they
/// are to go on.
pub fn taken<'a>(routes: &'a [Route], facts: &'a RoutingKey) -> impl Iterator<Item = &'a Route> {
    let mut ended = false;
    routes
        .iter()
        .filter(|route| route.matches(facts))
        .take_while(move |route| {
            let takes = !ended;
            ended = ended || !route.goes_on;
            takes
        })
}

/// The channels that a message goes to, each once; where no route matches, `otherwise`.
#[must_use]
pub fn channels(routes: &[Route], otherwise: &[String], facts: &RoutingKey) -> Vec<String> {
    let mut channels: Vec<String> = Vec::new();
    let (mut matched, to) = (false, taken(routes, facts).map(|route| &route.to.0));
    for channel in to.inspect(|_| matched = true).flatten() {
        if !channels.contains(channel) {
            channels.push(channel.clone());
        }
    }
    if matched {
        channels
    } else {
        otherwise.to_vec()
    }
}

/// Hours in which messages make no sound.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quiet {
    /// When they begin.
    pub from: Hour,
    /// When they end; before `from`: on the next day.
    pub to: Hour,
    /// Where that is the time.
    pub zone: Zone,
    /// What has this level or a higher one is heard all the same.
    #[serde(default = "until_level")]
    pub until_level: Level,
}

const fn until_level() -> Level {
    Level::Escalate
}

impl Quiet {
    /// Whether a message about such a level makes no sound at that moment.
    #[must_use]
    pub fn silences(&self, level: Level, at: Timestamp) -> bool {
        let Some(at) = DateTime::from_timestamp_millis(at.0) else {
            return false;
        };
        let (from, to) = (self.from.0, self.to.0);
        let time = at.with_timezone(&self.zone.0).time();
        let is_within = if from <= to {
            (from..to).contains(&time)
        } else {
            time >= from || time < to
        };
        is_within && level < self.until_level
    }
}

/// A time of day, written `22:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hour(pub NaiveTime);

impl Serialize for Hour {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0.format("%H:%M"))
    }
}

impl<'de> Deserialize<'de> for Hour {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::read(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl Hour {
    /// Reads it as it is written.
    ///
    /// # Errors
    /// It is no time of day, said in English.
    pub fn read(text: &str) -> Result<Self, String> {
        let time = NaiveTime::parse_from_str(text, "%H:%M");
        time.map(Self)
            .map_err(|_| format!("{text:?} is not a time of day such as 22:00"))
    }
}

/// A zone, by the name that it has in the tz database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Zone(pub Tz);

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.name())
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::read(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl Zone {
    /// Reads it as it is written.
    ///
    /// # Errors
    /// There is no such zone, said in English with the one that was meant.
    pub fn read(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| {
            let near = near_zone(text).unwrap_or("Asia/Taipei");
            format!("{text:?} is not a time zone such as {near}")
        })
    }
}

/// The zone that was meant, if one is near.
fn near_zone(text: &str) -> Option<&'static str> {
    // Longer than any name: to compare it with all would take long.
    if text.len() > 50 {
        return None;
    }
    let text = text.to_lowercase();
    let distance = |zone: &Tz| {
        (
            strsim::osa_distance(&text, &zone.name().to_lowercase()),
            zone.name(),
        )
    };
    let (distance, name) = chrono_tz::TZ_VARIANTS.iter().map(distance).min()?;
    // A letter in three is one too many to be a mistake.
    (distance * 3 <= text.chars().count().max(3)).then_some(name)
}

#[cfg(test)]
mod tests;
