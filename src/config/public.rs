//! `public_url`: the address at which people reach the pages, and its path, which all our paths follow.

use reqwest::Url;

use super::Config;

/// What the paths of our own addresses begin with. A path of `public_url` that begins so could not be told
/// from them.
pub const OWN_PATHS: [&str; 22] = [
    "anomalies",
    "api",
    "assets",
    "attention",
    "dead-letters",
    "events",
    "healthz",
    "incidents",
    "language",
    "maintenance",
    "mcp",
    "metrics",
    "openapi.json",
    "playbooks",
    "queues",
    "readyz",
    "repairs",
    "report",
    "services",
    "sign-in",
    "sign-out",
    "system",
];

impl Config {
    /// The path of `public_url` without a slash at its end: `/tocsin` of `https://ops.example/tocsin/`. Empty
    /// where there is none.
    #[must_use]
    pub fn base_path(&self) -> &str {
        parts(self.public_url.as_deref().unwrap_or_default()).1
    }

    pub(super) fn check_public_url(&self) -> Result<(), String> {
        let Some(url) = &self.public_url else {
            return Ok(());
        };
        if !url.starts_with("https://") && !url.starts_with("http://") {
            return Err("public_url must start with https:// or http://".to_owned());
        }
        if url.contains(|c: char| c.is_control() || c.is_whitespace()) {
            return Err("public_url must have no space and no control characters".to_owned());
        }
        if url.contains(['?', '#']) {
            return Err(
                "public_url must have no query and no fragment: paths are appended to it"
                    .to_owned(),
            );
        }
        let (host, path) = parts(url);
        let names_a_host = !host.is_empty() && !host.contains('\\') && Url::parse(url).is_ok();
        if host.contains('@') {
            return Err("public_url must have no user and no password".to_owned());
        }
        if let Some(port) = bad_port(host) {
            return Err(match port {
                "" => "public_url has a colon and no port behind it".to_owned(),
                port => format!("public_url: port {port} is not between 1 and 65535"),
            });
        }
        if !names_a_host {
            return Err("public_url must name a host: https://ops.example/tocsin".to_owned());
        }
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~');
        let is_part = |part: &str| !matches!(part, "" | "." | "..") && part.chars().all(is_plain);
        if !path.split('/').skip(1).all(is_part) {
            return Err(
                "the path of public_url must be words of letters, digits, -, ., _ and ~ with one / \
                 before each"
                    .to_owned(),
            );
        }
        let first = path.split('/').nth(1).unwrap_or_default();
        if OWN_PATHS.contains(&first) {
            return Err(format!(
                "the path of public_url must not begin with /{first}: Tocsin uses that path itself"
            ));
        }
        Ok(())
    }
}

/// The host, with what stands around it, and the path without a slash at its end.
fn parts(url: &str) -> (&str, &str) {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    (host, path.trim_end_matches('/'))
}

/// Text in the place of a port that is not a port.
fn bad_port(host: &str) -> Option<&str> {
    // The colons of an IPv6 address are within brackets.
    let after_address = host.rsplit_once(']').map_or(host, |(_, after)| after);
    let (_, port) = after_address.rsplit_once(':')?;
    let is_port = port.parse().is_ok_and(|port: u16| port > 0);
    (!is_port).then_some(port)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(url: &str) -> Config {
        Config {
            public_url: Some(url.to_owned()),
            ..Config::default()
        }
    }

    #[test]
    fn the_path_is_what_follows_the_host() {
        for (url, path) in [
            ("https://ops.example", ""),
            ("https://ops.example/", ""),
            ("https://ops.example:8443/tocsin", "/tocsin"),
            ("http://ops.example/tocsin/", "/tocsin"),
            ("http://[::1]:80/a-b/c.d_e~1/", "/a-b/c.d_e~1"),
            ("https://ops.example/apis", "/apis"),
        ] {
            assert_eq!(at(url).base_path(), path, "{url}");
            assert_eq!(at(url).check_public_url(), Ok(()), "{url}");
        }
        assert_eq!(Config::default().base_path(), "");
        assert_eq!(Config::default().check_public_url(), Ok(()));
    }

    #[test]
    fn an_address_that_no_path_can_follow_is_refused_by_name() {
        for (url, why) in [
            ("ops.example/tocsin", "must start with"),
            ("https://ops.example/tocsin?a=b", "no query"),
            ("https://ops.example/tocsin#top", "no query and no fragment"),
            ("https://ops.example/toc\tsin", "no control characters"),
            ("https://ops.example/\u{85}", "no control characters"),
            ("https://ops.example/toc sin", "no space"),
            ("https://", "must name a host"),
            ("https:///tocsin", "must name a host"),
            ("https://ops.example\\tocsin", "must name a host"),
            ("https://ops.example:port/", "port port is not"),
            (
                "https://ops.example:70000/tocsin",
                "port 70000 is not between",
            ),
            ("https://ops.example:", "no port"),
            ("https://[::1]:0", "port 0 is not between"),
            ("https://ops.example//tocsin", "must be words"),
            ("https://ops.example/a/../b", "must be words"),
            ("https://ops.example/a;b", "must be words"),
            ("https://ops.example/t%20", "must be words"),
            ("https://ops.example/incidents", "not begin with /incidents"),
            ("https://ops.example/api/tocsin", "not begin with /api"),
        ] {
            let refused = at(url).check().unwrap_err();
            assert!(refused.contains("public_url"), "{url:?}: {refused}");
            assert!(refused.contains(why), "{url:?}: {refused}");
        }
    }
}
