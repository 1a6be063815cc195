//! Who somebody is, as the proxy in front says in a header. It is believed from the proxy's own address alone; from
//! anywhere else a request with that header is refused, whatever else it has.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName};
use axum::middleware::Next;
use axum::response::Response;

use super::Problem;
use crate::config::{Config, IdentitySettings};
use crate::domain::refusal::Code;

/// The longest name, in bytes.
const NAME_BYTES: usize = 200;

/// A person whom the proxy let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) name: String,
    /// Whether they may operate; else they read.
    pub(crate) operates: bool,
}

impl Person {
    /// What the audit has where it has a token of others.
    pub(crate) const fn role(&self) -> &'static str {
        match self.operates {
            true => "operate:proxy",
            false => "read:proxy",
        }
    }
}

/// The headers, and the settings that say whom they name.
pub(super) struct Headers {
    name: HeaderName,
    groups: Option<HeaderName>,
    config: Arc<Config>,
}

impl Headers {
    /// Those of the settings; `None` if no header says who somebody is.
    pub(super) fn of(config: &Arc<Config>) -> Option<Arc<Self>> {
        let read = |name: &String| name.parse().ok();
        let identity = &config.identity;
        Some(Arc::new(Self {
            name: identity.header.as_ref().and_then(read)?,
            groups: identity.groups_header.as_ref().and_then(read),
            config: Arc::clone(config),
        }))
    }

    fn person(&self, request: &Request) -> Result<Option<Person>, Problem> {
        let (headers, identity) = (request.headers(), &self.config.identity);
        let has_groups = self
            .groups
            .as_ref()
            .is_some_and(|name| headers.contains_key(name));
        if !headers.contains_key(&self.name) && !has_groups {
            return Ok(None);
        }
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
        if !peer.is_some_and(|peer| identity.trusts(peer.0.ip())) {
            let detail = format!(
                "the header {} is believed from the proxy alone (identity.networks)",
                self.name
            );
            return Err(Problem::new(Code::UntrustedProxy, detail));
        }
        self.named(headers, identity)
    }

    fn named(
        &self,
        headers: &HeaderMap,
        identity: &IdentitySettings,
    ) -> Result<Option<Person>, Problem> {
        let name = one(headers, &self.name)?.unwrap_or_default();
        if name.is_empty() {
            return Ok(None);
        }
        if name.len() > NAME_BYTES || name.contains(char::is_control) {
            return Err(unreadable(&self.name));
        }
        let groups = match &self.groups {
            Some(header) => one(headers, header)?.unwrap_or_default(),
            None => "",
        };
        let groups: Vec<&str> = groups.split(',').map(str::trim).collect();
        Ok(Some(Person {
            operates: identity.operates(name, &groups),
            name: name.to_owned(),
        }))
    }
}

/// The value of a header that is there once: of two, one may be the client's own.
fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    match (std::str::from_utf8(value.as_bytes()), values.next()) {
        (Ok(value), None) => Ok(Some(value.trim())),
        _ => Err(unreadable(name)),
    }
}

fn unreadable(name: &HeaderName) -> Problem {
    let detail = format!("the header {name} must be there once, with a name that can be read");
    Problem::new(Code::UntrustedProxy, detail)
}

/// Notes the person that the proxy names for those who check what they may do.
pub(super) async fn identify(
    State(headers): State<Arc<Headers>>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    if let Some(person) = headers.person(&request)? {
        request.extensions_mut().insert(person);
    }
    Ok(next.run(request).await)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn found(peer: &str, given: &[(&'static str, &str)]) -> Result<Option<Person>, ()> {
        let settings = serde_json::json!({"identity": {
            "header": "X-Forwarded-Email", "groups_header": "X-Forwarded-Groups",
            "networks": ["10.0.0.0/8"], "operators": ["ann@x", "oncall"],
        }});
        let config = Arc::new(Config::with(&settings).unwrap());
        let mut request = Request::new(Body::empty());
        let peer = SocketAddr::new(peer.parse().unwrap(), 1);
        request.extensions_mut().insert(ConnectInfo(peer));
        for (name, value) in given {
            request.headers_mut().append(*name, value.parse().unwrap());
        }
        Headers::of(&config).unwrap().person(&request).map_err(drop)
    }

    #[test]
    fn only_the_proxy_says_who_somebody_is() {
        let (email, groups) = ("x-forwarded-email", "x-forwarded-groups");
        let person = |name: &str, operates| {
            let name = name.to_owned();
            Ok(Some(Person { name, operates }))
        };
        let (proxy, other) = ("::ffff:10.0.0.7", "192.0.2.1");
        for (peer, given, expected) in [
            (proxy, &[(email, " ann@x ")][..], person("ann@x", true)),
            (proxy, &[(email, "bob@x")], person("bob@x", false)),
            (
                proxy,
                &[(email, "bob@x"), (groups, "dev, oncall")],
                person("bob@x", true),
            ),
            (proxy, &[(email, "")], Ok(None)),
            (proxy, &[], Ok(None)),
            (other, &[], Ok(None)),
            (proxy, &[(groups, "oncall")], Ok(None)),
            (other, &[(email, "ann@x")], Err(())),
            (other, &[(email, "")], Err(())),
            (other, &[(groups, "oncall")], Err(())),
            (proxy, &[(email, "bob@x"), (email, "ann@x")], Err(())),
        ] {
            assert_eq!(found(peer, given), expected, "{peer} {given:?}");
        }
    }
}
