//! Which cluster a sender speaks for, so that equal labels of two clusters are two series.
//!
//! `?cluster=NAME` in the webhook's address says it. Where it does not, the address at which people reach
//! Alertmanager (`externalURL`) may. It counts only where an operator chose it: Alertmanager makes one up of its
//! host's name and port otherwise, which differs between the two of a highly available pair, and these are one
//! cluster. A pair that was taken for two clusters would report everything twice, while two clusters that are
//! taken for one do as well as they did, until they are named; so in doubt there is no cluster.

use std::borrow::Cow;
use std::net::IpAddr;

use super::bounded::told_apart;

/// The longest name of a cluster, in bytes; a longer one is cut.
const BYTES: usize = 128;
/// What stands between a source's name and its cluster's.
const AT: char = '@';

/// A source as it is stored: its name, and its cluster if it has one, as in `alertmanager@eu`.
#[must_use]
pub fn with_cluster(source: &str, cluster: Option<&str>) -> String {
    match cluster {
        Some(cluster) => format!("{source}{AT}{cluster}"),
        None => source.to_owned(),
    }
}

/// The name of a stored source, without its cluster.
#[must_use]
pub fn name_of(source: &str) -> &str {
    source.split_once(AT).map_or(source, |(name, _)| name)
}

/// A name that a webhook's address gives; `None` if it says nothing.
#[must_use]
pub fn named(name: &str) -> Option<String> {
    let name = name.trim();
    let name = match name.contains(char::is_control) {
        true => Cow::Owned(name.replace(char::is_control, "\u{fffd}")),
        false => Cow::Borrowed(name),
    };
    (!name.is_empty()).then(|| told_apart(name, BYTES).into_owned())
}

/// The cluster of which an Alertmanager with this address is: its host without the number of one of several,
/// and its path. `None` where the address looks like a default:
///
/// - plain `http` with a port and no path, as Alertmanager makes it up;
/// - a host without a domain, an IP address, or a name that every cluster has (`….svc`, `localhost`).
#[must_use]
pub fn of_url(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let path = path.trim_end_matches('/');
    let host = authority.rsplit('@').next().unwrap_or_default();
    let (host, port) = match host.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (host, None),
    };
    let is_made_up = scheme.eq_ignore_ascii_case("http") && port.is_some() && path.is_empty();
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let (first, domain) = host.split_once('.')?;
    if is_made_up || host.parse::<IpAddr>().is_ok() || is_everywhere(&host) {
        return None;
    }
    let is_safe = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    if !is_safe(&host) || !is_safe(path) {
        return None;
    }
    let digits = |c: char| c.is_ascii_digit();
    let first = first.trim_end_matches(digits).trim_end_matches('-');
    let dot = if first.is_empty() { "" } else { "." };
    let slash = if path.is_empty() { "" } else { "/" };
    named(&format!("{first}{dot}{domain}{slash}{path}"))
}

/// Whether it is a name that stands for something else in every cluster.
fn is_everywhere(host: &str) -> bool {
    host.ends_with(".svc")
        || host.contains(".svc.")
        || host.starts_with("localhost.")
        || host.ends_with(".localhost")
        || host.ends_with(".localdomain")
        || host.ends_with(".local")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_somebody_chose_names_a_cluster() {
        for (url, expected) in [
            // What Alertmanager makes up of its host's name.
            ("http://alertmanager-main-0:9093", None),
            ("http://alertmanager-main-1:9093", None),
            (
                "http://alertmanager-0.alertmanager.monitoring.svc:9093",
                None,
            ),
            ("http://am1.eu.example.com:9093", None),
            ("http://am2.eu.example.com:9093/", None),
            ("http://0f2a9c61d3be:9093", None),
            ("http://vm:9398", None),
            ("http://10.0.0.7:9093", None),
            ("http://[fd00::7]:9093", None),
            // The same in every cluster, or no name at all.
            ("https://alertmanager.monitoring.svc", None),
            ("https://alertmanager.monitoring.svc.cluster.local/am", None),
            ("http://localhost/alertmanager", None),
            ("https://localhost.localdomain", None),
            ("https://10.0.0.7/alertmanager", None),
            ("https://[fd00::7]/alertmanager", None),
            ("https://alertmanager", None),
            ("alertmanager.example.com", None),
            ("https://", None),
            ("", None),
            ("https://a b.example.com", None),
            // Chosen by an operator.
            ("https://am.eu.example.com", Some("am.eu.example.com")),
            ("https://am.us.example.com/", Some("am.us.example.com")),
            (
                "https://AM.eu.example.com:8443/#/alerts",
                Some("am.eu.example.com"),
            ),
            ("http://am.eu.example.com", Some("am.eu.example.com")),
            (
                "http://am.eu.example.com:9093/am",
                Some("am.eu.example.com/am"),
            ),
            ("https://user:secret@am.example.com", Some("am.example.com")),
            (
                "https://ops.example.com/eu/am/?x=1",
                Some("ops.example.com/eu/am"),
            ),
            (
                "https://ops.example.com/us/am",
                Some("ops.example.com/us/am"),
            ),
            // Two of one cluster.
            ("https://am-0.eu.example.com", Some("am.eu.example.com")),
            ("https://am-1.eu.example.com", Some("am.eu.example.com")),
            ("https://am02.eu.example.com", Some("am.eu.example.com")),
            ("https://1.am.example.com", Some("am.example.com")),
        ] {
            assert_eq!(of_url(url).as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn a_name_is_safe_to_keep() {
        for (name, expected) in [
            ("eu", Some("eu")),
            (" eu ", Some("eu")),
            ("歐洲", Some("歐洲")),
            ("e\nu\0", Some("e\u{fffd}u\u{fffd}")),
            (" ", None),
            ("", None),
        ] {
            assert_eq!(named(name).as_deref(), expected, "{name:?}");
        }
        let (one, other) = (format!("{}1", "x".repeat(200)), "x".repeat(200));
        assert_eq!(named(&one).unwrap().len(), 128);
        assert_ne!(named(&one), named(&other));
    }

    #[test]
    fn a_source_is_named_with_its_cluster_and_found_without() {
        assert_eq!(with_cluster("alertmanager", None), "alertmanager");
        let source = with_cluster("alertmanager", Some("a@b"));
        assert_eq!(source, "alertmanager@a@b");
        assert_eq!(name_of(&source), "alertmanager");
        assert_eq!(name_of("alertmanager"), "alertmanager");
    }
}
