//! JSON as senders write it, read as leniently as can be: whatever stands where a text should is taken as
//! one, so that no odd value takes the alert around it along.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

/// The fields of an object, in their order: each name, and the value as it was sent.
#[derive(Debug)]
pub(super) struct Object<'a>(Vec<(Cow<'a, str>, &'a str)>);

impl<'a> Object<'a> {
    /// Reads an object; `None` if it is something else. However deep its values are, they are not gone into.
    pub(super) fn read(json: &'a str) -> Option<Self> {
        if !json.starts_with('{') {
            return None;
        }
        serde_json::from_str(json).ok()
    }

    /// The value of a field, as it was sent. Of two with one name the last counts. A null is as if it were
    /// missing.
    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        let found = self.0.iter().rev().find(|(field, _)| field == name);
        found.map(|(_, json)| *json).filter(|json| *json != "null")
    }

    /// A field as a text; empty if it is missing.
    pub(super) fn text(&self, name: &str) -> Cow<'a, str> {
        self.get(name).map_or(Cow::Borrowed(""), text)
    }

    /// Whether it has no fields.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Its fields as texts, see [`said`].
    pub(super) fn into_texts(self) -> Texts<'a> {
        let fields = self.0.into_iter();
        said(fields.map(|(name, json)| (name, text(json))).collect())
    }
}

/// Names and texts, sorted by name.
pub type Texts<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

/// Labels or annotations of these: sorted by name, of two with one name the last, without those whose text is empty.
pub fn texts<'a, N: Into<Cow<'a, str>>, V: Into<Cow<'a, str>>>(
    pairs: impl IntoIterator<Item = (N, V)>,
) -> Texts<'a> {
    let pairs = pairs.into_iter();
    said(
        pairs
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
    )
}

/// Labels or annotations of the fields of an object: what a text says, nothing for null, and of anything else its
/// JSON. Of what is no object: none.
#[must_use]
pub fn texts_of_json(object: &Value) -> Texts<'static> {
    let fields = object.as_object().into_iter().flatten();
    texts(fields.map(|(name, value)| (name.clone(), text_of_json(value))))
}

/// A value as a text, likewise.
#[must_use]
pub fn text_of_json(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// What these say: sorted by name, each name once, of two with one name the last. An empty text is as if it
/// were missing.
pub(super) fn said(mut texts: Texts<'_>) -> Texts<'_> {
    texts.sort_by(|a, b| a.0.cmp(&b.0));
    texts.dedup_by(|later, kept| {
        let is_same = later.0 == kept.0;
        if is_same {
            std::mem::swap(later, kept);
        }
        is_same
    });
    texts.retain(|(_, value)| !value.is_empty());
    texts
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut fields = Vec::with_capacity(map.size_hint().unwrap_or(8));
                while let Some((name, value)) = map.next_entry::<&RawValue, &RawValue>()? {
                    fields.push((text(name.get()), value.get()));
                }
                Ok(Object(fields))
            }
        }

        deserializer.deserialize_map(Fields)
    }
}

/// A value as a text: what a text says, nothing for null, and of anything else its JSON as it was sent, so
/// that `1.0` stays `1.0`.
pub(super) fn text(json: &str) -> Cow<'_, str> {
    if json == "null" {
        return Cow::Borrowed("");
    }
    let quoted = json
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    match quoted {
        Some(quoted) => unescaped(quoted),
        None => Cow::Borrowed(json),
    }
}

/// What stands between the quotes of a JSON text. Half of a surrogate pair, which is no character, becomes
/// U+FFFD.
fn unescaped(quoted: &str) -> Cow<'_, str> {
    if !quoted.contains('\\') {
        return Cow::Borrowed(quoted);
    }
    let mut said = String::with_capacity(quoted.len());
    let mut rest = quoted;
    while let Some((before, after)) = rest.split_once('\\') {
        said.push_str(before);
        let mut chars = after.chars();
        match chars.next() {
            Some('b') => said.push('\u{8}'),
            Some('f') => said.push('\u{c}'),
            Some('n') => said.push('\n'),
            Some('r') => said.push('\r'),
            Some('t') => said.push('\t'),
            Some('u') => {
                let (character, left) = coded(chars.as_str());
                said.push(character);
                rest = left;
                continue;
            }
            Some(other) => said.push(other),
            None => {}
        }
        rest = chars.as_str();
    }
    said.push_str(rest);
    Cow::Owned(said)
}

