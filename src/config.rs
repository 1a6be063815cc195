//! Every setting: read once, from the defaults here, then `tocsin.toml`, then `TOCSIN_…`.

mod aggregation;
mod analysis;
mod chain;
mod channels;
mod check;
mod database;
mod difference;
mod discord;
mod email;
mod environment;
mod file;
mod generic;
mod hooks;
mod identity;
mod malformed;
mod near;
mod notify;
mod pagerduty;
mod people;
mod playbooks;
mod public;
mod queues;
mod reload;
mod repairs;
mod report;
mod routes;
mod secret;
mod sections;
mod sentry;
pub mod sources;
mod teams;
mod telegram;
mod tokens;
mod value;
mod webhooks;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::Serialized;
use serde::{Deserialize, Serialize};

use crate::domain::playbook::Playbook;
use crate::domain::routing::{Quiet, Route};
use crate::domain::signature::SignatureLabels;
use crate::text::Lang;
pub use analysis::{AnalysisSettings, ModelSettings};
pub use chain::{CanarySettings, Expected, HeartbeatSettings, SilenceSettings, WatchSettings};
use channels::ChannelKind;
pub use channels::channel_kind;
pub use database::{DatabaseKind, DatabaseUrlError};
pub use difference::Difference;
pub use discord::Discord;
pub use email::{EmailSettings, Security};
pub use file::read_secret;
pub use generic::{Generic, Mapping, Meaning, PRESETS, Part, Pointer, Template, Templates, Words};
pub use hooks::{Hook, hook_for};
pub use identity::{IdentitySettings, Network};
pub use notify::NotifySettings;
pub use pagerduty::PagerDuty;
pub use people::{People, Updates};
pub use public::OWN_PATHS;
pub use queues::{QueuePolicies, QueuePolicy};
pub use reload::Reloaded;
pub use repairs::{EffectivenessSettings, QuietOf, QuietRule, RepairSettings};
pub use report::{ReportSettings, Schedule};
pub use secret::Secret;
pub use sections::{
    Aggregation, AnomalySettings, CounterSettings, Counting, Escalation, FlappingSettings, Ingest,
    Limits, LogFormat, McpSettings, PrometheusServer, QueueSettings, Reconcile, RecountSettings,
    Retention, Stop,
};
pub use sentry::SentrySettings;
pub use sources::{Signed, SignedWithTime, Sources, Switch};
pub use teams::Teams;
pub use telegram::{TelegramSettings, Tell};
pub use tokens::{Fingerprint, Tokens};
pub use value::Span;
use value::{Text, text};
pub use webhooks::{Payload, Webhook};

/// Every kind of channel. ADD THE SETTINGS OF A NOTIFIER HERE: their section in [`Config`], and the row of
/// its channels.
const CHANNELS: [ChannelKind; 8] = [
    telegram::CHANNEL,
    webhooks::CHANNEL,
    pagerduty::CHANNEL,
    discord::CHANNEL,
    teams::CHANNEL,
    email::CHANNEL,
    sentry::CHANNEL,
    channels::LOG,
];

