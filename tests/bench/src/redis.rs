//! Redis: a server of our own that writes its data to a file once a second, or the one that
//! was given.

use anyhow::Context;
use redis::Client;
use redis::aio::MultiplexedConnection;
use reqwest::Url;

use tocsin_kit::folder::Folder;
use tocsin_kit::redis::{Fsync, RedisServer};

/// A server, ready.
pub(crate) struct Redis {
    url: String,
    /// What the keys of the present measurement begin with.
    prefix: String,
    own: Option<RedisServer>,
}

impl Redis {
    /// The server at `url`.
    pub(crate) fn given(url: &str) -> anyhow::Result<Self> {
        Url::parse(url).context("--redis-url")?;
        Client::open(url).context("--redis-url")?;
        Ok(Self {
            url: url.to_owned(),
            prefix: prefix(),
            own: None,
        })
    }

    /// A server of our own with nothing in it, in a folder of its own.
    pub(crate) async fn start(folder: Folder) -> anyhow::Result<Self> {
        let server = RedisServer::start(folder, Fsync::EverySecond, &[]).await?;
        Ok(Self {
            url: server.url(),
            prefix: prefix(),
            own: Some(server),
        })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(crate) const fn is_own(&self) -> bool {
        self.own.is_some()
    }

    /// Bytes that its data takes.
    pub(crate) async fn memory(&self) -> anyhow::Result<u64> {
        let used = self.info("used_memory").await?;
        used.parse().context("INFO's used_memory")
    }

    /// Its version, as it says itself.
    pub(crate) async fn version(&self) -> Option<String> {
        self.info("redis_version").await.ok()
    }

    /// Removes the present measurement's keys and takes another prefix for the next.
    pub(crate) async fn clear(&mut self) -> anyhow::Result<()> {
        let mut connection = self.connect().await?;
        let mut cursor = 0_u64;
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor)
                .arg("MATCH")
                .arg(format!("{}:*", self.prefix))
                .arg("COUNT")
                .arg(10_000);
            let (next, keys): (u64, Vec<Vec<u8>>) = scan.query_async(&mut connection).await?;
            if !keys.is_empty() {
                let mut unlink = redis::cmd("UNLINK");
                let _: () = unlink.arg(keys).query_async(&mut connection).await?;
            }
            cursor = next;
            if cursor == 0 {
                break;
            }
        }
        self.prefix = prefix();
        Ok(())
    }

    async fn info(&self, field: &str) -> anyhow::Result<String> {
        let mut connection = self.connect().await?;
        let info: String = redis::cmd("INFO").query_async(&mut connection).await?;
        let value = info_field(&info, field);
        value.with_context(|| format!("Redis' INFO has no {field}"))
    }

    async fn connect(&self) -> anyhow::Result<MultiplexedConnection> {
        let client = Client::open(self.url.as_str())?;
        let connection = client.get_multiplexed_async_connection().await;
        connection.context("connecting to Redis")
    }
}

fn prefix() -> String {
    format!("tocsin-bench-{:08x}", rand::random::<u32>())
}

fn info_field(info: &str, field: &str) -> Option<String> {
    info.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| *name == field)
        .map(|(_, value)| value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_of_info_is_found_by_its_whole_name() {
        let info = "# Memory\r\nused_memory_rss:9\r\nused_memory:1024\r\n";
        assert_eq!(info_field(info, "used_memory").unwrap(), "1024");
        assert_eq!(info_field(info, "memory"), None);
    }
}
