//! The kinds of channels that messages go to: `KIND:TARGET`, or `KIND` where there is one of it.

use std::collections::BTreeMap;

use figment::value::Value;
use serde::de::{self, DeserializeOwned};
use serde::{Deserialize, Deserializer};

use super::{CHANNELS, Config, Secret};
use crate::domain::messages::Tell;

/// A kind of channel.
#[derive(Clone, Copy)]
pub(super) struct ChannelKind {
    /// What its channels begin with.
    pub(super) name: &'static str,
    /// Its channels that get what no route matches.
    pub(super) usual: fn(&Config) -> Vec<String>,
    /// Whether a route may lead to this target; else why not.
    pub(super) check: fn(&Config, Option<&str>) -> Result<(), String>,
    /// Its settings that are secrets: a file may hold each, named by the variable that ends in `_FILE`. `NAME`
    /// stands for a name of the operator's own.
    pub(super) secrets: &'static [&'static str],
    /// The kinds of notifications that are sent there as messages of their own.
    pub(super) tell: for<'a> fn(&'a Config, Option<&str>) -> &'a [Tell],
    /// Whether what its channels show of an incident is kept up to date as that changes.
    pub(super) edits: fn(&Config) -> bool,
    /// Whether a later incident of an anomaly may continue on the card of one before.
    pub(super) goes_on: bool,
    /// Whether its channels can show what is about no single incident.
    pub(super) reports: bool,
}

/// A kind that has nothing of its own.
pub(super) const PLAIN: ChannelKind = ChannelKind {
    name: "",
    usual: |_| Vec::new(),
    check: |_, _| Err(UNKNOWN.to_owned()),
    secrets: &[],
    tell: |_, _| &Tell::USUAL,
    edits: |_| false,
    goes_on: false,
    reports: true,
};

/// The log, which gets what goes nowhere else.
pub(super) const LOG: ChannelKind = ChannelKind {
    name: "log",
    check: |_, target| target.map_or(Ok(()), |_| Err(UNKNOWN.to_owned())),
    ..PLAIN
};

/// What is said of a channel of no kind.
pub(super) const UNKNOWN: &str = "unknown channel";

/// The longest name of a section.
const NAME: usize = 40;

/// What the channels of a kind begin with, of this one; `other` where it is of none.
#[must_use]
pub fn channel_kind(channel: &str) -> &'static str {
    let name = channel.split(':').next().unwrap_or_default();
    let kind = CHANNELS.iter().find(|kind| kind.name == name);
    kind.map_or("other", |kind| kind.name)
}

/// Whether a route may lead to the section of this name.
pub(super) fn is_section<T>(
    kind: &str,
    sections: &BTreeMap<String, T>,
    target: Option<&str>,
) -> Result<(), String> {
    match target {
        None => Err(UNKNOWN.to_owned()),
        Some(name) if sections.contains_key(name) => Ok(()),
        Some(name) => Err(format!("[{kind}.{name}] is not defined")),
    }
}

/// The channels of these sections.
pub(super) fn of_sections<T>(kind: &str, sections: &BTreeMap<String, T>) -> Vec<String> {
    let names = sections.keys();
    names.map(|name| format!("{kind}:{name}")).collect()
}

/// Whether the sections have names that a channel can have, and each is right; else which is not, and why.
pub(super) fn check_sections<T>(
    kind: &str,
    sections: &BTreeMap<String, T>,
    check: impl Fn(&T) -> Result<(), String>,
) -> Result<(), String> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    for (name, section) in sections {
        if name.is_empty() || name.len() > NAME || !name.chars().all(fits) {
            return Err(format!(
                "{kind}.{name:?}: the name must be at most {NAME} of a to z, 0 to 9, - and _"
            ));
        }
        check(section).map_err(|why| format!("{kind}.{name}.{why}"))?;
    }
    Ok(())
}

/// Whether an address that is a secret is one of the web. It is not part of the error.
pub(super) fn check_url(name: &str, url: &Secret) -> Result<(), String> {
    let url = reqwest::Url::parse(url.expose());
    let is_web = |url: &reqwest::Url| matches!(url.scheme(), "http" | "https");
    match url.is_ok_and(|url| is_web(&url) && url.has_host()) {
        true => Ok(()),
        false => Err(format!(
            "{name} must be an address that starts with https:// or http://"
        )),
    }
}

/// Whether an address is one of the web that others are made of.
pub(super) fn check_base(name: &str, url: &str) -> Result<(), String> {
    let is_base = |url: &reqwest::Url| {
        let has_more = url.query().is_some() || url.fragment().is_some();
        matches!(url.scheme(), "http" | "https") && url.has_host() && !has_more
    };
    match reqwest::Url::parse(url).is_ok_and(|url| is_base(&url)) {
        true => Ok(()),
        false => Err(format!(
            "{name} must be an address that starts with https:// or http://"
        )),
    }
}

/// Reads sections with names of the operator's own. The error about an address in the place of a section does
/// not repeat the address, which may be a secret.
pub(super) fn read_sections<'de, D, T>(deserializer: D) -> Result<BTreeMap<String, T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let given = <Value as Deserialize>::deserialize(deserializer)?;
    let Value::Dict(_, given) = given else {
        let why = "must be sections, each with a name of its own";
        return Err(de::Error::custom(why));
    };
    let mut sections = BTreeMap::new();
    for (name, value) in given {
        if !matches!(value, Value::Dict(..)) {
            let why = format!("{name} must be a section of its own");
            return Err(de::Error::custom(why));
        }
        let section = value
            .deserialize()
            .map_err(|error| de::Error::custom(format!("{name}: {error}")))?;
        sections.insert(name, section);
    }
    Ok(sections)
}

/// Reads kinds of notifications: a list, or in an environment variable words with commas between them.
pub(super) fn read_tell<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Tell>, D::Error> {
    let given = match <Value as Deserialize>::deserialize(deserializer)? {
        Value::String(tag, words) => {
            let words = words.trim_matches(['[', ']']).split(',');
            let words = words.map(|word| word.trim().trim_matches('"'));
            let words = words.filter(|word| !word.is_empty()).map(Value::from);
            Value::Array(tag, words.collect())
        }
        given => given,
    };
    given.deserialize().map_err(de::Error::custom)
}
