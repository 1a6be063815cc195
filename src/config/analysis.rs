//! Settings of analyses, and of the language model.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;
use serde::{Deserialize, Serialize};

use super::{Config, Secret, Span};
use crate::domain::analysis::redaction::Redaction;
use crate::jobs::Analyze;

/// What an analysis takes beside the model's answer.
const BESIDE: Duration = Duration::from_secs(10);
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// How new incidents are analyzed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AnalysisSettings {
    /// Whether new incidents are analyzed. If not, they are open at once, and analyzed on request.
    pub enabled: bool,
    /// How long an incident waits for its analysis before it is open without.
    pub wait: Span,
    /// The language model that contributes.
    pub model: ModelSettings,
}

impl Default for AnalysisSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            wait: Span::secs(120),
            model: ModelSettings::default(),
        }
    }
}

/// A language model behind an interface like OpenAI's.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelSettings {
    /// What `/chat/completions` follows. Unset: no model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The model's name there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What is presented as a bearer token. Unset: nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<Secret>,
    /// How long it may take to answer.
    pub timeout: Span,
    /// Requests in an hour, of all processes together.
    pub per_hour: u32,
    /// A file with its instructions. Unset: the built-in ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<PathBuf>,
    /// Regular expressions of what is redacted from its prompt, beside the built-in ones.
    pub redact: Vec<String>,
}

impl Default for ModelSettings {
    fn default() -> Self {
        Self {
            url: None,
            name: None,
            key: None,
            timeout: Span::secs(20),
            per_hour: 60,
            prompt: None,
            redact: Vec::new(),
        }
    }
}

impl Config {
    pub(super) fn check_analysis(&self) -> Result<(), String> {
        let (analysis, model) = (&self.analysis, &self.analysis.model);
        if analysis.wait.0.is_zero() || analysis.wait.0 > LONGEST_WAIT {
            return Err("analysis.wait must be from 1ms to 1h".to_owned());
        }
        Redaction::new(&model.redact).map_err(|error| format!("analysis.model.redact: {error}"))?;
        let Some(url) = &model.url else {
            return Ok(());
        };
        let parsed = Url::parse(url).ok();
        let is_web = |url: &Url| {
            let plain = url.username().is_empty() && url.password().is_none();
            matches!(url.scheme(), "http" | "https") && url.has_host() && plain
        };
        if !parsed.as_ref().is_some_and(is_web) || url.contains(['?', '#']) {
            return Err(
                "analysis.model.url must be an address that starts with https:// or http://, without a \
                 password and a query"
                    .to_owned(),
            );
        }
        if model.name.as_deref().unwrap_or_default().trim().is_empty() {
            return Err("analysis.model.url is set but analysis.model.name is not".to_owned());
        }
        if model.timeout.0.is_zero() {
            return Err("analysis.model.timeout must not be zero".to_owned());
        }
        if model.timeout.0 + BESIDE > self.policy::<Analyze>().timeout {
            return Err(
                "analysis.model.timeout must be at least 10s shorter than queues.analyze.timeout"
                    .to_owned(),
            );
        }
        if let Some(file) = &model.prompt {
            let read = std::fs::read_to_string(file);
            read.map_err(|error| format!("analysis.model.prompt: {}: {error}", file.display()))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::config::tests::load;

    #[test]
    fn a_model_that_cannot_be_asked_is_refused_by_its_setting() {
        let model = "[analysis.model]\nurl = \"https://ai.example/v1\"\nname = \"m\"\n";
        load(model, &[]).unwrap();
        for (settings, expected) in [
            ("url = \"ai.example\"\nname = \"m\"", "analysis.model.url"),
            (
                "url = \"https://u:p@h/v1\"\nname = \"m\"",
                "analysis.model.url",
            ),
            (
                "url = \"https://h/v1?a=b\"\nname = \"m\"",
                "analysis.model.url",
            ),
            ("url = \"https://h/v1\"", "analysis.model.name"),
            (
                "url = \"https://h\"\nname = \"m\"\ntimeout = \"0s\"",
                "timeout",
            ),
            (
                "url = \"https://h\"\nname = \"m\"\ntimeout = \"1m\"",
                "queues.analyze.timeout",
            ),
            (
                "url = \"https://h\"\nname = \"m\"\nprompt = \"/gone\"",
                "analysis.model.prompt",
            ),
            ("redact = [\"(\"]", "analysis.model.redact"),
        ] {
            let settings = format!("[analysis.model]\n{settings}");
            let refused = load(&settings, &[]).unwrap_err().to_string();
            assert!(refused.contains(expected), "{settings}: {refused}");
        }
        let refused = load("[analysis]\nwait = \"2h\"", &[])
            .unwrap_err()
            .to_string();
        assert!(refused.contains("analysis.wait"), "{refused}");
    }

    #[test]
    fn the_key_of_a_model_is_not_shown() {
        let variables = [("TOCSIN_ANALYSIS__MODEL__KEY", "planted")];
        let config = load("", &variables).unwrap();
        let shown = toml::to_string(&config).unwrap();
        assert!(!shown.contains("planted") && !format!("{config:?}").contains("planted"));
        assert_eq!(config.analysis.model.key.unwrap().expose(), "planted");
    }
}
