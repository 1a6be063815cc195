//! Sessions: a signed cookie. Nothing has to be remembered of one but that it was ended.
//!
//! The key comes from the token that was signed in with, so every process that knows the token knows
//! the session, and a token that is changed ends its sessions.

use axum::http::{Extensions, HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use crate::config::{Config, Fingerprint, Tokens};
use crate::context::Context;
use crate::store::sessions;
use crate::time::{Timestamp, millis};
use crate::web::origin::is_of;
use crate::web::person::Person;

/// How long a session lasts.
const LASTS: std::time::Duration = std::time::Duration::from_secs(12 * 3600);
/// How far apart the clocks of two processes may be.
const SKEW: std::time::Duration = std::time::Duration::from_secs(60);
/// How long it is asked whether a session was ended.
const ASKED: std::time::Duration = std::time::Duration::from_secs(1);
/// The cookie's name.
const COOKIE: &str = "tocsin_session";
/// Bytes of a name.
const NAME_BYTES: usize = 100;

/// What a visitor may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Look.
    Read,
    /// Look and act.
    Operate,
}

/// What keys of sessions are made for.
const PURPOSE: &str = "tocsin session";

/// A token that opens the pages: what it allows, its name, and the key of its sessions.
type PageToken = (Role, Fingerprint, Key);

fn openings(config: &Config) -> impl Iterator<Item = PageToken> {
    let of = |role, tokens: &Tokens| {
        let keys: Vec<_> = tokens.keys(PURPOSE).collect();
        keys.into_iter().map(move |(name, key)| (role, name, key))
    };
    of(Role::Operate, &config.api_token).chain(of(Role::Read, &config.read_token))
}

/// Whether the pages ask who is there.
pub(super) fn asked_for(config: &Config) -> bool {
    config.asks_who()
}

/// What a visitor is known by.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) role: Role,
    /// Who it is, by their own account, or as the proxy says.
    pub(super) name: Option<String>,
    /// Whether the proxy says it: then they act under no other name.
    pub(super) is_named_by_proxy: bool,
    /// As the audit calls whose token it is.
    pub(super) actor: String,
    /// What a form must carry, so that it is one of ours.
    pub(super) csrf: String,
    /// What it is called where it was ended, and when it is over by itself; nothing where nobody is asked
    /// who they are.
    pub(super) opened: Option<(String, Timestamp)>,
}

/// What the cookie says.
#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    /// Until when, in milliseconds since the epoch.
    until: i64,
    /// The beginning of the token's hash.
    token: String,
    /// Tells this session from others.
    nonce: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

/// The session of these headers; `None` if they must sign in, because they never did or
/// signed out.
///
/// Where the store does not say whether it was ended, it stands: what a page shows and does is the store's,
/// but for what the page of the system says of a store that is away.
pub(super) async fn current(
    context: &Context,
    headers: &HeaderMap,
    extensions: &Extensions,
) -> Option<Session> {
    if let Some(person) = extensions.get::<Person>() {
        return Some(of_person(&context.forms, person));
    }
    let session = of(
        &context.config,
        &context.forms,
        headers,
        context.clock.now(),
    )?;
    let Some((id, _)) = &session.opened else {
        return Some(session);
    };
    let lookup = tokio::time::timeout(ASKED, sessions::is_ended(context.db.view_now(), id));
    let is_ended = matches!(lookup.await, Ok(Ok(true)));
    (!is_ended).then_some(session)
}

/// The session of a person whom the proxy names. It lasts as long as theirs at the proxy.
fn of_person(installation: &Key, person: &Person) -> Session {
    Session {
        role: match person.operates {
            true => Role::Operate,
            false => Role::Read,
        },
        name: Some(person.name.clone()),
        is_named_by_proxy: true,
        actor: person.role().to_owned(),
        csrf: sign(installation, format!("form of {}", person.name).as_bytes()),
        opened: None,
    }
}

