//! Every setting: read once, from the defaults here, then `tocsin.toml`, then `TOCSIN_…`.

mod environment;
mod file;
mod queues;
mod secret;
mod tokens;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use figment::Figment;
use figment::providers::Serialized;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::domain::aggregation::{Policy, Unit, Until};
use crate::domain::escalation::{Rule, default_rules};
use crate::domain::signature::SignatureLabels;
pub use file::read_secret;
pub use queues::{QueuePolicies, QueuePolicy};
pub use secret::Secret;
pub use tokens::{Fingerprint, Tokens};

/// Everything that can be set.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the ingress listens.
    pub listen: SocketAddr,
    /// Where a process without an ingress serves its health and metrics. Unset: nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics_listen: Option<SocketAddr>,
    /// `sqlite://FILE` or `postgres://…`.
    pub database_url: Secret,
    /// Connections to PostgreSQL that one process holds at most.
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
    /// Where people reach Alertmanager; incidents lead there. Unset: they do not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alertmanager_url: Option<String>,
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
    /// Allows to listen on other addresses than loopback without tokens.
    pub insecure: bool,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// How the log is written.
    pub log: LogFormat,
    /// The OTLP collector that spans are sent to, over HTTP. Unset: nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otlp_endpoint: Option<Secret>,
    /// What counts as one occurrence.
    pub counting: Counting,
    /// What becomes one incident.
    pub aggregation: Aggregation,
    /// When a level holds.
    pub escalation: Escalation,
    /// Which labels make the signature.
    pub signature: SignatureLabels,
    /// How alerts are taken in.
    pub ingest: Ingest,
    /// What one request may hold.
    pub limits: Limits,
    /// The queue.
    pub queue: QueueSettings,
    /// How each queue's jobs are run.
    pub queues: QueuePolicies,
    /// How a process stops.
    pub stop: Stop,
    /// How long rows are kept.
    pub retention: Retention,
    /// What is looked at again and again.
    pub recount: RecountSettings,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 9099)),
            metrics_listen: None,
            database_url: Secret::from("sqlite://tocsin.db"),
            database_connections: 20,
            redis_url: None,
            redis_prefix: "tocsin".to_owned(),
            redis_ca: None,
            telegram_token: None,
            telegram_chat: None,
            telegram_api: "https://api.telegram.org".to_owned(),
            alertmanager_url: None,
            webhook_token: Tokens::default(),
            read_token: Tokens::default(),
            api_token: Tokens::default(),
            insecure: false,
            trusted_proxies: Vec::new(),
            log: LogFormat::Auto,
            otlp_endpoint: None,
            counting: Counting::default(),
            aggregation: Aggregation::default(),
            escalation: Escalation::default(),
            signature: SignatureLabels::default(),
            ingest: Ingest::default(),
            limits: Limits::default(),
            queue: QueueSettings::default(),
            queues: QueuePolicies::default(),
            stop: Stop::default(),
            retention: Retention::default(),
            recount: RecountSettings::default(),
        }
    }
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// As text on a terminal, as JSON elsewhere.
    Auto,
    /// For people.
    Text,
    /// For programs: an object a line.
    Json,
}

/// What counts as one occurrence.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Counting {
    /// Which id is counted: `episode`, `delivery` or `incident`.
    pub unit: Unit,
    /// How far apart the starts of one firing may lie.
    pub skew: Span,
}

impl Default for Counting {
    fn default() -> Self {
        Self {
            unit: Unit::Episode,
            skew: Span::secs(60),
        }
    }
}

/// What becomes one incident.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Aggregation {
    /// How long an incident can be joined, from its first alert.
    pub window: Span,
    /// `window`, or `resolved`: it can be joined for as long as it is open, too.
    pub until: Until,
    /// Whether an incident resolves when all its episodes are closed.
    pub auto_resolve: bool,
}

