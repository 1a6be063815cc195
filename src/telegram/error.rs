//! Why the Bot API did not do what it was asked for.

use std::fmt;
use std::time::Duration;

/// The longest text of an error, in characters.
const TEXT_MAX: usize = 300;

/// Why Telegram did not do it. No secret is in it; what others said is in its fields as it came, and its
/// text is bounded and without control characters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TelegramError {
    /// The request could not be written, and never can be.
    #[error("{}", presentable(.0))]
    Request(String),
    /// No answer came in time.
    #[error("{}", presentable(.0))]
    TimedOut(String),
    /// The API could not be reached, or the connection broke.
    #[error("{}", presentable(.0))]
    Unreachable(String),
    /// The API, or something between here and there, answered that it did not do it.
    #[error("{}", presentable(&.0.to_string()))]
    Refused(Refusal),
}

/// An answer that is no success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The method that was called.
    pub method: &'static str,
    /// The status code.
    pub status: u16,
    /// What Telegram says of it, if it is Telegram's and could be read.
    pub description: Option<String>,
    /// Why the answer broke off, if it did.
    pub cut: Option<String>,
    /// What it means.
    pub class: Class,
}

/// What a refusal means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Class {
    /// The API wants a pause of this length, from a second to a day.
    Wait(Duration),
    /// Another client polls for updates, or a webhook is set.
    Conflict,
    /// It may go better later. The API failed, refused the bot itself (once its token is corrected, the same
    /// call can be done), or something between here and there answered for it, with a success as well.
    Unavailable,
    /// The group became this chat.
    Moved(String),
    /// Nothing can be written to the topic that was named; the rest of the chat is still there.
    TopicClosed,
    /// The message cannot be edited any more.
    MessageGone,
    /// The edit changes nothing: it was done before.
    NotModified,
    /// The text's form or the buttons cannot be read.
    Markup,
    /// Anything else, which will be refused again.
    Rejected,
}

impl TelegramError {
    /// What it means, where an answer came.
    #[must_use]
    pub fn class(&self) -> Option<&Class> {
        match self {
            Self::Refused(refusal) => Some(&refusal.class),
            Self::Request(_) | Self::TimedOut(_) | Self::Unreachable(_) => None,
        }
    }

    /// The error of a call without an answer.
    pub(super) fn unanswered(error: reqwest::Error) -> Self {
        let error = error.without_url();
        let why = crate::http_client::causes(&error);
        match () {
            () if error.is_builder() => Self::Request(why),
            () if error.is_timeout() => Self::TimedOut(why),
            () => Self::Unreachable(why),
        }
    }

    /// Without these secrets: answers may repeat the address or the body that they are answers to.
    pub(super) fn without(self, secrets: &[&str]) -> Self {
        let hide = |why: String| {
            let secrets = secrets.iter().filter(|secret| !secret.is_empty());
            secrets.fold(why, |why, secret| why.replace(secret, "***"))
        };
        match self {
            Self::Request(why) => Self::Request(hide(why)),
            Self::TimedOut(why) => Self::TimedOut(hide(why)),
            Self::Unreachable(why) => Self::Unreachable(hide(why)),
            Self::Refused(refusal) => Self::Refused(Refusal {
                description: refusal.description.map(hide),
                cut: refusal.cut.map(hide),
                class: match refusal.class {
                    Class::Moved(chat) => Class::Moved(hide(chat)),
                    class => class,
                },
                ..refusal
            }),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = match (&self.description, &self.cut) {
            (None, Some(cut)) => return f.write_str(cut),
            (None, None) => "no reason",
            (Some(description), _) => description,
        };
        let Self { method, status, .. } = self;
        write!(f, "Telegram answered {method} with {status}: {said}")
    }
}

/// Bounded, and fit for a line of a log.
fn presentable(why: &str) -> String {
    let visible = why.chars().filter(|c| !c.is_control());
    visible.take(TEXT_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(description: Option<&str>, cut: Option<&str>) -> TelegramError {
        TelegramError::Refused(Refusal {
            method: "getUpdates",
            status: 409,
            description: description.map(str::to_owned),
            cut: cut.map(str::to_owned),
            class: Class::Conflict,
        })
    }

    #[test]
    fn an_error_says_what_was_called_and_what_was_answered_or_why_no_answer_came() {
        let table = [
            (
                refusal(Some("Conflict: a\nwebhook"), None),
                "Telegram answered getUpdates with 409: Conflict: awebhook",
            ),
            (
                refusal(None, None),
                "Telegram answered getUpdates with 409: no reason",
            ),
            (refusal(None, Some("it broke off")), "it broke off"),
            (TelegramError::TimedOut("too late".to_owned()), "too late"),
        ];
        for (error, expected) in table {
            assert_eq!(error.to_string(), expected);
        }
        let long = refusal(Some(&"x".repeat(1_000)), None);
        assert_eq!(long.to_string().chars().count(), TEXT_MAX);
    }

    #[test]
    fn no_secret_stays_in_an_error_whatever_it_is_in_and_however_long_it_is() {
        let said = format!("{}token and hook", "x".repeat(TEXT_MAX - 50));
        let moved = TelegramError::Refused(Refusal {
            method: "sendMessage",
            status: 400,
            description: Some(said.clone()),
            cut: Some(said.clone()),
            class: Class::Moved("token".to_owned()),
        });
        let errors = [
            moved,
            TelegramError::Request(said.clone()),
            TelegramError::TimedOut(said.clone()),
            TelegramError::Unreachable(said),
        ];
        for error in errors {
            let hidden = error.without(&["token", "", "hook"]);
            let shown = format!("{hidden} {hidden:?}");
            assert!(shown.contains("*** and ***"), "{shown}");
            assert!(
                !shown.contains("token") && !shown.contains("hook"),
                "{shown}"
            );
        }
    }
}
