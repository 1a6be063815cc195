//! Redis servers of tests' own.

use std::time::Duration;

use redis::AsyncTypedCommands as _;
pub use tocsin_kit::redis::{Fsync, RedisServer};
use tokio::time::timeout;

use crate::process::folder;

pub async fn start(fsync: Fsync) -> RedisServer {
    start_with(fsync, &[]).await
}

/// With more arguments, such as `["--maxmemory", "10mb"]`.
pub async fn start_with(fsync: Fsync, more: &[&str]) -> RedisServer {
    RedisServer::start(folder(), fsync, more).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_keeps_its_data_through_what_is_done_to_it() {
    let mut server = start(Fsync::Always).await;
    let count = async |server: &RedisServer| {
        let mut connection = server.connect().await.unwrap();
        let count = connection.incr("key", 1).await.unwrap();
        (connection, count)
    };
    assert_eq!(count(&server).await.1, 1);
    server.kill();
    assert!(server.ping().await.is_err());
    server.start_again().await.unwrap();
    assert_eq!(count(&server).await.1, 2);
    server.stop().await.unwrap();
    server.start_again().await.unwrap();
    let (mut connection, counted) = count(&server).await;
    assert_eq!(counted, 3);

    server.freeze().unwrap();
    let ping = redis::cmd("PING");
    let answer = ping.query_async::<()>(&mut connection);
    assert!(timeout(Duration::from_millis(200), answer).await.is_err());
    server.thaw().unwrap();
    ping.query_async::<()>(&mut connection).await.unwrap();
}
