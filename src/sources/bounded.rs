//! Texts that senders chose, made safe to keep: bounded, and without NUL, which PostgreSQL's text
//! cannot hold.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::domain::alert::Labels;

/// What a text that was cut ends with.
pub(super) const CUT: &str = "…[cut]";
/// The name under which is told how many entries were left out.
const LEFT_OUT: &str = "tocsin_left_out";

/// Cuts `text` to `most` bytes, on a character's border, and marks that.
pub(super) fn bounded(text: String, most: usize) -> String {
    let text = if text.contains('\0') {
        text.replace('\0', "\u{fffd}")
    } else {
        text
    };
    if text.len() <= most {
        return text;
    }
    let mut end = most.saturating_sub(CUT.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{CUT}", &text[..end])
}

/// Bounds names, values and their number.
pub(super) fn bounded_map(entries: Vec<(String, String)>, most: usize, bytes: usize) -> Labels {
    let left_out = entries.len().saturating_sub(most);
    let mut entries = entries;
    if left_out > 0 {
        // The same ones stay, whatever order they come in; the alert's name always does.
        entries.sort_by(|a, b| (a.0 != "alertname", &a.0).cmp(&(b.0 != "alertname", &b.0)));
        entries.truncate(most);
        entries.push((LEFT_OUT.to_owned(), left_out.to_string()));
    }
    entries
        .into_iter()
        .map(|(name, value)| (bounded(name, bytes), bounded(value, bytes)))
        .collect()
}

/// A map of texts, as lenient as can be: numbers and truth values are taken as texts, null as the
/// empty one.
#[derive(Debug, Default)]
pub(super) struct Texts(pub(super) Vec<(String, String)>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Map;
        impl<'de> Visitor<'de> for Map {
            type Value = Texts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of texts")
            }

            fn visit_unit<E>(self) -> Result<Texts, E> {
                Ok(Texts::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Texts, A::Error> {
                let mut entries = Vec::with_capacity(map.size_hint().unwrap_or(8));
                while let Some(name) = map.next_key::<String>()? {
                    let value = map.next_value::<Text>()?.0;
                    entries.push((name, value));
                }
                Ok(Texts(entries))
            }
        }
        deserializer.deserialize_any(Map)
    }
}

/// A text, or what can be taken as one.
#[derive(Debug, Default)]
pub(super) struct Text(pub(super) String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_str<E>(self, text: &str) -> Result<Text, E> {
                Ok(Text(text.to_owned()))
            }

            fn visit_string<E>(self, text: String) -> Result<Text, E> {
                Ok(Text(text))
            }

            fn visit_bool<E>(self, value: bool) -> Result<Text, E> {
                Ok(Text(value.to_string()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Text, E> {
                Ok(Text(value.to_string()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Text, E> {
                Ok(Text(value.to_string()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Text, E> {
                Ok(Text(value.to_string()))
            }

            fn visit_unit<E>(self) -> Result<Text, E> {
                Ok(Text::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Text, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Err(de::Error::custom("a list stands where a text should"))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Text, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Err(de::Error::custom("an object stands where a text should"))
            }
        }
        deserializer.deserialize_any(Any)
    }
}
