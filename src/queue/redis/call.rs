//! Calls a script with one queue's keys.

use redis::aio::ConnectionManager;
use redis::{FromRedisValue, RedisError, Script};

use super::RedisQueue;
use crate::time::Timestamp;

/// One call of a script.
pub(super) struct Call<'a> {
    pub(super) of: redis::ScriptInvocation<'a>,
}

impl Call<'_> {
    pub(super) fn arg(mut self, value: impl redis::ToRedisArgs) -> Self {
        self.of.arg(value);
        self
    }

    pub(super) async fn on<T: FromRedisValue>(
        self,
        connection: &ConnectionManager,
    ) -> Result<T, RedisError> {
        self.of.invoke_async(&mut connection.clone()).await
    }
}

impl RedisQueue {
    fn base(&self, queue: &str) -> String {
        format!("{}:{{{queue}}}", self.prefix)
    }

    pub(super) fn stream(&self, queue: &str) -> String {
        format!("{}:stream", self.base(queue))
    }

    pub(super) fn paused_key(&self, queue: &str) -> String {
        format!("{}:paused", self.base(queue))
    }

    pub(super) fn shift(&self) -> i64 {
        self.clock.of_store(Timestamp(0)).0
    }

    pub(super) fn call<'a>(&self, script: &'a Script, queue: &str) -> Call<'a> {
        let mut of = script.key(self.base(queue));
        of.arg(self.shift());
        Call { of }
    }
}
