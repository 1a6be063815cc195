//! Connections: taken, so many at once, given a time to speak and to listen in, and finished when the
//! process stops.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::anonymous::{Anonymous, AnonymousConnections};
use crate::telemetry::seldom::Seldom;
use crate::web::pages::Stopping;
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
use tower::ServiceExt as _;

/// How long a connection may be open before the head of a request is there, the first or the next:
/// neither who says nothing nor who says it byte by byte keeps one for longer.
const HEAD: Duration = Duration::from_secs(60);
/// Bytes of a head: request line and headers. A longer one is answered with 431.
const HEAD_BYTES: usize = 64 << 10;
/// How long a client may take nothing of what it is sent.
const WRITE: Duration = Duration::from_secs(60);
/// How often it is said that all connections are taken, at most.
const SAID: Duration = Duration::from_secs(60);

/// What those who connect are given.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// So many connections at once; who comes then waits until one ends.
    pub connections: usize,
    /// So many from one address whose senders have shown no token; those beyond have two seconds to.
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

/// Serves until `stop`, then finishes the requests that were accepted. The router sees where each comes
/// from as [`ConnectInfo`].
///
/// # Errors
/// The listener has no address.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stop: CancellationToken,
    bounds: Bounds,
) -> std::io::Result<()> {
    let times = Times {
        head: HEAD,
        write: WRITE,
    };
    serve_with(times, listener, router, stop, bounds).await
}

