//! Keys of a test's own in the Redis that all tests share.

use std::time::Duration;

use tocsin::config::Secret;
use tocsin::queue::store::NewJob;
use tocsin::redis::{OpenError, Redis};
use tokio::sync::OwnedRwLockReadGuard;
use uuid::Uuid;

use crate::process;

/// Adds an entry, and again behind it what was not delivered; then delivers the entry.
const ADD_UNANSWERED: &str = "
local stream = KEYS[1]
redis.pcall('XGROUP', 'CREATE', stream, 'workers', '0', 'MKSTREAM')
local last = redis.call('XINFO', 'GROUPS', stream)[1][8]
local waiting = redis.call('XRANGE', stream, '(' .. last, '+')
local added = redis.call('XADD', stream, '*', 'j', ARGV[1] .. '\\n' .. ARGV[2])
for _, entry in ipairs(waiting) do
  redis.call('XADD', stream, '*', unpack(entry[2]))
  redis.call('XDEL', stream, entry[1])
end
redis.call('XREADGROUP', 'GROUP', 'workers', 'gone', 'COUNT', 1, 'STREAMS', stream, '>')
redis.call('XCLAIM', stream, 'workers', 'gone', 0, added, 'IDLE', 3600000, 'RETRYCOUNT', ARGV[3], 'JUSTID')
";

/// Keys of a test's own in the Redis that `./scripts/test` starts. Deleted when dropped.
pub struct RedisKeys {
    pub url: String,
    pub prefix: String,
    _turn: Option<OwnedRwLockReadGuard<()>>,
}

impl RedisKeys {
    /// For a test that runs beside others.
    pub async fn new() -> Self {
        let mut keys = Self::in_turn();
        keys._turn = Some(process::beside_others().await);
        keys
    }

    /// For a test that has its turn already.
    pub fn in_turn() -> Self {
        Self::at(redis_url())
    }

    /// Keys at this address, for a test that has its turn already.
    pub fn at(url: String) -> Self {
        Self {
            url,
            prefix: format!("t_{}", Uuid::now_v7().simple()),
            _turn: None,
        }
    }

    pub async fn open(&self) -> Redis {
        self.try_open().await.unwrap()
    }

    pub async fn try_open(&self) -> Result<Redis, OpenError> {
        let url = Secret::from(self.url.as_str());
        Redis::open(&url, None, &self.prefix).await
    }

    /// Makes what is pending in any stream older, which the server's own clock would do.
    pub fn age(&self, by: Duration) {
        let age = "for _, stream in ipairs(redis.call('KEYS', ARGV[1])) do \
                       for _, held in ipairs(redis.pcall('XPENDING', stream, 'workers', '-', '+', 1000000)) do \
                           redis.call('XCLAIM', stream, 'workers', held[2], 0, held[1], \
                               'IDLE', held[3] + ARGV[2], 'JUSTID') \
                       end \
                   end";
        let streams = format!("{}:*:stream", self.prefix);
        let by = i64::try_from(by.as_millis()).unwrap();
        let age = redis::Script::new(age);
        let mut age = age.prepare_invoke();
        age.arg(streams).arg(by);
        age.invoke::<()>(&mut self.connect()).unwrap();
    }

    /// A job of which the group thinks that it was delivered so often to a consumer that died, before
    /// all jobs that were not delivered yet.
    pub fn add_unanswered(&self, job: &NewJob, deliveries: u32) {
        let base = format!("{}:{{{}}}", self.prefix, job.queue);
        let replay = match job.replay {
            0 => String::new(),
            n => format!(" r{n}"),
        };
        // Queued since the beginning of time: whatever is known of it is newer.
        let header = format!("{} a1{replay}", job.id.simple());
        let script = redis::Script::new(ADD_UNANSWERED);
        let mut add = script.key(format!("{base}:stream"));
        add.arg(header).arg(&job.payload).arg(deliveries);
        add.invoke::<()>(&mut self.connect()).unwrap();
    }

    /// A connection that blocks.
    pub fn connect(&self) -> redis::Connection {
        self.try_connect().unwrap()
    }

    fn try_connect(&self) -> redis::RedisResult<redis::Connection> {
        redis::Client::open(self.url.as_str())?.get_connection()
    }
}

impl RedisKeys {
    /// Deletes all of them, as a server does that loses its data.
    pub fn flush(&self) -> redis::RedisResult<()> {
        let delete =
            "for _, key in ipairs(redis.call('KEYS', ARGV[1])) do redis.call('UNLINK', key) end";
        let delete = redis::Script::new(delete);
        let mut delete = delete.prepare_invoke();
        delete.arg(format!("{}:*", self.prefix));
        delete.invoke(&mut self.try_connect()?)
    }
}

impl Drop for RedisKeys {
    fn drop(&mut self) {
        // A server of the test's own is gone by now.
        let _ = self.flush();
    }
}

/// The Redis server that `./scripts/test` starts.
pub fn redis_url() -> String {
    std::env::var("TOCSIN_TEST_REDIS_URL")
        .expect("TOCSIN_TEST_REDIS_URL is not set: run ./scripts/test, which starts a server")
}