impl Default for Aggregation {
    fn default() -> Self {
        Self {
            window: Span::secs(600),
            until: Until::Window,
            auto_resolve: true,
        }
    }
}

/// When a level holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Escalation {
    /// At least so many in a window is such a level; the highest that holds wins.
    pub rules: Vec<Rule>,
    /// An alert seen firing so long after its incident opened makes it at least `ESCALATE`.
    pub open_for: Span,
    /// That ends when the alert was not seen for so long.
    pub unseen_for: Span,
}

impl Default for Escalation {
    fn default() -> Self {
        Self {
            rules: default_rules(),
            open_for: Span::secs(4 * 3600),
            unseen_for: Span::secs(24 * 3600),
        }
    }
}

/// How alerts are taken in.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ingest {
    /// Alerts of these names are accounted for and not counted.
    pub ignore: Vec<String>,
    /// Alerts that are committed together at most.
    pub batch: usize,
    /// Batches that are committed at once, each for its own part of the anomalies. SQLite has one.
    pub batchers: usize,
}

impl Default for Ingest {
    fn default() -> Self {
        Self {
            ignore: vec!["Watchdog".to_owned(), "InfoInhibitor".to_owned()],
            batch: 1000,
            batchers: 2,
        }
    }
}

/// What one request may hold.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Bytes of a body.
    pub body: usize,
    /// Alerts of a request.
    pub alerts: usize,
    /// Labels, and annotations, of an alert. More are left out, and that is marked.
    pub labels: usize,
    /// Bytes of a label's name or value. Longer ones are cut, and that is marked.
    pub label_bytes: usize,
    /// Bytes of an annotation's name or value. Longer ones are cut, and that is marked.
    pub annotation_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 4 << 20,
            alerts: 10_000,
            labels: 64,
            label_bytes: 1024,
            annotation_bytes: 4096,
        }
    }
}

/// The queue.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueueSettings {
    /// Above so many queued alerts the ingress answers 503.
    pub max_depth: u64,
    /// How long a stopping process lets running jobs finish.
    pub drain: Span,
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self {
            max_depth: 1_000_000,
            drain: Span::secs(30),
        }
    }
}

/// How a process stops.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Stop {
    /// How long an ingress that got SIGTERM says that it is not ready, and goes on taking requests.
    pub delay: Span,
}

impl Default for Stop {
    fn default() -> Self {
        Self {
            delay: Span::secs(2),
        }
    }
}

/// How long rows are kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// Occurrences, past their end.
    pub occurrences: Span,
    /// Dead letters, past their death and what was decided about them.
    pub dead_letters: Span,
    /// Everything else.
    pub rest: Span,
}

impl Default for Retention {
    fn default() -> Self {
        const DAY: u64 = 24 * 3600;
        Self {
            occurrences: Span::secs(30 * DAY),
            dead_letters: Span::secs(400 * DAY),
            rest: Span::secs(400 * DAY),
        }
    }
}

/// What is looked at again and again.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecountSettings {
    /// Whether figures that drifted from the rows are repaired as soon as that is noticed.
    pub repair: bool,
}

