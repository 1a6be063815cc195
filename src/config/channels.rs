//! The kinds of channels that messages go to: `KIND:TARGET`, or `KIND` where there is one of it.

use super::Config;

/// A kind of channel.
#[derive(Clone, Copy)]
pub(super) struct ChannelKind {
    /// What its channels begin with.
    pub(super) name: &'static str,
    /// Its channels that get what no route matches.
    pub(super) usual: fn(&Config) -> Vec<String>,
    /// Whether a route may lead to this target; else why not.
    pub(super) check: fn(&Config, Option<&str>) -> Result<(), String>,
    /// Its settings that are secrets: a file may hold each, named by the variable that ends in `_FILE`.
    pub(super) secrets: &'static [&'static str],
}

/// The log, which gets what goes nowhere else.
pub(super) const LOG: ChannelKind = ChannelKind {
    name: "log",
    usual: |_| Vec::new(),
    check: |_, target| target.map_or(Ok(()), |_| Err(UNKNOWN.to_owned())),
    secrets: &[],
};

/// What is said of a channel of no kind.
pub(super) const UNKNOWN: &str = "unknown channel";