/// The session that these headers open by themselves; `None` if sign-in is needed.
///
/// Without sign-in, all have one; the mark of its forms is made of `installation`, which
/// only the processes of one installation know.
fn of(config: &Config, installation: &Key, headers: &HeaderMap, now: Timestamp) -> Option<Session> {
    if !asked_for(config) {
        return Some(Session {
            role: Role::Operate,
            name: None,
            is_named_by_proxy: false,
            actor: "anyone".to_owned(),
            csrf: sign(installation, b"form"),
            opened: None,
        });
    }
    let value = cookie(headers, COOKIE)?;
    let (payload, signature) = value.split_once('.')?;
    let claims: Claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    let mut known = openings(config);
    let (role, _, key) = known.find(|(_, name, _)| name.to_string() == claims.token)?;
    let expected = sign(&key, payload.as_bytes());
    // One that would last longer than any was opened by a clock that was ahead.
    let lasts = now.0 < claims.until && claims.until <= now.after(LASTS + SKEW).0;
    if !bool::from(expected.as_bytes().ct_eq(signature.as_bytes())) || !lasts {
        return None;
    }
    let name_of = match role {
        Role::Read => "read",
        Role::Operate => "operate",
    };
    Some(Session {
        role,
        name: claims.name,
        is_named_by_proxy: false,
        actor: format!("{name_of}:{}", claims.token),
        csrf: sign(&key, format!("form {}", claims.nonce).as_bytes()),
        opened: Some((claims.nonce, Timestamp(claims.until))),
    })
}

/// A cookie for one of the tokens.
pub(super) fn open(
    config: &Config,
    headers: &HeaderMap,
    token: &str,
    name: &str,
    now: Timestamp,
) -> Option<String> {
    let operate = config.api_token.find(token);
    let found = operate.or(config.read_token.find(token))?;
    let (_, _, key) = openings(config).find(|(_, name, _)| *name == found)?;
    let mut name = name.trim().to_owned();
    while name.len() > NAME_BYTES {
        name.pop();
    }
    name.retain(|c| !c.is_control());
    let claims = Claims {
        until: now.0.saturating_add(millis(LASTS)),
        token: found.to_string(),
        nonce: URL_SAFE_NO_PAD.encode(rand::random::<[u8; 16]>()),
        name: (!name.is_empty()).then_some(name),
    };
    let payload = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&claims).ok()?);
    let signature = sign(&key, payload.as_bytes());
    Some(set_cookie(
        COOKIE,
        &format!("{payload}.{signature}"),
        LASTS.as_secs(),
        (config, headers),
    ))
}

/// A cookie that ends the session in this browser.
pub(super) fn close(config: &Config, headers: &HeaderMap) -> String {
    set_cookie(COOKIE, "", 0, (config, headers))
}

/// A cookie of ours: no script reads it, no other site sends it, and where people come by TLS, it goes
/// over nothing else. A proxy says that they do, or the address that the pages are said to have.
pub(super) fn set_cookie(
    name: &str,
    value: &str,
    seconds: u64,
    (config, headers): (&Config, &HeaderMap),
) -> String {
    let forwarded = text(headers, "x-forwarded-proto");
    let is_https = |url: &String| url.to_ascii_lowercase().starts_with("https://");
    let secure = forwarded.is_some_and(|proto| proto.trim().eq_ignore_ascii_case("https"))
        || config.public_url.as_ref().is_some_and(is_https);
    let secure = if secure { "; Secure" } else { "" };
    let path = match config.base_path() {
        "" => "/",
        base => base,
    };
    format!("{name}={value}; Path={path}; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}")
}

/// The value of a cookie.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(header::COOKIE).iter();
    all.filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(key, value)| (key == name).then_some(value))
}

/// Whether a form was sent from a page of this address: by what browsers say of it, where they do.
pub(super) fn same_origin(headers: &HeaderMap) -> bool {
    if let Some(site) = text(headers, "sec-fetch-site") {
        return site == "same-origin";
    }
    let Some(origin) = text(headers, "origin") else {
        return true;
    };
    let origins = ["host", "x-forwarded-host"];
    origins
        .into_iter()
        .any(|name| text(headers, name).is_some_and(|host| is_of(origin, host)))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

type Key = [u8; 32];

fn sign(key: &Key, message: &[u8]) -> String {
    let mut block = [0_u8; 64];
    block[..key.len()].copy_from_slice(key);
    let mut mac = Hmac::<Sha256>::new(&block.into());
    mac.update(message);
    URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests;