/// Why the settings are refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A setting is unknown or malformed; the message names it.
    #[error("{0}")]
    Malformed(Box<figment::Error>),
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
        let mut figment = Figment::from(Serialized::defaults(Self::default()));
        let endpoint = std::env::var("OTEL_EXPORTER_OTLP_ENDPOINT").unwrap_or_default();
        if !endpoint.is_empty() {
            figment = figment.merge(Serialized::default("otlp_endpoint", endpoint));
        }
        figment = match file {
            Some(file) => figment.merge(file::Settings::exactly(file)),
            None => figment.merge(file::Settings::usual()),
        };
        Self::finish(&figment.merge(environment::Environment::of_process()))
    }

    fn finish(figment: &Figment) -> Result<Self, ConfigError> {
        let config: Self = figment
            .extract()
            .map_err(|error| ConfigError::Malformed(Box::new(error)))?;
        config.check().map_err(ConfigError::Refused)?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        let guarded = !self.webhook_token.is_empty() && !self.api_token.is_empty();
        if !self.listen.ip().is_loopback() && !guarded && !self.insecure {
            return Err(format!(
                "listen = {} is reachable from other computers: set TOCSIN_WEBHOOK_TOKEN and \
                 TOCSIN_API_TOKEN, or TOCSIN_INSECURE=true if something in front of it checks who \
                 comes in",
                self.listen
            ));
        }
        if self.telegram_token.is_some() && self.telegram_chat.is_none() {
            return Err("telegram_token is set and telegram_chat is not: which chat?".to_owned());
        }
        self.check_redis()?;
        self.queues.check()?;
        let scheme = self
            .telegram_api
            .split_once("://")
            .map(|(scheme, _)| scheme);
        if !matches!(scheme, Some("http" | "https")) {
            return Err("telegram_api must start with https:// or http://".to_owned());
        }
        let otlp = self.otlp_endpoint.as_ref().map(Secret::expose);
        if otlp.is_some_and(|url| !url.starts_with("http://") && !url.starts_with("https://")) {
            return Err("otlp_endpoint must start with http:// or https://".to_owned());
        }
        let is_web = |url: &String| url.starts_with("https://") || url.starts_with("http://");
        if !self.alertmanager_url.as_ref().is_none_or(is_web) {
            return Err("alertmanager_url must start with https:// or http://".to_owned());
        }
        let positive = [
            ("database_connections", self.database_connections as usize),
            ("ingest.batch", self.ingest.batch),
            ("ingest.batchers", self.ingest.batchers),
            ("limits.body", self.limits.body),
            ("limits.alerts", self.limits.alerts),
            ("limits.labels", self.limits.labels),
            ("limits.label_bytes", self.limits.label_bytes),
            ("limits.annotation_bytes", self.limits.annotation_bytes),
        ];
        if let Some((name, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(format!("{name} must be at least 1"));
        }
        if let Some(rule) = self.escalation.rules.iter().find(|rule| rule.count < 1) {
            return Err(format!(
                "escalation.rules: {} needs a count of at least 1",
                rule.level
            ));
        }
        let month = Duration::from_secs(30 * 24 * 3600);
        if self.retention.occurrences.0 < month || self.retention.rest.0 < month {
            return Err(
                "retention must be at least 30d: the longest window counts them".to_owned(),
            );
        }
        if self.retention.dead_letters.0 < Duration::from_secs(24 * 3600) {
            return Err("retention.dead_letters must be at least 1d".to_owned());
        }
        Ok(())
    }

    fn roles(&self) -> [(&'static str, &Tokens); 3] {
        [
            ("webhook_token", &self.webhook_token),
            ("read_token", &self.read_token),
            ("api_token", &self.api_token),
        ]
    }

    /// What holds and should not, for the log.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        let roles = self.roles();
        for (n, (name, tokens)) in roles.iter().enumerate() {
            if tokens.any_is_short() && !self.listen.ip().is_loopback() {
                warnings.push(format!(
                    "a token in {name} has fewer than 16 characters and can be guessed: \
                     openssl rand -hex 32 makes a good one"
                ));
            }
            for (other, others) in &roles[n + 1..] {
                if tokens.share_one_with(others) {
                    warnings.push(format!(
                        "a token is in {name} and in {other}: whoever has it may do what both allow"
                    ));
                }
            }
        }
        warnings
    }

    fn check_redis(&self) -> Result<(), String> {
        let Some(url) = &self.redis_url else {
            return Ok(());
        };
        if self.is_embedded() {
            return Err(
                "redis_url is set and database_url is a SQLite file: Redis carries the queue of \
                 several processes, and a SQLite file serves one. Set TOCSIN_DATABASE_URL=postgres://…"
                    .to_owned(),
            );
        }
        let scheme = url.expose().split_once("://").map(|(scheme, _)| scheme);
        if !matches!(scheme, Some("redis" | "rediss")) {
            return Err("redis_url must start with redis:// or rediss://".to_owned());
        }
        if self.redis_ca.is_some() && scheme != Some("rediss") {
            return Err("redis_ca is set and redis_url does not start with rediss://".to_owned());
        }
        // Braces mark what Redis hashes; the queue's name is to be the only such mark.
        if self.redis_prefix.is_empty() || self.redis_prefix.contains(['{', '}']) {
            return Err("redis_prefix must be a word without braces".to_owned());
        }
        Ok(())
    }

    /// Whether the store is one SQLite file, which serves one process.
    #[must_use]
    pub fn is_embedded(&self) -> bool {
        self.database_url.expose().starts_with("sqlite:")
    }

    /// Where messages go: one entry per channel.
    #[must_use]
    pub fn channels(&self) -> Vec<String> {
        match (&self.telegram_token, &self.telegram_chat) {
            (Some(_), Some(chat)) => vec![format!("telegram:{chat}")],
            _ => vec!["log".to_owned()],
        }
    }

    /// What aggregation obeys.
    #[must_use]
    pub const fn aggregation_policy(&self) -> Policy {
        Policy {
            unit: self.counting.unit,
            skew: self.counting.skew.0,
            window: self.aggregation.window.0,
            until: self.aggregation.until,
            auto_resolve: self.aggregation.auto_resolve,
            open_for: self.escalation.open_for.0,
        }
    }
}

