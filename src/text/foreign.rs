//! Texts from outside, made safe to show: the same for messages, pages and the command line.

use reqwest::Url;

/// The longest address that is linked, in bytes as a quoted attribute of HTML. A shortened one would lead
/// elsewhere, so what is longer is no link.
const ADDRESS: usize = 2_000;

/// What can be linked: an http or https address, without the user and password it may carry.
#[must_use]
pub fn address(url: &str) -> Option<Url> {
    if url.len() > ADDRESS {
        return None;
    }
    let mut url = Url::parse(url).ok()?;
    if !matches!(url.scheme(), "http" | "https") {
        return None;
    }
    url.set_username("").ok()?;
    url.set_password(None).ok()?;
    (escaped_bytes(url.as_str()) <= ADDRESS).then_some(url)
}

/// How long a text is where HTML quotes it.
fn escaped_bytes(text: &str) -> usize {
    let of = |byte: u8| match byte {
        b'&' => "&amp;".len(),
        b'<' | b'>' => "&lt;".len(),
        b'"' => "&quot;".len(),
        _ => 1,
    };
    text.bytes().map(of).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_web_addresses_are_linked_and_no_password_with_them() {
        let long = format!("https://example.com/{}", "x".repeat(ADDRESS));
        let table = [
            (
                "https://example.com/a?b=c#d",
                Some("https://example.com/a?b=c#d"),
            ),
            (
                "HTTP://Prometheus:9090/graph",
                Some("http://prometheus:9090/graph"),
            ),
            (
                "https://me:secret@example.com/",
                Some("https://example.com/"),
            ),
            (
                "https://example.com/\"><b>",
                Some("https://example.com/%22%3E%3Cb%3E"),
            ),
            ("javascript:alert(1)", None),
            ("file:///etc/passwd", None),
            ("tg://resolve?domain=x", None),
            ("/graph?g0.expr=up", None),
            ("https://", None),
            ("", None),
            (long.as_str(), None),
        ];
        for (url, expected) in table {
            let got = address(url);
            assert_eq!(got.as_ref().map(Url::as_str), expected, "{url}");
        }
    }
}