/// Everything that can be set.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the ingress listens.
    #[serde(deserialize_with = "value::address")]
    pub listen: SocketAddr,
    /// Where a process without an ingress serves its health and metrics. Unset: nowhere.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "value::some_address"
    )]
    pub metrics_listen: Option<SocketAddr>,
    /// `sqlite://FILE` or `postgres://…`.
    pub database_url: Secret,
    /// A standby of it that answers what people ask. Unset: the database does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database_read_url: Option<Secret>,
    /// Connections to PostgreSQL that one process holds at most, to each of these two.
    pub database_connections: u32,
    /// `redis://…` or `rediss://…`: queue and counter are there. Unset: in the database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redis_url: Option<Secret>,
    /// What every key in Redis begins with: one for each Tocsin that shares a server.
    pub redis_prefix: String,
    /// Certificates (PEM) of the authorities that vouch for Redis. Unset: those of the system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redis_ca: Option<PathBuf>,
    /// The bot's token. Unset: messages go to the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub telegram_token: Option<Secret>,
    /// The chat that messages go to.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "text")]
    pub telegram_chat: Option<String>,
    /// Telegram's base URL.
    pub telegram_api: String,
    /// Where Alertmanager is reached: incidents lead there, it is asked whether it still has what it does
    /// not tell of any more, and its silences are shown. Unset: none of that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alertmanager_url: Option<Secret>,
    /// How what Alertmanager has is compared with what was received.
    pub reconcile: Reconcile,
    /// Whether mutes are silences in Alertmanager, too.
    pub silences: SilenceSettings,
    /// Where people reach the pages; cards and digests lead there. Unset: they do not. All addresses are below
    /// its path, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_url: Option<String>,
    /// Which messages go where; what no route matches goes to `telegram_chat`, or to the log.
    pub routes: Vec<Route>,
    /// What senders of webhooks must present, one of these. Unset: nothing.
    #[serde(skip_serializing_if = "Tokens::is_empty")]
    pub webhook_token: Tokens,
    /// What those must present who may only read the API, one of these.
    #[serde(skip_serializing_if = "Tokens::is_empty")]
    pub read_token: Tokens,
    /// What those must present who may do everything that the API can, one of these. Neither this
    /// nor `read_token`: nothing.
    #[serde(skip_serializing_if = "Tokens::is_empty")]
    pub api_token: Tokens,
    /// Allows to listen on other addresses than loopback without tokens, and to be reached by any name.
    pub insecure: bool,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// Who somebody is, as a proxy in front says.
    pub identity: IdentitySettings,
    /// How the log is written.
    pub log: LogFormat,
    /// What messages are written in.
    pub language: Lang,
    /// The OTLP collector that spans are sent to, over HTTP. Unset: nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otlp_endpoint: Option<Secret>,
    /// What is sent to Telegram, and how fast.
    pub telegram: TelegramSettings,
    /// Hours in which messages make no sound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quiet: Option<Quiet>,
    /// What counts as one occurrence.
    pub counting: Counting,
    /// What becomes one incident.
    pub aggregation: Aggregation,
    /// When an anomaly flaps.
    pub flapping: FlappingSettings,
    /// When a level holds.
    pub escalation: Escalation,
    /// How new incidents are analyzed.
    pub analysis: AnalysisSettings,
    /// When messages are sent.
    pub notify: NotifySettings,
    /// Which labels make the signature.
    pub signature: SignatureLabels,
    /// Who may send alerts.
    pub sources: Sources,
    /// How alerts are taken in.
    pub ingest: Ingest,
    /// What one request may hold.
    pub limits: Limits,
    /// The Model Context Protocol by HTTP.
    pub mcp: McpSettings,
    /// The queue.
    pub queue: QueueSettings,
    /// How each queue's jobs are run.
    pub queues: QueuePolicies,
    /// How a process stops.
    pub stop: Stop,
    /// How long rows are kept.
    pub retention: Retention,
    /// Recount and the consistency check.
    pub recount: RecountSettings,
    /// The report that is sent once a week.
    pub report: ReportSettings,
    /// What repairs are, and when one that was started counts as unfinished.
    pub repairs: RepairSettings,
    /// How repairs are judged.
    pub effectiveness: EffectivenessSettings,
    /// What to do about alerts, by tier: `[[playbooks]]`.
    pub playbooks: Vec<Playbook>,
    /// How many new anomalies there may be.
    pub anomalies: AnomalySettings,
    /// What the counter in Redis may use.
    pub counter: CounterSettings,
    /// Canaries that Tocsin sends by itself.
    pub canary: Box<CanarySettings>,
    /// Alerts that always fire: that one is missing is an incident.
    pub expected: Vec<Expected>,
    /// Warnings about sources.
    pub watch: WatchSettings,
    /// Where Tocsin says that it is well.
    pub heartbeat: Box<HeartbeatSettings>,
    /// Webhooks that messages are posted to, by name.
    #[serde(
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "channels::read_sections"
    )]
    pub webhooks: BTreeMap<String, Webhook>,
    /// Integrations of PagerDuty, by name.
    #[serde(
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "channels::read_sections"
    )]
    pub pagerduty: BTreeMap<String, PagerDuty>,
    /// Webhooks of Discord that messages are posted to, by name.
    #[serde(
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "channels::read_sections"
    )]
    pub discord: BTreeMap<String, Discord>,
    /// Workflows of Microsoft Teams that messages are posted to, by name.
    #[serde(
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "channels::read_sections"
    )]
    pub teams: BTreeMap<String, Teams>,
    /// The server that takes e-mail, who writes, and to whom.
    pub email: EmailSettings,
    /// Sentry, where incidents that come from there are commented on.
    pub sentry: SentrySettings,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 9099)),
            metrics_listen: None,
            database_url: Secret::from("sqlite://tocsin.db"),
            database_read_url: None,
            database_connections: 20,
            redis_url: None,
            redis_prefix: "tocsin".to_owned(),
            redis_ca: None,
            telegram_token: None,
            telegram_chat: None,
            telegram_api: "https://api.telegram.org".to_owned(),
            alertmanager_url: None,
            reconcile: Reconcile::default(),
            silences: SilenceSettings::default(),
            public_url: None,
            routes: Vec::new(),
            webhook_token: Tokens::default(),
            read_token: Tokens::default(),
            api_token: Tokens::default(),
            insecure: false,
            trusted_proxies: Vec::new(),
            identity: IdentitySettings::default(),
            log: LogFormat::Auto,
            language: Lang::default(),
            otlp_endpoint: None,
            telegram: TelegramSettings::default(),
            quiet: None,
            counting: Counting::default(),
            aggregation: Aggregation::default(),
            flapping: FlappingSettings::default(),
            escalation: Escalation::default(),
            analysis: AnalysisSettings::default(),
            notify: NotifySettings::default(),
            signature: SignatureLabels::default(),
            sources: Sources::default(),
            ingest: Ingest::default(),
            limits: Limits::default(),
            mcp: McpSettings::default(),
            queue: QueueSettings::default(),
            queues: QueuePolicies::default(),
            stop: Stop::default(),
            retention: Retention::default(),
            recount: RecountSettings::default(),
            report: ReportSettings::default(),
            repairs: RepairSettings::default(),
            effectiveness: EffectivenessSettings::default(),
            playbooks: Vec::new(),
            anomalies: AnomalySettings::default(),
            counter: CounterSettings::default(),
            canary: Box::default(),
            expected: Vec::new(),
            watch: WatchSettings::default(),
            heartbeat: Box::default(),
            webhooks: BTreeMap::new(),
            pagerduty: BTreeMap::new(),
            discord: BTreeMap::new(),
            teams: BTreeMap::new(),
            email: EmailSettings::default(),
            sentry: SentrySettings::default(),
        }
    }
}

