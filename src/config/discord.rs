//! Webhooks of Discord that messages are posted to, each a channel of its own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::channels::{self, ChannelKind};
use super::{Secret, Tell};

/// A webhook of a channel in Discord.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Discord {
    /// Its address, with which anyone can post there: a secret.
    pub url: Secret,
    /// The kinds of notifications that are messages of their own; cards are edited in any case.
    #[serde(default = "Tell::usual", deserialize_with = "channels::read_tell")]
    pub tell: Vec<Tell>,
}

/// Webhooks, whose messages are edited.
pub(super) const CHANNEL: ChannelKind = ChannelKind {
    name: "discord",
    usual: |config| channels::of_sections("discord", &config.discord),
    check: |config, target| channels::is_section("discord", &config.discord, target),
    secrets: &["discord__NAME__url"],
    tell: |config, target| {
        let section = target.and_then(|name| config.discord.get(name));
        section.map_or(&Tell::USUAL[..], |section| &section.tell)
    },
    edits: |config| !config.discord.is_empty(),
    goes_on: true,
    reports: true,
};

/// Whether they can be used; else which of them cannot, and why.
pub(super) fn check(webhooks: &BTreeMap<String, Discord>) -> Result<(), String> {
    let check = |one: &Discord| channels::check_url("url", &one.url);
    channels::check_sections("discord", webhooks, check)
}
