//! Bodies in another character set than UTF-8, which a sender names in `Content-Type`.
//!
//! They are read as UTF-8 from here on, piece by piece as they arrive, so that whoever reads them bounds
//! what is read. What is no text in its character set becomes U+FFFD. A body without a name for it, or in
//! UTF-8, is passed on untouched.

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use encoding_rs::{Decoder, Encoding, UTF_8};
use futures::StreamExt as _;
use futures::stream;

use super::Problem;

/// Bytes of an unknown name that are told.
const NAME: usize = 64;

/// Passes requests on with their bodies in UTF-8. One in a character set that is not known is refused.
pub(super) async fn decoded(mut request: Request, next: Next) -> Result<Response, Problem> {
    if let Some(encoding) = of(request.headers())? {
        let body = std::mem::take(request.body_mut());
        *request.body_mut() = in_utf8(body, encoding);
    }
    Ok(next.run(request).await)
}

/// In which character set a body is said to be; nothing if in UTF-8, or if that is not said.
fn of(headers: &HeaderMap) -> Result<Option<&'static Encoding>, Problem> {
    let Some(kind) = headers.get(header::CONTENT_TYPE) else {
        return Ok(None);
    };
    let kind = String::from_utf8_lossy(kind.as_bytes());
    let Some(name) = named(&kind) else {
        return Ok(None);
    };
    // What is in ASCII is in UTF-8, too; and what only says that it is, most likely.
    if name.is_empty() || name.eq_ignore_ascii_case("us-ascii") {
        return Ok(None);
    }
    match Encoding::for_label_no_replacement(name.as_bytes()) {
        Some(encoding) if encoding == UTF_8 => Ok(None),
        Some(encoding) => Ok(Some(encoding)),
        None => {
            let name: String = name.chars().take(NAME).collect();
            let detail = format!("the character set {name:?} is not known; UTF-8 is");
            Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail))
        }
    }
}

/// The parameter `charset` of a `Content-Type`.
fn named(kind: &str) -> Option<&str> {
    kind.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let is_it = name.trim().eq_ignore_ascii_case("charset");
        is_it.then(|| value.trim().trim_matches('"').trim())
    })
}

/// A body in UTF-8. Of UTF-16 a byte order mark says the order, if there is one.
fn in_utf8(body: Body, encoding: &'static Encoding) -> Body {
    let decoder = encoding.new_decoder();
    let state = Some((body.into_data_stream(), decoder));
    Body::from_stream(stream::try_unfold(state, async |state| {
        let Some((mut body, mut decoder)) = state else {
            return Ok::<_, axum::Error>(None);
        };
        let chunk = body.next().await.transpose()?;
        let is_last = chunk.is_none();
        let decoded = decode(&mut decoder, &chunk.unwrap_or_default(), is_last);
        Ok(Some((decoded, (!is_last).then_some((body, decoder)))))
    }))
}

fn decode(decoder: &mut Decoder, bytes: &[u8], is_last: bool) -> Bytes {
    // Only more than there can be in memory has no such length.
    let room = decoder.max_utf8_buffer_length(bytes.len());
    let mut text = String::with_capacity(room.unwrap_or_default());
    // There is room for all of it.
    let _ = decoder.decode_to_string(bytes, &mut text, is_last);
    Bytes::from(text)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn said(kind: &'static str) -> Result<Option<&'static str>, Problem> {
        let headers =
            HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(kind))]);
        of(&headers).map(|encoding| encoding.map(Encoding::name))
    }

    #[test]
    fn the_character_set_is_what_the_content_type_says() {
        for (kind, expected) in [
            ("application/json", None),
            ("application/json; charset=utf-8", None),
            ("application/json;charset=\"UTF-8\"", None),
            ("application/json; charset=us-ascii", None),
            ("application/json; charset=", None),
            ("application/json; charset=iso-8859-1", Some("windows-1252")),
            (
                "application/json; a=b; Charset = Windows-1252",
                Some("windows-1252"),
            ),
            ("application/json; charset=utf-16", Some("UTF-16LE")),
            ("application/json; charset=utf-16be", Some("UTF-16BE")),
            ("text/plain; charset=big5", Some("Big5")),
        ] {
            assert_eq!(said(kind).unwrap(), expected, "{kind}");
        }
        for unknown in ["application/json; charset=utf-32", "a/b; charset=utf-7"] {
            let (status, detail) = said(unknown).unwrap_err().said();
            assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
            assert!(detail.contains("utf-"), "{detail}");
        }
    }

    #[tokio::test]
    async fn a_character_may_be_cut_between_two_pieces() {
        let text = "{\"a\": \"é€🔥\"}";
        let units = || text.encode_utf16();
        let little: Vec<u8> = units().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = [0xfeff]
            .into_iter()
            .chain(units())
            .flat_map(u16::to_be_bytes)
            .collect();
        for (name, sent) in [
            ("utf-16", little),
            ("utf-16", big),
            ("gbk", b"\x84".to_vec()),
        ] {
            let pieces: Vec<_> = sent
                .chunks(1)
                .map(|piece| Ok::<_, axum::Error>(piece.to_vec()))
                .collect();
            let encoding = Encoding::for_label(name.as_bytes()).unwrap();
            let body = in_utf8(Body::from_stream(stream::iter(pieces)), encoding);
            let read = axum::body::to_bytes(body, 1000).await.unwrap();
            let expected = if name == "gbk" { "\u{fffd}" } else { text };
            assert_eq!(read, expected, "{name}");
        }
    }
}
