//! Protection against other sites' pages where no token is set: a browser sends whatever any page in it asks for
//! to any address that it can reach, this computer's included.
//!
//! Requests of another site's page are detected by `Sec-Fetch-Site` and `Origin`, which no page can forge.
//! A name that its owner lets lead here for a while (DNS rebinding) makes a page one of ours in the
//! browser's eyes; `Host` names it. Clients that are not browsers send neither, and are not checked.

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, header};
use reqwest::Url;

use super::Problem;
use crate::config::Config;
use crate::domain::refusal::Code;

/// Why a request is refused that no token guards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Foreign {
    /// A page of another site sent it.
    #[error(
        "request from another site's page: without tokens, only programs and Tocsin's own pages are served"
    )]
    Site,
    /// It came by a name that is not known to be ours.
    #[error(
        "unknown host: without tokens, it must be an IP address, localhost or the host of public_url. \
         Set tokens, or TOCSIN_INSECURE=true if a proxy in front authenticates clients"
    )]
    Host,
}

impl From<Foreign> for Problem {
    fn from(foreign: Foreign) -> Self {
        let code = match foreign {
            Foreign::Site => Code::ForeignSite,
            Foreign::Host => Code::UnknownHost,
        };
        Self::new(code, foreign.to_string())
    }
}

/// Refuses what another site's page wants done, and whatever comes by a name that is not ours.
pub(super) fn check(config: &Config, request: &Request) -> Result<(), Foreign> {
    check_site(config, request)?;
    check_host(config, request)
}

/// Refuses webhooks that a browser sends for a page that is not ours. Senders that are no browsers may
/// know us by whatever name: what they send would be lost.
pub(super) fn check_sender(config: &Config, request: &Request) -> Result<(), Foreign> {
    check_site(config, request)?;
    if request.headers().contains_key(header::ORIGIN) {
        check_host(config, request)?;
    }
    Ok(())
}

/// Refuses what another site's page wants done.
pub(super) fn check_site(config: &Config, request: &Request) -> Result<(), Foreign> {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return Ok(());
    }
    let headers = request.headers();
    let is_ours = |site: &str| matches!(site, "same-origin" | "none");
    let by_site = headers.get("sec-fetch-site");
    let by_site = by_site.is_none_or(|site| site.to_str().is_ok_and(is_ours));
    let is_here = |origin: &str| {
        host(request).is_some_and(|host| is_of(origin, host.as_str()))
            || public(config).is_some_and(|public| is_of(origin, public.authority()))
    };
    let by_origin = headers.get(header::ORIGIN);
    let by_origin = by_origin.is_none_or(|origin| origin.to_str().is_ok_and(is_here));
    (by_site && by_origin).then_some(()).ok_or(Foreign::Site)
}

/// Whether pages of `origin` come from `host`, which may name a port. Something in front of us may speak TLS in
/// our place, so the scheme is the origin's, and so is the port where none is named.
pub(crate) fn is_of(origin: &str, host: &str) -> bool {
    let Ok(origin) = Url::parse(origin) else {
        return false;
    };
    let is_web = matches!(origin.scheme(), "http" | "https") && origin.path() == "/";
    let here = Url::parse(&format!("{}://{host}", origin.scheme()));
    is_web && here.is_ok_and(|here| here.path() == "/" && here.origin() == origin.origin())
}

/// Refuses what comes by a name that is not ours, unless something in front of us checks who comes in:
/// there may be more names than we know.
pub(crate) fn check_host(config: &Config, request: &Request) -> Result<(), Foreign> {
    if config.insecure || !names_a_host(request) {
        return Ok(());
    }
    let public = public(config);
    let public = public.as_ref().and_then(Url::host_str);
    let is_ours = |requested: &Authority| {
        let requested = requested.host().trim_end_matches('.').to_ascii_lowercase();
        is_address(&requested)
            || requested == "localhost"
            || requested.ends_with(".localhost")
            || public == Some(requested.as_str())
    };
    let known = host(request).filter(is_ours);
    known.map(drop).ok_or(Foreign::Host)
}

/// Whether a host is an IP address, which no DNS name can be pointed at.
fn is_address(host: &str) -> bool {
    let inner = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    inner.unwrap_or(host).parse::<IpAddr>().is_ok()
}

/// Browsers always do.
fn names_a_host(request: &Request) -> bool {
    request.uri().authority().is_some() || request.headers().contains_key(header::HOST)
}

/// The host, with its port, that a request is for.
fn host(request: &Request) -> Option<Authority> {
    let of_headers = |headers: &HeaderMap| {
        let host = headers.get(header::HOST)?;
        Authority::try_from(host.as_bytes()).ok()
    };
    let of_uri = request.uri().authority().cloned();
    of_uri.or_else(|| of_headers(request.headers()))
}

