//! A Redis of a test's own: the real server on a free port, with its files in a temporary folder;
//! killed, frozen, stopped and started again as an operator or an accident would.

use std::process::Command;
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, AsyncTypedCommands as _, RedisError};
use tokio::time::timeout;

use crate::process::{Folder, PATIENCE, Process, free_port};

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
pub struct RedisServer {
    process: Process,
    port: u16,
    _folder: Folder,
}

impl RedisServer {
    pub async fn start(fsync: Fsync) -> Self {
        Self::start_with(fsync, &[]).await
    }

    /// With more arguments, such as `["--maxmemory", "10mb"]`.
    pub async fn start_with(fsync: Fsync, more: &[&str]) -> Self {
        let (folder, port) = (Folder::new(), free_port());
        let program = std::env::var_os("TOCSIN_TEST_REDIS_SERVER");
        let mut command = Command::new(program.unwrap_or_else(|| "redis-server".into()));
        let fsync = match fsync {
            Fsync::Always => "always",
            Fsync::EverySecond => "everysec",
        };
        command
            .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
            .arg("--dir")
            .arg(&folder.0)
            .args(["--save", "", "--appendonly", "yes", "--appendfsync", fsync])
            .args(more);
        let log = folder.0.join("redis.log");
        let mut server = Self {
            process: Process::start("redis-server", command, log),
            port,
            _folder: folder,
        };
        server.answers().await;
        server
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// SIGKILL: what is not on the disk yet is what the system still writes there.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// SIGTERM, and waits until it has ended.
    pub async fn stop(&mut self) {
        self.process.signal("TERM");
        self.process.ended().await;
    }

    /// After [`Self::kill`] or [`Self::stop`]: on the same port and the same data.
    pub async fn start_again(&mut self) {
        self.process.restart();
        self.answers().await;
    }

    /// Holds it: connections stay, and nothing is answered.
    pub fn freeze(&self) {
        self.process.signal("STOP");
    }

    /// Lets it go on after [`Self::freeze`].
    pub fn thaw(&self) {
        self.process.signal("CONT");
    }

    /// A connection of the test's own.
    pub async fn connect(&self) -> MultiplexedConnection {
        self.try_connect(PATIENCE).await.unwrap()
    }

    async fn try_connect(&self, patience: Duration) -> Result<MultiplexedConnection, RedisError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(patience))
            .set_response_timeout(Some(patience));
        let client = redis::Client::open(self.url())?;
        client
            .get_multiplexed_async_connection_with_config(&config)
            .await
    }

    /// Waits until it answers; one that still loads its file does not yet.
    async fn answers(&mut self) {
        let began = Instant::now();
        while let Err(error) = self.ping().await {
            assert!(self.process.is_running(), "redis-server ended");
            assert!(
                began.elapsed() < PATIENCE,
                "redis-server does not answer: {error}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn ping(&self) -> Result<(), RedisError> {
        let mut connection = self.try_connect(ANSWER).await?;
        redis::cmd("PING").query_async(&mut connection).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_keeps_its_data_through_what_is_done_to_it() {
    let mut server = RedisServer::start(Fsync::Always).await;
    let count = async |server: &RedisServer| {
        let mut connection = server.connect().await;
        let count = connection.incr("key", 1).await.unwrap();
        (connection, count)
    };
    assert_eq!(count(&server).await.1, 1);
    server.kill();
    assert!(server.ping().await.is_err());
    server.start_again().await;
    assert_eq!(count(&server).await.1, 2);
    server.stop().await;
    server.start_again().await;
    let (mut connection, counted) = count(&server).await;
    assert_eq!(counted, 3);

    server.freeze();
    let ping = redis::cmd("PING");
    let answer = ping.query_async::<()>(&mut connection);
    assert!(timeout(Duration::from_millis(200), answer).await.is_err());
    server.thaw();
    ping.query_async::<()>(&mut connection).await.unwrap();
}
