//! Which requests a source admits: those with a token of `webhook_token`, or signed with the source's own secret.

use std::time::Duration;

use axum::http::HeaderMap;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::config::{Secret, Signed, Switch};
use crate::time::Timestamp;

/// Whether a source is on, and how it knows its senders.
#[derive(Clone, Copy, Debug)]
pub struct Admission<'c> {
    /// Whether it takes anything.
    pub enabled: bool,
    /// How its senders sign. It is required where it is set, and it is enough: senders that sign cannot send a token
    /// as often as not, and a sender that signs needs none. Unset: a token, as everywhere.
    pub signature: Option<Signature<'c>>,
}

/// A signature: HMAC with SHA-256 over the body as it was sent, in hexadecimal.
#[derive(Clone, Copy, Debug)]
pub struct Signature<'c> {
    /// The key.
    pub secret: &'c Secret,
    /// The header that it is in.
    pub header: &'c str,
    /// What stands before it there, such as `sha256=`. One without it is taken, too.
    pub prefix: &'c str,
    /// The time that is signed with the body, if one is.
    pub time: Option<SignedTime<'c>>,
}

/// A time that stands before the body in what is signed, so that a signature is not good for ever.
#[derive(Clone, Copy, Debug)]
pub struct SignedTime<'c> {
    /// The header that it is in, in seconds since 1970.
    pub header: &'c str,
    /// What stands between it and the body in what is signed.
    pub separator: &'c str,
    /// How far it may be from our own time, in either direction.
    pub tolerance: Duration,
}

/// Why a request is not taken as signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotSigned<'c> {
    /// This header is missing.
    Missing(&'c str),
    /// It was not signed with the secret.
    Wrong,
    /// It was signed too long ago, or by a clock that is ahead.
    Late,
}

impl<'c> Admission<'c> {
    /// A source that may be off and asks for a token.
    #[must_use]
    pub const fn by_token(settings: &Switch) -> Self {
        Self {
            enabled: settings.enabled,
            signature: None,
        }
    }

    /// A source whose sender signs the body alone, in this header, where a secret is set.
    #[must_use]
    pub fn signed(settings: &'c Signed, header: &'c str, prefix: &'c str) -> Self {
        let signature = |secret| Signature {
            secret,
            header,
            prefix,
            time: None,
        };
        Self {
            enabled: settings.enabled,
            signature: settings.secret.as_ref().map(signature),
        }
    }
}

impl<'c> Signature<'c> {
    /// Whether the request with these headers and this body was signed, about now. The comparison takes the same
    /// time for every signature.
    ///
    /// # Errors
    /// It was not, and why.
    pub fn verify(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: Timestamp,
    ) -> Result<(), NotSigned<'c>> {
        let value = |name: &'c str| {
            let value = headers.get(name).and_then(|value| value.to_str().ok());
            value.map(str::trim).ok_or(NotSigned::Missing(name))
        };
        let given = value(self.header)?;
        let given = given.strip_prefix(self.prefix).unwrap_or(given);
        let time = match self.time {
            Some(time) => Some((time, value(time.header)?)),
            None => None,
        };
        let given = bytes(given).ok_or(NotSigned::Wrong)?;
        let key = self.secret.expose().as_bytes();
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
            return Err(NotSigned::Wrong);
        };
        if let Some((time, at)) = time {
            mac.update(at.as_bytes());
            mac.update(time.separator.as_bytes());
        }
        mac.update(body);
        mac.verify_slice(&given).map_err(|_| NotSigned::Wrong)?;
        if let Some((time, at)) = time {
            let at: i64 = at.parse().map_err(|_| NotSigned::Wrong)?;
            let at = Timestamp(at.saturating_mul(1000));
            if now.since(at).max(at.since(now)) > time.tolerance {
                return Err(NotSigned::Late);
            }
        }
        Ok(())
    }
}

