//! A webhook of Alertmanager's form in which every value is what it should be, as nearly all are: read in one
//! pass, and nearly nothing of it copied. Whatever is odd about one makes it none; it is read again then,
//! value by value (see [`super::text`]).

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use super::text::{self, Texts};

/// A webhook.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Envelope<'a> {
    #[serde(borrow)]
    pub(super) alerts: Vec<Object<Entry<'a>>>,
    #[serde(default)]
    pub(super) truncated_alerts: u64,
    #[serde(borrow, default, rename = "externalURL")]
    pub(super) external_url: Cow<'a, str>,
    /// Grafana says of what organization it is, and in what state that leaves its rule.
    org_id: Option<IgnoredAny>,
    state: Option<IgnoredAny>,
}

/// One alert of it. A field that is missing is empty.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry<'a> {
    #[serde(borrow, default)]
    pub(super) status: Cow<'a, str>,
    #[serde(borrow, deserialize_with = "texts")]
    pub(super) labels: Texts<'a>,
    #[serde(borrow, default, deserialize_with = "texts")]
    pub(super) annotations: Texts<'a>,
    #[serde(borrow, default)]
    pub(super) starts_at: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) ends_at: Cow<'a, str>,
    #[serde(borrow, default, rename = "generatorURL")]
    pub(super) generator_url: Cow<'a, str>,
    #[serde(borrow, default)]
    pub(super) fingerprint: Cow<'a, str>,
}

/// What is written as an object. A list of its values would do for serde otherwise.
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }

        deserializer.deserialize_map(Fields(PhantomData))
    }
}

#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

fn texts<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Texts<'a>, D::Error> {
    struct Fields;

    impl<'de> Visitor<'de> for Fields {
        type Value = Texts<'de>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object of texts")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Texts<'de>, A::Error> {
            let mut texts = Vec::with_capacity(map.size_hint().unwrap_or(8));
            while let Some((name, value)) = map.next_entry::<Text<'de>, Text<'de>>()? {
                texts.push((name.0, value.0));
            }
            Ok(text::said(texts))
        }
    }

    deserializer.deserialize_map(Fields)
}

impl<'a> Envelope<'a> {
    /// Reads a body; `None` if anything about it is odd.
    pub(super) fn read(body: &'a [u8]) -> Option<Self> {
        let read: Result<Object<Self>, _> = serde_json::from_slice(body);
        read.ok().map(|Object(envelope)| envelope)
    }

    /// Whether it has what Grafana's envelope has beside Alertmanager's.
    pub(super) const fn is_of_grafana(&self) -> bool {
        self.org_id.is_some() && self.state.is_some()
    }
}
