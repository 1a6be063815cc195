//! Where in a body a value is: a JSON pointer (RFC 6901), or a small text with pointers in it.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Where a value is: `/alerts/0/name` in an alert, `^/name` in all that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer {
    written: String,
    /// Whether it begins at the whole body, not at one alert of it.
    pub of_body: bool,
    /// The name of a field, or the place in a list, one after the other.
    pub steps: Vec<String>,
}

impl Pointer {
    /// Reads one.
    ///
    /// # Errors
    /// It is none, and why.
    pub fn read(written: &str) -> Result<Self, String> {
        let (of_body, path) = match written.strip_prefix('^') {
            Some(path) => (true, path),
            None => (false, written),
        };
        let Some(path) = path.strip_prefix('/') else {
            return Err(format!(
                "{written:?} is not a JSON pointer: it must start with /, as /monitor/name does"
            ));
        };
        let steps = path.split('/').map(|step| unescaped(step, written));
        Ok(Self {
            written: written.to_owned(),
            of_body,
            steps: steps.collect::<Result<_, _>>()?,
        })
    }

    /// As it was written.
    #[must_use]
    pub fn written(&self) -> &str {
        &self.written
    }
}

/// A step, in which `~1` stands for `/` and `~0` for `~`.
fn unescaped(step: &str, written: &str) -> Result<String, String> {
    let mut parts = step.split('~');
    let mut name = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (character, rest) = match part.split_at_checked(1) {
            Some(("0", rest)) => ('~', rest),
            Some(("1", rest)) => ('/', rest),
            _ => {
                return Err(format!(
                    "{written:?} is not a JSON pointer: ~ must be written ~0, and / in a name ~1"
                ));
            }
        };
        name.push(character);
        name.push_str(rest);
    }
    Ok(name)
}

/// A text with values in it: `/name` is one value, `{/name} of {/host}` two, and `down` none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    written: String,
    /// What it is made of, in its order.
    pub parts: Vec<Part>,
}

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// A text as it is.
    Text(String),
    /// The value that is there.
    Value(Pointer),
}

impl Template {
    /// Reads one.
    ///
    /// # Errors
    /// It is none, and why.
    pub fn read(written: &str) -> Result<Self, String> {
        let parts = if written.trim().is_empty() {
            return Err("must not be empty: leave it out".to_owned());
        } else if written.starts_with(['/', '^']) {
            vec![Part::Value(Pointer::read(written)?)]
        } else if written.starts_with("$.") || written.starts_with("$[") {
            return Err(format!(
                "{written:?} is a JSONPath: write a JSON pointer, /monitor/name for $.monitor.name"
            ));
        } else {
            parts(written)?
        };
        Ok(Self {
            written: written.to_owned(),
            parts,
        })
    }
}

/// The parts of a text in which `{…}` holds a pointer, and `{{` and `}}` are braces.
fn parts(written: &str) -> Result<Vec<Part>, String> {
    let (mut parts, mut text) = (Vec::new(), String::new());
    let mut rest = written;
    while let Some(at) = rest.find(['{', '}']) {
        text.push_str(&rest[..at]);
        let brace = &rest[at..];
        if brace.starts_with("{{") || brace.starts_with("}}") {
            text.push_str(&brace[..1]);
            rest = &brace[2..];
            continue;
        }
        let inside = brace
            .strip_prefix('{')
            .and_then(|rest| rest.split_once('}'));
        let Some((pointer, after)) = inside else {
            return Err(format!(
                "{written:?} has a brace that is not closed or not opened: write {{{{ or }}}} for a brace"
            ));
        };
        if !text.is_empty() {
            parts.push(Part::Text(std::mem::take(&mut text)));
        }
        parts.push(Part::Value(Pointer::read(pointer)?));
        rest = after;
    }
    text.push_str(rest);
    if !text.is_empty() {
        parts.push(Part::Text(text));
    }
    Ok(parts)
}

/// A template, or several of which the first counts that says something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Templates(pub Vec<Template>);