/// A duration, written `90s`, `10m` or `4h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub Duration);

impl Span {
    /// So many seconds.
    #[must_use]
    pub const fn secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // The largest unit that it is a whole number of.
        let ms = self.0.as_millis();
        let (size, unit) = [
            (86_400_000, "d"),
            (3_600_000, "h"),
            (60_000, "m"),
            (1000, "s"),
        ]
        .into_iter()
        .find(|(size, _)| ms >= *size && ms.is_multiple_of(*size))
        .unwrap_or((1, "ms"));
        serializer.collect_str(&format_args!("{}{unit}", ms / size))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_duration(&text).map(Self).map_err(|error| {
            de::Error::custom(format!(
                "{text:?} is not a duration such as 90s, 10m or 4h: {error}"
            ))
        })
    }
}

/// A text that may have been written as a number.
#[derive(Deserialize)]
#[serde(untagged)]
enum Text {
    Text(String),
    Number(i64),
}

impl Text {
    fn into_string(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Number(number) => number.to_string(),
        }
    }
}

fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = Option::<Text>::deserialize(deserializer)?;
    Ok(text.map(Text::into_string))
}

#[cfg(test)]
mod tests {
    use super::*;
    use environment::Environment;

    pub(super) fn load(toml: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let variables = variables
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let figment = Figment::from(Serialized::defaults(Config::default()))
            .merge(file::Settings::of(toml))
            .merge(Environment::of(variables));
        Config::finish(&figment)
    }

    #[test]
    fn the_environment_wins_over_the_file_and_the_file_over_the_defaults() {
        let config = load(
            "telegram_chat = -100123\n[counting]\nskew = \"30s\"\nunit = \"delivery\"",
            &[
                ("TOCSIN_COUNTING__UNIT", "incident"),
                ("TOCSIN_WEBHOOK_TOKEN", "0012345"),
            ],
        )
        .unwrap();
        assert_eq!(config.telegram_chat.as_deref(), Some("-100123"));
        assert_eq!(config.counting.skew, Span::secs(30));
        assert_eq!(config.counting.unit, Unit::Incident);
        assert!(config.webhook_token.find("0012345").is_some());
        assert_eq!(config.aggregation.window, Span::secs(600));
    }

