//! Settings of sources: whether each is on, and how its senders sign.

use axum::http::HeaderName;
use serde::{Deserialize, Serialize};

use super::{Generic, Secret, Span};

/// A secret of fewer bytes can be guessed.
const SHORTEST: usize = 16;

/// Makes a section of each row of [`crate::sources!`].
macro_rules! sections {
    ($($(#[$meta:meta])* $source:ident: $settings:ty,)*) => {
        /// What is set for each source.
        #[derive(Clone, Debug, Default, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct Sources {
            $($(#[$meta])* pub $source: $settings,)*
        }

        impl Sources {
            fn each(&self) -> [(&'static str, &dyn Section); [$(stringify!($source)),*].len()] {
                [$((stringify!($source), &self.$source)),*]
            }
        }
    };
}

crate::sources!(sections);

/// A source's section.
pub trait Section {
    /// Whether its settings go together; else which does not, and why.
    ///
    /// # Errors
    /// They do not.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    /// What its senders sign with.
    fn secret(&self) -> Option<&Secret> {
        None
    }

    /// Its settings that are secrets and can be guessed.
    fn guessable(&self) -> Vec<String> {
        let short = is_short(self.secret());
        short.then(|| "secret".to_owned()).into_iter().collect()
    }
}

/// A source that may be off, and has nothing else to set.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Switch {
    /// Whether it takes anything.
    pub enabled: bool,
}

impl Default for Switch {
    fn default() -> Self {
        Self { enabled: true }
    }
}

impl Section for Switch {}

/// A source whose sender signs the body.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Signed {
    /// Whether it takes anything.
    pub enabled: bool,
    /// What its sender signs with: then a signature is required, and no token. Unset: a token is, as everywhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
}

impl Default for Signed {
    fn default() -> Self {
        Self {
            enabled: true,
            secret: None,
        }
    }
}

impl Section for Signed {
    fn check(&self) -> Result<(), String> {
        check_secret(self.secret.as_ref())
    }

    fn secret(&self) -> Option<&Secret> {
        self.secret.as_ref()
    }
}

/// A source whose sender signs the body, in a header that its settings name, and optionally a time with it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SignedWithTime {
    /// Whether it takes anything.
    pub enabled: bool,
    /// What its sender signs with: then a signature is required, and no token. Unset: a token is, as everywhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
    /// The header that the signature is in.
    pub header: String,
    /// The header that the time is in which is signed with the body. Unset: none is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp_header: Option<String>,
    /// How far that time may be from our own, in either direction.
    pub tolerance: Span,
}

impl Default for SignedWithTime {
    /// As Grafana does it.
    fn default() -> Self {
        Self {
            enabled: true,
            secret: None,
            header: "X-Grafana-Alerting-Signature".to_owned(),
            timestamp_header: None,
            tolerance: Span::secs(300),
        }
    }
}

impl Section for SignedWithTime {
    fn check(&self) -> Result<(), String> {
        check_secret(self.secret.as_ref())?;
        check_header("header", &self.header)?;
        let Some(timestamp_header) = &self.timestamp_header else {
            return Ok(());
        };
        if self.secret.is_none() {
            return Err("timestamp_header is set without secret: set both or none".to_owned());
        }
        check_header("timestamp_header", timestamp_header)?;
        match self.tolerance.0.is_zero() {
            true => Err("tolerance must be longer than 0s".to_owned()),
            false => Ok(()),
        }
    }

    fn secret(&self) -> Option<&Secret> {
        self.secret.as_ref()
    }
}

/// Whether what senders sign with is a secret. An empty one is none: anybody could sign with it.
pub(super) fn check_secret(secret: Option<&Secret>) -> Result<(), String> {
    match secret.is_some_and(|secret| secret.expose().is_empty()) {
        true => Err("secret must not be empty".to_owned()),
        false => Ok(()),
    }
}

/// Whether a setting that names a header does.
///
/// # Errors
/// It does not.
pub fn check_header(setting: &str, name: &str) -> Result<(), String> {
    let is_header = HeaderName::try_from(name).map(drop);
    is_header.map_err(|_| format!("{setting} is not the name of a header: {name:?}"))
}

impl Sources {
    pub(super) fn check(&self) -> Result<(), String> {
        let mut each = self.each().into_iter();
        each.try_for_each(|(name, section)| {
            let checked = section.check();
            checked.map_err(|why| format!("sources.{name}.{why}"))
        })
    }

    /// Their settings that are secrets and can be guessed.
    pub(super) fn guessable(&self) -> impl Iterator<Item = String> {
        let each = self.each().into_iter();
        each.flat_map(|(name, section)| {
            let short = section.guessable().into_iter();
            short.map(move |secret| format!("sources.{name}.{secret}"))
        })
    }
}

/// Whether what is signed with can be guessed.
pub(super) fn is_short(secret: Option<&Secret>) -> bool {
    secret.is_some_and(|secret| secret.expose().len() < SHORTEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_anybody_knows_is_refused_and_one_that_can_be_guessed_is_told() {
        let signed = |secret| Signed {
            secret: Some(Secret::from(secret)),
            ..Signed::default()
        };
        assert_eq!(Signed::default().check(), Ok(()));
        assert_eq!(signed("0123456789abcdef").check(), Ok(()));
        let refused = signed("").check().unwrap_err();
        assert_eq!(refused, "secret must not be empty");
        assert_eq!(signed("0123456789abcde").guessable(), ["secret"]);
        assert!(signed("0123456789abcdef").guessable().is_empty());
        assert!(Signed::default().guessable().is_empty());
    }

    #[test]
    fn a_time_is_signed_with_a_secret_in_a_header_of_its_own() {
        let check = |set: fn(&mut SignedWithTime)| {
            let mut settings = SignedWithTime {
                secret: Some(Secret::from("0123456789abcdef")),
                timestamp_header: Some("X-Time".to_owned()),
                ..SignedWithTime::default()
            };
            set(&mut settings);
            settings.check()
        };
        assert_eq!(SignedWithTime::default().check(), Ok(()));
        assert_eq!(check(|_| ()), Ok(()));
        for set in [
            (|settings| settings.secret = None) as fn(&mut SignedWithTime),
            |settings| settings.secret = Some(Secret::from("")),
            |settings| settings.header = String::new(),
            |settings| settings.timestamp_header = Some("a b".to_owned()),
            |settings| settings.tolerance = Span::secs(0),
        ] {
            assert!(check(set).is_err());
        }
    }

    #[test]
    fn the_name_of_a_header_is_one() {
        assert_eq!(check_header("h", "X-Grafana-Alerting-Signature"), Ok(()));
        for wrong in ["", "a b", "a:", "é"] {
            assert!(
                check_header("h", wrong)
                    .unwrap_err()
                    .starts_with("h is not"),
                "{wrong}"
            );
        }
    }
}
