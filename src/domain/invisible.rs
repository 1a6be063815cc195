//! Invisible characters that change how the others are shown.

/// Whether a character acts and is not seen: control characters, and those that turn the direction of all
/// that follows.
#[must_use]
pub fn acts_unseen(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bidi_controls_are_invisible_and_letters_of_any_script_are_not() {
        for c in [
            '\u{0}', '\u{1b}', '\u{9b}', '\u{202e}', '\u{2066}', '\u{2069}',
        ] {
            assert!(acts_unseen(c), "{c:?}");
        }
        for c in ['a', 'ש', '告', '🔥', '\u{200d}', ' '] {
            assert!(!acts_unseen(c), "{c:?}");
        }
    }
}