impl Signature<'_> {
    /// The headers with which a sender signs this body at `now`.
    #[must_use]
    pub fn sign(&self, body: &[u8], now: Timestamp) -> Vec<(String, String)> {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.secret.expose().as_bytes()) else {
            return Vec::new();
        };
        let mut headers = Vec::with_capacity(2);
        if let Some(time) = self.time {
            let at = now.0.div_euclid(1000).to_string();
            mac.update(at.as_bytes());
            mac.update(time.separator.as_bytes());
            headers.push((time.header.to_owned(), at));
        }
        mac.update(body);
        let mut value = self.prefix.to_owned();
        for byte in mac.finalize().into_bytes() {
            value.push_str(&format!("{byte:02x}"));
        }
        headers.push((self.header.to_owned(), value));
        headers
    }
}

/// The 32 bytes that 64 hexadecimal digits, in either case, stand for.
fn bytes(digits: &str) -> Option<[u8; 32]> {
    let digits = digits.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::try_from(digit(pair[0])? << 4 | digit(pair[1])?).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, value.parse().unwrap());
        }
        headers
    }

    // printf '%s' '{"a":1}' | openssl dgst -sha256 -hmac planted-secret-0123456789
    const OF_BODY: &str = "95a5cf4992582ead57668f68566dcd61f73e142d9495179b741b593dd0aa594d";
    // printf '%s' '1700000000:{"a":1}' | openssl dgst -sha256 -hmac planted-secret-0123456789
    const OF_TIME_AND_BODY: &str =
        "a22c0e711d1c6f1524770e66083151d46a92c4c6d695ba4ce196aaa64b5f01a1";
    const BODY: &[u8] = br#"{"a":1}"#;

    #[test]
    fn a_body_is_signed_with_the_secret_or_not_at_all() {
        let secret = Secret::from("planted-secret-0123456789");
        let signature = Signature {
            secret: &secret,
            header: "x-signature",
            prefix: "sha256=",
            time: None,
        };
        let upper = OF_BODY.to_uppercase();
        let prefixed = format!("sha256={OF_BODY}");
        let changed = OF_BODY.replace(&OF_BODY[..1], "0");
        for (sent, body, expected) in [
            (&*signature.sign(BODY, Timestamp(0))[0].1, BODY, Ok(())),
            (OF_BODY, BODY, Ok(())),
            (&upper, BODY, Ok(())),
            (&prefixed, BODY, Ok(())),
            (OF_BODY, br#"{"a":2}"#, Err(NotSigned::Wrong)),
            (&changed, BODY, Err(NotSigned::Wrong)),
            (&OF_BODY[1..], BODY, Err(NotSigned::Wrong)),
            (&OF_BODY[..62], BODY, Err(NotSigned::Wrong)),
            (&"g".repeat(64), BODY, Err(NotSigned::Wrong)),
            ("", BODY, Err(NotSigned::Wrong)),
        ] {
            let headers = headers(&[("x-signature", sent)]);
            let found = signature.verify(&headers, body, Timestamp(0));
            assert_eq!(found, expected, "{sent}");
        }
        let missing = signature.verify(&headers(&[]), BODY, Timestamp(0));
        assert_eq!(missing, Err(NotSigned::Missing("x-signature")));
    }

    #[test]
    fn a_signed_time_is_not_far_from_ours() {
        let secret = Secret::from("planted-secret-0123456789");
        let signature = Signature {
            secret: &secret,
            header: "x-signature",
            prefix: "",
            time: Some(SignedTime {
                header: "x-time",
                separator: ":",
                tolerance: Duration::from_secs(300),
            }),
        };
        let sent = |time: &str| headers(&[("x-signature", OF_TIME_AND_BODY), ("x-time", time)]);
        for (time, now, expected) in [
            ("1700000000", 1_700_000_300, Ok(())),
            ("1700000000", 1_699_999_700, Ok(())),
            ("1700000000", 1_700_000_301, Err(NotSigned::Late)),
            ("1700000000", 1_699_999_699, Err(NotSigned::Late)),
            ("1700000301", 1_700_000_301, Err(NotSigned::Wrong)),
            ("soon", 1_700_000_000, Err(NotSigned::Wrong)),
        ] {
            let found = signature.verify(&sent(time), BODY, Timestamp(now * 1000));
            assert_eq!(found, expected, "{time} at {now}");
        }
        let missing = signature.verify(&headers(&[("x-signature", OF_BODY)]), BODY, Timestamp(0));
        assert_eq!(missing, Err(NotSigned::Missing("x-time")));
    }
}