/// The character whose code stands behind `\u`, with the second half of its pair if it has one, and what
/// comes after.
fn coded(text: &str) -> (char, &str) {
    let Some((first, rest)) = unit(text) else {
        return (char::REPLACEMENT_CHARACTER, text);
    };
    let second = rest.strip_prefix("\\u").and_then(unit);
    if let (0xd800..=0xdbff, Some((second @ 0xdc00..=0xdfff, rest))) = (first, second) {
        let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        let character = char::from_u32(code);
        return (character.unwrap_or(char::REPLACEMENT_CHARACTER), rest);
    }
    let character = char::from_u32(first);
    (character.unwrap_or(char::REPLACEMENT_CHARACTER), rest)
}

/// Four hexadecimal digits, and what comes after.
fn unit(text: &str) -> Option<(u32, &str)> {
    let (digits, rest) = text.split_at_checked(4)?;
    Some((u32::from_str_radix(digits, 16).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn any_value_is_read_as_text() {
        for (json, expected) in [
            (r#""a""#, "a"),
            (r#""""#, ""),
            ("null", ""),
            ("true", "true"),
            ("1.0", "1.0"),
            ("-1E-400", "-1E-400"),
            ("18446744073709551616", "18446744073709551616"),
            (r#"["A", 1]"#, r#"["A", 1]"#),
            (r#"{"a":null}"#, r#"{"a":null}"#),
            (r#""\"\\\/\b\f\n\r\t\u0041""#, "\"\\/\u{8}\u{c}\n\r\tA"),
            (r#""\ud83d\ude00""#, "\u{1f600}"),
            (r#""a\ud800""#, "a\u{fffd}"),
            (r#""\ud800\ud83d\ude00b""#, "\u{fffd}\u{1f600}b"),
            (r#""\udc00\ud800x""#, "\u{fffd}\u{fffd}x"),
            (r#""\ud800\n""#, "\u{fffd}\n"),
        ] {
            assert_eq!(text(json), expected, "{json}");
        }
    }

    #[test]
    fn the_last_of_duplicate_names_wins() {
        let json = r#"{"b":1,"a":"x","\ud800":"y","a":"z","c":"v","c":"","d":null}"#;
        let object = Object::read(json).unwrap();
        assert_eq!(object.text("a"), "z");
        assert_eq!(object.get("d"), None);
        assert_eq!(object.get("e"), None);
        let texts = object.into_texts();
        let texts: Vec<(&str, &str)> = texts.iter().map(|(n, v)| (&**n, &**v)).collect();
        assert_eq!(texts, [("a", "z"), ("b", "1"), ("\u{fffd}", "y")]);
    }

    #[test]
    fn depth_is_not_gone_into() {
        let deep = ["[", "]"].map(|bracket| bracket.repeat(100_000)).concat();
        let json = format!(r#"{{"a":{deep},"b":1}}"#);
        assert_eq!(Object::read(&json).unwrap().text("a"), deep);
        assert!(Object::read(&deep).is_none());
    }

    proptest! {
        #[test]
        fn every_text_is_read_as_json_means_it(said in any::<String>()) {
            let json = serde_json::to_string(&said).unwrap();
            prop_assert_eq!(text(&json), &*said);
            let units = said.encode_utf16().map(|unit| format!("\\u{unit:04X}"));
            let escaped = format!("\"{}\"", units.collect::<String>());
            prop_assert_eq!(text(&escaped), &*said);
        }
    }
}
