//! Which instance a command works on, and the token for it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::Context as _;
use reqwest::Url;
use tocsin::config::{Config, ConfigError, Secret};

/// What to do about a token that is missing, and about one that is wrong.
pub(super) struct TokenHints {
    pub(super) missing: &'static str,
    pub(super) wrong: &'static str,
}

pub(super) const API_TOKEN: TokenHints = TokenHints {
    missing: "set TOCSIN_API_TOKEN or pass --api-token",
    wrong: "the token in TOCSIN_API_TOKEN or --api-token is wrong",
};
pub(super) const WEBHOOK_TOKEN: TokenHints = TokenHints {
    missing: "set TOCSIN_WEBHOOK_TOKEN or pass --webhook-token",
    wrong: "the token in TOCSIN_WEBHOOK_TOKEN or --webhook-token is wrong",
};

impl TokenHints {
    pub(super) fn after(&self, token: Option<&Secret>) -> &'static str {
        match token {
            Some(_) => self.wrong,
            None => self.missing,
        }
    }
}

/// Which instance to talk to.
#[derive(Clone, Debug, clap::Args)]
pub struct Remote {
    /// URL of the instance; default: the `listen` address in the settings
    #[arg(long, env = "TOCSIN_URL", global = true, help_heading = "Instance")]
    pub(super) url: Option<String>,
    /// API token, if the instance needs one; or set TOCSIN_API_TOKEN_FILE to a file with the token
    #[arg(
        long,
        env = "TOCSIN_API_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN",
        global = true,
        help_heading = "Instance"
    )]
    pub(super) api_token: Option<Secret>,
}

impl Remote {
    /// The same, with the instance of the settings where none is named: `config` reads them.
    ///
    /// # Errors
    /// The settings are refused.
    pub fn found_by(
        self,
        config: impl FnOnce() -> Result<Config, ConfigError>,
    ) -> anyhow::Result<Self> {
        let url = match self.url {
            Some(url) => url,
            None => {
                let config = config().context("cannot read the settings for the instance's address; pass --url or set TOCSIN_URL")?;
                on_this_computer(config.listen)
            }
        };
        Ok(Self {
            url: Some(url),
            ..self
        })
    }
}

/// Where a process that listens at this address is reached from its own computer.
#[must_use]
pub fn on_this_computer(mut address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    format!("http://{address}")
}

pub(in crate::cli) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}
