//! Bodies in another character set than UTF-8, which a sender names in `Content-Type`.
//!
//! What is UTF-8 is taken as that, whatever its sender calls it: many name a character set that they do not use.
//! Anything else is read as what it is called, and is UTF-8 from here on; what is no text in it becomes U+FFFD. A
//! body without a name, or in UTF-8 by its name, is passed on untouched and unread.

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::Response;
use encoding_rs::Encoding;

use super::{Problem, body};
use crate::domain::refusal::{Code, Refusal};

/// Maximum bytes of an unknown name that are shown.
const NAME: usize = 64;
/// What no JSON in UTF-8 holds: UTF-16 has the one, and character sets that switch have the other.
const NOT_IN_UTF_8: [u8; 2] = [0, 0x1b];

/// Passes requests on with their bodies, of at most `limit` bytes, in UTF-8. One that is not, in a character set
/// that is not known, is refused.
pub(super) async fn decoded(
    State(limit): State<usize>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    if let Some(name) = named(request.headers()) {
        let sent = std::mem::take(request.body_mut());
        let sent = body::whole(sent, limit).await?;
        *request.body_mut() = Body::from(in_utf8(sent, &name)?);
    }
    Ok(next.run(request).await)
}

/// What a `Content-Type` calls the character set, if it does and that is not UTF-8.
fn named(headers: &HeaderMap) -> Option<String> {
    let kind = headers.get(header::CONTENT_TYPE)?;
    let kind = String::from_utf8_lossy(kind.as_bytes());
    let name = kind.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let is_it = name.trim().eq_ignore_ascii_case("charset");
        is_it.then(|| value.trim().trim_matches(['"', '\'']).trim())
    })?;
    let is_utf_8 = name.is_empty()
        || ["utf-8", "utf8"]
            .iter()
            .any(|n| n.eq_ignore_ascii_case(name));
    (!is_utf_8).then(|| name.to_owned())
}

fn in_utf8(sent: Bytes, name: &str) -> Result<Bytes, Problem> {
    let is_utf_8 = std::str::from_utf8(&sent).is_ok();
    if is_utf_8 && !sent.iter().any(|byte| NOT_IN_UTF_8.contains(byte)) {
        return Ok(sent);
    }
    match Encoding::for_label_no_replacement(name.as_bytes()) {
        // A byte order mark says the order of UTF-16.
        Some(encoding) => Ok(encoding.decode(&sent).0.into_owned().into()),
        None if is_utf_8 => Ok(sent),
        None => {
            let name: String = name.chars().take(NAME).collect();
            let detail = format!("unknown character set {name:?}: use UTF-8");
            let refusal = Refusal::new(Code::UnsupportedEncoding, detail);
            Err(refusal.value(name).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn the_character_set_is_what_the_content_type_says() {
        for (kind, expected) in [
            ("application/json", None),
            ("application/json; charset=utf-8", None),
            ("application/json;charset=\"UTF-8\"", None),
            ("application/json; charset='utf8'", None),
            ("application/json; charset=", None),
            ("application/json; charset=iso-8859-1", Some("iso-8859-1")),
            (
                "application/json; a=b; Charset = Windows-1252",
                Some("Windows-1252"),
            ),
        ] {
            let value = HeaderValue::from_static(kind);
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, value)]);
            assert_eq!(named(&headers).as_deref(), expected, "{kind}");
        }
    }

    #[test]
    fn valid_utf_8_wins_over_the_declared_character_set() {
        let text = "{\"a\": \"é€🔥\"}";
        let units = || text.encode_utf16();
        let little: Vec<u8> = units().flat_map(u16::to_le_bytes).collect();
        let marked = [0xfeff].into_iter().chain(units());
        let big: Vec<u8> = marked.flat_map(u16::to_be_bytes).collect();
        let plain: Vec<u8> = "{}".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let utf_8 = text.as_bytes();
        for (name, sent, expected) in [
            ("iso-8859-1", utf_8, text),
            ("ascii", utf_8, text),
            ("utf8mb4", utf_8, text),
            ("utf-16", utf_8, text),
            ("iso-8859-1", &b"\"\xe9\""[..], "\"é\""),
            ("utf-16", &little, text),
            ("utf-16", &big, text),
            ("utf-16le", &plain, "{}"),
            ("iso-2022-jp", b"\x1b$B0!\x1b(B", "亜"),
            ("gbk", b"\x84", "\u{fffd}"),
        ] {
            let read = in_utf8(Bytes::copy_from_slice(sent), name).unwrap();
            assert_eq!(std::str::from_utf8(&read), Ok(expected), "{name}");
        }
        let refused = in_utf8(Bytes::from_static(b"\xff{"), "utf-32").unwrap_err();
        let (status, refusal) = refused.said();
        assert_eq!(
            (status.as_u16(), refusal.code),
            (415, Code::UnsupportedEncoding)
        );
        assert_eq!(refusal.facts.value.as_deref(), Some("utf-32"));
        assert!(refusal.detail().contains("utf-32"), "{refusal}");
    }
}
