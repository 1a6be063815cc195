//! A Redis of one's own: the real server on a free port, with its files in a folder of its own;
//! killed, frozen, stopped and started again as an operator or an accident would.

use std::process::Command;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisError};

use crate::folder::Folder;
use crate::process::Process;
use crate::program::{Missing, find};
use crate::{PATIENCE, port};

/// How long a server that is up may take to answer before it is asked again.
const ANSWER: Duration = Duration::from_secs(2);

/// When the server's file is on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fsync {
    /// Before each answer.
    Always,
    /// Once a second.
    EverySecond,
}

/// The server. Killed, and its files deleted, when dropped.
#[derive(Debug)]
pub struct RedisServer {
    process: Process,
    port: u16,
    _folder: Folder,
}

impl RedisServer {
    /// Starts it, with more arguments, such as `["--maxmemory", "10mb"]`, and waits until it answers.
    ///
    /// # Errors
    /// It is not installed ([`Missing`]), or does not start.
    pub async fn start(folder: Folder, fsync: Fsync, more: &[&str]) -> anyhow::Result<Self> {
        let program = find("TOCSIN_TEST_REDIS_SERVER", &["redis-server"]).ok_or(Missing {
            program: "redis-server",
            package: "redis-server",
        })?;
        let port = port::free();
        let fsync = match fsync {
            Fsync::Always => "always",
            Fsync::EverySecond => "everysec",
        };
        let mut command = Command::new(program);
        command
            .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
            .arg("--dir")
            .arg(folder.path())
            .args(["--save", "", "--appendonly", "yes", "--appendfsync", fsync])
            .args(["--daemonize", "no"])
            .args(more);
        let mut server = Self {
            process: Process::start("redis-server", command, folder.join("redis.log"))?,
            port,
            _folder: folder,
        };
        server.answers().await?;
        Ok(server)
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> String {
        url(self.port)
    }

    /// Where it listens, on 127.0.0.1.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// SIGKILL: what is not on the disk yet is what the system still writes there.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// SIGTERM, and waits until it has ended.
    ///
    /// # Errors
    /// It does not end.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        self.process.signal("TERM")?;
        self.process.ended().await.map(drop)
    }

    /// After [`Self::kill`] or [`Self::stop`]: on the same port and the same data.
    ///
    /// # Errors
    /// It does not start.
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        self.process.restart()?;
        self.answers().await
    }

    /// Holds it: connections stay, and nothing is answered.
    ///
    /// # Errors
    /// It has ended.
    pub fn freeze(&self) -> anyhow::Result<()> {
        self.process.signal("STOP")
    }

    /// Lets it go on after [`Self::freeze`].
    ///
    /// # Errors
    /// It has ended.
    pub fn thaw(&self) -> anyhow::Result<()> {
        self.process.signal("CONT")
    }

    /// A connection that waits long.
    ///
    /// # Errors
    /// It cannot be reached.
    pub async fn connect(&self) -> Result<MultiplexedConnection, RedisError> {
        connect(&self.url(), PATIENCE).await
    }

    /// Whether it answers.
    ///
    /// # Errors
    /// It does not.
    pub async fn ping(&self) -> Result<(), RedisError> {
        ping(&self.url()).await
    }

    /// Waits until it answers; one that still loads its file does not yet.
    async fn answers(&mut self) -> anyhow::Result<()> {
        let url = self.url();
        self.process.ready(async || ping(&url).await.is_ok()).await
    }
}

fn url(port: u16) -> String {
    format!("redis://127.0.0.1:{port}")
}

async fn ping(url: &str) -> Result<(), RedisError> {
    let mut connection = connect(url, ANSWER).await?;
    redis::cmd("PING").query_async(&mut connection).await
}

async fn connect(url: &str, patience: Duration) -> Result<MultiplexedConnection, RedisError> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(patience))
        .set_response_timeout(Some(patience));
    let client = redis::Client::open(url)?;
    client
        .get_multiplexed_async_connection_with_config(&config)
        .await
}
