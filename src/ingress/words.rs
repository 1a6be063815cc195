//! What people write into requests: bounded, and nothing that a database cannot keep.

use serde::{Deserialize, Deserializer, Serialize, de};
use utoipa::ToSchema;

/// Characters, at most.
const LONGEST: usize = 4096;

/// A text of at most 4,096 characters, without NUL.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, max_length = 4096, pattern = "^[^\\x00]*$")]
pub(super) struct Words(String);

impl Words {
    /// The text, if it says anything.
    pub(super) fn said(self) -> Option<String> {
        (!self.0.is_empty()).then_some(self.0)
    }
}

impl From<Words> for String {
    fn from(words: Words) -> Self {
        words.0
    }
}

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        // Bytes first: whoever sends megabytes has them not counted.
        let is_long = text.len() > LONGEST && text.chars().nth(LONGEST).is_some();
        if is_long || text.contains('\0') {
            return Err(de::Error::custom(format!(
                "a text must be at most {LONGEST} characters, without NUL"
            )));
        }
        Ok(Self(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_bounded_in_characters_and_has_no_nul() {
        let read = |text: &str| serde_json::from_value::<Words>(text.into());
        for text in ["", "x", &"é".repeat(LONGEST)] {
            assert_eq!(String::from(read(text).unwrap()), text);
        }
        for text in ["\0", &"é".repeat(LONGEST + 1)] {
            assert!(read(text).is_err());
        }
        assert_eq!(read("").unwrap().said(), None);
    }
}
