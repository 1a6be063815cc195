//! Settings that are read again while a process runs: which of them it goes on with, and which wait for a restart.

use super::{Config, ConfigError, Difference};

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
    /// What a process with these settings goes on with when it reads `read`: all that can be reloaded, or nothing.
    ///
    /// # Errors
    /// What can be reloaded does not go with what needs a restart.
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
        Ok(Reloaded {
            config,
            changed,
            restart,
        })
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
}
