//! Settings that are read again while a process runs: which of them it goes on with, and which wait for a restart.

use std::path::{Path, PathBuf};

use super::{Config, ConfigError, Difference, file};

/// What a process goes on with after its settings were read again.
#[derive(Debug)]
pub struct Reloaded {
    /// All settings: those that can be reloaded as they were read, the others as they were.
    pub config: Config,
    /// The names of those that changed.
    pub changed: Vec<String>,
    /// The names of those that were read differently and need a restart.
    pub restart: Vec<String>,
}

/// The settings that are reloaded, by the first part of their names: what workers and routes are made of.
macro_rules! reloaded {
    ($($setting:ident)*) => {
        const RELOADED: &[&str] = &[$(stringify!($setting)),*];

        /// `running`, with what can be reloaded of `read`.
        fn merged(running: &Config, read: Config) -> Config {
            Config { $($setting: read.$setting,)* ..running.clone() }
        }
    };
}

reloaded! {
    routes quiet language
    telegram_token telegram_chat telegram_api telegram
    webhooks pagerduty discord teams email sentry
    playbooks escalation flapping notify report
    repairs effectiveness analysis
    canary expected watch heartbeat
    webhook_token read_token api_token identity
}

impl Difference {
    /// Whether a running process takes it over when it reads its settings again.
    #[must_use]
    pub fn is_reloaded(&self) -> bool {
        let section = self.setting.split('.').next().unwrap_or_default();
        RELOADED.contains(&section)
    }
}

impl Config {
    /// The settings file that [`load`](Self::load) reads: `file`, else `tocsin.toml` in the working folder or one above
    /// it. `None` if there is none.
    #[must_use]
    pub fn file(file: Option<&Path>) -> Option<PathBuf> {
        file.map(Path::to_owned).or_else(file::usual)
    }

    /// Reads the settings again: what [`file`](Self::file) named at the start has to be there still, and to hold
    /// something. A file that is being written looks empty for a moment.
    ///
    /// # Errors
    /// The file is missing or holds no settings, or one is unknown, malformed, or does not go with another.
    pub fn load_again(file: Option<&Path>) -> Result<Self, ConfigError> {
        if let Some(file) = file {
            file::check_exists(file)
                .and_then(|()| file::check_filled(file))
                .map_err(ConfigError::Refused)?;
        }
        Self::load(file)
    }

    /// What a process with these settings goes on with when it reads `read`: all that can be reloaded, or nothing.
    ///
    /// # Errors
    /// What can be reloaded does not go with what needs a restart, or nobody would have to say who they are any more:
    /// a file that is half written must not open a process to everybody.
    pub fn reload(&self, read: Self) -> Result<Reloaded, ConfigError> {
        let (changed, restart): (Vec<_>, Vec<_>) = self
            .differences(&read)
            .into_iter()
            .partition(Difference::is_reloaded);
        let names =
            |of: Vec<Difference>| -> Vec<String> { of.into_iter().map(|it| it.setting).collect() };
        let (changed, restart) = (names(changed), names(restart));
        let config = merged(self, read);
        config.check().map_err(|why| {
            let restart = restart.join(", ");
            ConfigError::Refused(format!("{why} (without a restart, which {restart} needs)"))
        })?;
        if let Some(opened) = self.opened_by(&config) {
            let why = format!("{opened}, which needs a restart");
            return Err(ConfigError::Refused(why));
        }
        Ok(Reloaded {
            config,
            changed,
            restart,
        })
    }

    /// What `read` lets everybody do that this does not.
    fn opened_by(&self, read: &Self) -> Option<&'static str> {
        if self.asks_who() && !read.asks_who() {
            Some("without api_token, read_token and identity.header anybody could read and operate")
        } else if !self.webhook_token.is_empty() && read.webhook_token.is_empty() {
            Some("without webhook_token anybody could send alerts")
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::load;

    fn reload(running: &str, read: &str) -> Result<Reloaded, ConfigError> {
        let (running, read) = (load(running, &[]).unwrap(), load(read, &[]).unwrap());
        running.reload(read)
    }

    #[test]
    fn what_can_be_reloaded_is_taken_and_the_rest_is_named() {
        let read = "listen = \"127.0.0.1:1\"\nroutes = [{ to = \"webhook:ops\" }]\n\
            [webhooks.ops]\nurl = \"https://h.example/planted\"\n[limits]\nbody = 4096";
        let reloaded = reload("", read).unwrap();
        let changed = ["routes", "webhooks.ops.url", "webhooks.ops.payload"];
        assert_eq!(reloaded.changed, changed);
        assert_eq!(reloaded.restart, ["listen", "limits.body"]);
        assert_eq!(reloaded.config.listen.port(), 9099);
        assert!(reloaded.config.webhooks.contains_key("ops"));
        let again = reloaded.config.reload(load(read, &[]).unwrap()).unwrap();
        assert!(again.changed.is_empty(), "{:?}", again.changed);
    }

    #[test]
    fn what_would_only_go_with_a_restart_changes_nothing() {
        let running =
            "listen = \"0.0.0.0:1\"\nwebhook_token = \"planted\"\napi_token = \"planted\"";
        let error = reload(running, "").unwrap_err().to_string();
        assert!(
            error.starts_with("listen = 0.0.0.0:1 is reachable"),
            "{error}"
        );
        assert!(
            error.ends_with("(without a restart, which listen needs)"),
            "{error}"
        );
    }
    #[test]
    fn a_reload_takes_away_no_sign_in() {
        let identity = "[identity]\nheader = \"X-Forwarded-Email\"\nnetworks = [\"10.0.0.1\"]";
        for (running, read, is_refused) in [
            ("api_token = \"planted\"", "", true),
            ("read_token = \"planted\"", "language = \"en\"", true),
            (identity, "", true),
            ("webhook_token = \"planted\"", "", true),
            ("api_token = \"planted\"", "api_token = \"another\"", false),
            ("api_token = \"planted\"", identity, false),
            ("", "api_token = \"planted\"", false),
            ("", "", false),
        ] {
            let reloaded = reload(running, read);
            assert_eq!(reloaded.is_err(), is_refused, "{running} {read}");
            if let Err(error) = reloaded {
                assert!(error.to_string().ends_with("needs a restart"), "{error}");
            }
        }
    }
}
