//! Values at pointers in a body.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;

use serde_json::value::RawValue;

use crate::config::{Part, Pointer, Template, Templates};
use crate::sources::text::{Object, text};

/// All that was sent.
pub(super) struct Body<'a> {
    json: &'a str,
    /// What was looked for in it for one alert, and is looked for again for each of the others.
    known: RefCell<HashMap<String, Option<&'a str>>>,
}

/// One alert of it.
pub(super) struct Entry<'b, 'a> {
    body: &'b Body<'a>,
    /// As it was sent.
    pub(super) raw: &'a str,
    /// Its fields, if it is an object.
    fields: Option<Object<'a>>,
}

impl<'a> Body<'a> {
    pub(super) fn of(json: &'a str) -> Self {
        Self {
            json,
            known: RefCell::default(),
        }
    }

    fn at(&self, pointer: &Pointer) -> Option<&'a str> {
        if let Some(known) = self.known.borrow().get(pointer.written()) {
            return *known;
        }
        let found = at(self.json, &pointer.steps);
        let mut known = self.known.borrow_mut();
        known.insert(pointer.written().to_owned(), found);
        found
    }
}

impl<'b, 'a> Entry<'b, 'a> {
    pub(super) fn of(body: &'b Body<'a>, raw: &'a str) -> Self {
        Self {
            body,
            raw,
            fields: Object::read(raw),
        }
    }

    fn at(&self, pointer: &Pointer) -> Option<&'a str> {
        if pointer.of_body {
            return self.body.at(pointer);
        }
        match (&self.fields, &*pointer.steps) {
            (Some(fields), [first, rest @ ..]) => at(fields.get(first)?, rest),
            (_, steps) => at(self.raw, steps),
        }
    }

    /// What the first of these says that says something, without the space around it. One that lacks a value of its own
    /// says nothing.
    pub(super) fn say(&self, templates: Option<&Templates>) -> Option<Cow<'a, str>> {
        let mut each = templates?.0.iter();
        each.find_map(|template| self.say_one(template))
    }

    fn say_one(&self, template: &Template) -> Option<Cow<'a, str>> {
        if let [Part::Value(pointer)] = &*template.parts {
            return self.value(pointer);
        }
        let mut said = String::new();
        for part in &template.parts {
            match part {
                Part::Text(text) => said.push_str(text),
                Part::Value(pointer) => said.push_str(&self.value(pointer)?),
            }
        }
        (!said.trim().is_empty()).then_some(Cow::Owned(said))
    }

    fn value(&self, pointer: &Pointer) -> Option<Cow<'a, str>> {
        let value = match text(self.at(pointer)?) {
            Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
            Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
        };
        (!value.is_empty()).then_some(value)
    }
}

/// The value that is so far inside; a null is as if it were missing. What is beside the way is not gone into, however
/// deep it is.
pub(super) fn at<'a>(json: &'a str, steps: &[String]) -> Option<&'a str> {
    let mut json = json;
    for step in steps {
        json = match json.as_bytes().first()? {
            b'{' => Object::read(json)?.get(step)?,
            b'[' => item(json, step)?,
            _ => return None,
        };
    }
    (json != "null").then_some(json)
}

/// An item of a list, by its place from 0 on.
fn item<'a>(list: &'a str, place: &str) -> Option<&'a str> {
    let is_place = place == "0" || !place.starts_with(['0', '+']);
    let place: usize = place.parse().ok().filter(|_| is_place)?;
    let items: Vec<&RawValue> = serde_json::from_str(list).ok()?;
    items.get(place).map(|item| item.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = r#"{"list":[{"name":"a"},{"name":"b"},null],"x":{"a/b":1.0,"":"e","~":" t "},"body":"B","no":null,"half":"\ud800"}"#;

    #[test]
    fn a_pointer_leads_to_a_value_or_nowhere() {
        let body = Body::of(JSON);
        let entry = Entry::of(&body, r#"{"name":"a","n":0}"#);
        let whole = Entry::of(&body, JSON);
        for (entry, template, expected) in [
            (&whole, "/list/1/name", Some("b")),
            (&whole, "/list/0", Some(r#"{"name":"a"}"#)),
            (&whole, "/list/2", None),
            (&whole, "/list/3", None),
            (&whole, "/list/01", None),
            (&whole, "/list/+1", None),
            (&whole, "/list/name", None),
            (&whole, "/x/a~1b", Some("1.0")),
            (&whole, "/x/", Some("e")),
            (&whole, "/x/~0", Some("t")),
            (&whole, "/body/0", None),
            (&whole, "/no", None),
            (&whole, "/half", Some("\u{fffd}")),
            (&entry, "/name", Some("a")),
            (&entry, "/n", Some("0")),
            (&entry, "/body", None),
            (&entry, "^/body", Some("B")),
            (&entry, "^/list/1/name", Some("b")),
            (&entry, "{/name}@{^/body}", Some("a@B")),
            (&entry, "{/name}@{/none}", None),
            (&entry, "down", Some("down")),
        ] {
            let templates = Templates(vec![Template::read(template).unwrap()]);
            assert_eq!(
                entry.say(Some(&templates)).as_deref(),
                expected,
                "{template}"
            );
        }
        let first = ["/none", "/name", "down"].map(|written| Template::read(written).unwrap());
        assert_eq!(
            entry.say(Some(&Templates(first.into()))).as_deref(),
            Some("a")
        );
        assert_eq!(entry.say(None), None);
    }
}
