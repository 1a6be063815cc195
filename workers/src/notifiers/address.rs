//! Addresses from alerts, before they become links.

use reqwest::Url;

use super::markup::escape;

/// The longest address that is linked, in bytes of HTML. A shortened one would lead elsewhere, so
/// what is longer is no link.
const ADDRESS: usize = 2_000;

/// What can be linked: an http or https address, without the user and password it may carry.
pub(super) fn address(url: &str) -> Option<Url> {
    if url.len() > ADDRESS {
        return None;
    }
    let mut url = Url::parse(url).ok()?;
    if !matches!(url.scheme(), "http" | "https") {
        return None;
    }
    url.set_username("").ok()?;
    url.set_password(None).ok()?;
    (escape(url.as_str()).len() <= ADDRESS).then_some(url)
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
