//! The tokens of one role: several, so that they can be changed one after the other.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConditionallySelectable as _, ConstantTimeEq as _};

use super::{Secret, Text};

/// A token that is shorter can be guessed, in characters.
const SHORTEST: usize = 16;

/// The tokens that one role accepts. None of them is ever printed or logged.
#[derive(Clone, Default)]
pub struct Tokens(Vec<Token>);

#[derive(Clone)]
struct Token {
    secret: Secret,
    hash: [u8; 32],
}

/// How a token is named where it must not be shown: the first bytes of its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint([u8; 4]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

impl Tokens {
    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first of them, to be presented.
    #[must_use]
    pub fn first(&self) -> Option<&Secret> {
        self.0.first().map(|token| &token.secret)
    }

    /// Which of them `given` is. It takes the same time for every answer: hashes are compared, so
    /// that lengths do not matter, each of them, and each to its end.
    #[must_use]
    pub fn find(&self, given: &str) -> Option<Fingerprint> {
        let given = hash(given);
        let (mut found, mut name) = (Choice::from(0), [0_u8; 4]);
        for token in &self.0 {
            let same = token.hash.ct_eq(&given);
            found |= same;
            for (name, byte) in name.iter_mut().zip(&token.hash) {
                name.conditional_assign(byte, same);
            }
        }
        bool::from(found).then_some(Fingerprint(name))
    }

    /// Each of them by its name, and a key that was made of it for `purpose`, which reveals nothing of
    /// the token itself.
    pub fn keys(&self, purpose: &str) -> impl Iterator<Item = (Fingerprint, [u8; 32])> {
        self.0.iter().map(move |token| {
            let [a, b, c, d, ..] = token.hash;
            let mut key = Sha256::new();
            key.update(purpose);
            key.update([0]);
            key.update(token.secret.expose());
            (Fingerprint([a, b, c, d]), key.finalize().into())
        })
    }

    /// Whether one of them is so short that it can be guessed.
    pub(super) fn any_is_short(&self) -> bool {
        let is_short = |token: &Token| token.secret.expose().chars().count() < SHORTEST;
        self.0.iter().any(is_short)
    }

    /// Whether one of them is one of `others`, too.
    pub(super) fn share_one_with(&self, others: &Self) -> bool {
        let is_shared = |token: &Token| others.0.iter().any(|other| other.hash == token.hash);
        self.0.iter().any(is_shared)
    }
}

fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

impl From<&str> for Tokens {
    fn from(token: &str) -> Self {
        Self::from_iter([token])
    }
}

impl<'a> FromIterator<&'a str> for Tokens {
    fn from_iter<I: IntoIterator<Item = &'a str>>(tokens: I) -> Self {
        let token = |text: &str| Token {
            secret: Secret::from(text),
            hash: hash(text),
        };
        Self(tokens.into_iter().map(token).collect())
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|_| "***"))
            .finish()
    }
}

impl Serialize for Tokens {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let tokens = self.0.iter();
        serializer.collect_seq(tokens.map(|token| token.secret.written("***".to_owned())))
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(Text),
    More(Vec<Text>),
}

impl<'de> Deserialize<'de> for Tokens {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Not serde's own words, which quote what they do not understand.
        let refused = |_| serde::de::Error::custom("must be a text, or a list of texts");
        let tokens = match OneOrMore::deserialize(deserializer).map_err(refused)? {
            OneOrMore::One(token) => vec![token],
            OneOrMore::More(tokens) => tokens,
        };
        let tokens: Vec<String> = tokens.into_iter().map(Text::into_string).collect();
        // Set to nothing is a mistake, and must not mean that nothing is asked for.
        if tokens.is_empty() || tokens.iter().any(|token| token.trim().is_empty()) {
            return Err(serde::de::Error::custom("a token must not be empty"));
        }
        let tokens: Result<Vec<Secret>, _> = tokens.iter().map(|token| Secret::of(token)).collect();
        let tokens = tokens.map_err(|why| serde::de::Error::custom(format!("a token {why}")))?;
        Ok(tokens.iter().map(Secret::expose).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_of_them_is_found_and_named_by_its_hash() {
        let tokens: Tokens = ["first", "second"].into_iter().collect();
        // sha256sum says: a7937b64…, 16367aac….
        assert_eq!(tokens.find("first").unwrap().to_string(), "a7937b64");
        assert_eq!(tokens.find("second").unwrap().to_string(), "16367aac");
        for wrong in ["", "firs", "first ", "second\0", "firstsecond"] {
            assert_eq!(tokens.find(wrong), None, "{wrong:?}");
        }
        assert_eq!(Tokens::default().find(""), None);
    }

    #[test]
    fn they_are_not_shown() {
        let tokens: Tokens = ["planted", "planted2"].into_iter().collect();
        assert_eq!(format!("{tokens:?}"), r#"["***", "***"]"#);
        assert_eq!(serde_json::to_string(&tokens).unwrap(), r#"["***","***"]"#);
        let error = serde_json::from_str::<Tokens>(r#"{"a": "planted"}"#).unwrap_err();
        assert!(!error.to_string().contains("planted"), "{error}");
    }
}
