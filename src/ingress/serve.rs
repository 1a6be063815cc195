//! Connections: taken, given a time to speak in, and finished when the process stops.

use std::net::SocketAddr;
use std::time::Duration;

use crate::pages::Stopping;
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
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

/// How long a connection may be open before the head of a request is there, the first or the next:
/// neither who says nothing nor who says it byte by byte keeps one for longer.
const HEAD: Duration = Duration::from_secs(60);

/// Serves until `stop`, then finishes the requests that were accepted, for as long as `patience`.
/// The router sees where each comes from as [`ConnectInfo`].
///
/// # Errors
/// The listener has no address.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stop: CancellationToken,
    patience: Duration,
) -> std::io::Result<()> {
    serve_with(HEAD, listener, router, stop, patience).await
}

async fn serve_with(
    head: Duration,
    mut listener: TcpListener,
    router: Router,
    stop: CancellationToken,
    patience: Duration,
) -> std::io::Result<()> {
    let address = listener.local_addr()?;
    let mut http = Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(head);
    let connections = TaskTracker::new();
    loop {
        // An error, such as too many open files, is waited for within.
        let (stream, peer) = tokio::select! {
            accepted = Listener::accept(&mut listener) => accepted,
            () = stop.cancelled() => break,
        };
        let connection = talk(http.clone(), stream, peer, router.clone(), stop.clone());
        connections.spawn(connection);
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(patience, connections.wait())
        .await
        .is_err()
    {
        tracing::warn!(%address, "requests are still open after {patience:?}; they are cut");
    }
    Ok(())
}

/// One connection, to its end.
async fn talk(
    http: Builder,
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    stop: CancellationToken,
) {
    let stopping = stop.clone();
    let service = router.map_request(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        // Live pages would stay open for as long as their readers.
        request.extensions_mut().insert(Stopping(stopping.clone()));
        request.map(Body::new)
    });
    let talk = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    let mut talk = std::pin::pin!(talk);
    let ended = tokio::select! {
        ended = talk.as_mut() => ended,
        () = stop.cancelled() => {
            talk.as_mut().graceful_shutdown();
            talk.await
        }
    };
    if let Err(error) = ended {
        tracing::trace!(%peer, "a connection ended: {error}");
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

    /// Served with a head that has so long; says when somebody asks for what is slow.
    async fn served(
        head: Duration,
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
        let router = Router::new()
            .route("/", get(whence))
            .route("/slow", get(slow));
        let patience = Duration::from_secs(10);
        let serving = serve_with(head, listener, router, stop.clone(), patience);
        (address, tokio::spawn(async move { serving.await.unwrap() }))
    }

    #[tokio::test]
    async fn who_does_not_come_to_the_point_is_cut_off() {
        let head = Duration::from_millis(200);
        let (address, _) = served(head, &Arc::default(), &CancellationToken::new()).await;
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
    async fn a_request_that_was_taken_is_answered_when_the_process_stops() {
        let (asked, stop) = (Arc::default(), CancellationToken::new());
        let (address, serving) = served(Duration::from_secs(60), &asked, &stop).await;
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
