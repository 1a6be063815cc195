//! What notifications are sent of, and when, whatever their channels.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Span;
use crate::domain::severity;

/// A longer wait would turn a rise into a reminder.
const LONGEST_SETTLE: Duration = Duration::from_secs(3600);

/// When messages are sent.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NotifySettings {
    /// How long rises of an incident that has just opened gather before one message reports the highest.
    /// Zero: each is sent at once.
    pub settle: Span,
    /// The severities whose reaching is sent when an incident's severity rises, each with all words for it. Empty:
    /// none.
    pub severities: Vec<String>,
}

impl Default for NotifySettings {
    fn default() -> Self {
        Self {
            settle: Span::secs(30),
            severities: ["warning", "error", "critical"].map(str::to_owned).to_vec(),
        }
    }
}

impl NotifySettings {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.settle.0 > LONGEST_SETTLE {
            return Err("notify.settle must be at most 1h".to_owned());
        }
        // No severity rises to a word that is not known.
        let is_unknown = |(_, word): &(usize, &String)| severity::rank(word).is_none();
        match self.severities.iter().enumerate().find(is_unknown) {
            Some((n, word)) => Err(format!(
                "notify.severities[{n}] = {word:?} is not a severity: {}",
                meant(word)
            )),
            None => Ok(()),
        }
    }
}

/// The word that was meant, or else what can stand there.
fn meant(word: &str) -> String {
    let word = word.to_lowercase();
    let known = severity::WORDS.into_iter().flatten();
    let distances = known.map(|known| (strsim::osa_distance(&word, known), *known));
    match distances.min() {
        // A letter in three is one too many to be a mistake.
        Some((distance, known)) if distance * 3 <= known.chars().count() => {
            format!("did you mean {known:?}?")
        }
        _ => {
            let names: Vec<&str> = severity::WORDS
                .iter()
                .skip(1)
                .map(|words| words[0])
                .collect();
            format!(
                "expected one of {}, or another word for one",
                names.join(", ")
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::tests::load;

    #[test]
    fn severities_are_words_that_are_known_and_others_are_refused_with_what_was_meant() {
        let set = |toml: &str, variable: &str| {
            let variable = [("TOCSIN_NOTIFY__SEVERITIES", variable)];
            let variables = &variable[..usize::from(!variable[0].1.is_empty())];
            load(toml, variables).map(|config| config.notify.severities)
        };
        assert_eq!(set("", "").unwrap(), ["warning", "error", "critical"]);
        assert_eq!(set("", "P1, Fatal").unwrap(), ["P1", "Fatal"]);
        assert!(set("[notify]\nseverities = []", "").unwrap().is_empty());
        for (word, meant) in [
            ("critcal", "did you mean \"critical\"?"),
            ("Warnin", "did you mean \"warning\"?"),
            ("sev11", "did you mean \"sev1\"?"),
            (
                "urgent",
                "expected one of info, minor, warning, error, critical",
            ),
        ] {
            let toml = format!("[notify]\nseverities = [\"critical\", {word:?}]");
            let refused = set(&toml, "").unwrap_err().to_string();
            let named = format!("notify.severities[1] = {word:?}");
            assert!(
                refused.contains(&named) && refused.contains(meant),
                "{refused}"
            );
        }
    }
}
