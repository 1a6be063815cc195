//! Connections that say nothing, say it slowly, or are too many.

use std::sync::Arc;
use std::time::Instant;

use axum::routing::get;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Notify;

use super::*;

const LONG: Duration = Duration::from_secs(60);

/// Serves with these timeouts and this many connections; reports each request for the slow route.
async fn served(
    times: (Duration, Duration),
    connections: usize,
    received: &Arc<Notify>,
    stop: &CancellationToken,
) -> (SocketAddr, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let whence = |ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.to_string() };
    let received = Arc::clone(received);
    let slow = || async move {
        received.notify_one();
        tokio::time::sleep(Duration::from_millis(500)).await;
        "late"
    };
    let large = || async { vec![b'x'; 64 << 20] };
    let router = Router::new()
        .route("/", get(whence))
        .route("/large", get(large))
        .route("/slow", get(slow));
    let bounds = ConnectionLimits {
        connections,
        anonymous: connections,
        proxies: Arc::default(),
        patience: Duration::from_secs(10),
    };
    let (head, write) = times;
    let serving = serve_with(
        Times { head, write },
        listener,
        router.into(),
        stop.clone(),
        bounds,
    );
    (address, tokio::spawn(async move { serving.await.unwrap() }))
}

#[tokio::test]
async fn a_client_that_sends_no_complete_request_is_disconnected() {
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
    let (address, _) = served((LONG, LONG), 9, &Arc::default(), &CancellationToken::new()).await;
    for (bytes, status) in [(8 << 10, 200), (60 << 10, 200), (65 << 10, 431)] {
        let mut client = TcpStream::connect(address).await.unwrap();
        let cookie = "c".repeat(bytes);
        let head =
            format!("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncookie: {cookie}\r\n\r\n");
        client.write_all(head.as_bytes()).await.unwrap();
        let mut heard = [0; 12];
        client.read_exact(&mut heard).await.unwrap();
        let heard = String::from_utf8_lossy(&heard);
        assert_eq!(heard, format!("HTTP/1.1 {status}"), "{bytes} bytes");
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_the_response_is_disconnected() {
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
async fn a_new_connection_waits_while_all_slots_are_taken() {
    let (address, _) = served((LONG, LONG), 2, &Arc::default(), &CancellationToken::new()).await;
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
    let (received, stop) = (Arc::default(), CancellationToken::new());
    let (address, serving) = served((LONG, LONG), 9, &received, &stop).await;
    let mut client = TcpStream::connect(address).await.unwrap();
    let peer = client.local_addr().unwrap().to_string();
    let request = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
    client.write_all(request("/").as_bytes()).await.unwrap();
    let mut heard = [0; 1024];
    let length = client.read(&mut heard).await.unwrap();
    assert!(String::from_utf8_lossy(&heard[..length]).ends_with(&peer));

    client.write_all(request("/slow").as_bytes()).await.unwrap();
    received.notified().await;
    stop.cancel();
    let mut heard = String::new();
    client.read_to_string(&mut heard).await.unwrap();
    assert!(heard.ends_with("late"), "{heard}");
    serving.await.unwrap();
}

#[tokio::test]
async fn an_open_connection_gets_the_new_routes_with_its_next_request() {
    let says = |word: &'static str| Router::new().route("/", get(move || async move { word }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let (routes, stop) = (Routes::from(says("before")), CancellationToken::new());
    let bounds = ConnectionLimits {
        connections: 9,
        anonymous: 9,
        proxies: Arc::default(),
        patience: LONG,
    };
    let serving = tokio::spawn(serve(listener, routes.clone(), stop.clone(), bounds));
    for word in ["before", "behind"] {
        let request = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";
        client.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(word.as_bytes()) {
            let mut some = [0; 512];
            let read = client.read(&mut some).await.unwrap();
            answer.extend_from_slice(&some[..read]);
            assert!(read > 0, "{}", String::from_utf8_lossy(&answer));
        }
        routes.replace(says("behind"));
    }
    stop.cancel();
    serving.await.unwrap().unwrap();
}
