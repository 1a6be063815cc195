//! A text that is never shown.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Text;

/// A text that is never printed or logged. A URL shows all but its user and password.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    fn redacted(&self) -> String {
        let Some((scheme, rest)) = self.0.split_once("://") else {
            return "***".to_owned();
        };
        let (place, _query) = rest.split_once('?').unwrap_or((rest, ""));
        match (place.split_once('@'), rest.matches('@').count()) {
            (None, 0) => format!("{scheme}://{place}"),
            (Some((_, place)), 1) => format!("{scheme}://***@{place}"),
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
        serializer.serialize_str(&self.redacted())
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Text::deserialize(deserializer)?.into_string()))
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
            ("planted", "***"),
        ] {
            assert_eq!(format!("{:?}", Secret::from(url)), shown);
        }
    }
}
