//! Connections of those who have shown no token yet, by address. Who holds many of them and says nothing, or
//! says it slowly, keeps the places of all others; who shows a token is not anonymous any more.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::Extensions;

use super::attempts::network;
use crate::telemetry::log_throttle::LogThrottle;

/// How long one beyond the bound has to show a token: senders that come all at once do so at once.
const GRACE: Duration = Duration::from_secs(2);
/// How often it is said that an address has too many, at most.
const SAID: Duration = Duration::from_secs(60);

/// The connections without a token.
pub(super) struct AnonymousConnections {
    most: usize,
    grace: Duration,
    /// Whose connections are those of many people.
    proxies: Arc<[IpAddr]>,
    open: Arc<Mutex<HashMap<IpAddr, usize>>>,
    said: LogThrottle<()>,
}

/// One connection, for as long as any of these is kept.
#[derive(Clone)]
pub(super) struct Anonymous {
    inner: Arc<Inner>,
    /// How long it has to show a token, if its address had as many as it may have already.
    beyond: Option<Duration>,
}

struct Inner {
    address: IpAddr,
    open: Arc<Mutex<HashMap<IpAddr, usize>>>,
    is_known: AtomicBool,
}

impl AnonymousConnections {
    /// Allows `most` connections from one address, and any number from `proxies`.
    pub(super) fn new(most: usize, proxies: Arc<[IpAddr]>) -> Self {
        Self {
            most,
            grace: GRACE,
            proxies,
            open: Arc::default(),
            said: LogThrottle::new(SAID),
        }
    }

    /// One more came from there.
    pub(super) fn came(&self, from: IpAddr) -> Anonymous {
        let address = network(from);
        let is_proxy = self.proxies.contains(&from.to_canonical());
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let of_address = open.entry(address).or_default();
        *of_address += 1;
        let is_beyond = *of_address > self.most && !is_proxy;
        drop(open);
        if is_beyond && self.said.says(()).is_some() {
            tracing::warn!(
                client.address = %from,
                "too many connections without a token from one address (limits.anonymous): excess connections are \
                 closed after {GRACE:?}"
            );
        }
        Anonymous {
            inner: Arc::new(Inner {
                address,
                open: Arc::clone(&self.open),
                is_known: AtomicBool::new(false),
            }),
            beyond: is_beyond.then_some(self.grace),
        }
    }
}

impl Anonymous {
    /// Ends when it is one too many and has had its time.
    pub(super) async fn overstays(&self) {
        if let Some(grace) = self.beyond {
            tokio::time::sleep(grace).await;
        }
        if self.beyond.is_none() || self.inner.is_known.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    }
}

impl Inner {
    /// It is not anonymous any more, or is over.
    fn leave(&self) {
        if self.is_known.swap(true, Ordering::Relaxed) {
            return;
        }
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(of_address) = open.get_mut(&self.address) {
            *of_address -= 1;
            if *of_address == 0 {
                open.remove(&self.address);
            }
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Who sent the request with these extensions has shown a token, or needs none.
pub(crate) fn mark_known(extensions: &Extensions) {
    if let Some(anonymous) = extensions.get::<Anonymous>() {
        anonymous.inner.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(anonymous: &AnonymousConnections) -> usize {
        anonymous.open.lock().unwrap().values().sum()
    }

    #[tokio::test]
    async fn connections_beyond_the_limit_must_present_a_token_soon() {
        let proxy: IpAddr = "192.0.2.9".parse().unwrap();
        let mut anonymous = AnonymousConnections::new(2, [proxy].into());
        anonymous.grace = Duration::from_millis(20);
        let from = |text: &str| anonymous.came(text.parse().unwrap());
        let ends = async |anonymous: &Anonymous| {
            tokio::time::timeout(Duration::from_millis(100), anonymous.overstays())
                .await
                .is_ok()
        };
        let first = [from("192.0.2.1"), from("::ffff:192.0.2.1")];
        let beyond = from("192.0.2.1");
        assert!(ends(&beyond).await && !ends(&first[1]).await);
        assert!(!ends(&from("192.0.2.2")).await, "another address");
        let of_proxy = [(); 5].map(|()| from("192.0.2.9"));
        assert!(!ends(&of_proxy[4]).await, "many people's");

        let mut request = Extensions::new();
        request.insert(beyond.clone());
        mark_known(&request);
        mark_known(&request);
        assert!(!ends(&beyond).await, "it has shown a token");
        // A place is free again when one is known or gone.
        drop(first);
        drop((beyond, request, of_proxy));
        assert_eq!(open(&anonymous), 0);
    }
}
