//! HTTP/1.1 with next to no cost: one connection, one request at a time, bodies of a known length.
//! What is measured runs on the same cores.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use anyhow::{Context, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A connection that is kept open.
pub(crate) struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

/// What was answered.
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) body: &'a [u8],
}

/// An answer's head.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    /// Bytes of the head.
    length: usize,
    /// Bytes of the body.
    body: usize,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            read: Vec::with_capacity(16 << 10),
        })
    }

    /// Sends a whole request and reads the whole answer.
    pub(crate) async fn send(&mut self, request: &[u8]) -> io::Result<Answer<'_>> {
        self.stream.write_all(request).await?;
        self.read.clear();
        let head = loop {
            self.more().await?;
            if let Some(head) = head(&self.read)? {
                break head;
            }
        };
        let end = head.length + head.body;
        while self.read.len() < end {
            self.more().await?;
        }
        Ok(Answer {
            status: head.status,
            body: &self.read[head.length..end],
        })
    }

    async fn more(&mut self) -> io::Result<()> {
        if self.stream.read_buf(&mut self.read).await? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }
}

/// Puts a request into `out`, in place of what is in it.
pub(crate) fn write_request(out: &mut Vec<u8>, method: &str, path: &str, body: &[u8]) {
    use io::Write as _;
    out.clear();
    // Writing to a vector cannot fail.
    let _ = write!(
        out,
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    out.extend_from_slice(body);
}

/// One request on a connection of its own; anything but 200 is an error.
pub(crate) async fn call(address: SocketAddr, method: &str, path: &str) -> anyhow::Result<Vec<u8>> {
    let mut request = Vec::new();
    write_request(&mut request, method, path, &[]);
    let asking = || format!("{method} http://{address}{path}");
    let mut connection = Connection::open(address).await.with_context(asking)?;
    let answer = connection.send(&request).await.with_context(asking)?;
    if answer.status != 200 {
        bail!("{}: {}", asking(), refusal(&answer));
    }
    Ok(answer.body.to_vec())
}

/// An answer that was not hoped for, in words.
pub(crate) fn refusal(answer: &Answer<'_>) -> String {
    let body = String::from_utf8_lossy(answer.body);
    let excerpt: String = body.trim().chars().take(200).collect();
    format!("HTTP {}: {}", answer.status, excerpt.escape_debug())
}

/// The head at the beginning of what was read, if it is there as a whole.
fn head(read: &[u8]) -> io::Result<Option<Head>> {
    let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Ok(None);
    };
    let bad = || io::Error::new(ErrorKind::InvalidData, "the answer is no HTTP/1.1");
    let text = std::str::from_utf8(&read[..end]).map_err(|_| bad())?;
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let status = status
        .and_then(|status| status.parse().ok())
        .ok_or_else(bad)?;
    let length = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, length)| length.trim().parse().ok());
    Ok(Some(Head {
        status,
        length: end + 4,
        body: length.ok_or_else(bad)?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_once_it_is_whole() {
        let text = b"HTTP/1.1 200 OK\r\nDate: now\r\ncontent-length: 5\r\n\r\nhello";
        assert_eq!(head(&text[..20]).unwrap(), None);
        let expected = Head {
            status: 200,
            length: text.len() - 5,
            body: 5,
        };
        assert_eq!(head(text).unwrap(), Some(expected));
    }

    #[test]
    fn an_answer_of_unknown_length_is_refused() {
        assert!(head(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").is_err());
        assert!(head(b"SSH-2.0\r\n\r\n").is_err());
    }

    #[test]
    fn a_request_says_how_long_its_body_is() {
        let mut out = b"what was there".to_vec();
        write_request(&mut out, "POST", "/x", b"{}");
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with("POST /x HTTP/1.1\r\n"), "{text}");
        assert!(text.ends_with("Content-Length: 2\r\n\r\n{}"), "{text}");
    }
}