    #[test]
    fn lists_and_numbers_can_come_from_the_environment() {
        let config = load(
            "",
            &[
                ("TOCSIN_INGEST__IGNORE", "Watchdog,Canary"),
                ("TOCSIN_QUEUE__MAX_DEPTH", "5"),
                ("TOCSIN_METRICS_LISTEN", "127.0.0.1:9100"),
                (
                    "TOCSIN_ESCALATION__RULES",
                    r#"[{level="REPEAT",window="7d",count=2}]"#,
                ),
            ],
        )
        .unwrap();
        assert_eq!(config.ingest.ignore, ["Watchdog", "Canary"]);
        assert_eq!(config.queue.max_depth, 5);
        assert_eq!(config.escalation.rules.len(), 1);
    }

    #[test]
    fn an_unknown_or_malformed_setting_is_refused_by_name() {
        let refused = |toml: &str, variables: &[(&str, &str)]| match load(toml, variables) {
            Ok(_) => panic!("accepted {toml} {variables:?}"),
            Err(error) => error.to_string(),
        };
        assert!(refused("lisen = \"x\"", &[]).contains("lisen"));
        assert!(refused("", &[("TOCSIN_COUNTING__UNITS", "x")]).contains("units"));
        assert!(refused("", &[("TOCSIN_COUNTING__UNIT", "x")]).contains("TOCSIN_COUNTING__UNIT"));
        assert!(
            refused("", &[("TOCSIN_QUEUE__MAX_DEPTH", "many")]).contains("TOCSIN_QUEUE__MAX_DEPTH")
        );
        assert!(refused("", &[("TOCSIN_LISTEN", "here")]).contains("TOCSIN_LISTEN"));
        assert!(refused("[counting]\nskew = \"soon\"", &[]).contains("counting.skew"));
        assert!(refused("", &[("TOCSIN_REDIS_URL", "redis://x")]).contains("redis_url"));
    }

    #[test]
    fn what_kubernetes_injects_is_ignored() {
        let injected = [
            ("TOCSIN_PORT", "tcp://10.0.0.1:80"),
            ("TOCSIN_SERVICE_HOST", "10.0.0.1"),
        ];
        load("", &injected).unwrap();
    }

    #[test]
    fn listening_to_the_world_without_tokens_is_refused() {
        let open = ("TOCSIN_LISTEN", "0.0.0.0:9099");
        assert!(load("", &[open]).is_err());
        load("", &[open, ("TOCSIN_INSECURE", "true")]).unwrap();
        load(
            "",
            &[
                open,
                ("TOCSIN_WEBHOOK_TOKEN", "a"),
                ("TOCSIN_API_TOKEN", "b"),
            ],
        )
        .unwrap();
    }

    #[test]
    fn a_role_has_as_many_tokens_as_are_given() {
        let config = load(
            "read_token = [\"toml, with a comma\", 7]",
            &[
                ("TOCSIN_WEBHOOK_TOKEN", "1e5, 0x10"),
                ("TOCSIN_API_TOKEN", "[a,b]"),
            ],
        )
        .unwrap();
        let accepted = [
            (&config.read_token, ["toml, with a comma", "7"]),
            (&config.webhook_token, ["1e5", "0x10"]),
            (&config.api_token, ["[a", "b]"]),
        ];
        for (tokens, texts) in accepted {
            assert!(
                texts.iter().all(|text| tokens.find(text).is_some()),
                "{texts:?}"
            );
        }
        for nothing in ["", " , "] {
            let error = load("", &[("TOCSIN_API_TOKEN", nothing)])
                .unwrap_err()
                .to_string();
            assert!(error.contains("TOCSIN_API_TOKEN"), "{nothing:?}: {error}");
        }
    }