fn public(config: &Config) -> Option<Url> {
    Url::parse(config.public_url.as_ref()?).ok()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn post(headers: &[(&str, &str)]) -> Request {
        let mut request = Request::post("/").body(Body::empty()).unwrap();
        for (name, value) in headers {
            let name = header::HeaderName::try_from(*name).unwrap();
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        request
    }

    fn public() -> Config {
        Config {
            public_url: Some("https://tocsin.example/x".to_owned()),
            ..Config::default()
        }
    }

    #[test]
    fn requests_of_other_sites_are_distinguished_from_programs_and_own_pages() {
        let host = ("host", "127.0.0.1:9099");
        for (headers, expected) in [
            (&[][..], Ok(())),
            (&[("sec-fetch-site", "same-origin")], Ok(())),
            (&[("sec-fetch-site", "none")], Ok(())),
            (&[("sec-fetch-site", "cross-site")], Err(Foreign::Site)),
            (&[("sec-fetch-site", "same-site")], Err(Foreign::Site)),
            (&[("origin", "http://127.0.0.1:9099")], Ok(())),
            (&[("origin", "https://tocsin.example")], Ok(())),
            (&[("origin", "http://127.0.0.1:3000")], Err(Foreign::Site)),
            (&[("origin", "https://evil.example")], Err(Foreign::Site)),
            (&[("origin", "null")], Err(Foreign::Site)),
        ] {
            let mut request = post(&[&[host], headers].concat());
            assert_eq!(check(&public(), &request), expected, "{headers:?}");
            assert_eq!(check_sender(&public(), &request), expected, "{headers:?}");
            *request.method_mut() = Method::GET;
            assert_eq!(check(&public(), &request), Ok(()), "reading {headers:?}");
        }
    }

    #[test]
    fn an_origin_is_its_host_in_either_case_and_its_port_named_or_not() {
        for (origin, host, expected) in [
            ("https://x.example", "x.example", true),
            ("https://x.example", "x.example:443", true),
            ("https://x.example:443", "x.example", true),
            ("http://x.example", "x.example:80", true),
            ("HTTPS://X.Example", "x.EXAMPLE", true),
            ("http://x.example:9099", "x.example:9099", true),
            ("http://[::1]:9099", "[0:0::1]:9099", true),
            ("https://bücher.example", "xn--bcher-kva.example", true),
            ("https://x.example", "x.example:80", false),
            ("http://x.example", "x.example:443", false),
            ("http://x.example:9099", "x.example", false),
            ("https://x.example.evil", "x.example", false),
            ("https://y.example", "x.example", false),
            ("https://x.example/path", "x.example", false),
            ("https://x.example", "x.example/path", false),
            ("ftp://x.example", "x.example", false),
            ("extension://x.example", "x.example", false),
            ("x.example", "x.example", false),
            ("null", "null", false),
            ("", "", false),
        ] {
            assert_eq!(is_of(origin, host), expected, "{origin} {host}");
        }
    }

    #[test]
    fn the_port_of_public_url_may_be_named_though_browsers_leave_it_out() {
        for (public, origin, expected) in [
            ("https://tocsin.example:443", "https://tocsin.example", true),
            ("https://Tocsin.example/x", "https://tocsin.example", true),
            ("http://tocsin.example:80/", "http://tocsin.example", true),
            (
                "https://tocsin.example:8443",
                "https://tocsin.example:8443",
                true,
            ),
            (
                "https://tocsin.example:8443",
                "https://tocsin.example",
                false,
            ),
            (
                "https://tocsin.example",
                "https://tocsin.example:8443",
                false,
            ),
        ] {
            let config = Config {
                public_url: Some(public.to_owned()),
                ..Config::default()
            };
            let request = post(&[("host", "127.0.0.1:9099"), ("origin", origin)]);
            assert_eq!(
                check(&config, &request).is_ok(),
                expected,
                "{public} {origin}"
            );
        }
    }

    #[test]
    fn a_foreign_host_name_is_refused_unless_an_external_check_is_configured() {
        let insecure = Config {
            insecure: true,
            ..Config::default()
        };
        for (host, is_ours) in [
            ("127.0.0.1:9099", true),
            ("[::1]:9099", true),
            ("192.0.2.1", true),
            ("localhost:9099", true),
            ("LocalHost.", true),
            ("tocsin.localhost", true),
            ("tocsin.example", true),
            ("tocsin.example:8443", true),
            ("evil.example:9099", false),
            ("notlocalhost", false),
            ("127.0.0.1.evil.example", false),
            ("tocsin.example.evil.example", false),
            ("localhost@evil.example", false),
            ("", false),
        ] {
            let mut request = post(&[("host", host)]);
            *request.method_mut() = Method::GET;
            let expected = if is_ours { Ok(()) } else { Err(Foreign::Host) };
            assert_eq!(check(&public(), &request), expected, "{host}");
            assert_eq!(check(&insecure, &request), Ok(()), "{host}");
            // A page would say that it is at home there.
            let origin = format!("http://{host}");
            let sent = check_sender(&public(), &post(&[("host", host), ("origin", &origin)]));
            assert_eq!(sent.is_ok(), is_ours, "{host}");
            assert_eq!(check_sender(&public(), &post(&[("host", host)])), Ok(()));
        }
    }
}
