//! Services of PagerDuty, each a channel of its own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Secret;
use super::channels::{self, ChannelKind};

/// An integration of a service, of the kind *Events API v2*.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PagerDuty {
    /// The integration's key, with which anyone can page people: a secret.
    pub routing_key: Secret,
    /// The base URL of the Events API.
    #[serde(default = "usual_url")]
    pub url: String,
}

fn usual_url() -> String {
    "https://events.pagerduty.com".to_owned()
}

/// Integrations. An incident there opens, is acknowledged and is resolved with ours.
pub(super) const CHANNEL: ChannelKind = ChannelKind {
    name: "pagerduty",
    usual: |config| channels::of_sections("pagerduty", &config.pagerduty),
    check: |config, target| channels::is_section("pagerduty", &config.pagerduty, target),
    secrets: &["pagerduty__NAME__routing_key"],
    edits: |config| !config.pagerduty.is_empty(),
    goes_on: false,
    reports: false,
    ..channels::PLAIN
};

/// Whether they can be used; else which of them cannot, and why.
pub(super) fn check(integrations: &BTreeMap<String, PagerDuty>) -> Result<(), String> {
    channels::check_sections("pagerduty", integrations, |one| {
        let key = one.routing_key.expose();
        if key.is_empty() || !key.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(
                "routing_key must be letters and digits: the Integration Key of an \
                        Events API v2 integration"
                    .to_owned(),
            );
        }
        channels::check_base("url", &one.url)
    })
}
