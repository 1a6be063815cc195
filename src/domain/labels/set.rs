//! Labels or annotations: names with values.

use std::fmt;
use std::ops::Index;

use serde::de::{DeserializeSeed, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Labels or annotations, sorted by name, so that equal sets hash and print alike. All of them are in one text, since
/// every alert carries some.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Labels {
    /// Each name and its value, one after the other.
    text: String,
    entries: Vec<Entry>,
}

/// Where the text of a label begins, its name ends, and its value ends, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Entry {
    from: usize,
    name_to: usize,
    to: usize,
}

impl Entry {
    fn name<'t>(&self, text: &'t str) -> &'t str {
        &text[self.from..self.name_to]
    }

    fn value<'t>(&self, text: &'t str) -> &'t str {
        &text[self.name_to..self.to]
    }
}

impl Labels {
    /// None.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            text: String::new(),
            entries: Vec::new(),
        }
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The value of the one with this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.position(name).ok()?;
        Some(self.entries[found].value(&self.text))
    }

    /// Whether there is one with this name.
    #[must_use]
    pub fn contains_key(&self, name: &str) -> bool {
        self.position(name).is_ok()
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        let entries = self.entries.iter();
        entries.map(|entry| (entry.name(&self.text), entry.value(&self.text)))
    }

    /// The names, in order.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &str> {
        self.iter().map(|(name, _)| name)
    }

    /// The values, in the order of the names.
    pub fn values(&self) -> impl ExactSizeIterator<Item = &str> {
        self.iter().map(|(_, value)| value)
    }

    /// Gives the one with this name this value.
    pub fn insert(&mut self, name: &str, value: &str) {
        let is_other = |known: &str| known != name;
        let others = self.iter().filter(|(known, _)| is_other(known));
        let all: Self = others.chain([(name, value)]).collect();
        *self = all;
    }

    /// Leaves those that `is_kept` says yes to.
    pub fn retain(&mut self, mut is_kept: impl FnMut(&str, &str) -> bool) {
        let kept = self.iter().filter(|(name, value)| is_kept(name, value));
        let kept: Self = kept.collect();
        *self = kept;
    }

    fn position(&self, name: &str) -> Result<usize, usize> {
        let by_name = |entry: &Entry| entry.name(&self.text).cmp(name);
        self.entries.binary_search_by(by_name)
    }

    /// Adds what stands at the end of the text, of which the name ends there.
    fn add(&mut self, name_to: usize) {
        let from = self.entries.last().map_or(0, |last| last.to);
        let to = self.text.len();
        self.entries.push(Entry { from, name_to, to });
    }

    /// Brings them in order; of two with one name the last counts.
    fn sorted(self) -> Self {
        let text = self.text.as_str();
        let are_sorted = |pair: &[Entry]| pair[0].name(text) < pair[1].name(text);
        if self.entries.windows(2).all(are_sorted) {
            return self;
        }
        let mut entries = self.entries.clone();
        // Stable, so that the last of a name comes first once it is turned around.
        entries.reverse();
        entries.sort_by(|one, other| one.name(text).cmp(other.name(text)));
        entries.dedup_by(|later, kept| later.name(text) == kept.name(text));
        let mut sorted = Self {
            text: String::with_capacity(text.len()),
            entries: Vec::with_capacity(entries.len()),
        };
        for entry in entries {
            sorted.push(entry.name(text), entry.value(text));
        }
        sorted
    }

    fn push(&mut self, name: &str, value: &str) {
        self.text.push_str(name);
        let name_to = self.text.len();
        self.text.push_str(value);
        self.add(name_to);
    }
}

impl Index<&str> for Labels {
    type Output = str;

    /// The value of the one with this name.
    ///
    /// # Panics
    /// There is none.
    #[expect(clippy::panic, reason = "as any map's")]
    fn index(&self, name: &str) -> &str {
        match self.get(name) {
            Some(value) => value,
            None => panic!("no label is called {name}"),
        }
    }
}

impl<N: AsRef<str>, V: AsRef<str>> FromIterator<(N, V)> for Labels {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut labels = Self::new();
        for (name, value) in pairs {
            labels.push(name.as_ref(), value.as_ref());
        }
        labels.sorted()
    }
}

impl<N: AsRef<str>, V: AsRef<str>, const LEN: usize> From<[(N, V); LEN]> for Labels {
    fn from(pairs: [(N, V); LEN]) -> Self {
        pairs.into_iter().collect()
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Serialize for Labels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Pairs)
    }
}

/// Reads names and values into one text.
struct Pairs;

impl<'de> Visitor<'de> for Pairs {
    type Value = Labels;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of texts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<Labels, A::Error> {
        let mut labels = Labels::new();
        while pairs.next_key_seed(Append(&mut labels.text))?.is_some() {
            let name_to = labels.text.len();
            pairs.next_value_seed(Append(&mut labels.text))?;
            labels.add(name_to);
        }
        Ok(labels.sorted())
    }
}

/// Adds a text to another.
struct Append<'t>(&'t mut String);

impl<'de> DeserializeSeed<'de> for Append<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Append<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.0.push_str(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Labels;

    #[test]
    fn they_are_read_and_written_sorted_by_name_and_the_last_of_a_name_counts() {
        let text =
            r#"{"pod":"api-0","alertname":"A\"B","job":"one","job":"two","":"empty","z":""}"#;
        let labels: Labels = serde_json::from_str(text).unwrap();
        let written = serde_json::to_string(&labels).unwrap();
        assert_eq!(
            written,
            r#"{"":"empty","alertname":"A\"B","job":"two","pod":"api-0","z":""}"#
        );
        assert_eq!(serde_json::from_str::<Labels>(&written).unwrap(), labels);
        assert_eq!(labels.len(), 5);
        assert_eq!(&labels["alertname"], "A\"B");
        assert_eq!((labels.get("z"), labels.get("y")), (Some(""), None));
        let pairs: Vec<(&str, &str)> = labels.iter().collect();
        assert_eq!(pairs.iter().rev().copied().collect::<Labels>(), labels);
    }

    #[test]
    fn a_value_is_replaced_and_what_is_not_kept_is_gone() {
        let mut labels = Labels::from([("b", "1"), ("c", "2")]);
        labels.insert("a", "0");
        labels.insert("c", "3");
        assert_eq!(labels, Labels::from([("a", "0"), ("b", "1"), ("c", "3")]));
        labels.retain(|name, value| name != "b" && value != "0");
        assert_eq!(labels, Labels::from([("c", "3")]));
    }

    #[test]
    fn what_is_no_map_of_texts_is_refused() {
        for text in [r#"{"a":1}"#, r#"{"a":null}"#, r#"["a"]"#, r#""a""#, "null"] {
            assert!(serde_json::from_str::<Labels>(text).is_err(), "{text}");
        }
    }
}
