//! The signature: HMAC-SHA256 of id, time and body.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// What messages are signed with.
pub(crate) struct Key(Vec<u8>);

impl Key {
    pub(crate) const fn new(key: Vec<u8>) -> Self {
        Self(key)
    }

    /// The value of the header `webhook-signature`; `at` in seconds since 1970.
    pub(crate) fn sign(&self, id: &str, at: i64, body: &str) -> String {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else {
            unreachable!("HMAC takes keys of any length");
        };
        mac.update(format!("{id}.{at}.").as_bytes());
        mac.update(body.as_bytes());
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use tocsin::config::{Payload, Secret, Webhook};

    use super::*;

    /// What the specification's own libraries are tested with.
    #[test]
    fn the_published_example_is_signed_as_published() -> Result<(), &'static str> {
        let settings = Webhook {
            url: Secret::from("https://example.com"),
            secret: Some(Secret::from("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD")),
            payload: Payload::Event,
        };
        let key = Key::new(settings.key()?.unwrap_or_default());
        let body = r#"{"email":"test@example.com","username":"test_user"}"#;
        assert_eq!(
            key.sign("msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", 1_649_367_553, body),
            "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw="
        );
        Ok(())
    }
}
