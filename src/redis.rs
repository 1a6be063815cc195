//! Redis, as the queue and the counter use it: how it is reached, and what it is warned about.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{Client, ConnectionInfo, IntoConnectionInfo, RedisError, TlsCertificates};

use crate::config::Secret;

/// Names scripts, each with these flags and a prelude before it.
macro_rules! scripts {
    ($flags:literal, $prelude:literal; $($name:ident: $file:literal,)*) => {
        $(static $name: std::sync::LazyLock<redis::Script> = std::sync::LazyLock::new(|| {
            redis::Script::new(concat!(
                "#!lua ",
                $flags,
                "\n",
                include_str!($prelude),
                include_str!($file)
            ))
        });)*
    };
}
pub(crate) use scripts;

/// The share of memory in use from which it is reported, while there is time to act.
const NEARLY: u64 = 85;
/// The oldest version that will do: major and minor.
const OLDEST: (u32, u32) = (7, 0);
/// How long a command may take. One that takes longer counts as failed, and may have been done.
const RESPONSE: Duration = Duration::from_secs(5);
/// How long it may take to connect.
const CONNECT: Duration = Duration::from_secs(2);
/// Attempts to connect again before a command fails, and the longest pause between two.
const RECONNECT: (usize, Duration) = (2, Duration::from_millis(500));
/// Silence after which a connection counts as broken.
const SILENCE: Duration = Duration::from_secs(20);
/// The most commands that wait to be written to one connection; further callers wait for room.
const WAITING: usize = 1024;

/// A Redis server that is known to answer.
#[derive(Clone, Debug)]
pub struct Redis {
    client: Client,
    prefix: Arc<str>,
}

/// What a server says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisInfo {
    /// Its version.
    pub version: String,
    /// By which policy it drops keys when its memory is full, if it does.
    pub evicts: Option<String>,
    /// Whether it forgets everything when it ends.
    pub keeps_no_log: bool,
    /// How much of its memory is used, where that is bounded.
    pub memory: Option<Memory>,
}

/// How much memory a server uses, and how much it may use, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// What it uses.
    pub used: u64,
    /// `maxmemory`.
    pub most: u64,
}

impl Memory {
    /// What `INFO memory` says; nothing if there is no bound.
    #[must_use]
    pub fn of(info: &str) -> Option<Self> {
        let number = |name| value(info, name)?.parse::<u64>().ok();
        let (used, most) = (number("used_memory")?, number("maxmemory")?);
        (most > 0).then_some(Self { used, most })
    }

    /// Whether so much of it is used that it will soon take nothing more.
    #[must_use]
    pub const fn is_nearly_full(self) -> bool {
        self.percent() >= NEARLY
    }

    /// How much of it is used; 1 is all.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn ratio(self) -> f64 {
        self.used as f64 / self.most as f64
    }

    /// How much of it is used, in percent.
    #[must_use]
    pub const fn percent(self) -> u64 {
        self.used.saturating_mul(100) / self.most
    }
}

/// Why Redis cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL is none of Redis', or the certificate none.
    #[error("invalid redis_url: {0}")]
    Url(RedisError),
    /// The file with the certificates of the authorities that are trusted cannot be read.
    #[error("cannot read redis_ca {path}: {error}")]
    Ca {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// It is older than what our scripts are written for.
    #[error("the Redis at {server} is version {version}; Tocsin needs {}.{} or newer", OLDEST.0, OLDEST.1)]
    TooOld {
        /// Host, port and database.
        server: String,
        /// What it says that it is.
        version: String,
    },
    /// It does not answer, or refuses us.
    #[error("cannot use the Redis at {server}: {error}")]
    Unreachable {
        /// Host, port and database, without the password.
        server: String,
        /// What it says.
        error: RedisError,
    },
}

