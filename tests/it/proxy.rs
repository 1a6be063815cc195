//! A network of a test's own: passes on what goes between two sides, and does to it what the test
//! says.

use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio::task::JoinSet;

/// So many bytes before a piece are shown with it, so that no word is overlooked at an edge.
const BEFORE: usize = 80;

/// Which way a piece goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    ToServer,
    FromServer,
}

/// What goes by at once.
pub struct Piece<'a> {
    /// Counted from 0.
    pub connection: usize,
    pub way: Way,
    bytes: &'a [u8],
}

impl Piece<'_> {
    /// Whether it has this text in it.
    pub fn has(&self, text: &str) -> bool {
        self.bytes.windows(text.len()).any(|w| w == text.as_bytes())
    }
}

/// What becomes of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Pass,
    /// It passes, this much later.
    Late(Duration),
    /// It never passes, nor what follows it; the connection stays.
    Hold,
    /// It is lost, and its connection is reset.
    Cut,
    /// It is lost, and every connection is closed.
    CutAll,
}

/// Who decides.
type Judge = Arc<Mutex<dyn FnMut(&Piece) -> Fate + Send>>;

/// Between one server and all who connect here instead.
pub struct Proxy {
    pub port: u16,
    server: Arc<AtomicU16>,
    _accepting: JoinSet<()>,
}

impl Proxy {
    /// To the server at this port, for as long as it is not dropped.
    pub async fn start(server: u16, judge: impl FnMut(&Piece) -> Fate + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let judge: Judge = Arc::new(Mutex::new(judge));
        let server = Arc::new(AtomicU16::new(server));
        let chosen = Arc::clone(&server);
        let (cutting, _) = broadcast::channel(1);
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            let mut connections = JoinSet::new();
            for connection in 0.. {
                let Ok((client, _)) = listener.accept().await else {
                    return;
                };
                let pass = Pass {
                    connection,
                    judge: Arc::clone(&judge),
                    cutting: cutting.clone(),
                };
                connections.spawn(pass.between(client, chosen.load(Ordering::Relaxed)));
            }
        });
        Self {
            port,
            server,
            _accepting: accepting,
        }
    }

    /// New connections go to another server from now on.
    pub fn point_to(&self, server: u16) {
        self.server.store(server, Ordering::Relaxed);
    }

    /// An address of that server, as one of this proxy.
    pub fn instead(&self, url: &str) -> String {
        let (before, port) = split(url);
        format!("{before}{}{}", self.port, &url[before.len() + port.len()..])
    }
}

/// The port of an address on this computer.
pub fn port_of(url: &str) -> u16 {
    split(url).1.parse().unwrap()
}

/// What stands before the port, and the port.
fn split(url: &str) -> (&str, &str) {
    const HOST: &str = "127.0.0.1:";
    let begin = url.find(HOST).unwrap() + HOST.len();
    let end = url[begin..].find(|c: char| !c.is_ascii_digit());
    (
        &url[..begin],
        &url[begin..end.map_or(url.len(), |n| begin + n)],
    )
}

#[derive(Clone)]
struct Pass {
    connection: usize,
    judge: Judge,
    cutting: broadcast::Sender<()>,
}

impl Pass {
    async fn between(self, client: TcpStream, server: u16) {
        // A server that is down refuses, and so do we.
        let Ok(server) = TcpStream::connect(("127.0.0.1", server)).await else {
            let _ = client.set_zero_linger();
            return;
        };
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let mut cuts = self.cutting.subscribe();
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        tokio::select! {
            () = self.pass(Way::ToServer, from_client, to_server) => {}
            () = self.pass(Way::FromServer, from_server, to_client) => {}
            _ = cuts.recv() => {}
        }
    }

    /// Returns when the connection is at its end.
    async fn pass(&self, way: Way, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
        let (mut seen, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
        while let Ok(n @ 1..) = from.read(&mut buffer).await {
            seen.drain(..seen.len().saturating_sub(BEFORE));
            seen.extend_from_slice(&buffer[..n]);
            let piece = Piece {
                connection: self.connection,
                way,
                bytes: &seen,
            };
            let fate = (self.judge.lock().unwrap())(&piece);
            match fate {
                Fate::Pass => {}
                Fate::Late(by) => tokio::time::sleep(by).await,
                Fate::Hold => std::future::pending().await,
                Fate::Cut => {
                    let _ = (
                        from.as_ref().set_zero_linger(),
                        to.as_ref().set_zero_linger(),
                    );
                    return;
                }
                Fate::CutAll => {
                    let _ = self.cutting.send(());
                    return;
                }
            }
            if to.write_all(&buffer[..n]).await.is_err() {
                return;
            }
        }
    }
}
