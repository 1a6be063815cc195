//! Sessions: whose they are, and which are refused.

use axum::http::HeaderValue;

use super::*;

const INSTALLATION: Key = [7; 32];
const NOW: Timestamp = Timestamp(1_795_382_909_102);

fn guarded(token: &str) -> Config {
    Config {
        api_token: Tokens::from(token),
        ..Config::default()
    }
}

fn sent(set_cookie: &str) -> HeaderMap {
    let value = set_cookie.split(';').next().unwrap();
    let mut headers = HeaderMap::new();
    headers.insert(header::COOKIE, HeaderValue::from_str(value).unwrap());
    headers
}

fn signed_in(config: &Config) -> HeaderMap {
    let none = HeaderMap::new();
    sent(&open(config, &none, "secret", " Ann\n", NOW).unwrap())
}

#[test]
fn a_valid_token_opens_a_session_of_twelve_hours() {
    let config = guarded("secret");
    let headers = signed_in(&config);
    let session = of(&config, &INSTALLATION, &headers, NOW.after(LASTS / 2)).unwrap();
    assert_eq!(session.role, Role::Operate);
    assert_eq!(session.name.as_deref(), Some("Ann"));
    assert!(of(&config, &INSTALLATION, &headers, NOW.after(LASTS)).is_none());
    assert!(of(&config, &INSTALLATION, &headers, NOW.before(SKEW)).is_some());
    assert!(of(&config, &INSTALLATION, &headers, NOW.before(LASTS)).is_none());
    assert!(open(&config, &HeaderMap::new(), "secreT", "", NOW).is_none());
    assert!(of(&config, &INSTALLATION, &HeaderMap::new(), NOW).is_none());
}

#[test]
fn the_read_token_looks_and_does_not_act() {
    let config = Config {
        read_token: Tokens::from("look"),
        ..guarded("secret")
    };
    let headers = sent(&open(&config, &HeaderMap::new(), "look", "", NOW).unwrap());
    let session = of(&config, &INSTALLATION, &headers, NOW).unwrap();
    assert_eq!(session.role, Role::Read);
    assert!(session.actor.starts_with("read:"), "{}", session.actor);
}

#[test]
fn a_changed_token_or_a_changed_cookie_ends_it() {
    let config = guarded("secret");
    let headers = signed_in(&config);
    assert!(of(&guarded("another"), &INSTALLATION, &headers, NOW).is_none());
    let value = headers[header::COOKIE].to_str().unwrap().to_owned();
    for at in [16, value.len() / 2, value.len() - 2] {
        let mut bytes = value.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let forged = sent(&String::from_utf8(bytes).unwrap());
        assert!(
            of(&config, &INSTALLATION, &forged, NOW).is_none(),
            "changed at {at}"
        );
    }
}

#[test]
fn a_form_of_one_session_is_not_one_of_another() {
    let config = guarded("secret");
    let csrf = |headers| of(&config, &INSTALLATION, &headers, NOW).unwrap().csrf;
    assert_ne!(csrf(signed_in(&config)), csrf(signed_in(&config)));
}

#[test]
fn without_sign_in_forms_are_bound_to_one_installation() {
    let csrf = |installation| {
        let session = of(&Config::default(), installation, &HeaderMap::new(), NOW);
        session.unwrap().csrf
    };
    assert_eq!(csrf(&[1; 32]), csrf(&[1; 32]));
    assert_ne!(csrf(&[1; 32]), csrf(&[2; 32]));
}

#[test]
fn the_cookie_is_for_this_site_alone() {
    let mut headers = HeaderMap::new();
    let plain = open(&guarded("secret"), &headers, "secret", "", NOW).unwrap();
    assert!(plain.contains("; HttpOnly; SameSite=Strict"), "{plain}");
    assert!(!plain.contains("Secure"), "{plain}");
    headers.insert("x-forwarded-proto", HeaderValue::from_static("https"));
    let secure = open(&guarded("secret"), &headers, "secret", "", NOW).unwrap();
    assert!(secure.ends_with("; Secure"), "{secure}");
    let public = |url: &str| Config {
        public_url: Some(url.to_owned()),
        ..guarded("secret")
    };
    let plain = HeaderMap::new();
    let https = open(&public("https://t.example"), &plain, "secret", "", NOW).unwrap();
    assert!(https.ends_with("; Secure"), "{https}");
    assert!(close(&public("HTTPS://t.example"), &plain).ends_with("; Secure"));
    let http = open(&public("http://t.example"), &plain, "secret", "", NOW).unwrap();
    assert!(!http.contains("Secure"), "{http}");
    assert!(http.contains("; Path=/; "), "{http}");
    let below = public("http://t.example/tocsin/");
    let opened = open(&below, &plain, "secret", "", NOW).unwrap();
    for cookie in [opened, close(&below, &plain)] {
        assert!(cookie.contains("; Path=/tocsin; "), "{cookie}");
    }
}

#[test]
fn a_form_of_another_site_is_detected() {
    let table: [(&[(&str, &str)], bool); 9] = [
        (&[("sec-fetch-site", "same-origin")], true),
        (&[("sec-fetch-site", "cross-site")], false),
        (&[("sec-fetch-site", "same-site")], false),
        (&[("origin", "http://a:1"), ("host", "a:1")], true),
        (&[("origin", "http://b:1"), ("host", "a:1")], false),
        (&[("origin", "null"), ("host", "a:1")], false),
        (&[("origin", "https://a"), ("host", "A:443")], true),
        (&[("origin", "http://a"), ("host", "a:443")], false),
        (
            &[
                ("origin", "https://a"),
                ("host", "b:1"),
                ("x-forwarded-host", "a"),
            ],
            true,
        ),
    ];
    for (pairs, expected) in table {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, HeaderValue::from_static(value));
        }
        assert_eq!(same_origin(&headers), expected, "{pairs:?}");
    }
}