impl Redis {
    /// Connects once, and logs what the server may lose.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open(url: &Secret, ca: Option<&Path>, prefix: &str) -> Result<Self, OpenError> {
        let (redis, server) = Self::at(url, ca, prefix)?;
        let [about, memory, persistence] = match redis.ask().await {
            Ok(answers) => answers,
            Err(error) => return Err(OpenError::Unreachable { server, error }),
        };
        if let Some(version) = value(&about, "redis_version").filter(|v| is_too_old(v)) {
            return Err(OpenError::TooOld { server, version });
        }
        tracing::info!("using Redis at {server} for queue and counter");
        for warning in warnings(&memory, &persistence) {
            tracing::warn!("{warning}");
        }
        Ok(redis)
    }

    /// The server at this address, not connected yet; and its address as it may be shown.
    ///
    /// # Errors
    /// The address or the certificates cannot be used.
    pub fn at(url: &Secret, ca: Option<&Path>, prefix: &str) -> Result<(Self, String), OpenError> {
        let info = url
            .expose()
            .into_connection_info()
            .map_err(OpenError::Url)?;
        let info = info.set_tcp_settings(tcp());
        let server = shown(&info);
        crate::tls::choose();
        let client = match ca {
            None => Client::open(info),
            Some(path) => {
                let read = std::fs::read(path);
                let pem = read.map_err(|error| OpenError::Ca {
                    path: path.to_owned(),
                    error,
                })?;
                let certificates = TlsCertificates {
                    client_tls: None,
                    root_cert: Some(pem),
                };
                Client::build_with_tls(info, certificates)
            }
        };
        let redis = Self {
            client: client.map_err(OpenError::Url)?,
            prefix: prefix.into(),
        };
        Ok((redis, server))
    }

    /// A connection to ask it how it is, again and again.
    ///
    /// # Errors
    /// The URL is not usable.
    pub fn asking(&self) -> Result<Asking, RedisError> {
        Ok(Asking(self.connection()?))
    }

    /// What every key begins with.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// A connection of its own that comes back by itself. Commands of its clones share it.
    ///
    /// # Errors
    /// The URL is not usable.
    pub fn connection(&self) -> Result<ConnectionManager, RedisError> {
        let config = ConnectionManagerConfig::new()
            .set_response_timeout(Some(RESPONSE))
            .set_connection_timeout(Some(CONNECT))
            .set_number_of_retries(RECONNECT.0)
            .set_max_delay(RECONNECT.1)
            .set_pipeline_buffer_size(WAITING);
        ConnectionManager::new_lazy_with_config(self.client.clone(), config)
    }

    /// What the server says of itself, its memory and its persistence. It needs no right but `INFO`.
    async fn ask(&self) -> Result<[String; 3], RedisError> {
        ask(&mut self.connection()?).await
    }
}

async fn ask(connection: &mut ConnectionManager) -> Result<[String; 3], RedisError> {
    let mut pipe = redis::pipe();
    for section in ["server", "memory", "persistence"] {
        pipe.cmd("INFO").arg(section);
    }
    pipe.query_async(connection).await
}

/// A connection to ask a server how it is; its clones share it.
#[derive(Clone)]
pub struct Asking(ConnectionManager);

impl Asking {
    /// What it says of itself.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn info(&self) -> Result<RedisInfo, RedisError> {
        let [about, memory, persistence] = ask(&mut self.0.clone()).await?;
        Ok(RedisInfo {
            version: value(&about, "redis_version").unwrap_or_default(),
            evicts: evicts(&memory),
            keeps_no_log: keeps_no_log(&persistence),
            memory: Memory::of(&memory),
        })
    }
}

fn tcp() -> TcpSettings {
    let keepalive = TcpKeepalive::new()
        .with_time(SILENCE / 2)
        .with_interval(SILENCE / 4);
    TcpSettings::default()
        .set_nodelay(true)
        .set_keepalive(keepalive)
        .set_user_timeout(SILENCE)
}

fn shown(info: &ConnectionInfo) -> String {
    format!("{}, database {}", info.addr(), info.redis_settings().db())
}

/// One line of what `INFO` answers.
fn value(info: &str, name: &str) -> Option<String> {
    let line = info
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.map(|value| value.trim().to_owned())
}

fn is_too_old(version: &str) -> bool {
    let mut numbers = version.split('.').map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) < OLDEST
}

fn evicts(memory: &str) -> Option<String> {
    value(memory, "maxmemory_policy").filter(|policy| !policy.is_empty() && policy != "noeviction")
}

fn keeps_no_log(persistence: &str) -> bool {
    value(persistence, "aof_enabled").as_deref() == Some("0")
}

fn warnings(memory: &str, persistence: &str) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(policy) = evicts(memory) {
        warnings.push(format!(
            "Redis runs with maxmemory-policy {policy}: when its memory is full it may evict a queue with \
             all alerts in it. Set maxmemory-policy noeviction: webhooks are then answered with 503, and \
             senders retry"
        ));
    }
    if keeps_no_log(persistence) {
        warnings.push(
            "Redis runs without an append-only file: all queued alerts are lost when Redis stops. \
             Set appendonly yes (appendfsync everysec loses at most the last \
             second, always loses nothing)"
                .to_owned(),
        );
    }
    warnings
}

#[cfg(test)]
mod tests;