/// Why the settings are refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A setting is unknown or malformed; the message names it.
    #[error("{0}")]
    Malformed(String),
    /// Settings that do not go together.
    #[error("{0}")]
    Refused(String),
}

impl Config {
    /// Reads `tocsin.toml` (or `file`), then the environment.
    ///
    /// # Errors
    /// A setting is unknown, malformed, or does not go with another.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        Self::load_with(file, &BTreeMap::<String, String>::new())
    }

    /// The same, with other settings over all of these, as a settings file has them.
    ///
    /// # Errors
    /// A setting is unknown, malformed, or does not go with another.
    pub fn load_with(file: Option<&Path>, over: &impl Serialize) -> Result<Self, ConfigError> {
        if let Some(file) = file {
            file::check_exists(file).map_err(ConfigError::Refused)?;
        }
        let mut figment = Figment::from(Serialized::defaults(Self::default()));
        let endpoint = std::env::var("OTEL_EXPORTER_OTLP_ENDPOINT").unwrap_or_default();
        if !endpoint.is_empty() {
            figment = figment.merge(Serialized::default("otlp_endpoint", endpoint));
        }
        figment = match file {
            Some(file) => figment.merge(file::Settings::exactly(file)),
            None => figment.merge(file::Settings::usual()),
        };
        let figment = figment.merge(environment::Environment::of_process());
        Self::finish(&figment.merge(Serialized::globals(over)))
    }

    /// The defaults, with other settings over them, as a settings file has them.
    ///
    /// # Errors
    /// A setting is unknown, malformed, or does not go with another.
    pub fn with(over: &impl Serialize) -> Result<Self, ConfigError> {
        let figment = Figment::from(Serialized::defaults(Self::default()));
        Self::finish(&figment.merge(Serialized::globals(over)))
    }

    fn finish(figment: &Figment) -> Result<Self, ConfigError> {
        let config: Self = figment
            .extract()
            .map_err(|error| ConfigError::Malformed(malformed::explain(error)))?;
        config.check().map_err(ConfigError::Refused)?;
        Ok(config)
    }
}

#[cfg(test)]
mod documented;
#[cfg(test)]
mod tests;
