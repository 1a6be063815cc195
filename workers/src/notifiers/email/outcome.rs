//! The consequence of a server's answer for a message.

use lettre::transport::smtp::Error;
use tocsin::config::Secret;

use crate::notifiers::SendError;
use crate::notifiers::text::tidy;

/// The longest reason that is reported, in UTF-16 code units.
pub(super) const REASON_MAX: usize = 500;

/// Refusals that are about who signs in, or how the connection is encrypted. They are final to the server, and
/// heal when an operator corrects the settings: no message is lost to them.
const ABOUT_THE_CLIENT: [u16; 5] = [530, 534, 535, 538, 554];

/// What becomes of a message that was not taken.
pub(super) fn failed(channel: &str, error: &Error, password: Option<&Secret>) -> SendError {
    let mut why = format!("{channel}: {error}");
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let said = error.to_string();
        if !why.contains(&said) {
            why.push_str(&format!(": {said}"));
        }
        cause = error.source();
    }
    let why = presentable(&why, password);
    let code = error.status().map(u16::from);
    match is_final(code) {
        true => SendError::GiveUp(why),
        false => SendError::Retry(why),
    }
}

/// Whether an answer of this code, if there was one, is the last word about a message.
fn is_final(code: Option<u16>) -> bool {
    code.is_some_and(|code| (500..600).contains(&code) && !ABOUT_THE_CLIENT.contains(&code))
}

/// What a server said, safe to log: without the password, which it may repeat, and bounded.
pub(super) fn presentable(said: &str, password: Option<&Secret>) -> String {
    let said = match password
        .map(Secret::expose)
        .filter(|known| !known.is_empty())
    {
        Some(password) => said.replace(password, "***"),
        None => said.to_owned(),
    };
    tidy(&said, REASON_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_final_if_it_is_about_the_message() {
        for code in [500, 501, 503, 550, 551, 552, 553, 555] {
            assert!(is_final(Some(code)), "{code}");
        }
        for code in [421, 450, 451, 452, 454, 530, 534, 535, 538, 554] {
            assert!(!is_final(Some(code)), "{code}");
        }
        assert!(!is_final(None));
    }

    #[test]
    fn a_password_that_is_repeated_is_taken_out() {
        let password = Secret::from("planted");
        let said = presentable("no planted\r\nhere", Some(&password));
        assert_eq!(said, "no *** here");
        assert_eq!(presentable("ok", None), "ok");
    }
}
