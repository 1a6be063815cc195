//! Bodies, read up to a limit.

use std::error::Error;
use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes};
use encoding_rs::UTF_16LE;
use futures::StreamExt as _;
use serde::de::DeserializeOwned;

use super::{Problem, query};
use crate::domain::refusal::{self, Code, Refusal};

/// How much of a body that is too large is still read, so that the sender sees the answer, as a
/// multiple of the limit.
const DRAIN: usize = 4;
/// Bytes of a request to the API.
const API_BYTES: usize = 64 << 10;
/// What Windows' tools write before JSON.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// How JSON in UTF-16 begins that Windows' tools write. No UTF-8 does.
const BYTE_ORDER_MARKS_16: [&[u8]; 2] = [b"\xff\xfe", b"\xfe\xff"];
/// How long a body may take to arrive. Who sends it byte by byte keeps a connection for no longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Reads a body of at most `limit` bytes, without the byte order mark that it may begin with. One in UTF-16
/// that says so by its mark is given in UTF-8.
pub(crate) async fn read(body: Body, limit: usize) -> Result<Bytes, Problem> {
    read_within(PATIENCE, body, limit).await
}

/// Reads a body of at most `limit` bytes as it is.
pub(super) async fn whole(body: Body, limit: usize) -> Result<Bytes, Problem> {
    within(PATIENCE, read_on(body, limit)).await
}

async fn read_within(patience: Duration, body: Body, limit: usize) -> Result<Bytes, Problem> {
    within(patience, read_on(body, limit)).await.map(unmarked)
}

async fn within(
    patience: Duration,
    read: impl Future<Output = Result<Bytes, Problem>>,
) -> Result<Bytes, Problem> {
    let read = tokio::time::timeout(patience, read).await;
    // Not 408: senders of webhooks take that for their own mistake, and do not send again.
    let late = "the request body did not arrive in time";
    read.map_err(|_| Problem::new(Code::BodyTimeout, late))?
}

async fn read_on(body: Body, limit: usize) -> Result<Bytes, Problem> {
    let mut stream = body.into_data_stream();
    let mut buffer = Vec::new();
    let mut size = 0_usize;
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|error| Problem::new(Code::UnreadableBody, broken(&error)))?;
        size = size.saturating_add(chunk.len());
        if size <= limit {
            buffer.extend_from_slice(&chunk);
        } else if size > limit.saturating_mul(DRAIN) {
            break;
        } else {
            buffer = Vec::new();
        }
    }
    if size > limit {
        let detail = format!("the request body is larger than {limit} bytes");
        return Err(Refusal::new(Code::BodyTooLarge, detail)
            .limit(limit as u64)
            .into());
    }
    Ok(buffer.into())
}

/// Why no more of a body comes. What it is inflated by says so itself; what the connection says lies beneath.
fn broken(error: &axum::Error) -> &'static str {
    let mut beneath: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = beneath.filter(|error| error.is::<axum::Error>()) {
        beneath = error.source();
    }
    match beneath.is_some_and(|error| error.is::<io::Error>()) {
        true => {
            "cannot decompress the request body: it is not encoded as Content-Encoding says, or it is truncated"
        }
        false => "the request body ended early",
    }
}

fn unmarked(body: Bytes) -> Bytes {
    if body.starts_with(BYTE_ORDER_MARK) {
        return body.slice(BYTE_ORDER_MARK.len()..);
    }
    match BYTE_ORDER_MARKS_16
        .iter()
        .any(|mark| body.starts_with(mark))
    {
        // Which of the two it is, its mark says.
        true => UTF_16LE.decode(&body).0.into_owned().into(),
        false => body,
    }
}

/// Reads a request to the API; an empty body is taken as `{}`.
pub(super) async fn json<T: DeserializeOwned>(body: Body) -> Result<T, Problem> {
    json_within(body, API_BYTES).await
}

/// Reads a request to the API that may be large; an empty body is taken as `{}`.
pub(super) async fn json_within<T: DeserializeOwned>(
    body: Body,
    limit: usize,
) -> Result<T, Problem> {
    let bytes = read(body, limit).await?;
    let bytes: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
    // Else a list would be taken for the fields in their order.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(Problem::new(
            Code::InvalidBody,
            "the body is not a JSON object",
        ));
    }
    let read = refusal::read(|| {
        let mut json = serde_json::Deserializer::from_slice(bytes);
        let read = serde_path_to_error::deserialize(&mut json);
        let read = read.map_err(|error| (query::field(error.path()), error.into_inner()))?;
        // What follows the object belongs to no field.
        json.end().map_err(|error| (None, error)).map(|()| read)
    });
    read.map_err(|((field, error), refused)| {
        let refused = refused.unwrap_or_else(|| Refusal::new(Code::InvalidBody, explain(&error)));
        match field {
            Some(field) => refused.parameter(field).into(),
            None => refused.into(),
        }
    })
}

/// What is wrong with a body. Where in it helps only where it is no JSON: a wrong value is named.
fn explain(error: &serde_json::Error) -> String {
    match error.is_data() {
        true => refusal::cause(error),
        false => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use axum::response::IntoResponse as _;

    use super::*;

    #[test]
    fn a_byte_order_mark_is_not_part_of_a_body() {
        for (body, expected) in [
            (&b"\xef\xbb\xbf{}"[..], "{}"),
            (b"\xff\xfe{\0\xe9\0", "{é"),
            (b"\xfe\xff\0{\0\xe9", "{é"),
            (b"\xfe\xff\0{\0", "{\u{fffd}"),
            (b"{}", "{}"),
            (b"", ""),
        ] {
            assert_eq!(unmarked(Bytes::from_static(body)), expected, "{body:?}");
        }
    }

    #[tokio::test]
    async fn only_errors_of_broken_json_include_the_position() {
        #[derive(Debug, serde::Deserialize)]
        struct MuteForm {
            #[allow(dead_code)]
            r#for: crate::config::Span,
        }
        for (body, expected) in [
            (
                r#"{"for":"abc"}"#,
                "\"abc\" is not a duration such as 90s, 10m or 4h",
            ),
            (r#"{"for":"#, "EOF while parsing a value at line 1 column 7"),
        ] {
            let refused = json::<MuteForm>(Body::from(body)).await.unwrap_err();
            assert_eq!(refused.said().1.detail(), expected, "{body}");
        }
        for (body, code, field) in [
            (r#"{"for":"abc"}"#, Code::InvalidDuration, Some("for")),
            (r#"{"for":7}"#, Code::InvalidBody, Some("for")),
            (r#"{}"#, Code::InvalidBody, None),
            (r#"{"for":"7m"} x"#, Code::InvalidBody, None),
        ] {
            let refused = json::<MuteForm>(Body::from(body)).await.unwrap_err();
            let refusal = refused.said().1;
            assert_eq!(refusal.code, code, "{body}");
            assert_eq!(refusal.facts.parameter.as_deref(), field, "{body}");
        }
    }

    #[tokio::test]
    async fn a_body_that_does_not_arrive_is_not_waited_for() {
        let endless = futures::stream::pending::<Result<Bytes, std::io::Error>>();
        let read = read_within(Duration::from_millis(10), Body::from_stream(endless), 100).await;
        let answer = read.unwrap_err().into_response();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
}