    #[test]
    fn tokens_that_can_be_guessed_or_mean_two_roles_are_warned_about() {
        let long = "0123456789abcdef";
        let warned = |listen, webhook, api| {
            let tokens = [("TOCSIN_WEBHOOK_TOKEN", webhook), ("TOCSIN_API_TOKEN", api)];
            let config = load(
                "",
                &[[("TOCSIN_LISTEN", listen)].as_slice(), &tokens].concat(),
            );
            config.unwrap().warnings()
        };
        assert!(warned("0.0.0.0:1", long, "another 0123456789").is_empty());
        assert!(warned("127.0.0.1:1", "short", "other").is_empty());
        let short = warned("0.0.0.0:1", long, "short");
        assert!(
            short.len() == 1 && short[0].contains("api_token"),
            "{short:?}"
        );
        let shared = warned("127.0.0.1:1", long, long);
        assert!(
            shared.len() == 1 && shared[0].contains("in api_token"),
            "{shared:?}"
        );
    }

    #[test]
    fn secrets_may_be_in_files() {
        let folder = std::env::temp_dir().join(format!("tocsin-{}", uuid::Uuid::now_v7()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = |name: &str, text: &str| {
            std::fs::write(folder.join(name), text).unwrap();
            folder.join(name).to_str().unwrap().to_owned()
        };
        let url = file("url", "sqlite://a b.db \r\n");
        let tokens = file("tokens", "new,one\n\n 12 \n");
        let config = load(
            "read_token = \"plain\"",
            &[
                ("TOCSIN_DATABASE_URL_FILE", &url),
                ("TOCSIN_READ_TOKEN_FILE", &tokens),
            ],
        )
        .unwrap();
        assert_eq!(config.database_url.expose(), "sqlite://a b.db ");
        for (token, accepted) in [("new,one", true), ("12", true), ("plain", false)] {
            assert_eq!(config.read_token.find(token).is_some(), accepted, "{token}");
        }

        let binary = folder.join("binary");
        std::fs::write(&binary, b"planted\xff").unwrap();
        let (empty, missing) = (file("empty", "\n"), "/nowhere/planted");
        for bad in [empty.as_str(), missing, binary.to_str().unwrap(), "/"] {
            let error = load("", &[("TOCSIN_API_TOKEN_FILE", bad)])
                .unwrap_err()
                .to_string();
            assert!(error.contains("TOCSIN_API_TOKEN_FILE: "), "{error}");
            assert!(!error.contains("planted\u{fffd}"), "{error}");
        }
        let both = [
            ("TOCSIN_API_TOKEN_FILE", tokens.as_str()),
            ("TOCSIN_API_TOKEN", "planted"),
        ];
        let error = load("", &both).unwrap_err().to_string();
        assert!(
            error.contains("TOCSIN_API_TOKEN and TOCSIN_API_TOKEN_FILE"),
            "{error}"
        );
        assert!(!error.contains("planted"), "{error}");
        // No other setting has a file.
        assert!(load("", &[("TOCSIN_LISTEN_FILE", &url)]).is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn an_error_in_the_file_is_placed_and_not_quoted() {
        for wrong in [
            "a = 1\napi_token = \"planted",
            "api_token = planted",
            "api_token = {a = \"planted\"}",
        ] {
            let error = load(wrong, &[]).unwrap_err().to_string();
            assert!(!error.contains("planted"), "{error}");
            assert!(
                error.contains("line ") || error.contains("api_token"),
                "{error}"
            );
        }
    }

    #[test]
    fn secrets_are_neither_printed_nor_logged() {
        let config = load(
            "",
            &[
                ("TOCSIN_TELEGRAM_TOKEN", "planted"),
                ("TOCSIN_TELEGRAM_CHAT", "1"),
                ("TOCSIN_DATABASE_URL", "postgres://u:planted@h/d"),
            ],
        )
        .unwrap();
        let printed = toml::to_string(&config).unwrap();
        assert!(!printed.contains("planted"), "{printed}");
        assert!(!format!("{config:?}").contains("planted"));
    }
}
