//! Redis: a server of our own that writes what it is told to a file once a second, or the one that
//! was given.

use std::process::Command;

use anyhow::Context;
use redis::Client;
use redis::aio::MultiplexedConnection;
use reqwest::Url;

use super::process::{Folder, Missing, Process, find, free_address};

/// A server, ready.
pub(super) struct Redis {
    url: String,
    /// What the keys of the present measurement begin with.
    prefix: String,
    own: Option<(Process, Folder)>,
}

impl Redis {
    /// The server at `url`.
    pub(super) fn given(url: &str) -> anyhow::Result<Self> {
        Url::parse(url).context("--redis-url")?;
        Client::open(url).context("--redis-url")?;
        Ok(Self {
            url: url.to_owned(),
            prefix: prefix(),
            own: None,
        })
    }

    /// A server of our own with nothing in it, in a folder of its own.
    pub(super) async fn start(folder: Folder) -> anyhow::Result<Self> {
        let program = find("redis-server").ok_or(Missing {
            program: "redis-server",
            package: "redis-server",
        })?;
        let address = free_address()?;
        let mut command = Command::new(program);
        command
            .args(["--bind", "127.0.0.1", "--port", &address.port().to_string()])
            .args(["--appendonly", "yes", "--appendfsync", "everysec"])
            .args(["--save", "", "--daemonize", "no", "--dir"])
            .arg(folder.path());
        let mut process = Process::start("redis-server", command, folder.path())?;
        let mut server = Self {
            url: format!("redis://{address}"),
            prefix: prefix(),
            own: None,
        };
        process.ready(async || server.ping().await.is_ok()).await?;
        server.own = Some((process, folder));
        Ok(server)
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(super) const fn is_own(&self) -> bool {
        self.own.is_some()
    }

    /// Bytes that its data takes.
    pub(super) async fn memory(&self) -> anyhow::Result<u64> {
        let used = self.info("used_memory").await?;
        used.parse().context("INFO's used_memory")
    }

    /// Its version, as it says itself.
    pub(super) async fn version(&self) -> Option<String> {
        self.info("redis_version").await.ok()
    }

    /// Removes the present measurement's keys and takes another prefix for the next.
    pub(super) async fn clear(&mut self) -> anyhow::Result<()> {
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

    async fn ping(&self) -> anyhow::Result<()> {
        let mut connection = self.connect().await?;
        let _: () = redis::cmd("PING").query_async(&mut connection).await?;
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
