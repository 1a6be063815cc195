//! Workflows of Microsoft Teams that messages are posted to, each a channel of its own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::channels::{self, ChannelKind};
use super::{Secret, Tell};

/// A workflow that posts to a channel or a chat when it receives a webhook request.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Teams {
    /// Its address, with which anyone can post there: a secret.
    pub url: Secret,
    /// The kinds of notifications that it gets.
    #[serde(default = "Tell::usual", deserialize_with = "channels::read_tell")]
    pub tell: Vec<Tell>,
}

/// Workflows. What they posted cannot be edited.
pub(super) const CHANNEL: ChannelKind = ChannelKind {
    name: "teams",
    usual: |config| channels::of_sections("teams", &config.teams),
    check: |config, target| channels::is_section("teams", &config.teams, target),
    secrets: &["teams__NAME__url"],
    tell: |config, target| {
        let section = target.and_then(|name| config.teams.get(name));
        section.map_or(&Tell::USUAL[..], |section| &section.tell)
    },
    ..channels::PLAIN
};

/// Whether they can be used; else which of them cannot, and why.
pub(super) fn check(workflows: &BTreeMap<String, Teams>) -> Result<(), String> {
    let check = |one: &Teams| channels::check_url("url", &one.url);
    channels::check_sections("teams", workflows, check)
}
