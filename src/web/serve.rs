//! Connections: limits how many are open, and how long a request and its answer may take, and ends them when the
//! process stops.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::serve::Listener;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1::Builder;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::{ServiceExt as _, service_fn};

use super::anonymous::{Anonymous, AnonymousConnections};
use crate::telemetry::log_throttle::LogThrottle;
use crate::web::pages::Stopping;

/// How long a connection may be open before the head of a request is there, the first or the next:
/// neither who says nothing nor who says it byte by byte keeps one for longer.
const HEAD: Duration = Duration::from_secs(60);
/// Bytes of a head: request line and headers. A longer one is answered with 431.
const HEAD_BYTES: usize = 64 << 10;
/// How long a client may take nothing of what it is sent.
const WRITE: Duration = Duration::from_secs(60);
/// How often it is said that all connections are taken, at most.
const SAID: Duration = Duration::from_secs(60);

/// The routes that answer requests. Others can take their place while the process runs: a request that has begun is
/// answered by those that it came to, the next one of the same connection by the new ones. Looking takes no lock. Pages
/// that stay open end with the routes that they came to, and come again.
#[derive(Clone, Debug)]
pub struct Routes(Arc<ArcSwap<Generation>>);

/// Routes, and their end.
#[derive(Debug)]
struct Generation {
    router: Router,
    ends: Arc<CancellationToken>,
}

impl Generation {
    fn new(router: Router) -> Self {
        let ends = Arc::default();
        Self { router, ends }
    }
}

impl From<Router> for Routes {
    fn from(router: Router) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(Generation::new(router))))
    }
}

impl Routes {
    /// Has requests answered by `router` from now on.
    pub fn replace(&self, router: Router) {
        let before = self.0.swap(Arc::new(Generation::new(router)));
        before.ends.cancel();
    }

    fn now(&self) -> (Router, Arc<CancellationToken>) {
        let generation = self.0.load();
        (generation.router.clone(), Arc::clone(&generation.ends))
    }
}

/// What those who connect are given.
#[derive(Clone, Debug)]
pub struct ConnectionLimits {
    /// The most connections; a further client waits until one ends.
    pub connections: usize,
    /// The most connections from one address that have sent no valid token; a further one must send it within 2 s.
    pub anonymous: usize,
    /// Addresses of proxies, which may have any number of these.
    pub proxies: Arc<[IpAddr]>,
    /// How long requests that were accepted may take when the process stops.
    pub patience: Duration,
}

/// How long a connection may stand still.
#[derive(Clone, Copy)]
struct Times {
    head: Duration,
    write: Duration,
}

/// Serves until `stop`, then finishes the requests that were accepted. The routes see where each comes
/// from as [`ConnectInfo`].
///
/// # Errors
/// The listener has no address.
pub async fn serve(
    listener: TcpListener,
    routes: impl Into<Routes>,
    stop: CancellationToken,
    bounds: ConnectionLimits,
) -> std::io::Result<()> {
    let times = Times {
        head: HEAD,
        write: WRITE,
    };
    serve_with(times, listener, routes.into(), stop, bounds).await
}

async fn serve_with(
    times: Times,
    mut listener: TcpListener,
    routes: Routes,
    stop: CancellationToken,
    bounds: ConnectionLimits,
) -> std::io::Result<()> {
    let address = listener.local_addr()?;
    let patience = bounds.patience;
    let mut http = Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(times.head)
        .max_header_size(HEAD_BYTES);
    let (connections, places) = (TaskTracker::new(), ConnectionSlots::new(bounds.connections));
    let anonymous = AnonymousConnections::new(bounds.anonymous, bounds.proxies);
    loop {
        let place = tokio::select! {
            place = places.take() => place,
            () = stop.cancelled() => break,
        };
        // An error, such as too many open files, is waited for within.
        let (stream, peer) = tokio::select! {
            accepted = Listener::accept(&mut listener) => accepted,
            () = stop.cancelled() => break,
        };
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(times.write));
        let who = (peer, anonymous.came(peer.ip()));
        let talk = talk(http.clone(), stream, who, routes.clone(), stop.clone());
        connections.spawn(async move {
            talk.await;
            drop(place);
        });
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(patience, connections.wait())
        .await
        .is_err()
    {
        tracing::warn!(%address, "closing requests that are still open after {patience:?}");
    }
    Ok(())
}

/// Places for connections.
struct ConnectionSlots {
    free: Arc<Semaphore>,
    said: LogThrottle<()>,
}

impl ConnectionSlots {
    fn new(most: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(most.clamp(1, Semaphore::MAX_PERMITS))),
            said: LogThrottle::new(SAID),
        }
    }

    /// Waits for a place; `None` only if there are no places any more, which is never.
    async fn take(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(place) = Arc::clone(&self.free).try_acquire_owned() {
            return Some(place);
        }
        if self.said.says(()).is_some() {
            tracing::warn!("connection limit reached (limits.connections): new connections wait");
        }
        Arc::clone(&self.free).acquire_owned().await.ok()
    }
}

/// One connection, to its end.
async fn talk(
    http: Builder,
    stream: TimeoutStream<TcpStream>,
    (peer, anonymous): (SocketAddr, Anonymous),
    routes: Routes,
    stop: CancellationToken,
) {
    // To clone a token takes its lock; requests share what points to it.
    let (stopping, whose) = (Arc::new(stop.clone()), anonymous.clone());
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        request.extensions_mut().insert(whose.clone());
        // Live pages would stay open for as long as their readers.
        let (router, ends) = routes.now();
        let stop = Arc::clone(&stopping);
        request.extensions_mut().insert(Stopping { stop, ends });
        router.oneshot(request.map(Body::new))
    });
    let stream = TokioIo::new(Box::pin(stream));
    let talk = http.serve_connection(stream, TowerToHyperService::new(service));
    let mut talk = std::pin::pin!(talk);
    let ended = tokio::select! {
        ended = talk.as_mut() => ended,
        () = anonymous.overstays() => return,
        () = stop.cancelled() => {
            talk.as_mut().graceful_shutdown();
            talk.await
        }
    };
    if let Err(error) = ended {
        tracing::trace!(%peer, "a connection ended with an error: {error}");
    }
}

#[cfg(test)]
mod tests;
