//! Foreign text made fit to be shown: one line, nothing invisible that acts, bounded.

use tocsin::text::acts_unseen;

/// `value` on one line, without control characters, at most `max` UTF-16 code units long. What is
/// cut ends in an ellipsis. Line breaks become spaces, so a value cannot pose as a line of ours.
pub(super) fn tidy(value: &str, max: usize) -> String {
    let mut tidy = String::new();
    let mut units = 0;
    let mut room_for_ellipsis = 0;
    let mut space = false;
    for c in value.chars() {
        if c.is_whitespace() {
            space = !tidy.is_empty();
            continue;
        }
        if acts_unseen(c) {
            continue;
        }
        units += c.len_utf16() + usize::from(space);
        if units > max {
            tidy.truncate(room_for_ellipsis);
            tidy.push('…');
            break;
        }
        if space {
            tidy.push(' ');
            space = false;
        }
        tidy.push(c);
        if units < max {
            room_for_ellipsis = tidy.len();
        }
    }
    tidy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_cut_between_characters() {
        let table = [
            ("", 5, ""),
            ("abcde", 5, "abcde"),
            ("abcdef", 5, "abcd…"),
            ("ab cdef", 4, "ab…"),
            ("ab c", 4, "ab c"),
            ("🔥🔥", 4, "🔥🔥"),
            ("🔥🔥🔥", 4, "🔥…"),
            ("🔥🔥🔥", 5, "🔥🔥…"),
            ("aé€🔥", 4, "aé€…"),
        ];
        for (value, max, expected) in table {
            let got = tidy(value, max);
            assert_eq!(got, expected, "{value:?} in {max}");
            assert!(got.encode_utf16().count() <= max);
        }
    }

    #[test]
    fn line_breaks_become_spaces_and_control_characters_vanish() {
        let hostile = "\n a\u{0}b\r\n\t c\u{2028}d\u{7}\u{1b}[31m \u{202e}e\u{2066}f\u{9b} \n";
        assert_eq!(tidy(hostile, 100), "ab c d[31m ef");
        assert_eq!(tidy("\u{0}\n\u{0}", 100), "");
    }

    #[test]
    fn right_to_left_text_and_joined_emoji_stay() {
        assert_eq!(tidy("שלום 👩‍🚒", 100), "שלום 👩‍🚒");
    }
}
