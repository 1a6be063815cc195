//! A text that is never shown.

use std::cell::Cell;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use super::Text;

/// Ends what is shown of a secret that is written to be compared. No secret has it.
const MARK: char = '\0';

thread_local! {
    /// Whether secrets are written to be compared.
    static COMPARED: Cell<bool> = const { Cell::new(false) };
}

/// Writes secrets so that those are equal that are the same: as they are shown, and a mark by which nothing can be
/// found out but that, see [`without_mark`].
pub(super) fn compared<T>(write: impl FnOnce() -> T) -> T {
    let before = COMPARED.replace(true);
    let written = write();
    COMPARED.set(before);
    written
}

/// What was written as it may be shown.
pub(super) fn without_mark(written: &str) -> &str {
    written.split(MARK).next().unwrap_or_default()
}

/// A text that is never printed or logged. A URL shows all but its user, password and query; one of
/// the web shows no path either.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// A text as it was set, without the space around it.
    ///
    /// # Errors
    /// It holds a character that no secret or address has. The error does not show it.
    pub(super) fn of(set: &str) -> Result<Self, &'static str> {
        let text = set.trim();
        match text.chars().any(char::is_control) {
            true => Err("holds a line break, or another control character"),
            false => Ok(Self(text.to_owned())),
        }
    }

    /// What is shown of it, with the mark where it is to be compared.
    pub(super) fn written(&self, shown: String) -> String {
        if !COMPARED.get() {
            return shown;
        }
        let hash = Sha256::digest(self.0.as_bytes());
        hash.iter().fold(format!("{shown}{MARK}"), |mark, byte| {
            format!("{mark}{byte:02x}")
        })
    }

    fn redacted(&self) -> String {
        let Some((scheme, rest)) = self.0.split_once("://") else {
            return "***".to_owned();
        };
        let is_web = ["http", "https"]
            .iter()
            .any(|web| scheme.eq_ignore_ascii_case(web));
        // Of what is on the web the path alone may be all it takes to be let in.
        let ends: &[char] = if is_web {
            &['/', '\\', '?', '#']
        } else {
            &['?']
        };
        let (place, hidden) = match rest.find(ends) {
            Some(end) if is_web && end + 1 < rest.len() => (&rest[..end], "/***"),
            Some(end) => (&rest[..end], ""),
            None => (rest, ""),
        };
        match (place.split_once('@'), rest.matches('@').count()) {
            (None, 0) => format!("{scheme}://{place}{hidden}"),
            (Some((_, place)), 1) => format!("{scheme}://***@{place}{hidden}"),
            // Where the password ends cannot be said.
            _ => format!("{scheme}://***"),
        }
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.redacted())
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.written(self.redacted()))
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Text::deserialize(deserializer)?.into_string();
        Self::of(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_anything_that_may_be_of_its_password() {
        for (url, shown) in [
            (
                "postgres://u:planted@h:5432/d?x=1",
                "postgres://***@h:5432/d",
            ),
            ("postgres://h/d?password=planted", "postgres://h/d"),
            ("postgres://h/d?password=plan@ted", "postgres://***"),
            ("postgres://u:plan@ted@h/d", "postgres://***"),
            ("postgres://u:plan?te@d@h/d", "postgres://***"),
            ("sqlite://tocsin.db", "sqlite://tocsin.db"),
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318"),
            ("http://127.0.0.1:4318/", "http://127.0.0.1:4318"),
            ("http://u:planted@h:4318", "http://***@h:4318"),
            ("HTTPS://h.com/services/planted", "HTTPS://h.com/***"),
            ("https://h?token=planted", "https://h/***"),
            ("https://h\\planted", "https://h/***"),
            ("https://u:planted@h/planted?planted", "https://***@h/***"),
            ("https://h/planted@planted", "https://***"),
            ("https://u:plan/ted@h/d", "https://***"),
            ("planted", "***"),
        ] {
            assert_eq!(format!("{:?}", Secret::from(url)), shown);
        }
    }
}
