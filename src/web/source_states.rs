//! The sources as people look at them: whether each is on, where it is sent to, what it delivered lately.

use serde::Serialize;
use utoipa::ToSchema;

use super::tallies::Tallies;
use crate::config::Config;
use crate::context::Context;
use crate::sources::{Source, prometheus};
use crate::store::source_tallies::{self, Tally};
use crate::time::Timestamp;

/// A source, with what it delivered. Figures are of the last 24 hours; what came last is known for 7 days.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Source)]
pub(crate) struct SourceState {
    /// Its name, as incidents have it; of any sender of JSON `generic/NAME`.
    pub(crate) name: String,
    /// What sends it.
    pub(crate) sender: &'static str,
    /// Whether it takes anything.
    pub(crate) enabled: bool,
    /// Where alerts are sent to: addresses below `public_url`, or paths where that is not set.
    pub(crate) addresses: Vec<String>,
    /// When the last delivery was taken.
    pub(crate) delivered_at: Option<Timestamp>,
    /// Alerts that were taken.
    #[schema(minimum = 0)]
    pub(crate) alerts: i64,
    /// Alerts that could not be used, which are kept as dead letters.
    #[schema(minimum = 0)]
    pub(crate) rejected: i64,
    /// Requests that were refused.
    #[schema(minimum = 0)]
    pub(crate) refused: i64,
    /// Alerts that are tests of the connection.
    #[schema(minimum = 0)]
    pub(crate) tests: i64,
    /// Events of a kind that is not used.
    #[schema(minimum = 0)]
    pub(crate) unused: i64,
    /// Why the last request was refused, or the last alert could not be used.
    pub(crate) error: Option<String>,
    /// When that was.
    pub(crate) error_at: Option<Timestamp>,
    /// The address that a person should open before the sender sends anything.
    pub(crate) confirm_url: Option<String>,
    /// When the sender asked for that.
    pub(crate) confirm_at: Option<Timestamp>,
}

/// All of them by name, by what every ingress wrote and what this one did not write yet.
pub(crate) fn states(
    context: &Context,
    sources: &[Source],
    stored: Vec<Tally>,
    tallies: &Tallies,
) -> Vec<SourceState> {
    let mut known = stored;
    let oldest = source_tallies::hour(context.clock.now()) - source_tallies::COUNTED;
    for unwritten in tallies.unwritten() {
        match known.iter_mut().find(|one| one.source == unwritten.source) {
            Some(one) if unwritten.hour > oldest => one.add(&unwritten),
            Some(_) => {}
            None => known.push(unwritten),
        }
    }
    let config = &context.config;
    let mut states = Vec::new();
    for source in sources {
        let names = source.senders.map(|names| names(config));
        for name in names.iter().flatten().copied() {
            let enabled = (source.admission)(config, name).enabled;
            states.push(state(config, source, name, enabled, &known));
        }
        // What is sent to a name that is not set up is known of all of these together.
        let is_known = || known.iter().any(|one| one.source == source.name);
        match &names {
            None => {
                let enabled = (source.admission)(config, "").enabled;
                states.push(state(config, source, "", enabled, &known));
            }
            Some(names) if names.is_empty() || is_known() => {
                states.push(state(config, source, "", false, &known));
            }
            Some(_) => {}
        }
    }
    states.sort_by(|one, other| one.name.cmp(&other.name));
    states
}

fn state(
    config: &Config,
    source: &Source,
    name: &str,
    enabled: bool,
    known: &[Tally],
) -> SourceState {
    let called = source.called(config, name);
    let tally = known.iter().find(|one| one.source == called);
    let tally = tally.cloned().unwrap_or_default();
    // Once it delivers, nothing is to be confirmed.
    let confirm = tally.confirm.filter(|(at, url)| {
        !url.is_empty() && tally.delivered_at.is_none_or(|delivered| delivered <= *at)
    });
    let (error_at, error) = tally.error.unzip();
    let (confirm_at, confirm_url) = confirm.unzip();
    SourceState {
        name: called.into_owned(),
        sender: source.sender,
        enabled,
        addresses: addresses(config, source, name),
        delivered_at: tally.delivered_at,
        alerts: tally.alerts,
        rejected: tally.rejected,
        refused: tally.refused,
        tests: tally.tests,
        unused: tally.unused,
        error,
        error_at,
        confirm_url,
        confirm_at,
    }
}

fn addresses(config: &Config, source: &Source, name: &str) -> Vec<String> {
    let base = config.public_url.as_deref().unwrap_or_default();
    let base = base.trim_end_matches('/');
    // One of them is there to say where to send instead.
    let paths = source
        .paths
        .iter()
        .filter(|path| **path != prometheus::VERSION_1);
    let path = |path: &&str| match name {
        "" => format!("{base}{path}"),
        name => format!("{base}{}", path.replace("{name}", name)),
    };
    paths.map(path).collect()
}
