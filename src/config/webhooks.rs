//! Webhooks that messages are posted to, each a channel of its own.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::Secret;
use super::channels::{self, ChannelKind};

/// What a secret begins with that is written as the Standard Webhooks write it.
const BASE64: &str = "whsec_";
/// A secret of fewer bytes can be guessed.
const SHORTEST: usize = 16;

/// A receiver of messages by HTTP.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Where messages are posted. A secret: often anybody who knows it can post there.
    pub url: Secret,
    /// What they are signed with: `whsec_` and base64, or a text as it is. Unset: they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
    /// What is posted.
    #[serde(default)]
    pub payload: Payload,
}

/// What is posted to a webhook.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Payload {
    /// The event: type, time, text, and the incident as the API shows it.
    #[default]
    Event,
    /// The text alone, for chats that refuse what they do not know.
    Text,
}

/// Addresses that messages are posted to.
pub(super) const CHANNEL: ChannelKind = ChannelKind {
    name: "webhook",
    usual: |config| channels::of_sections("webhook", &config.webhooks),
    check: |config, target| channels::is_section("webhooks", &config.webhooks, target),
    secrets: &["webhooks__NAME__url", "webhooks__NAME__secret"],
    ..channels::PLAIN
};

impl Webhook {
    /// The channel's name, as pending messages have it.
    #[must_use]
    pub fn channel(name: &str) -> String {
        format!("webhook:{name}")
    }

    /// The key that messages are signed with.
    ///
    /// # Errors
    /// The secret cannot be read as what it begins like, or is empty. It is not part of the error.
    pub fn key(&self) -> Result<Option<Vec<u8>>, &'static str> {
        self.secret.as_ref().map(key).transpose()
    }

    fn check(&self) -> Result<(), String> {
        channels::check_url("url", &self.url)?;
        self.key().map_err(|why| format!("secret {why}")).map(drop)
    }
}

/// The key of a secret: base64 where it says so, else the text itself.
pub(super) fn key(secret: &Secret) -> Result<Vec<u8>, &'static str> {
    let key = match secret.expose().strip_prefix(BASE64) {
        Some(encoded) => STANDARD
            .decode(encoded.trim())
            .map_err(|_| "begins with whsec_ but is not followed by base64")?,
        None => secret.expose().as_bytes().to_vec(),
    };
    match key.is_empty() {
        true => Err("must not be empty"),
        false => Ok(key),
    }
}

/// Whether a secret can be guessed.
pub(super) fn is_guessable(secret: &Secret) -> bool {
    key(secret).is_ok_and(|key| key.len() < SHORTEST)
}

/// Whether they can be used; else which of them cannot, and why.
pub(super) fn check(webhooks: &BTreeMap<String, Webhook>) -> Result<(), String> {
    channels::check_sections("webhooks", webhooks, Webhook::check)
}

/// The names of those whose secret can be guessed.
pub(super) fn guessable(webhooks: &BTreeMap<String, Webhook>) -> impl Iterator<Item = &String> {
    let is_short = |webhook: &Webhook| webhook.secret.as_ref().is_some_and(is_guessable);
    let short = webhooks.iter().filter(move |(_, one)| is_short(one));
    short.map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_secret(secret: &str) -> Webhook {
        Webhook {
            url: Secret::from("https://example.com"),
            secret: Some(Secret::from(secret)),
            payload: Payload::Event,
        }
    }

    #[test]
    fn a_secret_is_base64_where_it_says_so_and_else_itself() {
        let key = |secret| with_secret(secret).key();
        assert_eq!(key("whsec_AAEC"), Ok(Some(vec![0, 1, 2])));
        assert_eq!(key("AAEC"), Ok(Some(b"AAEC".to_vec())));
        assert_eq!(with_secret("").key(), Err("must not be empty"));
        assert_eq!(with_secret("whsec_").key(), Err("must not be empty"));
        assert!(with_secret("whsec_planted!").key().is_err());
    }

    #[test]
    fn a_short_secret_is_named() {
        let webhooks = BTreeMap::from([
            ("short".to_owned(), with_secret("whsec_AAEC")),
            ("long".to_owned(), with_secret("0123456789abcdef")),
        ]);
        assert_eq!(guessable(&webhooks).collect::<Vec<_>>(), ["short"]);
    }
}
