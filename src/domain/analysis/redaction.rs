//! Redaction of prompts: what looks like a secret, and what the settings name.

use regex::Regex;

/// What stands for what was taken out.
pub const REDACTED: &str = "[redacted]";
/// A label or annotation whose name has one of these in it is taken out whole.
const NAMES: [&str; 8] = [
    "password",
    "passwd",
    "secret",
    "token",
    "apikey",
    "api_key",
    "credential",
    "authorization",
];
/// What looks like a secret wherever it stands.
const PATTERNS: [&str; 7] = [
    // A name and a value.
    r"(?i)\b(password|passwd|pwd|secret|token|api[-_]?key|credentials?)\s*[=:]\s*\S+",
    r"(?i)\b(bearer|basic)\s+[a-z0-9._~+/=-]{8,}",
    // The user and password of an address.
    r"(?i)\b[a-z][a-z0-9+.-]*://[^/\s@]+@",
    // A JSON web token.
    r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*",
    // Keys of AWS, GitHub and Slack, and of what calls its own sk-.
    r"\b(AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{20,}|xox[abprs]-[A-Za-z0-9-]{10,}|sk-[A-Za-z0-9_-]{16,})",
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(-----END [A-Z ]*PRIVATE KEY-----|$)",
    // An address of e-mail.
    r"\b[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+",
];

/// What is taken out.
#[derive(Clone, Debug)]
pub struct Redaction(Vec<Regex>);

impl Redaction {
    /// The built-in patterns, and these.
    ///
    /// # Errors
    /// One of these is no regular expression.
    pub fn new(more: &[String]) -> Result<Self, regex::Error> {
        let all = PATTERNS.into_iter().chain(more.iter().map(String::as_str));
        all.map(Regex::new).collect::<Result<_, _>>().map(Self)
    }

    /// A text without what looks like a secret.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, pattern| {
            pattern.replace_all(&text, REDACTED).into_owned()
        })
    }

    /// The value of a label or annotation.
    #[must_use]
    pub fn value(&self, name: &str, value: &str) -> String {
        let name = name.to_lowercase();
        match NAMES.iter().any(|secret| name.contains(secret)) {
            true => REDACTED.to_owned(),
            false => self.text(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_secret_is_taken_out() {
        let redaction = Redaction::new(&[r"\b10\.\d+\.\d+\.\d+\b".to_owned()]).unwrap();
        for (text, redacted) in [
            ("disk is full on /dev/sda1", "disk is full on /dev/sda1"),
            (
                "login failed: password=planted!",
                "login failed: [redacted]",
            ),
            ("Api-Key : planted", "[redacted]"),
            (
                "Authorization: Bearer planted.planted",
                "Authorization: [redacted]",
            ),
            ("postgres://u:planted@db/x", "[redacted]db/x"),
            ("https://planted@host/x", "[redacted]host/x"),
            ("jwt eyJhbGciOiJI.eyJzdWIi.planted-_", "jwt [redacted]"),
            ("AKIAIOSFODNN7PLANTED", "[redacted]"),
            ("ghp_plantedplantedplanted1", "[redacted]"),
            ("sk-planted-planted-planted", "[redacted]"),
            ("mail planted.one@example.co.uk now", "mail [redacted] now"),
            (
                "-----BEGIN RSA PRIVATE KEY-----\nplanted\nplanted",
                "[redacted]",
            ),
            ("from 10.1.2.3 to 192.0.2.1", "from [redacted] to 192.0.2.1"),
        ] {
            assert_eq!(redaction.text(text), redacted);
        }
        assert_eq!(redaction.value("DB_Password", "planted"), REDACTED);
        assert_eq!(redaction.value("x-api_key", "planted"), REDACTED);
        assert_eq!(redaction.value("pod", "token=planted"), REDACTED);
        assert_eq!(redaction.value("pod", "checkout-1"), "checkout-1");
        assert!(Redaction::new(&["(".to_owned()]).is_err());
    }
}
