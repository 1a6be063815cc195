//! Redis, as the queue and the counter use it: how it is reached, and what it is warned about.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{Client, ConnectionInfo, IntoConnectionInfo, RedisError, TlsCertificates};

use crate::config::Secret;

/// How long a command may take. One that takes longer counts as failed, and may have been done.
const RESPONSE: Duration = Duration::from_secs(5);
/// How long it may take to connect.
const CONNECT: Duration = Duration::from_secs(2);
/// Attempts to connect again before a command fails, and the longest pause between two.
const RECONNECT: (usize, Duration) = (2, Duration::from_millis(500));
/// After so long without a sign of the other side a connection counts as broken.
const SILENCE: Duration = Duration::from_secs(20);
/// Commands that wait to be written to one connection at most; more wait to be allowed to wait.
const WAITING: usize = 1024;

/// A Redis server that is known to answer.
#[derive(Clone, Debug)]
pub struct Redis {
    client: Client,
    prefix: Arc<str>,
}

/// Why Redis cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL is none of Redis', or the certificate none.
    #[error("redis_url cannot be used: {0}")]
    Url(RedisError),
    /// The file with the certificates of the authorities that are trusted cannot be read.
    #[error("cannot read redis_ca, {path}: {error}")]
    Ca {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
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
    /// Reaches the server once and tells in the log what it may lose.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open(url: &Secret, ca: Option<&Path>, prefix: &str) -> Result<Self, OpenError> {
        let info = url
            .expose()
            .into_connection_info()
            .map_err(OpenError::Url)?;
        let info = info.set_tcp_settings(tcp());
        let server = shown(&info);
        // Two are linked in, by two of our dependencies; one must be chosen for a connection with TLS.
        // Whoever chose before us is right, too.
        let _ = rustls::crypto::ring::default_provider().install_default();
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
        let durability = redis.durability().await;
        let durability = durability.map_err(|error| OpenError::Unreachable {
            server: server.clone(),
            error,
        })?;
        tracing::info!("queue and counter are in the Redis at {server}");
        for warning in durability {
            tracing::warn!("{warning}");
        }
        Ok(redis)
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

    /// What is set such that alerts may be lost, in words. It needs no more than `INFO`.
    async fn durability(&self) -> Result<Vec<String>, RedisError> {
        let mut connection = self.connection()?;
        let mut pipe = redis::pipe();
        pipe.cmd("INFO")
            .arg("memory")
            .cmd("INFO")
            .arg("persistence");
        let (memory, persistence): (String, String) = pipe.query_async(&mut connection).await?;
        Ok(warnings(&memory, &persistence))
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

fn warnings(memory: &str, persistence: &str) -> Vec<String> {
    let value = |info: &str, name: &str| {
        let line = info.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.strip_prefix(':'))
            .map(|value| value.trim().to_owned())
    };
    let mut warnings = Vec::new();
    let policy = value(memory, "maxmemory_policy").unwrap_or_default();
    if !policy.is_empty() && policy != "noeviction" {
        warnings.push(format!(
            "Redis' maxmemory-policy is {policy}: when its memory is full it drops keys, and with a \
             queue's key every alert that waits in it. Set maxmemory-policy noeviction: then senders \
             are told to try again"
        ));
    }
    if value(persistence, "aof_enabled").as_deref() == Some("0") {
        warnings.push(
            "Redis' append-only file is off: alerts that were accepted and not yet committed are \
             lost when Redis ends. Set appendonly yes (appendfsync everysec loses at most the last \
             second, always nothing)"
                .to_owned(),
        );
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_lost_is_told_and_nothing_else() {
        let safe = "# Memory\r\nmaxmemory_policy:noeviction\r\n";
        assert!(warnings(safe, "aof_enabled:1\r\n").is_empty());
        let warned = warnings(
            "maxmemory_policy:allkeys-lru\r\n",
            "loading:0\r\naof_enabled:0\r\n",
        );
        assert!(warned[0].contains("allkeys-lru"), "{warned:?}");
        assert!(warned[1].contains("append-only file is off"), "{warned:?}");
        assert!(
            warnings("", "").is_empty(),
            "a server that does not say is not accused"
        );
    }
}