impl Serialize for Pointer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.written)
    }
}

impl<'de> Deserialize<'de> for Pointer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = String::deserialize(deserializer)?;
        let pointer = Self::read(&written).map_err(de::Error::custom)?;
        match pointer.of_body {
            true => Err(de::Error::custom(format!(
                "{written:?} must start with /: this pointer begins at the body anyway"
            ))),
            false => Ok(pointer),
        }
    }
}

impl Serialize for Templates {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &*self.0 {
            [one] => serializer.serialize_str(&one.written),
            several => serializer.collect_seq(several.iter().map(|one| &one.written)),
        }
    }
}

impl<'de> Deserialize<'de> for Templates {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Words::deserialize(deserializer)?;
        if written.0.is_empty() {
            return Err(de::Error::custom("must not be empty: leave it out"));
        }
        let templates = written.0.iter().map(|one| Template::read(one));
        let templates = templates.collect::<Result<_, _>>();
        templates.map(Self).map_err(de::Error::custom)
    }
}

/// A text or a number, or a list of these.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words(pub Vec<String>);

impl Serialize for Words {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&self.0)
    }
}

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMore;

        impl<'de> de::Visitor<'de> for OneOrMore {
            type Value = Vec<String>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, or a list of texts")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Vec<String>, E> {
                Ok(vec![text.to_owned()])
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Vec<String>, E> {
                Ok(vec![number.to_string()])
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Vec<String>, E> {
                Ok(vec![number.to_string()])
            }

            fn visit_bool<E: de::Error>(self, is_true: bool) -> Result<Vec<String>, E> {
                Ok(vec![is_true.to_string()])
            }

            fn visit_seq<A: de::SeqAccess<'de>>(
                self,
                mut list: A,
            ) -> Result<Vec<String>, A::Error> {
                let mut words = Vec::new();
                while let Some(mut one) = list.next_element::<Words>()? {
                    words.append(&mut one.0);
                }
                Ok(words)
            }
        }

        deserializer.deserialize_any(OneOrMore).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_names_fields_and_places() {
        for (written, of_body, steps) in [
            ("/a", false, &["a"][..]),
            ("/alerts/0/name", false, &["alerts", "0", "name"]),
            ("^/a/b", true, &["a", "b"]),
            ("/a~1b/c~0d/~01", false, &["a/b", "c~d", "~1"]),
            ("/", false, &[""]),
            ("/a b/é", false, &["a b", "é"]),
        ] {
            let pointer = Pointer::read(written).unwrap();
            assert_eq!(
                (pointer.of_body, &*pointer.steps),
                (
                    of_body,
                    &steps.iter().map(ToString::to_string).collect::<Vec<_>>()[..]
                ),
                "{written}"
            );
        }
        for wrong in ["", "a", "a/b", "^", "^a", "$.a", "/a~", "/a~2b", "#/a"] {
            assert!(Pointer::read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_template_is_a_pointer_or_a_text_with_pointers() {
        let text = |text: &str| Part::Text(text.to_owned());
        let value = |written: &str| Part::Value(Pointer::read(written).unwrap());
        for (written, expected) in [
            ("/a/b", vec![value("/a/b")]),
            ("^/a", vec![value("^/a")]),
            ("down", vec![text("down")]),
            (
                "{/a} of {^/b}!",
                vec![value("/a"), text(" of "), value("^/b"), text("!")],
            ),
            ("{/a}{/b}", vec![value("/a"), value("/b")]),
            ("{{{/a}}}", vec![text("{"), value("/a"), text("}")]),
            ("{{a}}", vec![text("{a}")]),
        ] {
            assert_eq!(
                Template::read(written).unwrap().parts,
                expected,
                "{written}"
            );
        }
        for wrong in [
            "", " ", "{a}", "{a.b}", "{/a", "a}", "{}", "$.a", "$[0]", "/a~9",
        ] {
            assert!(Template::read(wrong).is_err(), "{wrong}");
        }
    }
}
