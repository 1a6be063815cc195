//! Texts in requests: bounded, and without what a database cannot store.

use serde::{Deserialize, Deserializer, Serialize, de};
use utoipa::ToSchema;

use crate::domain::refusal::{Code, Refusal, refuse};

/// Characters, at most.
const LONGEST: usize = 4096;

/// A text of at most 4,096 characters, without NUL.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, max_length = 4096, pattern = "^[^\\x00]*$")]
pub(super) struct BoundedText(String);

impl BoundedText {
    /// Reads one.
    ///
    /// # Errors
    /// It is too long, or has NUL in it.
    pub(super) fn read(text: String) -> Result<Self, Refusal> {
        // Bytes first, so that the characters of megabytes are not counted.
        let is_long = text.len() > LONGEST && text.chars().nth(LONGEST).is_some();
        if is_long || text.contains('\0') {
            let detail = format!("a text must be at most {LONGEST} characters, without NUL");
            return Err(Refusal::new(Code::TextTooLong, detail).limit(LONGEST as u64));
        }
        Ok(Self(text))
    }

    /// The text, if it says anything.
    pub(super) fn said(self) -> Option<String> {
        (!self.0.is_empty()).then_some(self.0)
    }
}

impl From<BoundedText> for String {
    fn from(words: BoundedText) -> Self {
        words.0
    }
}

impl<'de> Deserialize<'de> for BoundedText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::read(String::deserialize(deserializer)?).map_err(refuse)
    }
}

/// A whole number, also one that is written `5.0`: in JSON that is the same.
pub(super) fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    /// Up to here every whole number is exact.
    const MOST: f64 = 9_007_199_254_740_991.0;
    let Some(number) = Option::<serde_json::Number>::deserialize(deserializer)? else {
        return Ok(None);
    };
    let of_fraction = |number: f64| {
        let is_whole = number.fract() == 0.0 && number.abs() <= MOST;
        is_whole.then_some(number as i64)
    };
    let whole = number.as_i64().or_else(|| of_fraction(number.as_f64()?));
    let whole =
        whole.ok_or_else(|| de::Error::custom(format!("{number} is not a whole number")))?;
    Ok(Some(whole))
}

/// A whole number that is not negative, likewise.
pub(super) fn natural<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    match whole(deserializer)? {
        Some(number @ ..=-1) => Err(de::Error::custom(format!("{number} is less than 0"))),
        number => Ok(number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_bounded_in_characters_and_has_no_nul() {
        let read = |text: &str| serde_json::from_value::<BoundedText>(text.into());
        for text in ["", "x", &"é".repeat(LONGEST)] {
            assert_eq!(String::from(read(text).unwrap()), text);
        }
        for text in ["\0", &"é".repeat(LONGEST + 1)] {
            assert!(read(text).is_err());
        }
        assert_eq!(read("").unwrap().said(), None);
    }

    #[test]
    fn a_whole_number_may_have_a_point() {
        for (text, expected) in [
            ("null", Some(None)),
            ("5", Some(Some(5))),
            ("874.0", Some(Some(874))),
            ("1e3", Some(Some(1000))),
            ("5.5", None),
            ("1e300", None),
            ("\"5\"", None),
        ] {
            let mut json = serde_json::Deserializer::from_str(text);
            assert_eq!(whole(&mut json).ok(), expected, "{text}");
        }
    }

    #[test]
    fn a_number_of_things_is_not_negative() {
        for (text, expected) in [
            ("null", Some(None)),
            ("0", Some(Some(0))),
            ("7.0", Some(Some(7))),
            ("-1", None),
        ] {
            let mut json = serde_json::Deserializer::from_str(text);
            assert_eq!(natural(&mut json).ok(), expected, "{text}");
        }
    }
}