async fn serve_with(
    times: Times,
    mut listener: TcpListener,
    router: Router,
    stop: CancellationToken,
    bounds: Bounds,
) -> std::io::Result<()> {
    let address = listener.local_addr()?;
    let patience = bounds.patience;
    let mut http = Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(times.head)
        .max_header_size(HEAD_BYTES);
    let (connections, places) = (TaskTracker::new(), Places::new(bounds.connections));
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
        let talk = talk(http.clone(), stream, who, router.clone(), stop.clone());
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
struct Places {
    free: Arc<Semaphore>,
    said: Seldom<()>,
}

impl Places {
    fn new(most: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(most.clamp(1, Semaphore::MAX_PERMITS))),
            said: Seldom::new(SAID),
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
    router: Router,
    stop: CancellationToken,
) {
    let (stopping, whose) = (stop.clone(), anonymous.clone());
    let service = router.map_request(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        request.extensions_mut().insert(whose.clone());
        // Live pages would stay open for as long as their readers.
        request.extensions_mut().insert(Stopping(stopping.clone()));
        request.map(Body::new)
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
mod tests {
    use std::sync::Arc;
    use std::time::Instant;

    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::sync::Notify;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    /// Served with a head and an answer that have so long, to so many at once; says when somebody asks for what is slow.
    async fn served(
        times: (Duration, Duration),
        connections: usize,
        asked: &Arc<Notify>,
        stop: &CancellationToken,
    ) -> (SocketAddr, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let whence = |ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.to_string() };
        let asked = Arc::clone(asked);
        let slow = || async move {
            asked.notify_one();
            tokio::time::sleep(Duration::from_millis(500)).await;
            "late"
        };
        let large = || async { vec![b'x'; 64 << 20] };
        let router = Router::new()
            .route("/", get(whence))
            .route("/large", get(large))
            .route("/slow", get(slow));
        let bounds = Bounds {
            connections,
            anonymous: connections,
            proxies: Arc::default(),
            patience: Duration::from_secs(10),
        };
        let (head, write) = times;
        let serving = serve_with(
            Times { head, write },
            listener,
            router,
            stop.clone(),
            bounds,
        );
        (address, tokio::spawn(async move { serving.await.unwrap() }))
    }

    #[tokio::test]
    async fn who_does_not_come_to_the_point_is_cut_off() {
        let head = Duration::from_millis(200);
        let times = (head, LONG);
        let (address, _) = served(times, 9, &Arc::default(), &CancellationToken::new()).await;
        for beginning in ["", "GET / HTTP/1.1\r\nhost: x\r\n"] {
            let mut client = TcpStream::connect(address).await.unwrap();
            client.write_all(beginning.as_bytes()).await.unwrap();
            let (began, mut heard) = (Instant::now(), Vec::new());
            let end = tokio::time::timeout(Duration::from_secs(10), client.read_to_end(&mut heard));
            assert!(
                end.await.is_ok(),
                "{beginning:?} after {:?}",
                began.elapsed()
            );
        }
    }

    #[tokio::test]
    async fn a_head_has_room_for_large_cookies_and_not_for_anything() {
        let (address, _) =
            served((LONG, LONG), 9, &Arc::default(), &CancellationToken::new()).await;
        for (bytes, status) in [(8 << 10, 200), (60 << 10, 200), (65 << 10, 431)] {
            let mut client = TcpStream::connect(address).await.unwrap();
            let cookie = "c".repeat(bytes);
            let head = format!(
                "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncookie: {cookie}\r\n\r\n"
            );
            client.write_all(head.as_bytes()).await.unwrap();
            let mut heard = [0; 12];
            client.read_exact(&mut heard).await.unwrap();
            let heard = String::from_utf8_lossy(&heard);
            assert_eq!(heard, format!("HTTP/1.1 {status}"), "{bytes} bytes");
        }
    }

    #[tokio::test]
    async fn who_takes_nothing_of_the_answer_is_cut_off() {
        let times = (LONG, Duration::from_millis(200));
        let (address, _) = served(times, 1, &Arc::default(), &CancellationToken::new()).await;
        let mut deaf = TcpStream::connect(address).await.unwrap();
        let request = b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n";
        deaf.write_all(request).await.unwrap();
        // The only place is free again, though the client is still there.
        let mut next = TcpStream::connect(address).await.unwrap();
        next.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            .await
            .unwrap();
        let mut heard = String::new();
        let answer = tokio::time::timeout(Duration::from_secs(10), next.read_to_string(&mut heard));
        answer.await.unwrap().unwrap();
        assert!(heard.starts_with("HTTP/1.1 200"), "{heard}");
    }

    #[tokio::test]
    async fn who_comes_when_all_connections_are_taken_waits_for_one_to_end() {
        let (address, _) =
            served((LONG, LONG), 2, &Arc::default(), &CancellationToken::new()).await;
        let mut first = TcpStream::connect(address).await.unwrap();
        let second = TcpStream::connect(address).await.unwrap();
        let mut third = TcpStream::connect(address).await.unwrap();
        let request = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";
        first.write_all(request).await.unwrap();
        let mut heard = [0; 1024];
        assert!(first.read(&mut heard).await.unwrap() > 0);
        third.write_all(request).await.unwrap();
        let soon = Duration::from_millis(300);
        let early = tokio::time::timeout(soon, third.read(&mut heard)).await;
        assert!(early.is_err(), "it was answered beside two others");
        drop(second);
        let answer = tokio::time::timeout(Duration::from_secs(10), third.read(&mut heard));
        assert!(answer.await.unwrap().unwrap() > 0);
    }

    #[tokio::test]
    async fn a_request_that_was_taken_is_answered_when_the_process_stops() {
        let (asked, stop) = (Arc::default(), CancellationToken::new());
        let (address, serving) = served((LONG, LONG), 9, &asked, &stop).await;
        let mut client = TcpStream::connect(address).await.unwrap();
        let peer = client.local_addr().unwrap().to_string();
        let request = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
        client.write_all(request("/").as_bytes()).await.unwrap();
        let mut heard = [0; 1024];
        let length = client.read(&mut heard).await.unwrap();
        assert!(String::from_utf8_lossy(&heard[..length]).ends_with(&peer));

        client.write_all(request("/slow").as_bytes()).await.unwrap();
        asked.notified().await;
        stop.cancel();
        let mut heard = String::new();
        client.read_to_string(&mut heard).await.unwrap();
        assert!(heard.ends_with("late"), "{heard}");
        serving.await.unwrap();
    }
}
